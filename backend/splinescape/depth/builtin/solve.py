"""Integrates expected differences between neighbours into one map that breaks only where it must."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from splinescape.depth.builtin.imaging import Map
from splinescape.jit import njit

_ROUNDS, _SWEEPS = 3, 3


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

    The absolute value, quadratic below `soft`, comes from iteratively reweighted least squares (Holland and
    Welsch 1977); it keeps a break in one place instead of smearing it into a ramp. Coarse grids are solved
    first, so that wide surfaces move as a whole.
    """
    height, width = field.guess.shape
    if min(height, width) > 8:
        coarse = integrate_slopes(_coarser(field), 2 * soft)
        x = np.ascontiguousarray(coarse.repeat(2, 0).repeat(2, 1)[:height, :width])
    else:
        x = field.guess.copy()
    for _ in range(_ROUNDS):
        weight_x = field.hold_x * soft / np.maximum(np.abs(np.diff(x, axis=1) - field.slope_x), soft)
        weight_y = field.hold_y * soft / np.maximum(np.abs(np.diff(x, axis=0) - field.slope_y), soft)
        along_y = (field.guess, field.trust, field.slope_x, field.slope_y, weight_x, weight_y)
        along_x = (field.guess.T, field.trust.T, field.slope_y.T, field.slope_x.T, weight_y.T, weight_x.T)
        for _ in range(_SWEEPS):
            _relax_columns(x, *along_y)
            _relax_columns(x.T, *along_x)
    return x


def _coarser(field: Slopes) -> Slopes:
    height, width = field.guess.shape
    even = ((0, height % 2), (0, width % 2))
    trust = _block_sums(np.pad(field.trust, even))
    guess = _block_sums(np.pad(field.guess * field.trust, even)) / (trust + 1e-12)
    slope_x, hold_x = _coarser_pairs(field.slope_x.T, field.hold_x.T)
    slope_y, hold_y = _coarser_pairs(field.slope_y, field.hold_y)
    return Slopes(guess, trust, slope_x.T, slope_y, hold_x.T, hold_y)


def _block_sums(values: Map) -> Map:
    height, width = values.shape
    return np.asarray(values.reshape(height // 2, 2, width // 2, 2).sum((1, 3)))


def _coarser_pairs(slope: Map, hold: Map) -> tuple[Map, Map]:
    """Pairs of rows at half the size; a coarse pair stands for the two fine ones across its cells' border."""
    odd = ((0, 0), (0, slope.shape[1] % 2))
    # Pairs 1, 3, 5, ... cross from one cell to the next.
    slope, hold = np.pad(slope[1::2], odd), np.pad(hold[1::2], odd)
    weight = hold[:, ::2] + hold[:, 1::2]
    mean = (slope[:, ::2] * hold[:, ::2] + slope[:, 1::2] * hold[:, 1::2]) / (weight + 1e-12)
    # Centres are twice as far apart, so the difference doubles and each unit of it counts half.
    return 2 * mean, weight / 2


@njit
def _relax_columns(
    x: Any, guess: Any, trust: Any, slope_x: Any, slope_y: Any, weight_x: Any, weight_y: Any
) -> None:
    """Solve each column exactly for its neighbours as they are now (Thomas algorithm), in place."""
    height, width = x.shape
    upper = np.empty(height)
    value = np.empty(height)
    for u in range(width):
        for v in range(height):
            diagonal = trust[v, u] + 1e-12
            right = trust[v, u] * guess[v, u]
            if u > 0:
                diagonal += weight_x[v, u - 1]
                right += weight_x[v, u - 1] * (x[v, u - 1] + slope_x[v, u - 1])
            if u < width - 1:
                diagonal += weight_x[v, u]
                right += weight_x[v, u] * (x[v, u + 1] - slope_x[v, u])
            below = 0.0
            if v < height - 1:
                below = weight_y[v, u]
                diagonal += below
                right -= below * slope_y[v, u]
            if v > 0:
                above = weight_y[v - 1, u]
                diagonal += above - above * upper[v - 1]
                right += above * (slope_y[v - 1, u] + value[v - 1])
            upper[v] = below / diagonal
            value[v] = right / diagonal
        x[height - 1, u] = value[height - 1]
        for v in range(height - 2, -1, -1):
            x[v, u] = value[v] + upper[v] * x[v + 1, u]
