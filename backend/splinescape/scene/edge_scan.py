"""The pass over a depth map that finds occlusion edges."""

from __future__ import annotations

import numpy as np

from splinescape.jit import njit


@njit
def _unexplained(before, here, there, after, k, jumps):  # type: ignore[no-untyped-def]
    """Part of the k-th of `jumps` jumps, relative to the nearer side, that the jumps beside it do not explain."""
    jump = there - here
    left, right = here - before, after - there
    # Where a side has no pixels of its own (image border) its slope is unknown: take the other side's.
    if jumps > 2:
        if k == 0:
            left = right
        elif k == jumps - 1:
            right = left
    excess = min(min(abs(jump - left), abs(jump - right)), abs(jump))
    return excess / max(max(there, here), np.float32(1e-12))


@njit
def unexplained_jumps(start, stop, w, limit, along, across):  # type: ignore[no-untyped-def]
    """Mark jumps of inverse depth that neither side's slope explains.

    Args:
        start, stop: rows. w: (H, W) float32 inverse depth. limit: float32, relative to the nearer side.
        along, across: (H, W) bool, False at first: set where the step to the next column, the next row, is one.
    """
    h, n = w.shape
    for i in range(start, stop):
        for j in range(n - 1):
            before = w[i, j - 1] if j > 0 else w[i, j]
            after = w[i, j + 2] if j < n - 2 else w[i, j + 1]
            along[i, j] = _unexplained(before, w[i, j], w[i, j + 1], after, j, n - 1) > limit
        if i < h - 1:
            for j in range(n):
                before = w[i - 1, j] if i > 0 else w[i, j]
                after = w[i + 2, j] if i < h - 2 else w[i + 1, j]
                across[i, j] = _unexplained(before, w[i, j], w[i + 1, j], after, i, h - 1) > limit
