"""The pass over a depth map that finds occlusion edges."""

from __future__ import annotations

import numpy as np

from splinescape.jit import njit

_TINY = np.float32(np.finfo(np.float32).tiny)
_INF = np.float32(np.inf)
_ONE = np.float32(1.0)


@njit
def inverse(z):  # type: ignore[no-untyped-def]
    """1/z of a float32 depth; 0 for +inf, NaN and anything not in front of the camera."""
    return _ONE / z if _TINY <= z < _INF else np.float32(0.0)


@njit
def invert(start, stop, depth, w):  # type: ignore[no-untyped-def]
    """Write `inverse` of rows start <= i < stop of `depth` to `w`, both (H, W) float32."""
    for i in range(start, stop):
        for j in range(depth.shape[1]):
            w[i, j] = inverse(depth[i, j])


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
def _mark_along(w, i, limit, out):  # type: ignore[no-untyped-def]
    """Mark in `out` (N + 1,) the pixels of row i of `w` (H, N) whose step from the one before is not explained."""
    jumps = w.shape[1] - 1
    for k in range(1, jumps - 1):
        out[k + 1] = _unexplained(w[i, k - 1], w[i, k], w[i, k + 1], w[i, k + 2], k, 0) > limit
    for k in range(0, jumps, max(jumps - 1, 1)):
        before, after = w[i, max(k - 1, 0)], w[i, min(k + 2, jumps)]
        out[k + 1] = _unexplained(before, w[i, k], w[i, k + 1], after, k, jumps) > limit


@njit
def _mark_across(w, i, limit, out):  # type: ignore[no-untyped-def]
    """Mark in `out` (N,) the unexplained steps from row i of `w` (H, N) to the next; none from the last."""
    last = len(w) - 1
    before, after = max(i - 1, 0), min(i + 2, last)
    for j in range(w.shape[1]):
        out[j] = (
            0 <= i < last and _unexplained(w[before, j], w[i, j], w[i + 1, j], w[after, j], i, last) > limit
        )


@njit
def mark_edges(start, stop, w, limit, edges):  # type: ignore[no-untyped-def]
    """Mark the pixels on both sides of a jump of inverse depth that neither side's slope explains.

    Args:
        start, stop: rows. w: (H, W) float32 inverse depth. limit: float32, relative to the nearer side.
        edges: (H, W) bool to write.
    """
    n = w.shape[1]
    along, across = np.zeros(n + 1, np.bool_), np.zeros((2, n), np.bool_)
    _mark_across(w, start - 1, limit, across[(start - 1) % 2])
    for i in range(start, stop):
        _mark_along(w, i, limit, along)
        _mark_across(w, i, limit, across[i % 2])
        for j in range(n):
            edges[i, j] = along[j] | along[j + 1] | across[0, j] | across[1, j]


@njit
def is_edge(depth, y, x, limit):  # type: ignore[no-untyped-def]
    """What `mark_edges` says of one pixel of `depth` (H, W) float32."""
    h, n = depth.shape
    for k in (x - 1, x):
        if 0 <= k < n - 1:
            before, after = inverse(depth[y, max(k - 1, 0)]), inverse(depth[y, min(k + 2, n - 1)])
            here, there = inverse(depth[y, k]), inverse(depth[y, k + 1])
            if _unexplained(before, here, there, after, k, n - 1) > limit:
                return True
    for k in (y - 1, y):
        if 0 <= k < h - 1:
            before, after = inverse(depth[max(k - 1, 0), x]), inverse(depth[min(k + 2, h - 1), x])
            here, there = inverse(depth[k, x]), inverse(depth[k + 1, x])
            if _unexplained(before, here, there, after, k, h - 1) > limit:
                return True
    return False
