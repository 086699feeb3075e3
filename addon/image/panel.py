"""The Image panel: the picture, how it looks, and its camera."""

import bpy

from ..panels import SidebarPanel
from .camera import input_camera


class ImagePanel(SidebarPanel, bpy.types.Panel):
    """The picture that becomes a scene."""

    bl_idname = "SPLINESCAPE_PT_image"
    bl_label = "Image"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        settings = context.scene.splinescape.image
        layout.template_ID(settings, "image", open="splinescape.open_image")
        image = settings.image
        if image is None:
            layout.label(text="Open a picture, or drop one here", icon="INFO")
            return
        preview = image.preview_ensure()
        if preview is not None:
            layout.template_icon(icon_value=preview.icon_id, scale=7.0)
        if not all(image.size):
            layout.label(text="The file is missing", icon="ERROR")
            return
        layout.label(text=f"{image.size[0]} x {image.size[1]} px", translate=False)
        column = layout.column()
        has_camera = input_camera(context.scene) is not None
        column.operator(
            "splinescape.input_camera",
            text="Select Input Camera" if has_camera else "Make Input Camera",
            icon="OUTLINER_OB_CAMERA",
        )
        if has_camera:
            column.prop(settings, "use_camera_lens")


def register() -> None:
    bpy.utils.register_class(ImagePanel)


def unregister() -> None:
    bpy.utils.unregister_class(ImagePanel)
