"""Starting shapes of a camera path, as few control points that can be edited. Needs numpy only.

Everything is in the frame of an input camera at the origin that looks along +Y with Z up, as Blender's axes are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinescape.camera import shapes
from splinescape.camera.blender import points_to_blender
from splinescape.camera.pose import camera_positions

from .knots import Knots, knots_on

Array = NDArray[np.float64]

SHAPES = (
    ("SPIRAL", "Spiral", "Two turns that widen and close again, forward in the first and back in the second"),
    ("DOLLY", "Dolly In", "Straight ahead without turning"),
    ("ARC", "Arc", "Around the middle of the scene, looking at it"),
    ("PAN", "Pan", "Turns on the spot; its aim runs along a curve of its own"),
    ("CRANE", "Crane", "Up and over the scene, looking at its middle"),
)
_FORWARD_RATIO = 0.3
_PER_KNOT = 20


@dataclass(frozen=True, eq=False)
class Move:
    """A starting shape.

    Attributes:
        path: control points of the camera.
        orientation: of `PathSettings`.
        aim: (3,) what the camera looks at, or None.
        aim_path: control points that the aim runs along instead, or None.
    """

    path: Knots
    orientation: str
    aim: Array | None = None
    aim_path: Knots | None = None


def move(shape: str, size: float, *, angle: float = math.radians(15), wide: bool = True) -> Move:
    """Make one of `SHAPES`.

    Args:
        size: of the scene as the service measures it, in Blender's units.
        angle: radians of an arc or a pan, positive to the right.
        wide: the picture is wider than high; the spiral then swings further to the sides.
    """
    ahead = np.array([0.0, size, 0.0])
    if shape == "SPIRAL":
        views = shapes.spiral(size, forward_ratio=_FORWARD_RATIO, wide=wide, n=12 * _PER_KNOT + 1)
        return Move(_knots(views, 13), "TARGET", ahead * (0.5 + 0.3 * _FORWARD_RATIO))
    if shape == "DOLLY":
        return Move(_knots(shapes.dolly(0.3 * size, n=2 * _PER_KNOT + 1), 3), "FORWARD")
    if shape == "ARC":
        views = shapes.orbit(size, math.degrees(angle), n=4 * _PER_KNOT + 1)
        return Move(_knots(views, 5 if abs(angle) > 1 else 3), "TARGET", ahead)
    if shape == "CRANE":
        rise = np.linspace(0, np.pi / 2, 2 * _PER_KNOT + 1)
        points = size * np.stack([0 * rise, 0.2 * (1 - np.cos(rise)), 0.25 * np.sin(rise)], axis=1)
        return Move(knots_on(points, 3), "TARGET", ahead)
    if shape == "PAN":
        turns = np.linspace(0, angle, 4 * _PER_KNOT + 1)
        aims = size * np.stack([np.sin(turns), np.cos(turns), 0 * turns], axis=1)
        return Move(
            Knots(*np.zeros((3, 2, 3))), "TARGET", aim_path=knots_on(aims, 5 if abs(angle) > 1 else 3)
        )
    raise ValueError(f"there is no path shape {shape!r}")


def _knots(views: Array, count: int) -> Knots:
    return knots_on(points_to_blender(camera_positions(views)), count)
