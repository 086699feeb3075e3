"""Smooth curves through camera poses, sampled at equal steps of travel.

Positions follow a centripetal Catmull-Rom spline (Yuksel, Schaefer, Keyser 2011, "Parameterization and
applications of Catmull-Rom curves": no cusps or loops inside a segment); rotations follow a cubic rotation
spline with continuous angular velocity (`scipy.spatial.transform.RotationSpline`). "Travel" is the distance
moved and the angle turned, so that a camera that only turns is sampled evenly as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import Rotation, RotationSpline

Array = NDArray[np.float64]

_FINE_STEPS = 4000
"""Steps in which the length of the curve is measured."""

_TURN_WEIGHT = 0.25
"""All turning of a path together counts as this share of its length, less if it is under one radian."""


@dataclass(frozen=True, eq=False)
class PoseCurve:
    """A curve through key poses.

    Attributes:
        knots: (M,) increasing parameters of the keys that differ from the one before.
        keys: (M,) which of the given poses these are.
        position: parameter (S,) to world position (S, 3).
        orientation: parameter (S,) to rotation, camera axes into the world.
    """

    knots: Array
    keys: NDArray[np.intp]
    position: Callable[[Array], Array]
    orientation: Callable[[Array], Rotation]

    def even_parameters(self, n: int) -> Array:
        """(n,) parameters at equal steps of travel, from the first key to the last."""
        per_segment = max(8, _FINE_STEPS // max(len(self.knots) - 1, 1))
        fine = np.interp(
            np.arange((len(self.knots) - 1) * per_segment + 1) / per_segment,
            np.arange(len(self.knots)),
            self.knots,
        )
        travel = np.concatenate([[0.0], np.cumsum(_travel(self.position(fine), self.orientation(fine)))])
        return np.interp(np.linspace(0, travel[-1], n), travel, fine)


def pose_curve(positions: Array, orientations: Rotation, closed: bool = False) -> PoseCurve | None:
    """Lay a curve through M poses; None when they are all the same.

    Args:
        positions: (M, 3) in the world.
        orientations: M rotations, camera axes into the world.
        closed: the last pose equals the first and the curve passes through it without a corner.
    """
    steps = _travel(positions, orientations)
    moving = np.flatnonzero(steps > 1e-9 * max(steps.sum(), 1e-12))
    if not len(moving):
        return None
    keys = np.concatenate([[0], moving + 1])
    knots = np.concatenate([[0.0], np.cumsum(np.sqrt(steps[moving]))])
    position = catmull_rom(knots, positions[keys], closed)
    return PoseCurve(knots, keys, position, _rotation_curve(knots, orientations[keys], closed))


def catmull_rom(knots: Array, values: Array, closed: bool = False) -> Callable[[Array], Array]:
    """Catmull-Rom curve with the given knots through `values` (M, D).

    The tangent at a key is that of the parabola through it and its two neighbours (Barry and Goldman 1988);
    the ends of an open curve take the parabola of the nearest three keys, or the straight line between two.
    """
    if len(knots) == 2:
        slope = (values[1] - values[0]) / (knots[1] - knots[0])
        return lambda t: values[0] + np.multiply.outer(t - knots[0], slope)
    width = np.diff(knots)[:, None]
    slope = np.diff(values, axis=0) / width
    tangents = np.empty_like(values)
    tangents[1:-1] = (slope[:-1] * width[1:] + slope[1:] * width[:-1]) / (width[:-1] + width[1:])
    if closed:
        seam = (slope[-1] * width[0] + slope[0] * width[-1]) / (width[0] + width[-1])
        tangents[0] = tangents[-1] = seam
    else:
        tangents[0] = 2 * slope[0] - tangents[1] if len(knots) == 3 else _end(slope[:2], width[:2])
        tangents[-1] = 2 * slope[-1] - tangents[-2] if len(knots) == 3 else _end(slope[:-3:-1], width[:-3:-1])
    return CubicHermiteSpline(knots, values, tangents)


def _end(slope: Array, width: Array) -> Array:
    """Tangent at the end key of the parabola through the three keys at that end."""
    return slope[0] + (slope[0] - slope[1]) * width[0] / (width[0] + width[1])


def _rotation_curve(knots: Array, rotations: Rotation, closed: bool) -> Callable[[Array], Rotation]:
    if not closed:
        return RotationSpline(knots, rotations)
    # Two turns more on either side: the middle one is then as smooth at its seam as anywhere.
    period = knots[-1] - knots[0]
    laps = [np.arange(len(knots) - 1)] * 2 + [np.arange(len(knots))]
    wrapped = np.concatenate([knots[:-1] - period, knots[:-1], knots + period])
    return RotationSpline(wrapped, rotations[np.concatenate(laps)])


def _travel(positions: Array, orientations: Rotation) -> Array:
    """(M-1,) distance moved and angle turned between neighbours, as one length."""
    moved = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    turned = (orientations[:-1].inv() * orientations[1:]).magnitude()
    length = moved.sum()
    if length <= 1e-9 * (1 + np.abs(positions).max()):
        return turned
    return np.hypot(moved, turned * (_TURN_WEIGHT * length / max(turned.sum(), 1.0)))
