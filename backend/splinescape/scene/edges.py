"""Occlusion edges in a depth map, found the same way at every scale, distance and slant.

Inverse depth w = 1/z is an affine function of the pixel position on any plane, however slanted. A jump between two
neighbours is therefore an occlusion exactly when neither side's own slope explains it; floors and slanted walls have
none, and a crease (a box corner) has none because one side explains it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import run_chunks
from splinescape.scene.edge_scan import unexplained_jumps

JUMP = 0.05
"""Unexplained change of inverse depth between neighbours, relative to the nearer one, that counts as an edge."""


def inverse_depth(depth_hw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1/z as (H, W) float32; 0 for +inf, NaN and anything not in front of the camera."""
    good = np.isfinite(depth_hw) & (depth_hw >= np.finfo(np.float32).tiny)
    return np.divide(1.0, depth_hw, out=np.zeros(depth_hw.shape, np.float32), where=good)


def occlusion_edges(depth_hw: NDArray[np.float32], jump: float = JUMP) -> NDArray[np.bool_]:
    """Mark the pixels on both sides of every occlusion edge.

    Args:
        depth_hw: (H, W) camera z, +inf for sky (a finite pixel beside sky is an edge).
        jump: relative change of inverse depth that counts.

    Returns:
        (H, W) bool.
    """
    w = inverse_depth(depth_hw)
    along, across = np.zeros((2, *w.shape), bool)
    run_chunks(unexplained_jumps, w.shape[0], w, np.float32(jump), along, across)
    edges = along | across
    edges[:, 1:] |= along[:, :-1]
    edges[1:] |= across[:-1]
    return edges
