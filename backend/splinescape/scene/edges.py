"""Occlusion edges in a depth map, found the same way at every scale, distance and slant.

Inverse depth w = 1/z is an affine function of the pixel position on any plane, however slanted. A jump between two
neighbours is therefore an occlusion exactly when neither side's own slope explains it; floors and slanted walls have
none, and a crease (a box corner) has none because one side explains it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

JUMP = 0.05
"""Unexplained change of inverse depth between neighbours, relative to the nearer one, that counts as an edge."""


def inverse_depth(depth_hw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1/z as (H, W) float32; 0 for +inf, NaN and anything not in front of the camera."""
    good = np.isfinite(depth_hw) & (depth_hw > 0)
    return np.divide(1.0, depth_hw, out=np.zeros(depth_hw.shape, np.float32), where=good)


def _unexplained_jump(w: NDArray[np.float32], axis: int, step: int) -> NDArray[np.float32]:
    """Part of w[i + step] - w[i] that neither side's slope explains, relative to the nearer; one shorter by `step`."""
    w = np.moveaxis(w, axis, 0)
    n = w.shape[0] - step
    jump = w[step:] - w[:-step]
    left = np.zeros_like(jump)
    right = np.zeros_like(jump)
    left[step:] = jump[:-step] if n > step else 0
    right[:-step] = jump[step:] if n > step else 0
    # Where a side has no pixels of its own (image border) its slope is unknown: take the other side's.
    if n > 2 * step:
        left[:step] = right[:step]
        right[-step:] = left[-step:]
    excess = np.minimum(np.abs(jump - left), np.abs(jump - right))
    nearer = np.maximum(np.maximum(w[step:], w[:-step]), 1e-12)
    return np.moveaxis(np.minimum(excess, np.abs(jump)) / nearer, 0, axis)


def occlusion_edges(depth_hw: NDArray[np.float32], jump: float = JUMP) -> NDArray[np.bool_]:
    """Mark the pixels on both sides of every occlusion edge.

    Args:
        depth_hw: (H, W) camera z, +inf for sky (a finite pixel beside sky is an edge).
        jump: relative change of inverse depth that counts.

    Returns:
        (H, W) bool.
    """
    w = inverse_depth(depth_hw)
    edges = np.zeros(w.shape, bool)
    if w.shape[1] > 1:
        hit = _unexplained_jump(w, 1, 1) > jump
        edges[:, 1:] |= hit
        edges[:, :-1] |= hit
    if w.shape[0] > 1:
        hit = _unexplained_jump(w, 0, 1) > jump
        edges[1:] |= hit
        edges[:-1] |= hit
    return edges
