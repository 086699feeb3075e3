"""The Camera Path panel: what moves the camera, where it looks, and what is wrong with it."""

import bpy

from ..generate.wording import lines
from ..panels import SidebarPanel
from . import operators, overlay
from .sampling import path_object
from .state import PathState

_iface = bpy.app.translations.pgettext_iface
_rpt = getattr(bpy.app.translations, "pgettext_rpt", bpy.app.translations.pgettext_tip)


class CameraPathPanel(SidebarPanel, bpy.types.Panel):
    """The path along which the scene is made and filmed."""

    bl_idname = "SPLINESCAPE_PT_path"
    bl_label = "Camera Path"

    def draw(self, context: bpy.types.Context) -> None:
        layout, own = self.layout, context.scene.splinescape.path
        layout.use_property_split = True
        layout.use_property_decorate = False
        _draw_adding(layout)
        layout.prop(own, "object")
        path = path_object(context.scene)
        if path is None:
            _sentence(layout, context, _iface("Without a path, the scene is made along a spiral"), "INFO")
            return
        if path.type == "CURVE":
            _draw_direction(layout, context)
        _draw_state(layout, context, overlay.state_of(context.scene))


class CamerasPanel(SidebarPanel, bpy.types.Panel):
    """How the cameras along the path are drawn."""

    bl_idname = "SPLINESCAPE_PT_path_cameras"
    bl_parent_id = "SPLINESCAPE_PT_path"
    bl_label = "Show Cameras"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_header(self, context: bpy.types.Context) -> None:
        self.layout.prop(context.scene.splinescape.path, "show_overlay", text="")

    def draw(self, context: bpy.types.Context) -> None:
        layout, own = self.layout, context.scene.splinescape.path
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.active = own.show_overlay
        layout.prop(own, "frusta")
        layout.prop(own, "frustum_size")
        state = overlay.state_of(context.scene)
        if state is not None and state.uncovered is not None:
            column = layout.column(align=True)
            column.label(text="Green: mostly known", icon="STRIP_COLOR_04")
            column.label(text="Violet: mostly made up", icon="STRIP_COLOR_06")
            column.label(text="Red: see the warnings", icon="STRIP_COLOR_01")


def _draw_adding(layout: bpy.types.UILayout) -> None:
    column = layout.column(align=True)
    column.operator_menu_enum(operators.AddPath.bl_idname, "shape", text="Add Path", icon="CURVE_BEZCURVE")
    row = column.row(align=True)
    row.operator(operators.DrawPath.bl_idname, icon="GREASEPENCIL")
    row.operator(operators.PathFromDrawing.bl_idname, text="From Drawing")
    column.operator(operators.UseActiveObject.bl_idname, text="Use Active Object", icon="EYEDROPPER")


def _draw_direction(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    own = context.scene.splinescape.path
    layout.prop(own, "orientation")
    if own.orientation == "TARGET":
        row = layout.row(align=True)
        row.prop(own, "target")
        row.operator(operators.AddTarget.bl_idname, text="", icon="ADD")
    elif own.orientation == "CAMERA":
        layout.prop(own, "guide")
    if context.mode == "EDIT_CURVE":
        _sentence(layout, context, _iface("Roll the camera with the points' tilt: Ctrl T"), "INFO")


def _draw_state(layout: bpy.types.UILayout, context: bpy.types.Context, state: PathState | None) -> None:
    if state is None:
        layout.label(text="Reading the path")
        return
    if state.poses is None:
        if state.error:
            _sentence(layout, context, _rpt(state.error), "ERROR")
        return
    length = bpy.utils.units.to_string(
        context.scene.unit_settings.system, "LENGTH", state.length, precision=3
    )
    layout.label(
        text=_iface("{length}, {count} poses").format(length=length, count=state.count), translate=False
    )
    for problem in state.problems:
        _sentence(layout, context, _rpt(problem.template).format(place=problem.place), "ERROR")


def _sentence(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str) -> None:
    """A sentence over as many lines as it takes, already translated."""
    width = context.region.width if context.region is not None else 300
    column = layout.column(align=True)
    column.scale_y = 0.8
    scale = context.preferences.system.ui_scale or 1.0  # 0 without a window
    for number, line in enumerate(lines(text, width, scale)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1", translate=False)


_CLASSES = (CameraPathPanel, CamerasPanel)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)


def unregister() -> None:
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)
