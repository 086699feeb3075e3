"""The Scene panel: the splat objects, how they are shown, and what stands in the way of a right render."""

import bpy

from ..panels import SidebarPanel
from . import harmonics, render_settings
from .modes import is_native, is_splats, splat_count, splat_objects, uses_eevee
from .operators import RaiseTransparentBounces, SelectSplats, UseSplatViewTransform

_iface = bpy.app.translations.pgettext_iface


def shown_splats(context: bpy.types.Context) -> bpy.types.Object | None:
    """The splat object that the panel is about: the active one, or the only one of the scene."""
    if context.object is not None and is_splats(context.object):
        return context.object
    candidates = splat_objects(context.scene)
    return candidates[0] if len(candidates) == 1 else None


class ScenePanel(SidebarPanel, bpy.types.Panel):
    """Splats in this scene."""

    bl_idname = "SPLINESCAPE_PT_scene"
    bl_label = "Scene"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        row = layout.row(align=True)
        row.operator("splinescape.import_splats", text="Import", icon="IMPORT")
        row.operator("splinescape.export_splats", text="Export", icon="EXPORT")
        candidates = splat_objects(context.scene)
        if not candidates:
            layout.label(text="No splats yet", icon="INFO")
            return
        shown = shown_splats(context)
        _draw_objects(layout, candidates, shown)
        if shown is None:
            layout.label(text="Choose one of the splat objects", icon="INFO")


class DisplayPanel(SidebarPanel, bpy.types.Panel):
    """How the chosen splats are shown."""

    bl_idname = "SPLINESCAPE_PT_scene_display"
    bl_parent_id = "SPLINESCAPE_PT_scene"
    bl_label = "Display"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return shown_splats(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        shown = shown_splats(context)
        if shown is None:
            return
        display = shown.splinescape.display
        layout.row(align=True).prop(display, "mode", expand=True)
        layout.use_property_split = True
        layout.use_property_decorate = False
        if display.mode == "POINTS":
            layout.prop(display, "point_size")
        if display.mode != "SPLATS":
            layout.prop(display, "density")
        if not is_native(shown):
            layout.prop(display, "face_camera")
            layout.prop(display, "raw_colors")
            if harmonics.coefficient_count(shown.data):
                layout.prop(display, "use_sh")
        _draw_warnings(layout, context.scene, shown)


class InformationPanel(SidebarPanel, bpy.types.Panel):
    """What the chosen splats are and where they come from."""

    bl_idname = "SPLINESCAPE_PT_scene_information"
    bl_parent_id = "SPLINESCAPE_PT_scene"
    bl_label = "Information"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return shown_splats(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        shown = shown_splats(context)
        if shown is None:
            return
        column = self.layout.column(align=True)
        for name, value in _facts(shown):
            row = column.split(factor=0.4)
            row.label(text=name)
            row.label(text=value, translate=False)


def _draw_objects(
    layout: bpy.types.UILayout, candidates: list[bpy.types.Object], shown: bpy.types.Object | None
) -> None:
    column = layout.box().column(align=True)
    for obj in candidates:
        row = column.row(align=True)
        name = row.split(factor=0.68, align=True)
        select = name.operator(
            SelectSplats.bl_idname,
            text=obj.name,
            emboss=obj == shown,
            icon="POINTCLOUD_DATA",
            translate=False,
        )
        select.object_name = obj.name
        name.label(text=_short(splat_count(obj)), translate=False)
        row.prop(obj, "hide_viewport", text="", emboss=False)
        row.prop(obj, "hide_render", text="", emboss=False)


def _short(count: int) -> str:
    """A number of splats in little room: 940, 84 k, 1.2 M."""
    if count < 1000:
        return str(count)
    return f"{count / 1000:.0f} k" if count < 999_500 else f"{count / 1e6:.1f} M"


def _draw_warnings(layout: bpy.types.UILayout, scene: bpy.types.Scene, shown: bpy.types.Object) -> None:
    if render_settings.too_few_bounces(scene):
        _warning(layout, ("Too few transparent bounces:", "Cycles shows dark holes or noise"))
        layout.operator(RaiseTransparentBounces.bl_idname)
    is_material = shown.splinescape.display.mode == "MATERIAL"
    if is_material and uses_eevee(scene) and render_settings.too_many_for_eevee(shown):
        _warning(layout, ("EEVEE sorts 50,000 splats at most:", "this object comes out with noise"))
    if render_settings.changes_colors(scene) and scene.render.engine != "SPLINESCAPE":
        _warning(layout, ("The view transform changes", "the splats' colours"))
        layout.operator(UseSplatViewTransform.bl_idname)


def _warning(layout: bpy.types.UILayout, texts: tuple[str, ...]) -> None:
    column = layout.column(align=True)
    for i, text in enumerate(texts):
        column.label(text=text, icon="BLANK1" if i else "ERROR")


def _facts(obj: bpy.types.Object) -> list[tuple[str, str]]:
    """What is known of the splats, as pairs of name and value."""
    facts = [
        (_iface("Splats"), f"{splat_count(obj):,}"),
        (_iface("Extent"), " × ".join(f"{length:.3g}" for length in obj.dimensions)),
    ]
    for key, name in (("source", "Source"), ("seed", "Seed"), ("job", "Job")):
        value = obj.get(f"splinescape_{key}")
        if value not in (None, ""):
            facts.append((_iface(name), str(value)))
    size = obj.get("splinescape_size")
    if size is not None:
        facts.append((_iface("Picture"), " × ".join(str(each) for each in size)))
    return facts


_CLASSES = (ScenePanel, DisplayPanel, InformationPanel)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)


def unregister() -> None:
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)
