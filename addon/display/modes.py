"""The display mode of a splat object: modifiers, set for what the viewport shall show and renders need."""

from __future__ import annotations

import math
from typing import Any

import bpy

from ..splats.pointcloud import is_splats
from . import cards, geometry, harmonics, shared

MODIFIER = "Splinescape Display"
COLOR_MODIFIER = "Splinescape Colour"
CARDS_MODIFIER = "Splinescape Cards"

EEVEE_LIMIT = 50_000
"""EEVEE gets up to this many splats as sorted instances; beyond, memory and time of its scene would grow too much."""

_VIEWS = {"POINTS": geometry.POINTS, "SPLATS": geometry.BOX, "MATERIAL": geometry.GAUSSIANS}
_EEVEE = ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT")
_OWN_ENGINE = "SPLINESCAPE"


def splat_objects(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The splat objects of the scene, in the order of their names."""
    return [obj for obj in scene.objects if is_splats(obj)]


def is_native(obj: bpy.types.Object) -> bool:
    """Whether Blender itself knows that these points are splats (5.3 and later), and how to draw and render them."""
    return getattr(obj.data, "type", None) == "GAUSSIAN_SPLAT"


def uses_eevee(scene: bpy.types.Scene) -> bool:
    return scene.render.engine in _EEVEE


def splat_count(obj: bpy.types.Object) -> int:
    position = obj.data.attributes.get("position")
    return 0 if position is None else len(position.data)


def apply_mode(obj: bpy.types.Object, tidy: bool = True) -> None:
    """Show `obj` as `obj.splinescape.display` says. Objects that are linked or hold no splats stay as they are.

    Any number of calls leaves what one call leaves. In the mode SPLATS the viewport has only the edges of the
    bounding box, to click on: the splats are drawn over them. What renders see does not depend on the mode.

    Args:
        tidy: remove groups and materials that nothing uses any more. Not from a handler: others that are called after
            it still look at what the dependency graph has just updated, and would read freed memory.
    """
    if not is_splats(obj) or obj.library is not None:
        return
    changed = _apply_color(obj)
    changed |= _apply_display(obj)
    changed |= _apply_cards(obj)
    if changed:
        obj.update_tag()
        if tidy:
            shared.remove_unused()


def sync_engine(scene: bpy.types.Scene) -> None:
    """Give each splat object of the scene the form that the scene's render engine renders best; for handlers."""
    for obj in splat_objects(scene):
        apply_mode(obj, tidy=False)


def set_inputs(modifier: bpy.types.NodesModifier, values: dict[str, Any]) -> bool:
    """Give the modifier's inputs these values, by the names of the group's sockets; whether any was another."""
    changed = False
    for item in modifier.node_group.interface.items_tree:
        if item.item_type == "SOCKET" and item.in_out == "INPUT" and item.name in values:
            changed |= _set_input(modifier, item.identifier, values[item.name])
    return changed


def input_value(modifier: bpy.types.NodesModifier, identifier: str) -> Any:
    """The value of an input of the modifier's group, by the identifier of its socket."""
    if hasattr(modifier, "properties"):  # Blender 5.2 and later; there the modifier has no items
        return getattr(modifier.properties.inputs, identifier).value
    return modifier.get(identifier)


def _set_input(modifier: bpy.types.NodesModifier, identifier: str, value: Any) -> bool:
    now = input_value(modifier, identifier)
    if now is not None and math.isclose(now, value, rel_tol=1e-6):  # Blender keeps floats in single precision
        return False
    if hasattr(modifier, "properties"):
        getattr(modifier.properties.inputs, identifier).value = value
    else:
        modifier[identifier] = value
    return True


def _apply_display(obj: bpy.types.Object) -> bool:
    display = obj.splinescape.display
    modifier, changed = _modifier(obj, MODIFIER, geometry.display_group())
    values = {
        geometry.VIEW: _VIEWS[display.mode],
        geometry.POINT_SIZE: display.point_size,
        geometry.DENSITY: display.density,
        geometry.RAW_COLORS: display.raw_colors,
        geometry.NATIVE: is_native(obj),
        geometry.INSTANCES: uses_eevee(_scene(obj)) and splat_count(obj) <= EEVEE_LIMIT,
    }
    return set_inputs(modifier, values) or changed


def _apply_cards(obj: bpy.types.Object) -> bool:
    """In renders, cards stand in for what the display modifier shows, wherever the camera can have them.

    The extension's own engine reads the splats themselves and needs neither.
    """
    display, scene = obj.splinescape.display, _scene(obj)
    shown = obj.modifiers[MODIFIER]
    angle = cards.pixel_angle(scene)
    has_materials = scene.render.engine == "CYCLES" or uses_eevee(scene)
    has_cards = has_materials and display.face_camera and angle > 0 and not is_native(obj)
    is_rendered = scene.render.engine != _OWN_ENGINE and not has_cards
    changed = _set(shown, "show_render", is_rendered)
    if not has_cards:
        return _remove_modifier(obj, CARDS_MODIFIER) or changed
    modifier, is_new = _modifier(obj, CARDS_MODIFIER, geometry.cards_group())
    is_new |= _set(modifier, "show_viewport", False)
    values = {
        geometry.PIXEL_ANGLE: angle,
        geometry.SLANT_LIMIT: cards.slant_limit(scene),
        geometry.RAW_COLORS: display.raw_colors,
        geometry.INSTANCES: uses_eevee(scene) and splat_count(obj) <= EEVEE_LIMIT,
    }
    return set_inputs(modifier, values) or is_new or changed


def _apply_color(obj: bpy.types.Object) -> bool:
    """The modifier of view-dependent colour, only where there is any: it runs at each move of the camera."""
    display = obj.splinescape.display
    count = 0 if is_native(obj) or not display.use_sh else harmonics.coefficient_count(obj.data)
    if count == 0:
        return _remove_modifier(obj, COLOR_MODIFIER)
    modifier, changed = _modifier(obj, COLOR_MODIFIER, harmonics.color_group(count))
    return _set(modifier, "show_viewport", display.mode == "MATERIAL") or changed


def _set(owner: Any, name: str, value: bool) -> bool:
    """Set a property that has another value; whether it had. Setting it to the same would evaluate the object again."""
    if getattr(owner, name) == value:
        return False
    setattr(owner, name, value)
    return True


def _modifier(
    obj: bpy.types.Object, name: str, group: bpy.types.NodeTree
) -> tuple[bpy.types.NodesModifier, bool]:
    """The object's modifier of this name with this group, and whether it had to be made or changed."""
    modifier = obj.modifiers.get(name)
    if modifier is None:
        modifier = obj.modifiers.new(name, "NODES")
        modifier.show_expanded = False
        if name == COLOR_MODIFIER and MODIFIER in obj.modifiers:
            obj.modifiers.move(len(obj.modifiers) - 1, obj.modifiers.find(MODIFIER))
    elif modifier.node_group == group:
        return modifier, False
    modifier.node_group = group
    return modifier, True


def _remove_modifier(obj: bpy.types.Object, name: str) -> bool:
    modifier = obj.modifiers.get(name)
    if modifier is None:
        return False
    obj.modifiers.remove(modifier)
    return True


def _scene(obj: bpy.types.Object) -> bpy.types.Scene:
    scene = bpy.context.scene
    return scene if scene is not None and obj.name in scene.objects else next(iter(obj.users_scene), scene)
