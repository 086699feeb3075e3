"""Occlusion edges in a depth map, found the same way at every scale, distance and slant.

Inverse depth w = 1/z is an affine function of the pixel position on any plane, however slanted. A jump between two
neighbours is therefore an occlusion exactly when neither side's own slope explains it; floors and slanted walls have
none, and a crease (a box corner) has none because one side explains it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import run_chunks
from splinescape.scene.edge_scan import invert, mark_edges

JUMP = 0.05
"""Unexplained change of inverse depth between neighbours, relative to the nearer one, that counts as an edge."""


_ROWS = 64
"""Rows of a picture that are worth a thread."""


def inverse_depth(depth_hw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1/z as (H, W) float32; 0 for +inf, NaN and anything not in front of the camera."""
    w = np.empty(depth_hw.shape, np.float32)
    run_chunks(invert, len(w), np.ascontiguousarray(depth_hw, np.float32), w, smallest=_ROWS)
    return w


def occlusion_edges(depth_hw: NDArray[np.float32], jump: float = JUMP) -> NDArray[np.bool_]:
    """Mark the pixels on both sides of every occlusion edge.

    Args:
        depth_hw: (H, W) camera z, +inf for sky (a finite pixel beside sky is an edge).
        jump: relative change of inverse depth that counts.

    Returns:
        (H, W) bool.
    """
    return edges_of(inverse_depth(depth_hw), jump)


def edges_of(w_hw: NDArray[np.float32], jump: float = JUMP) -> NDArray[np.bool_]:
    """`occlusion_edges` of a depth map whose `inverse_depth` is at hand."""
    edges = np.empty(w_hw.shape, bool)
    run_chunks(mark_edges, len(w_hw), w_hw, np.float32(jump), edges, smallest=_ROWS)
    return edges
