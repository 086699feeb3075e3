"""Buttons of the camera path; the work is done in `making`."""

import math
from collections.abc import Callable
from typing import Any

import bpy

from . import drawings, making, presets
from .errors import PathError

_rpt = getattr(bpy.app.translations, "pgettext_rpt", bpy.app.translations.pgettext_tip)


class AddPath(bpy.types.Operator):
    """Add a Bezier curve in front of the input camera as the path; edit it like any other curve"""

    bl_idname = "splinescape.add_path"
    bl_label = "Add Camera Path"
    bl_options = {"REGISTER", "UNDO"}

    shape: bpy.props.EnumProperty(
        name="Shape", description="How the camera moves to begin with", items=presets.SHAPES, default="SPIRAL"
    )
    size: bpy.props.FloatProperty(
        name="Size",
        description="Factor on the size that fits the scene",
        default=1.0,
        min=0.01,
        max=100.0,
        soft_max=4.0,
    )
    angle: bpy.props.FloatProperty(
        name="Angle",
        description="How far an arc or a pan turns, positive to the right",
        default=math.radians(15),
        min=-math.tau,
        max=math.tau,
        subtype="ANGLE",
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _in_object_mode(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return _make(
            self,
            context,
            lambda: making.add_path(
                context.scene, self.shape, size=self.size, angle=self.angle, collection=context.collection
            ),
        )

    def draw(self, context: bpy.types.Context) -> None:  # noqa: ARG002
        self.layout.use_property_split = True
        self.layout.prop(self, "shape")
        self.layout.prop(self, "size")
        if self.shape in {"ARC", "PAN"}:
            self.layout.prop(self, "angle")


class UseActiveObject(bpy.types.Operator):
    """Make the active curve or animated camera the path"""

    bl_idname = "splinescape.use_active_object"
    bl_label = "Use Active Object as Path"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.object is None or context.object.type not in {"CURVE", "CAMERA"}:
            cls.poll_message_set("Select a curve or a camera first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        making.use_object(context.scene, context.object)
        return {"FINISHED"}


class PathFromDrawing(bpy.types.Operator):
    """Make a smooth path along the selected Grease Pencil stroke or curve, or else the last annotation stroke"""

    bl_idname = "splinescape.path_from_annotation"
    bl_label = "Path from Drawing"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if _selected_drawing(context) is None and not drawings.has_annotation(context.scene):
            cls.poll_message_set("Draw a line first, with the Annotate tool or in a Grease Pencil object")
            return False
        return _in_object_mode(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        drawn = _selected_drawing(context)
        return _make(
            self, context, lambda: making.path_from_drawing(context.scene, drawn, context.collection)
        )


class AddTarget(bpy.types.Operator):
    """Add an empty in the middle of the scene that the camera looks at; move it anywhere, or parent it to something"""

    bl_idname = "splinescape.add_target"
    bl_label = "Add Look-At Target"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _in_object_mode(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return _make(self, context, lambda: making.add_target(context.scene, context.collection))


class DrawPath(bpy.types.Operator):
    """Draw the path in the viewport with Blender's own Draw tool, at the depth of the 3D cursor; Tab ends drawing"""

    bl_idname = "splinescape.draw_path"
    bl_label = "Draw Path"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _in_object_mode(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        made = _make(self, context, lambda: making.add_empty_path(context.scene, context.collection))
        if made == {"CANCELLED"}:
            return made
        bpy.ops.object.mode_set(mode="EDIT")
        if (
            context.space_data is not None
            and context.space_data.type == "VIEW_3D"
            and context.region is not None
        ):
            bpy.ops.wm.tool_set_by_id(name="builtin.draw", space_type="VIEW_3D")
            self.report({"INFO"}, _rpt("Draw the path in the viewport, then press Tab"))
        return {"FINISHED"}


def _make(operator: Any, context: bpy.types.Context, function: Callable[[], Any]) -> set[str]:
    """Make an object and select it; an error becomes the operator's."""
    try:
        made = function()
    except PathError as error:
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    _select(context, made)
    return {"FINISHED"}


def _in_object_mode(operator: Any, context: bpy.types.Context) -> bool:
    if context.mode == "OBJECT":
        return True
    operator.poll_message_set("Leave the present mode first: press Tab for Object Mode")
    return False


def _selected_drawing(context: bpy.types.Context) -> bpy.types.Object | None:
    active = context.object
    drawn = active is not None and active.select_get() and active.type in drawings.OBJECT_TYPES
    return active if drawn else None


def _select(context: bpy.types.Context, made: bpy.types.Object) -> None:
    for each in context.selected_objects:
        each.select_set(False)
    context.view_layer.objects.active = made
    made.select_set(True)


def _add_menu_entry(self: bpy.types.Menu, context: bpy.types.Context) -> None:  # noqa: ARG001
    self.layout.operator_menu_enum(AddPath.bl_idname, "shape", text="Camera Path", icon="CON_FOLLOWPATH")


_CLASSES = (AddPath, UseActiveObject, PathFromDrawing, AddTarget, DrawPath)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)
    bpy.types.VIEW3D_MT_curve_add.append(_add_menu_entry)


def unregister() -> None:
    bpy.types.VIEW3D_MT_curve_add.remove(_add_menu_entry)
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)
