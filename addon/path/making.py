"""Making the objects of a camera path: plain functions behind the operators, for scripts too."""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from splinescape.camera.blender import BLENDER_T_WORLD

from . import drawings, presets, scale
from .errors import PathError
from .knots import Knots, knots_through
from .sampling import scene_placement

NAME, AIM_NAME, TARGET_NAME = "Camera Path", "Camera Aim", "Camera Target"
_RESOLUTION = 24
"""Points for each segment of a curve: fine enough that its corners are not felt."""

Array = NDArray[np.float64]


def add_path(
    scene: Any,
    shape: str = "SPIRAL",
    *,
    size: float = 1.0,
    angle: float = math.radians(15),
    collection: Any = None,
) -> Any:
    """Add a Bezier curve in front of the input camera and make it the scene's path.

    Args:
        shape: one of `presets.SHAPES`.
        size: factor on the size that fits the scene.
        angle: radians of an arc or a pan.
        collection: where the objects go; None is the scene's own.

    Returns:
        The curve object.
    """
    own = scene.splinescape.path
    made = presets.move(shape, size * scale.scene_size(scene), angle=angle, wide=_is_wide(scene))
    stand = input_frame(scene)
    collection = collection or scene.collection
    curve = new_curve(NAME, made.path, stand, collection)
    if made.aim_path is not None:
        own.target = new_curve(AIM_NAME, made.aim_path, stand, collection)
    elif made.aim is not None and not _has_target(scene):
        own.target = _new_target(stand @ np.append(made.aim, 1), collection)
    own.orientation = made.orientation
    own.object = curve
    return curve


def add_empty_path(scene: Any, collection: Any = None) -> Any:
    """Add a curve without points, to be drawn in Edit Mode, as the scene's path; returns the curve object."""
    curve = new_curve(NAME, None, input_frame(scene), collection or scene.collection)
    scene.splinescape.path.object = curve
    return curve


def add_target(scene: Any, collection: Any = None) -> Any:
    """Add an empty in the middle of the scene and have the camera look at it; returns the empty."""
    place = input_frame(scene) @ (0, scale.scene_distance(scene), 0, 1)
    own = scene.splinescape.path
    own.target = _new_target(place, collection or scene.collection)
    own.orientation = "TARGET"
    return own.target


def path_from_drawing(scene: Any, drawn: Any = None, collection: Any = None) -> Any:
    """Make a smooth path along a drawn line; returns the curve object.

    Args:
        drawn: a Grease Pencil or curve object; None is the last annotation stroke of the scene.

    Raises:
        PathError: nothing was drawn, or it is too short.
    """
    points = drawings.annotation(scene) if drawn is None else drawings.object_line(drawn)
    knots = knots_through(points)
    curve = new_curve(NAME, knots, np.eye(4), collection or scene.collection)
    scene.splinescape.path.object = curve
    return curve


def use_object(scene: Any, chosen: Any) -> None:
    """Make an existing curve or camera the scene's path.

    Raises:
        PathError: it is neither.
    """
    if chosen is None or chosen.type not in {"CURVE", "CAMERA"}:
        raise PathError("Select a curve or a camera first")
    scene.splinescape.path.object = chosen


def new_curve(name: str, knots: Knots | None, matrix: Array, collection: Any) -> Any:
    """A Bezier curve object that can serve as a path; without knots it is empty, to be drawn."""
    data = bpy.data.curves.new(name, "CURVE")
    data.dimensions, data.resolution_u, data.twist_mode = "3D", _RESOLUTION, "Z_UP"
    if knots is not None:
        spline = data.splines.new("BEZIER")
        spline.bezier_points.add(len(knots.places) - 1)
        for point in spline.bezier_points:
            point.handle_left_type = point.handle_right_type = "ALIGNED"
        for values, field in (
            (knots.places, "co"),
            (knots.left, "handle_left"),
            (knots.right, "handle_right"),
        ):
            spline.bezier_points.foreach_set(field, np.ascontiguousarray(values, np.float32).ravel())
        spline.resolution_u = _RESOLUTION
    made = bpy.data.objects.new(name, data)
    made.matrix_world = Matrix(matrix.tolist())
    collection.objects.link(made)
    return made


def input_frame(scene: Any) -> Array:
    """(4, 4) Blender's world from the frame in which the input camera stands at the origin and looks along +Y."""
    return scene_placement(scene) @ BLENDER_T_WORLD.T


def _new_target(place: Array, collection: Any) -> Any:
    empty = bpy.data.objects.new(TARGET_NAME, None)
    empty.empty_display_type, empty.empty_display_size = "SPHERE", 0.1
    empty.location = place[:3]
    collection.objects.link(empty)
    return empty


def _has_target(scene: Any) -> bool:
    target = scene.splinescape.path.target
    return target is not None and target.name in scene.objects and target.type != "CURVE"


def _is_wide(scene: Any) -> bool:
    image = scene.splinescape.image.image
    return image is None or image.size[0] >= image.size[1]
