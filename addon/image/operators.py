"""Choosing the picture and making its camera."""

import bpy
from bpy_extras.io_utils import ImportHelper

from .camera import ensure_input_camera, input_camera, set_resolution
from .choosing import SUFFIXES, open_picture
from .picture import PictureError

_GLOB = ";".join(f"*{suffix}" for suffix in SUFFIXES)


class OpenImage(bpy.types.Operator, ImportHelper):
    """Choose the picture that becomes a scene"""

    bl_idname = "splinescape.open_image"
    bl_label = "Open Image"
    bl_options = {"REGISTER", "UNDO"}

    filepath: bpy.props.StringProperty(
        name="File", description="The picture", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )
    filter_glob: bpy.props.StringProperty(
        default=_GLOB, options={"HIDDEN"}, description="Which files the browser shows"
    )
    directory: bpy.props.StringProperty(
        subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"}, description="Folder of the file"
    )
    make_camera: bpy.props.BoolProperty(
        name="Input Camera",
        description="Also make the camera that stands where the picture was taken, if there is none",
        default=True,
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self.filepath:
            return self.execute(context)  # dropped on the viewport: the file is known
        return super().invoke(context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            image = open_picture(context.scene, self.filepath)
        except PictureError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if self.make_camera and input_camera(context.scene) is None:
            ensure_input_camera(context.scene)
            set_resolution(context.scene, *image.size)
        return {"FINISHED"}


class DropImage(bpy.types.FileHandler):
    """Pictures dropped on the viewport, beside what Blender offers for them."""

    bl_idname = "SPLINESCAPE_FH_image"
    bl_label = "Splinescape Image"
    bl_import_operator = "splinescape.open_image"
    bl_file_extensions = ";".join(SUFFIXES)

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"


class InputCamera(bpy.types.Operator):
    """Select the camera that stands where the picture was taken; make it if there is none"""

    bl_idname = "splinescape.input_camera"
    bl_label = "Input Camera"
    bl_options = {"REGISTER", "UNDO"}

    make_active: bpy.props.BoolProperty(
        name="Scene Camera",
        description="Also make it the camera that the scene is rendered with",
        default=True,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.mode == "OBJECT":
            return True
        cls.poll_message_set("Switch to Object Mode first")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        is_new = input_camera(scene) is None
        camera = ensure_input_camera(scene)
        image = scene.splinescape.image.image
        if is_new and image is not None and all(image.size):
            set_resolution(scene, *image.size)
        for each in context.selected_objects:
            each.select_set(False)
        camera.hide_set(False)
        camera.select_set(True)
        context.view_layer.objects.active = camera
        if self.make_active:
            scene.camera = camera
        return {"FINISHED"}


_CLASSES = (OpenImage, InputCamera, DropImage)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)


def unregister() -> None:
    for each in reversed(_CLASSES):
        if each.is_registered:
            bpy.utils.unregister_class(each)
