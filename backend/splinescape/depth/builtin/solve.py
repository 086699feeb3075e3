"""Integrates expected differences between neighbours into one map that breaks only where it must."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from splinescape.depth.builtin.imaging import Map
from splinescape.jit import njit

_ROUNDS, _CYCLES = 4, 2


@dataclass(frozen=True, eq=False)
class Slopes:
    """What a map should look like.

    Attributes:
        guess, trust: (H, W) expected values, and how far to believe each.
        slope_x, hold_x: (H, W-1) expected difference of a pixel's right neighbour to it, and its weight.
        slope_y, hold_y: (H-1, W) the same for the neighbour below.
    """

    guess: Map
    trust: Map
    slope_x: Map
    slope_y: Map
    hold_x: Map
    hold_y: Map


def integrate_slopes(field: Slopes, soft: float) -> Map:
    """Find x (H, W) that minimises sum trust (x - guess)^2 + sum hold |dx - slope|.

    The absolute value, quadratic below `soft` and scaled by it, comes from iteratively reweighted least
    squares (Holland and Welsch 1977); it keeps a break in one place instead of smearing it into a ramp.
    """
    x = field.guess.copy()
    weight_x, weight_y = field.hold_x, field.hold_y
    for _ in range(_ROUNDS):
        right = field.trust * field.guess
        right[:, :-1] -= weight_x * field.slope_x
        right[:, 1:] += weight_x * field.slope_x
        right[:-1] -= weight_y * field.slope_y
        right[1:] += weight_y * field.slope_y
        for _ in range(_CYCLES):
            _cycle(x, field.trust, weight_x, weight_y, right)
        weight_x = field.hold_x * soft / np.maximum(np.abs(np.diff(x, axis=1) - field.slope_x), soft)
        weight_y = field.hold_y * soft / np.maximum(np.abs(np.diff(x, axis=0) - field.slope_y), soft)
    return x


def _cycle(x: Map, trust: Map, weight_x: Map, weight_y: Map, right: Map) -> None:
    """Improve x in A x = right, A = trust + weighted graph Laplacian, in place by one multigrid V-cycle."""
    _relax_columns(x, trust, weight_x, weight_y, right)
    _relax_columns(x.T, trust.T, weight_y.T, weight_x.T, right.T)
    height, width = x.shape
    if min(height, width) > 4:
        left_over = _block_sums(right - _applied(x, trust, weight_x, weight_y))
        error = np.zeros_like(left_over)
        coarse = (_block_sums(trust), _coarser_pairs(weight_x.T).T, _coarser_pairs(weight_y))
        _cycle(error, *coarse, left_over)
        x += error.repeat(2, 0).repeat(2, 1)[:height, :width]
    _relax_columns(x.T, trust.T, weight_y.T, weight_x.T, right.T)
    _relax_columns(x, trust, weight_x, weight_y, right)


def _applied(x: Map, trust: Map, weight_x: Map, weight_y: Map) -> Map:
    result = trust * x
    flow_x, flow_y = weight_x * np.diff(x, axis=1), weight_y * np.diff(x, axis=0)
    result[:, :-1] -= flow_x
    result[:, 1:] += flow_x
    result[:-1] -= flow_y
    result[1:] += flow_y
    return result


def _block_sums(values: Map) -> Map:
    height, width = values.shape
    values = np.pad(values, ((0, height % 2), (0, width % 2)))
    return np.asarray(values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2])


def _coarser_pairs(weight: Map) -> Map:
    """Weights between rows of cells: half the sum across their border, as centres are twice as far apart."""
    weight = np.pad(weight[1::2], ((0, 0), (0, weight.shape[1] % 2)))
    return np.asarray((weight[:, ::2] + weight[:, 1::2]) / 2)


@njit
def _relax_columns(x: Any, trust: Any, weight_x: Any, weight_y: Any, right: Any) -> None:
    """Solve each column exactly for its neighbours as they are now (Thomas algorithm), in place."""
    height, width = x.shape
    upper = np.empty(height)
    value = np.empty(height)
    for u in range(width):
        for v in range(height):
            diagonal = trust[v, u] + 1e-12
            known = right[v, u]
            if u > 0:
                diagonal += weight_x[v, u - 1]
                known += weight_x[v, u - 1] * x[v, u - 1]
            if u < width - 1:
                diagonal += weight_x[v, u]
                known += weight_x[v, u] * x[v, u + 1]
            below = 0.0
            if v < height - 1:
                below = weight_y[v, u]
                diagonal += below
            if v > 0:
                above = weight_y[v - 1, u]
                diagonal += above - above * upper[v - 1]
                known += above * value[v - 1]
            upper[v] = below / diagonal
            value[v] = known / diagonal
        x[height - 1, u] = value[height - 1]
        for v in range(height - 2, -1, -1):
            x[v, u] = value[v] + upper[v] * x[v + 1, u]
