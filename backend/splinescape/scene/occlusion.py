"""New splats must not hide what earlier views saw.

A surface guessed for a hole may land in front of a surface that an earlier view looks at. That view saw nothing there,
so the guess is wrong: the pixel is moved back along its own ray until no earlier view is disturbed. Moving rather than
dropping keeps the hole filled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.intrinsics import rays_through
from splinescape.jit import run_chunks
from splinescape.scene.frame import Frame
from splinescape.scene.occlusion_passes import TOLERANCE as TOLERANCE
from splinescape.scene.occlusion_passes import Camera, camera_of, push_for, see_for
from splinescape.scene.shell import INSIDE

_POINTS = 2048
"""Points that are worth a thread."""


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
    pixels, rays, z = _rays_at(depth_hw, moved_hw, K_33)
    quiet = np.zeros(len(z), np.int64)
    seen = [_as_seen(frame, cam_T_world) for frame in older]
    limit = INSIDE * shell_radius
    # A point rests when all frames in turn had nothing against it: what one of them moved is shown to the others.
    while seen and (quiet < len(seen)).any():
        for frame in seen:
            run_chunks(push_for, len(z), z, rays, quiet, len(seen), limit, *frame, smallest=_POINTS)
    out = np.array(depth_hw, np.float32, order="C")
    out.reshape(-1)[pixels] = z
    return out


def _rays_at(
    depth_hw: NDArray[np.float32], mask_hw: NDArray[np.bool_], K_33: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Flat indices (M,) of the pixels of a mask that have depth, their camera-frame rays (M, 3) and depth (M,)."""
    pixels = np.flatnonzero(mask_hw & np.isfinite(depth_hw))
    v, u = np.divmod(pixels, depth_hw.shape[1])
    return pixels, rays_through(u, v, K_33), depth_hw.reshape(-1)[pixels].astype(np.float64)


def _as_seen(frame: Frame, cam_T_world: NDArray[np.float64]) -> tuple[NDArray[np.float32], Camera]:
    """Depth (H, W) of an older frame, and its camera for points in the new camera's frame."""
    older_T_new = frame.cam_T_world @ np.linalg.inv(cam_T_world)
    return np.ascontiguousarray(frame.depth, np.float32), camera_of(older_T_new, frame.K_33)


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
    pixels, rays, z = _rays_at(depth_hw, mask_hw, K_33)
    points, seen = rays * z[:, None], np.zeros(len(z), bool)
    for frame in older:
        depth, camera = _as_seen(frame, cam_T_world)
        source = np.ascontiguousarray(frame.inpaint)
        run_chunks(see_for, len(z), points, seen, depth, source, camera, smallest=_POINTS)
    out = np.zeros(depth_hw.shape, bool)
    out.reshape(-1)[pixels] = seen
    return out
