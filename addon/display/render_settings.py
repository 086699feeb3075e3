"""Settings of the scene that decide how splats come out of Cycles and EEVEE: what is wrong, and putting it right."""

from __future__ import annotations

import bpy

from .modes import EEVEE_LIMIT, is_native, splat_count, splat_objects, uses_eevee

MAX_TRANSPARENT_BOUNCES = 1024
"""The most that Cycles allows. Each splat on a ray is one; after the last the ray goes black."""

MIN_TRANSPARENT_BOUNCES = 128
"""Up to here Cycles never ends a ray by chance, so splats come without noise; behind, hardly any light is left."""


def has_own_splats(scene: bpy.types.Scene) -> bool:
    """Whether splats of the scene are rendered with the extension's materials."""
    return any(not is_native(obj) for obj in splat_objects(scene))


def too_few_bounces(scene: bpy.types.Scene) -> bool:
    """Whether Cycles will show dark holes or noise where splats lie over each other."""
    if scene.render.engine != "CYCLES" or not has_own_splats(scene):
        return False
    cycles = scene.cycles
    return bool(
        cycles.transparent_max_bounces < MAX_TRANSPARENT_BOUNCES
        or cycles.min_transparent_bounces < MIN_TRANSPARENT_BOUNCES
    )


def raise_bounces(scene: bpy.types.Scene) -> None:
    """Let Cycles follow rays through as many splats as it can. Nothing is lowered."""
    cycles = getattr(scene, "cycles", None)
    if cycles is None:
        return
    cycles.transparent_max_bounces = max(cycles.transparent_max_bounces, MAX_TRANSPARENT_BOUNCES)
    cycles.min_transparent_bounces = max(cycles.min_transparent_bounces, MIN_TRANSPARENT_BOUNCES)


def fitting_view_transform(scene: bpy.types.Scene) -> str:
    """The view transform that shows the splats' colours as they are in the picture: Standard or Raw."""
    shown = [obj for obj in splat_objects(scene) if not is_native(obj)]
    return "Raw" if shown and all(obj.splinescape.display.raw_colors for obj in shown) else "Standard"


def changes_colors(scene: bpy.types.Scene) -> bool:
    """Whether the scene's view transform makes other colours of splats than the picture has."""
    return bool(splat_objects(scene)) and scene.view_settings.view_transform != fitting_view_transform(scene)


def use_fitting_view_transform(scene: bpy.types.Scene) -> None:
    """Set the fitting view transform, with no look, exposure or gamma."""
    view = scene.view_settings
    view.view_transform = fitting_view_transform(scene)
    view.look = "None"
    view.exposure, view.gamma = 0.0, 1.0


def too_many_for_eevee(obj: bpy.types.Object) -> bool:
    """Whether EEVEE renders this object with noise, because it has more splats than it can sort."""
    scene = bpy.context.scene
    return uses_eevee(scene) and not is_native(obj) and splat_count(obj) > EEVEE_LIMIT
