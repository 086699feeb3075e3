"""Switching the extension on and off leaves Blender as it was."""

from __future__ import annotations

from collections import Counter

import bpy
from conftest import MODULE

HANDLERS = [name for name in dir(bpy.app.handlers) if isinstance(getattr(bpy.app.handlers, name), list)]


def _traces() -> Counter[str]:
    """What Blender holds of the extension: classes, properties, handlers, menu entries."""
    ours = [
        f"class {each.__name__}"
        for each in _subclasses(bpy.types.bpy_struct)
        if each.__module__.startswith(MODULE)
    ]
    for owner in (bpy.types.Scene, bpy.types.Object, bpy.types.WindowManager):
        ours += [f"property {name}" for name in dir(owner) if name.startswith("splinescape")]
    for name in HANDLERS:
        ours += [f"handler {name}" for each in getattr(bpy.app.handlers, name) if _is_ours(each)]
    for menu in _subclasses(bpy.types.bpy_struct):
        entries = getattr(getattr(menu, "draw", None), "_draw_funcs", ())
        ours += [f"entry in {menu.__name__}" for each in entries if _is_ours(each)]
    return Counter(ours)


def _is_ours(function: object) -> bool:
    return (getattr(function, "__module__", None) or "").startswith(MODULE)


def _subclasses(of: type) -> list[type]:
    """Classes that are registered with Blender now."""
    found = [getattr(bpy.types, name, None) for name in dir(bpy.types)]
    return [each for each in found if isinstance(each, type) and issubclass(each, of)]


def test_it_can_be_switched_off_and_on_twice_in_a_row() -> None:
    before = _traces()
    for _ in range(2):
        bpy.ops.preferences.addon_disable(module=MODULE)
        assert not hasattr(bpy.types.Scene, "splinescape")
        assert not _traces()
        bpy.ops.preferences.addon_enable(module=MODULE)
        assert bpy.context.scene.splinescape.image.image is None
        assert _traces() == before


def test_every_property_and_operator_says_what_it_is() -> None:
    silent = []
    for group in _subclasses(bpy.types.PropertyGroup):
        if group.__module__.startswith(MODULE):
            silent += [
                f"{group.__name__}.{each.identifier}"
                for each in group.bl_rna.properties
                if each.identifier not in ("rna_type", "name")
                and not each.description
                and each.type != "POINTER"
            ]
    for operator in _subclasses(bpy.types.Operator):
        if operator.__module__.startswith(MODULE):
            silent += [
                f"{operator.__name__}.{each.identifier}"
                for each in operator.bl_rna.properties
                if each.identifier != "rna_type" and not each.description and not each.is_hidden
            ]
            if not operator.bl_rna.description:
                silent.append(operator.__name__)
    assert not silent
