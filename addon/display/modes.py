"""The display mode of a splat object: one modifier, set for what the viewport shall show and renders need."""

from __future__ import annotations

from typing import Any

import bpy

from . import geometry

MODIFIER = "Splinescape Display"

_VIEWS = {"POINTS": geometry.POINTS, "SPLATS": geometry.BOX, "MATERIAL": geometry.GAUSSIANS}


def is_splats(obj: bpy.types.Object) -> bool:
    """Whether this object holds splats that the extension made or imported."""
    return obj.type == "POINTCLOUD" and bool(obj.get("splinescape_splats"))


def apply_mode(obj: bpy.types.Object) -> None:
    """Show `obj` as `obj.splinescape.display` says. Objects that are linked or hold no splats stay as they are.

    Any number of calls leaves what one call leaves. In the mode SPLATS the viewport has only the edges of the
    bounding box, to click on: the splats are drawn over them. What renders see does not depend on the mode.
    """
    if not is_splats(obj) or obj.library is not None:
        return
    display = obj.splinescape.display
    modifier = _display_modifier(obj)
    values = {
        geometry.VIEW: _VIEWS[display.mode],
        geometry.POINT_SIZE: display.point_size,
        geometry.DENSITY: display.density,
    }
    if set_inputs(modifier, values):
        obj.update_tag()


def set_inputs(modifier: bpy.types.NodesModifier, values: dict[str, Any]) -> bool:
    """Give the modifier's inputs these values, by the names of the group's sockets; whether any was another."""
    changed = False
    for item in modifier.node_group.interface.items_tree:
        if item.item_type == "SOCKET" and item.in_out == "INPUT" and item.name in values:
            changed |= _set_input(modifier, item.identifier, values[item.name])
    return changed


def _set_input(modifier: bpy.types.NodesModifier, identifier: str, value: Any) -> bool:
    if modifier.get(identifier) == value:
        return False
    modifier[identifier] = value
    return True


def _display_modifier(obj: bpy.types.Object) -> bpy.types.NodesModifier:
    """The object's display modifier, which stays the last one: others change splats, this one shows them."""
    modifier = obj.modifiers.get(MODIFIER)
    if modifier is None:
        modifier = obj.modifiers.new(MODIFIER, "NODES")
        modifier.show_expanded = False
    group = geometry.display_group()
    if modifier.node_group != group:
        modifier.node_group = group
    return modifier
