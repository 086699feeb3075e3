"""Switching the extension on and off leaves Blender as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import bpy
from conftest import MODULE

HANDLERS = [name for name in dir(bpy.app.handlers) if isinstance(getattr(bpy.app.handlers, name), list)]
KINDS = [
    getattr(bpy.types, name)
    for name in (
        *("PropertyGroup", "AddonPreferences", "Operator", "Panel", "Menu", "Header", "UIList"),
        *("RenderEngine", "FileHandler", "Gizmo", "GizmoGroup"),
    )
]


def _registered(of: type) -> Iterator[type]:
    """Classes that Blender knows now; `dir(bpy.types)` leaves property groups out."""
    for each in of.__subclasses__():
        if getattr(each, "is_registered", False):
            yield each
        yield from _registered(each)


def _is_ours(thing: object) -> bool:
    return (getattr(thing, "__module__", None) or "").startswith(MODULE)


def _ours(kind: type) -> list[type]:
    return [each for each in _registered(kind) if _is_ours(each)]


def _traces() -> Counter[str]:
    """What Blender holds of the extension: classes, properties, handlers, entries in menus."""
    found = [f"class {each.__name__}" for kind in KINDS for each in _ours(kind)]
    for owner in (bpy.types.Scene, bpy.types.Object, bpy.types.WindowManager):
        found += [f"property {name}" for name in dir(owner) if name.startswith("splinescape")]
    for name in HANDLERS:
        found += [f"handler {name}" for each in getattr(bpy.app.handlers, name) if _is_ours(each)]
    for each in _registered(bpy.types.Menu):
        entries = getattr(getattr(each, "draw", None), "_draw_funcs", ())
        found += [f"entry in {each.__name__}" for entry in entries if _is_ours(entry)]
    return Counter(found)


def test_it_can_be_switched_off_and_on_twice_in_a_row() -> None:
    before = _traces()
    assert before["class SceneSettings"] == before["property splinescape"] / 2 == 1
    for _ in range(2):
        bpy.ops.preferences.addon_disable(module=MODULE)
        assert not hasattr(bpy.types.Scene, "splinescape")
        assert not _traces()
        bpy.ops.preferences.addon_enable(module=MODULE)
        assert bpy.context.scene.splinescape.image.image is None
        assert _traces() == before


def test_every_property_and_operator_says_what_it_is() -> None:
    silent = [
        f"{owner.__name__}.{each.identifier}"
        for kind in (bpy.types.PropertyGroup, bpy.types.AddonPreferences, bpy.types.Operator)
        for owner in _ours(kind)
        for each in owner.bl_rna.properties
        if _is_for_people(owner, each) and not each.description
    ]
    silent += [each.__name__ for each in _ours(bpy.types.Operator) if not _tooltip(each)]
    assert not silent


def _tooltip(operator: type) -> str:
    """What Blender shows; a class knows its docstring under another name."""
    group, _, name = operator.bl_idname.partition(".") if "." in operator.bl_idname else ("", "", "")
    if not group:
        group, _, name = operator.bl_idname.lower().partition("_ot_")
    return getattr(getattr(bpy.ops, group), name).get_rna_type().description


def _is_for_people(owner: type, each: bpy.types.Property) -> bool:
    """A property that is declared here and shown as a value: not a group, and not what files or lists are given."""
    declared = any(each.identifier in getattr(base, "__annotations__", ()) for base in owner.__mro__)
    base = getattr(getattr(each, "fixed_type", None), "base", None)
    group = base is not None and base.identifier == "PropertyGroup"
    return declared and not group and not each.is_hidden
