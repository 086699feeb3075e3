"""The panel "Render": frames along the path, and how they come into the scene."""

import bpy

from ..panels import SidebarPanel
from . import operators

_BUTTONS = {"PATH": "Render Path", "RANGE": "Render Frame Range", "FRAME": "Render Frame"}


class RenderPanel(SidebarPanel, bpy.types.Panel):
    """Render frames of the splats and set them up in the scene."""

    bl_idname = "SPLINESCAPE_PT_render"
    bl_label = "Render"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = context.scene.splinescape.render
        cameras = layout.row(align=True)
        cameras.operator("splinescape.make_path_camera", text="Path Camera", icon="CON_FOLLOWPATH")
        cameras.operator("splinescape.use_input_camera", text="Input Camera", icon="CAMERA_DATA")
        column = layout.column()
        column.prop(settings, "scope")
        column.prop(settings, "engine")
        column.prop(settings, "percentage")
        column.prop(settings, "folder")
        column.prop(settings, "keep_existing")
        made = layout.column(heading="Make")
        made.prop(settings, "make_movie")
        made.prop(settings, "make_background")
        made.prop(settings, "make_compositor")
        self._draw_button(context)
        self._draw_results(context)

    def _draw_button(self, context: bpy.types.Context) -> None:
        layout, job = self.layout, operators.current_job()
        if job is None:
            button = layout.row()
            button.scale_y = 1.4
            text = _BUTTONS[context.scene.splinescape.render.scope]
            button.operator("splinescape.render_path", text=text, icon="RENDER_ANIMATION")
            return
        text = f"{job.done} / {job.total}"
        if job.seconds_left is not None:
            text += f", {_duration(job.seconds_left)} left"
        row = layout.row(align=True)
        row.progress(factor=job.done / max(job.total, 1), text=text)
        row.operator("splinescape.cancel_render", text="", icon="CANCEL")

    def _draw_results(self, context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        column.label(text="Set up the frames that are there:")
        column.operator("splinescape.setup_background", icon="IMAGE_BACKGROUND")
        column.operator("splinescape.setup_compositor", icon="NODE_COMPOSITING")
        column.operator("splinescape.open_frames", icon="FILE_FOLDER")
        transform = context.scene.view_settings.view_transform
        if transform not in {"Standard", "Raw"}:
            hint = self.layout.column(align=True)
            hint.label(text=f"View transform is {transform}:", icon="INFO")
            hint.label(text="only Standard shows the true colours", icon="BLANK1")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


_CLASSES = (RenderPanel,)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)


def unregister() -> None:
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)
