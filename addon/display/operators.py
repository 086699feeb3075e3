"""Operators of the Scene panel: choosing a splat object, and putting the scene's render settings right."""

import bpy

from . import engine_sync, render_settings
from .modes import is_splats


class SelectSplats(bpy.types.Operator):
    """Select this splat object alone and make it the active one"""

    bl_idname = "splinescape.select_splats"
    bl_label = "Select Splats"
    bl_options = {"REGISTER", "UNDO"}

    object_name: bpy.props.StringProperty(
        name="Object", description="Name of the splat object", options={"HIDDEN"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.mode != "OBJECT":
            cls.poll_message_set("Leave edit mode first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        obj = context.view_layer.objects.get(self.object_name)
        if obj is None or not is_splats(obj):
            self.report({"ERROR"}, f"There is no splat object '{self.object_name}' in this view layer")
            return {"CANCELLED"}
        if not obj.visible_get():
            self.report({"ERROR"}, f"'{self.object_name}' is hidden: show it first")
            return {"CANCELLED"}
        for each in context.view_layer.objects:
            each.select_set(each == obj)
        context.view_layer.objects.active = obj
        return {"FINISHED"}


class RaiseTransparentBounces(bpy.types.Operator):
    """Let Cycles follow a ray through up to 1024 splats, the first 128 of them without noise"""

    bl_idname = "splinescape.raise_transparent_bounces"
    bl_label = "Raise Transparent Bounces"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not render_settings.too_few_bounces(context.scene):
            cls.poll_message_set(
                "Nothing to do: Cycles renders no splats here, or the bounces are high enough"
            )
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        render_settings.raise_bounces(context.scene)
        return {"FINISHED"}


class UseSplatViewTransform(bpy.types.Operator):
    """Choose the view transform that shows splats in the colours of their picture"""

    bl_idname = "splinescape.use_splat_view_transform"
    bl_label = "Show True Colours"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not render_settings.changes_colors(context.scene):
            cls.poll_message_set("Nothing to do: there are no splats, or their colours are shown as they are")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        render_settings.use_fitting_view_transform(context.scene)
        return {"FINISHED"}


_CLASSES = (SelectSplats, RaiseTransparentBounces, UseSplatViewTransform)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)
    engine_sync.register()


def unregister() -> None:
    engine_sync.unregister()
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)
