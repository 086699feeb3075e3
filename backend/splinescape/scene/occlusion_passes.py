"""The passes that compare new points with what an older frame saw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import njit

TOLERANCE = 1 / 25
"""How far in front of an older surface a new point may lie, relative to that surface's depth."""

_STEP = 1.05
_SKY = np.float32(1e30)
_IN_FRONT = np.float32(1 - TOLERANCE)


Camera = tuple[float, ...]
"""The 12 numbers of a (3, 4) matrix into a camera, row by row, then fx, fy, cx, cy.

A tuple and not arrays, because numba counts the references to every array it hands to a function: that would take
longer than the projection.
"""


def camera_of(to_cam: NDArray[np.float64], K_33: NDArray[np.float64]) -> Camera:
    """The camera with these matrices, (3, 4) or (4, 4) and (3, 3)."""
    return (*to_cam[:3].ravel().tolist(), *map(float, (K_33[0, 0], K_33[1, 1], K_33[0, 2], K_33[1, 2])))


@njit
def project(camera, h, w, x, y, z):  # type: ignore[no-untyped-def]
    """Where a point falls in a picture of h rows and w columns.

    Returns:
        Whether it is in front of the camera and inside the picture, its camera z, and its pixel position u, v.
    """
    m00, m01, m02, m03, m10, m11, m12, m13, m20, m21, m22, m23, fx, fy, cx, cy = camera
    ahead = m20 * x + m21 * y + m22 * z + m23
    safe = ahead if ahead > 1e-6 else 1.0
    u = fx * (m00 * x + m01 * y + m02 * z + m03) / safe + cx
    v = fy * (m10 * x + m11 * y + m12 * z + m13) / safe + cy
    return ahead > 1e-6 and 0 <= u < w and 0 <= v < h, ahead, u, v


@njit
def finite(depth):  # type: ignore[no-untyped-def]
    """A float32 depth, 1e30 for sky."""
    return depth if np.isfinite(depth) else _SKY


@njit
def push_for(start, stop, z, rays, quiet, frames, limit, depth, camera):  # type: ignore[no-untyped-def]
    """Move points back along their rays until they do not stand in front of what one older frame saw.

    Args:
        start, stop: points. z: (M,) float64 to move, +inf past `limit`. rays: (M, 3) float64.
        quiet: (M,) int64, frames in a row that had nothing against the point; from `frames` on it is left alone.
        depth: (H, W) float32 of the older frame. camera: of it, from the new camera's frame.
    """
    h, w = depth.shape
    for s in range(start, stop):
        if quiet[s] >= frames:
            continue
        quiet[s] += 1
        while True:
            inside, ahead, u, v = project(
                camera, h, w, rays[s, 0] * z[s], rays[s, 1] * z[s], rays[s, 2] * z[s]
            )
            if not inside or not _in_front(depth, ahead, int(v), int(u)):
                break
            z[s] *= _STEP
            quiet[s] = 1
            if z[s] > limit:
                z[s], quiet[s] = np.inf, frames
                break


@njit
def _in_front(depth, ahead, row, column):  # type: ignore[no-untyped-def]
    """Within a pixel of a silhouette a point may belong to the nearer side: the least depth of the 3x3 counts."""
    h, w = depth.shape
    if not ahead < _IN_FRONT * finite(depth[row, column]):
        return False
    least = _SKY
    for i in range(max(row - 1, 0), min(row + 2, h)):
        for j in range(max(column - 1, 0), min(column + 2, w)):
            least = min(least, finite(depth[i, j]))
    return ahead < _IN_FRONT * least


@njit
def see_for(start, stop, points, seen, depth, source, camera):  # type: ignore[no-untyped-def]
    """Mark in `seen` (M,) bool the points (M, 3) that one older frame saw where it is the source (H, W) bool."""
    h, w = depth.shape
    for s in range(start, stop):
        inside, ahead, u, v = project(camera, h, w, points[s, 0], points[s, 1], points[s, 2])
        if inside and source[int(v), int(u)]:
            seen[s] = seen[s] or abs(ahead - finite(depth[int(v), int(u)])) < TOLERANCE * ahead
