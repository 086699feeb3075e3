"""Few well-placed Bezier control points through a dense or hand-drawn line. Needs numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import PathError
from .polyline import Polyline, walk

Array = NDArray[np.float64]

_DENSE = 256
_MOST_KNOTS = 16
_TOLERANCE = 0.01
"""How far a fitted curve may be from the drawn line, as a share of its length."""


@dataclass(frozen=True, eq=False)
class Knots:
    """Control points of a Bezier spline: places and handles, (k, 3) each."""

    places: Array
    left: Array
    right: Array

    def evaluated(self, per_segment: int) -> Array:
        """(m, 3) points on the curve, `per_segment` for each segment and the last one."""
        t = (np.arange(per_segment) / per_segment)[None, :, None]
        a, b, c, d = (
            each[:, None] for each in (self.places[:-1], self.right[:-1], self.left[1:], self.places[1:])
        )
        points = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
        return np.concatenate([points.reshape(-1, 3), self.places[-1:]])


def knots_on(points: Array, count: int) -> Knots:
    """Control points at equal steps of the parameter of a dense smooth line (n, 3), with its own slopes."""
    slopes = np.gradient(points, axis=0, edge_order=2)
    at = np.round(np.linspace(0, len(points) - 1, count)).astype(int)
    reach = (len(points) - 1) / (count - 1) / 3
    places, arms = points[at], slopes[at] * reach
    return Knots(places, places - arms, places + arms)


def knots_through(drawn: Array) -> Knots:
    """A smooth curve along a hand-drawn line (n, 3): as few control points as describe it, both ends kept.

    Raises:
        PathError: the line has no length or numbers that are not finite.
    """
    line = Polyline(drawn, np.zeros(len(drawn)))
    if len(drawn) < 2 or not np.isfinite(drawn).all() or not line.moves:
        raise PathError("The drawn line is too short for a camera path: draw a longer one")
    dense = _smoothed(walk(line, _DENSE).positions)
    dense = walk(Polyline(dense, np.zeros(_DENSE)), _DENSE).positions
    most = _TOLERANCE * line.length
    for count in range(3, _MOST_KNOTS + 1):
        knots = knots_on(dense, count)
        even = walk(Polyline(fitted := knots.evaluated(32), np.zeros(len(fitted))), _DENSE).positions
        if np.linalg.norm(even - dense, axis=1).max() <= most:
            break
    return knots


def _smoothed(points: Array, width: int = 12) -> Array:
    """Points (n, 3) without the tremble of the hand; the ends stay where they are."""
    offsets = np.arange(-width, width + 1)
    weights = np.exp(-0.5 * (offsets / (width / 2)) ** 2)
    before = 2 * points[0] - points[width:0:-1]
    after = 2 * points[-1] - points[-2 : -2 - width : -1]
    padded = np.concatenate([before, points, after])
    smooth = np.stack(
        [np.convolve(padded[:, axis], weights / weights.sum(), mode="valid") for axis in range(3)], axis=1
    )
    smooth[[0, -1]] = points[[0, -1]]
    return smooth
