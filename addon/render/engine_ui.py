"""The render engine's place in Blender's own panels."""

from collections.abc import Iterator
from typing import Any

import bpy

ENGINE = "SPLINESCAPE"

_OTHERS = {
    "RENDER_PT_simplify",
    "RENDER_PT_freestyle",
    "VIEWLAYER_PT_filter",
    "VIEWLAYER_PT_layer_passes",
}
"""Panels of all engines that say nothing about splats."""


class SPLINESCAPE_PT_film(bpy.types.Panel):
    """What lies behind the splats."""

    bl_label = "Film"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"
    COMPAT_ENGINES = {ENGINE}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return context.engine in cls.COMPAT_ENGINES

    def draw(self, context: Any) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(context.scene.render, "film_transparent")


class SPLINESCAPE_PT_passes(bpy.types.Panel):
    """Which passes the engine makes."""

    bl_label = "Passes"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "view_layer"
    COMPAT_ENGINES = {ENGINE}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return context.engine in cls.COMPAT_ENGINES

    def draw(self, context: Any) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(context.view_layer, "use_pass_z")
        row = layout.row()
        row.active = context.view_layer.use_pass_z
        row.prop(context.view_layer, "pass_alpha_threshold")


_CLASSES = (SPLINESCAPE_PT_film, SPLINESCAPE_PT_passes)


def _shared_panels() -> Iterator[Any]:
    """Blender's panels that every engine may show."""
    for panel in bpy.types.Panel.__subclasses__():
        engines = getattr(panel, "COMPAT_ENGINES", ())
        if "BLENDER_RENDER" in engines and panel.__name__ not in _OTHERS:
            yield panel


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)
    for panel in _shared_panels():
        panel.COMPAT_ENGINES.add(ENGINE)


def unregister() -> None:
    for panel in _shared_panels():
        panel.COMPAT_ENGINES.discard(ENGINE)
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)
