"""New splats at the silhouettes of older views.

Around a smooth silhouette lies a strip of surface that only the new view sees. For the older view it is
thinner than a pixel, but its splats are not: the rasteriser never draws one narrower than about a pixel, so
they would pile up and paint over the background beside the silhouette. Each is tucked in, sideways by a
pixel or two, to the nearest pixel of its own surface in the older view that lies inside the silhouette; the
new view, which sees the strip many pixels wide, shows no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import hypot

import numpy as np
import torch

from splinescape.jit import njit, run_chunks
from splinescape.scene.edge_scan import is_edge
from splinescape.scene.edges import JUMP
from splinescape.scene.frame import Frame
from splinescape.scene.occlusion_passes import TOLERANCE, camera_of, finite, project
from splinescape.scene.splats import Splats

_HALF = 0.5
_REACH = 2
_JUMP = np.float32(JUMP)
_POINTS = 2048
"""Points that are worth a thread."""


def tuck_in(splats: Splats, older: Sequence[Frame]) -> Splats:
    """Move new splats that stand within half a pixel before a background an older frame saw.

    Args:
        splats: new splats. older: frames already in the scene.

    Returns:
        The same splats with some means moved by at most about two pixels of the older frame.
    """
    means = splats.means.double().numpy()
    for frame in older:
        depth = np.ascontiguousarray(frame.depth, np.float32)
        camera = camera_of(frame.cam_T_world, frame.K_33)
        world_T_cam = np.asarray(np.linalg.inv(frame.cam_T_world), np.float64)
        run_chunks(_tuck_for, len(means), means, depth, camera, world_T_cam, smallest=_POINTS)
    return replace(splats, means=torch.from_numpy(means.astype(np.float32)))


@njit
def _tuck_for(start, stop, points, depth, camera, world_T_cam):  # type: ignore[no-untyped-def]
    """Move the points (M, 3) that stand before a background of one older frame."""
    h, w = depth.shape
    fx, fy, cx, cy = camera[12:]
    for s in range(start, stop):
        inside, z, u, v = project(camera, h, w, points[s, 0], points[s, 1], points[s, 2])
        if not inside or not _before_background(depth, z, u, v):
            continue
        found, goal_u, goal_v = _nearest_own_pixel(depth, z, u, v)
        if found:
            x, y = (goal_u - cx) / fx * z, (goal_v - cy) / fy * z
            for a in range(3):
                row = world_T_cam[a]
                points[s, a] = x * row[0] + y * row[1] + z * row[2] + row[3]


@njit
def _pixel_under(depth, u, v):  # type: ignore[no-untyped-def]
    """Row and column of the pixel under an image point, the nearest one for a point outside."""
    h, w = depth.shape
    return min(max(int(np.floor(v)), 0), h - 1), min(max(int(np.floor(u)), 0), w - 1)


@njit
def _seen_at(depth, u, v):  # type: ignore[no-untyped-def]
    y, x = _pixel_under(depth, u, v)
    return np.float64(finite(depth[y, x]))


@njit
def _before_background(depth, z, u, v):  # type: ignore[no-untyped-def]
    """Whether something is farther within half a pixel, and the point not hidden behind a nearer surface."""
    if not z < (1 + TOLERANCE) * _seen_at(depth, u, v):
        return False
    for du in (-_HALF, _HALF):
        for dv in (-_HALF, _HALF):
            if z < (1 - TOLERANCE) * _seen_at(depth, u + du, v + dv):
                return True
    return False


@njit
def _nearest_own_pixel(depth, z, u, v):  # type: ignore[no-untyped-def]
    """Centre of the closest pixel, in the 5x5 around a point, well inside the point's surface or a nearer one."""
    best, goal_u, goal_v = np.inf, u, v
    for du in range(-_REACH, _REACH + 1):
        for dv in range(-_REACH, _REACH + 1):
            centre_u, centre_v = np.floor(u) + du + _HALF, np.floor(v) + dv + _HALF
            distance = hypot(centre_u - u, centre_v - v)
            if distance < best and _seen_at(depth, centre_u, centre_v) * (1 - TOLERANCE) <= z:
                y, x = _pixel_under(depth, centre_u, centre_v)
                if not is_edge(depth, y, x, _JUMP):
                    best, goal_u, goal_v = distance, centre_u, centre_v
    return best < np.inf, goal_u, goal_v
