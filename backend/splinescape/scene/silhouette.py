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

import numpy as np
import torch
from numpy.typing import NDArray

from splinescape.scene.edges import occlusion_edges
from splinescape.scene.frame import Frame
from splinescape.scene.occlusion import TOLERANCE, project
from splinescape.scene.splats import Splats

_HALF = 0.5
_REACH = 2


def tuck_in(splats: Splats, older: Sequence[Frame]) -> Splats:
    """Move new splats that stand within half a pixel before a background an older frame saw.

    Args:
        splats: new splats. older: frames already in the scene.

    Returns:
        The same splats with some means moved by at most about two pixels of the older frame.
    """
    means = splats.means.double().numpy()
    for frame in older:
        means = _tuck_for(means, frame)
    return replace(splats, means=torch.from_numpy(means.astype(np.float32)))


def _tuck_for(points: NDArray[np.float64], frame: Frame) -> NDArray[np.float64]:
    z, inside, u, v = project(points, frame)
    z_in = z[inside]
    at = np.flatnonzero(_before_background(z_in, u, v, frame))
    if at.size == 0:
        return points
    goal_u, goal_v, found = _nearest_own_pixel(z_in[at], u[at], v[at], frame)
    at, goal_u, goal_v = at[found], goal_u[found], goal_v[found]
    K = frame.K_33
    depth = z_in[at]
    cam = np.stack([(goal_u - K[0, 2]) / K[0, 0] * depth, (goal_v - K[1, 2]) / K[1, 1] * depth, depth], 1)
    world_T_cam = np.linalg.inv(frame.cam_T_world)
    out = points.copy()
    out[np.flatnonzero(inside)[at]] = cam @ world_T_cam[:3, :3].T + world_T_cam[:3, 3]
    return out


def _seen_at(
    depth_hw: NDArray[np.float32], u: NDArray[np.float64], v: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Depth of the pixel under image points, 1e30 for sky."""
    x = np.clip(np.floor(u), 0, depth_hw.shape[1] - 1).astype(np.intp)
    y = np.clip(np.floor(v), 0, depth_hw.shape[0] - 1).astype(np.intp)
    depth = depth_hw[y, x].astype(np.float64)
    return np.where(np.isfinite(depth), depth, 1e30)


def _before_background(
    z: NDArray[np.float64], u: NDArray[np.float64], v: NDArray[np.float64], frame: Frame
) -> NDArray[np.bool_]:
    """Points with something farther within half a pixel, unless they are hidden behind a nearer surface."""
    before = np.zeros(len(z), bool)
    for du in (-_HALF, _HALF):
        for dv in (-_HALF, _HALF):
            before |= z < (1 - TOLERANCE) * _seen_at(frame.depth, u + du, v + dv)
    return before & (z < (1 + TOLERANCE) * _seen_at(frame.depth, u, v))


def _nearest_own_pixel(
    z: NDArray[np.float64], u: NDArray[np.float64], v: NDArray[np.float64], frame: Frame
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Centre of the closest pixel, in the 5x5 around a point, well inside the point's surface or a nearer one."""
    depth = np.where(occlusion_edges(frame.depth), np.inf, frame.depth).astype(np.float32)
    best = np.full(len(z), np.inf)
    goal_u, goal_v = u.copy(), v.copy()
    for du in range(-_REACH, _REACH + 1):
        for dv in range(-_REACH, _REACH + 1):
            centre_u, centre_v = np.floor(u) + du + _HALF, np.floor(v) + dv + _HALF
            distance = np.hypot(centre_u - u, centre_v - v)
            own = (_seen_at(depth, centre_u, centre_v) * (1 - TOLERANCE) <= z) & (distance < best)
            best = np.where(own, distance, best)
            goal_u, goal_v = np.where(own, centre_u, goal_u), np.where(own, centre_v, goal_v)
    return goal_u, goal_v, np.isfinite(best)
