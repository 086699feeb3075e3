"""A camera path as a chain of points, walked at equal steps of its length. Needs numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SAME_PLACE = 1e-9
"""A chain shorter than this, times its distance from the origin, does not move."""


@dataclass(frozen=True, eq=False)
class Polyline:
    """An evaluated curve.

    Attributes:
        points: (m, 3) in Blender's world, m >= 1; a closed curve repeats its first point at the end.
        tilts: (m,) radians, right-handed about the direction of travel.
    """

    points: Array
    tilts: Array

    @property
    def length(self) -> float:
        """In Blender's units."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())

    @property
    def moves(self) -> bool:
        """Whether there is any distance to travel."""
        return self.length > _SAME_PLACE * max(1.0, float(np.abs(self.points).max()))


@dataclass(frozen=True, eq=False)
class Walk:
    """Samples of a polyline.

    Attributes:
        positions: (n, 3). tilts: (n,) radians.
        tangents: (n, 3) unit directions of travel; zero where the polyline does not move.
    """

    positions: Array
    tilts: Array
    tangents: Array


def walk(line: Polyline, n: int) -> Walk:
    """Sample at `n` equal steps of length, both ends included."""
    if not line.moves:
        return Walk(np.repeat(line.points[:1], n, axis=0), _spread(line.tilts, n), np.zeros((n, 3)))
    points, tilts, along = _without_repeats(line)
    at = np.linspace(0, along[-1], n)
    positions = np.stack([np.interp(at, along, points[:, axis]) for axis in range(3)], axis=1)
    return Walk(positions, np.interp(at, along, tilts), _tangents(points, along, at))


def _spread(values: Array, n: int) -> Array:
    return np.interp(np.linspace(0, 1, n), np.linspace(0, 1, len(values)), values)


def _without_repeats(line: Polyline) -> tuple[Array, Array, Array]:
    steps = np.linalg.norm(np.diff(line.points, axis=0), axis=1)
    kept = np.r_[True, steps > 1e-12 * max(1.0, line.length)]
    points = line.points[kept]
    along = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    return points, line.tilts[kept], along


def _tangents(points: Array, along: Array, at: Array) -> Array:
    """Directions at lengths `at`: exact in the middle of segments, turning evenly from one middle to the next."""
    directions = np.diff(points, axis=0) / np.diff(along)[:, None]
    middles = (along[1:] + along[:-1]) / 2
    if np.allclose(points[0], points[-1]) and len(points) > 2:
        middles = np.r_[middles[-1] - along[-1], middles, middles[0] + along[-1]]
        directions = np.concatenate([directions[-1:], directions, directions[:1]])
    elif len(points) > 2:
        directions, middles = _with_ends(directions, middles, along)
    tangents = np.stack([np.interp(at, middles, directions[:, axis]) for axis in range(3)], axis=1)
    lengths = np.linalg.norm(tangents, axis=1, keepdims=True)
    nearest = directions[np.clip(np.searchsorted(middles, at), 0, len(directions) - 1)]
    return np.where(lengths > 1e-6, tangents / np.maximum(lengths, 1e-6), nearest)


def _with_ends(directions: Array, middles: Array, along: Array) -> tuple[Array, Array]:
    """Continue the turning of the first and the last two segments up to the ends."""
    first = directions[0] + (directions[0] - directions[1]) * middles[0] / (middles[1] - middles[0])
    rest = (along[-1] - middles[-1]) / (middles[-1] - middles[-2])
    last = directions[-1] + (directions[-1] - directions[-2]) * rest
    return np.concatenate([first[None], directions, last[None]]), np.r_[0.0, middles, along[-1]]
