"""Lines that were drawn by hand: annotations, Grease Pencil, curves of the Draw tool. The versions differ here only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import PathError

Array = NDArray[np.float64]

OBJECT_TYPES = {"CURVE", "GPENCIL", "GREASEPENCIL"}
_NOTHING = "Draw a line first: with the Annotate tool, placed on the 3D cursor or on surfaces"


def annotation(scene: Any) -> Array:
    """(n, 3) the last annotation stroke in Blender's world.

    Raises:
        PathError: there is none, or it was drawn on the screen instead of in the scene.
    """
    stroke = _last_annotation(scene)
    if stroke is None:
        raise PathError(_NOTHING)
    if getattr(stroke, "display_mode", "3DSPACE") != "3DSPACE":
        raise PathError("The annotation was drawn on the screen: set its Placement to 3D Cursor or Surface")
    return np.array([point.co[:] for point in stroke.points], np.float64).reshape(-1, 3)


def has_annotation(scene: Any) -> bool:
    """Whether there is a stroke to make a path of."""
    return _last_annotation(scene) is not None


def object_line(drawn: Any) -> Array:
    """(n, 3) the last stroke or spline of a Grease Pencil or curve object in Blender's world.

    Raises:
        PathError: nothing is drawn in it.
    """
    if drawn.type == "CURVE":
        points = _last_spline(drawn)
    elif drawn.type in OBJECT_TYPES:
        points = _last_stroke(drawn)
    else:
        raise PathError("Select a Grease Pencil object or a curve, or draw a line with the Annotate tool")
    matrix = np.array(drawn.matrix_world, np.float64)
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _annotations(scene: Any) -> Any:
    """Blender 5.0 renamed them."""
    return getattr(scene, "annotation", None) if hasattr(scene, "annotation") else scene.grease_pencil


def _last_annotation(scene: Any) -> Any:
    """The last stroke of the active layer, or else of any other; rulers do not count."""
    drawing = _annotations(scene)
    if drawing is None:
        return None
    layers = list(drawing.layers)
    active = drawing.layers.active_index
    for layer in sorted(layers, key=lambda each: layers.index(each) != active):
        frame = layer.active_frame or (layer.frames[-1] if len(layer.frames) else None)
        if frame is not None and len(frame.strokes) and not layer.annotation_hide and not layer.is_ruler:
            return frame.strokes[-1]
    return None


def _last_spline(drawn: Any) -> Array:
    from .curves import spline_line

    if not len(drawn.data.splines):
        raise PathError(f'Nothing is drawn in "{drawn.name}" yet')
    return spline_line(drawn.data.splines[-1])


def _last_stroke(drawn: Any) -> Array:
    """Grease Pencil of 4.2, whose points have `co`, and of 4.3 and later, whose layers have drawings."""
    for layer in reversed(list(drawn.data.layers)):
        if layer.hide:
            continue
        frame = layer.current_frame() if hasattr(layer, "current_frame") else layer.active_frame
        strokes = [] if frame is None else getattr(frame, "drawing", frame).strokes
        if len(strokes):
            points = [getattr(point, "position", None) or point.co for point in strokes[-1].points]
            matrix = np.array(layer.matrix_local if hasattr(layer, "matrix_local") else layer.matrix_layer)
            return np.array([point[:] for point in points], np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    raise PathError(f'Nothing is drawn in "{drawn.name}" at this frame')
