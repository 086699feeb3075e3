"""Switching the extension on and off leaves Blender as it was."""

from __future__ import annotations

import bpy
from conftest import MODULE


def test_it_can_be_switched_off_and_on_twice_in_a_row() -> None:
    for _ in range(2):
        bpy.ops.preferences.addon_disable(module=MODULE)
        assert not hasattr(bpy.types.Scene, "splinescape")
        bpy.ops.preferences.addon_enable(module=MODULE)
        assert bpy.context.scene.splinescape.image.image is None
