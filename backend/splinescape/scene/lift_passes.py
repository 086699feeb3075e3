"""The passes over pixels and splats that lifting a frame consists of."""

from __future__ import annotations

import numpy as np

from splinescape.jit import njit
from splinescape.scene.edges import JUMP

_SMOOTH = np.float32(0.2 * JUMP)
_STEEP = np.float32(4 * JUMP)
_LEAST = np.float32(1e-12)
_HALF = np.float32(0.5)


@njit
def _slope(back, ahead, here):  # type: ignore[no-untyped-def]
    """Slope from the differences on both sides: their mean on smooth surfaces, the smaller one next to an edge."""
    nearer = max(here, _LEAST)
    slope = back if abs(back) < abs(ahead) else ahead
    if abs(back - ahead) < _SMOOTH * nearer:
        slope = _HALF * (back + ahead)
    return np.float32(0.0) if abs(slope) > _STEEP * nearer else slope


@njit
def inverse_depth_slopes(start, stop, w, along, across):  # type: ignore[no-untyped-def]
    """Slopes per pixel of inverse depth from the side without an occlusion edge; 0 in a picture one pixel wide or high.

    Args:
        start, stop: rows. w: (H, W) float32 inverse depth. along, across: (H, W) float32 to write u and v slopes to.
    """
    h, n = w.shape
    for i in range(start, stop):
        for j in range(n):
            along[i, j] = across[i, j] = np.float32(0.0)
            if n > 1:
                left, right = max(j - 1, 0), min(j, n - 2)
                along[i, j] = _slope(w[i, left + 1] - w[i, left], w[i, right + 1] - w[i, right], w[i, j])
            if h > 1:
                above, below = max(i - 1, 0), min(i, h - 2)
                across[i, j] = _slope(w[above + 1, j] - w[above, j], w[below + 1, j] - w[below, j], w[i, j])


@njit
def quaternions(start, stop, rotations, out):  # type: ignore[no-untyped-def]
    """Unit quaternions of rotation matrices, from the largest of the four sums that are free of cancellation.

    Source: Shepperd 1978, in the form of Markley 2008.

    Args:
        start, stop: splats. rotations: (M, 3, 3) float64. out: (M, 4) float64 wxyz.
    """
    xyzw = np.empty(4)
    for s in range(start, stop):
        m = rotations[s]
        trace = m[0, 0] + m[1, 1] + m[2, 2]
        i, largest = 0, m[0, 0]
        for axis in (1, 2):
            if m[axis, axis] > largest:
                i, largest = axis, m[axis, axis]
        if trace > largest:
            xyzw[0] = m[2, 1] - m[1, 2]
            xyzw[1] = m[0, 2] - m[2, 0]
            xyzw[2] = m[1, 0] - m[0, 1]
            xyzw[3] = 1 + trace
        else:
            j, k = (i + 1) % 3, (i + 2) % 3
            xyzw[i] = 1 - trace + 2 * m[i, i]
            xyzw[j] = m[j, i] + m[i, j]
            xyzw[k] = m[k, i] + m[i, k]
            xyzw[3] = m[k, j] - m[j, k]
        norm = np.sqrt(xyzw[0] ** 2 + xyzw[1] ** 2 + xyzw[2] ** 2 + xyzw[3] ** 2)
        for axis in range(4):
            out[s, (axis + 1) % 4] = xyzw[axis] / norm
