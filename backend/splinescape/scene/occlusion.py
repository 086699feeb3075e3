"""New splats must not hide what earlier views saw.

A surface guessed for a hole may land in front of a surface that an earlier view looks at. That view saw nothing there,
so the guess is wrong: the pixel is moved back along its own ray until no earlier view is disturbed. Moving rather than
dropping keeps the hole filled.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from splinescape.camera.intrinsics import rays_through
from splinescape.scene.frame import Frame
from splinescape.scene.shell import INSIDE

TOLERANCE = 1 / 25
"""How far in front of an older surface a new point may lie, relative to that surface's depth."""

_STEP = 1.05


def push_behind(
    depth_hw: NDArray[np.float32],
    moved_hw: NDArray[np.bool_],
    K_33: NDArray[np.float64],
    cam_T_world: NDArray[np.float64],
    older: Sequence[Frame],
    shell_radius: float,
) -> NDArray[np.float32]:
    """Move new surface points back until none stands in front of what an older frame saw.

    Args:
        depth_hw: (H, W) camera z of the new view.
        moved_hw: (H, W) bool, the new pixels; only these move.
        K_33, cam_T_world: the new view's camera.
        older: frames already in the scene.
        shell_radius: points that would leave `INSIDE` of it become sky (+inf).

    Returns:
        The new depth (H, W).
    """
    v, u = np.nonzero(moved_hw & np.isfinite(depth_hw))
    z = depth_hw[v, u].astype(np.float64)
    world_T_cam = np.linalg.inv(cam_T_world)
    rays = rays_through(u, v, K_33) @ world_T_cam[:3, :3].T
    centre = world_T_cam[:3, 3]
    nearest = [(frame, _seen_depth(frame.depth)) for frame in older]
    pending = np.arange(len(z))
    limit = INSIDE * shell_radius
    while pending.size:
        points = centre + rays[pending] * z[pending, None]
        blocked = np.zeros(pending.size, bool)
        for frame, seen in nearest:
            blocked |= _in_front(points, frame, seen)
        pending = pending[blocked]
        z[pending] *= _STEP
        gone = z[pending] > limit
        z[pending[gone]] = np.inf
        pending = pending[~gone]
    out = depth_hw.copy()
    out[v, u] = z
    return out


def _seen_depth(depth_hw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Smallest depth of the 3x3 surroundings: within a pixel of a silhouette a point may belong to the nearer side."""
    finite = np.where(np.isfinite(depth_hw), depth_hw, 1e30).astype(np.float32)
    return np.asarray(cv2.erode(finite, np.ones((3, 3), np.uint8)), np.float32)


def _in_front(points: NDArray[np.float64], frame: Frame, seen: NDArray[np.float32]) -> NDArray[np.bool_]:
    z, inside, u, v = project(points, frame)
    hidden = np.zeros(len(points), bool)
    hidden[inside] = z[inside] < (1 - TOLERANCE) * seen[v.astype(np.intp), u.astype(np.intp)]
    return hidden


def project(
    points: NDArray[np.float64], frame: Frame
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Where world points (M, 3) fall in a frame.

    Returns:
        Camera z (M,), which points are in front and inside the image (M,) bool, and the pixel coordinates u, v of
        those that are (pixel centres at +0.5).
    """
    cam = points @ frame.cam_T_world[:3, :3].T + frame.cam_T_world[:3, 3]
    z = cam[:, 2]
    safe = np.where(z > 1e-6, z, 1)
    u = frame.K_33[0, 0] * cam[:, 0] / safe + frame.K_33[0, 2]
    v = frame.K_33[1, 1] * cam[:, 1] / safe + frame.K_33[1, 2]
    inside = (z > 1e-6) & (u >= 0) & (v >= 0) & (u < frame.width) & (v < frame.height)
    return z, inside, u[inside], v[inside]


def already_seen(
    depth_hw: NDArray[np.float32],
    mask_hw: NDArray[np.bool_],
    K_33: NDArray[np.float64],
    cam_T_world: NDArray[np.float64],
    older: Sequence[Frame],
) -> NDArray[np.bool_]:
    """Pixels of `mask_hw` whose surface point an older frame saw: their splats exist.

    Args and frames as in `push_behind`.

    Returns:
        (H, W) bool.
    """
    v, u = np.nonzero(mask_hw & np.isfinite(depth_hw))
    z = depth_hw[v, u].astype(np.float64)
    world_T_cam = np.linalg.inv(cam_T_world)
    points = (rays_through(u, v, K_33) * z[:, None]) @ world_T_cam[:3, :3].T + world_T_cam[:3, 3]
    seen = np.zeros(len(z), bool)
    for frame in older:
        ahead, inside, x, y = project(points, frame)
        ui, vi = x.astype(np.intp), y.astype(np.intp)
        depth = np.where(np.isfinite(frame.depth), frame.depth, 1e30)
        seen[inside] |= (np.abs(ahead[inside] - depth[vi, ui]) < TOLERANCE * ahead[inside]) & frame.inpaint[
            vi, ui
        ]
    out = np.zeros(depth_hw.shape, bool)
    out[v, u] = seen
    return out
