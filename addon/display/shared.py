"""Materials and node groups that all splat objects of a .blend share: each exists once, by its versioned name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy

PREFIX = "Splinescape "
VERSION = 2
"""Counts up when what a builder makes has changed: objects of older files get the new one, the old one goes."""


def shared_name(title: str) -> str:
    return f"{PREFIX}{title} v{VERSION}"


def node_group(title: str, build: Callable[[bpy.types.NodeTree], None]) -> bpy.types.NodeTree:
    """The geometry node group `title` of this version, built when the file has none of its own."""

    def new(name: str) -> bpy.types.NodeTree:
        return bpy.data.node_groups.new(name, "GeometryNodeTree")

    return _get(bpy.data.node_groups, shared_name(title), new, build)


def material(title: str, build: Callable[[bpy.types.Material], None]) -> bpy.types.Material:
    """The material `title` of this version, built when the file has none of its own."""
    return _get(bpy.data.materials, shared_name(title), bpy.data.materials.new, build)


def remove_unused() -> None:
    """Take away what no object uses any more (a node group before the materials that it uses)."""
    for collection in (bpy.data.node_groups, bpy.data.materials):
        for block in [each for each in collection if _is_ours(each) and each.users == 0]:
            collection.remove(block)


def _get(collection: Any, name: str, new: Callable[[str], Any], build: Callable[[Any], None]) -> Any:
    found = collection.get((name, None))
    if found is None:
        found = new(name)
        build(found)
    return found


def _is_ours(block: bpy.types.ID) -> bool:
    return block.library is None and block.name.startswith(PREFIX)
