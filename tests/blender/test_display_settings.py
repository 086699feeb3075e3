"""The scene's render settings: followed where splats need another form, put right where they spoil them."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.display import modes, render_settings
from gpu_support import add_camera, add_splats, random_splats

EEVEE = "BLENDER_EEVEE" if bpy.app.version >= (5, 0) else "BLENDER_EEVEE_NEXT"
K_33 = np.array([[16, 0, 8], [0, 16, 8], [0, 0, 1.0]])


@pytest.fixture
def obj() -> bpy.types.Object:
    bpy.context.scene.render.engine = "CYCLES"
    add_camera(K_33, 16, 16, np.eye(4))
    made = add_splats(random_splats(20))
    modes.apply_mode(made)
    return made


def _input(modifier: bpy.types.NodesModifier, name: str) -> object:
    sockets = modifier.node_group.interface.items_tree
    return modifier[next(each.identifier for each in sockets if each.name == name)]


def _render(tmp_path: Path) -> None:
    bpy.context.scene.cycles.samples = 1
    bpy.context.scene.render.filepath = str(tmp_path / "picture.png")
    bpy.ops.render.render(write_still=True)


def test_a_script_that_changes_the_engine_and_renders_at_once_gets_what_the_engine_needs(
    obj: bpy.types.Object, tmp_path: Path
) -> None:
    bpy.context.scene.render.engine = EEVEE
    modes.apply_mode(obj)
    assert _input(obj.modifiers[modes.CARDS_MODIFIER], "Instances")
    bpy.context.scene.render.engine = "CYCLES"
    _render(tmp_path)
    assert not _input(obj.modifiers[modes.CARDS_MODIFIER], "Instances")


def test_the_own_engine_gets_the_splats_themselves(obj: bpy.types.Object) -> None:
    bpy.context.scene.render.engine = "SPLINESCAPE"
    modes.sync_engine(bpy.context.scene)
    assert not any(each.show_render for each in obj.modifiers)


def test_a_render_with_nothing_to_change_changes_nothing(obj: bpy.types.Object) -> None:
    bpy.context.view_layer.update()
    changed: list[str] = []

    def note(_scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
        changed.extend(each.id.name for each in depsgraph.updates if isinstance(each.id, bpy.types.Object))

    bpy.app.handlers.depsgraph_update_post.append(note)
    try:
        modes.sync_engine(bpy.context.scene)
        bpy.context.view_layer.update()
    finally:
        bpy.app.handlers.depsgraph_update_post.remove(note)
    assert obj.name not in changed


def test_cards_need_a_camera_with_perspective(obj: bpy.types.Object) -> None:
    assert modes.CARDS_MODIFIER in obj.modifiers
    bpy.context.scene.camera.data.type = "ORTHO"
    modes.sync_engine(bpy.context.scene)
    assert modes.CARDS_MODIFIER not in obj.modifiers
    assert obj.modifiers[modes.MODIFIER].show_render


def test_splats_follow_the_camera_as_soon_as_it_changes(obj: bpy.types.Object) -> None:
    bpy.context.view_layer.update()
    bpy.context.scene.camera.data.type = "ORTHO"
    bpy.context.view_layer.update()
    assert modes.CARDS_MODIFIER not in obj.modifiers
    bpy.context.scene.camera.data.type = "PERSP"
    bpy.context.view_layer.update()
    assert modes.CARDS_MODIFIER in obj.modifiers


def test_eevee_does_not_sort_more_than_it_can(obj: bpy.types.Object, monkeypatch: pytest.MonkeyPatch) -> None:
    bpy.context.scene.render.engine = EEVEE
    monkeypatch.setattr(modes, "EEVEE_LIMIT", 19)
    monkeypatch.setattr(render_settings, "EEVEE_LIMIT", 19)
    modes.apply_mode(obj)
    assert not _input(obj.modifiers[modes.CARDS_MODIFIER], "Instances")
    assert render_settings.too_many_for_eevee(obj)


def test_too_few_bounces_are_told_and_raised(obj: bpy.types.Object) -> None:
    cycles = bpy.context.scene.cycles
    cycles.transparent_max_bounces = 8
    assert render_settings.too_few_bounces(bpy.context.scene)
    assert bpy.ops.splinescape.raise_transparent_bounces() == {"FINISHED"}
    assert (cycles.transparent_max_bounces, cycles.min_transparent_bounces) == (1024, 128)
    assert not bpy.ops.splinescape.raise_transparent_bounces.poll()
    cycles.transparent_max_bounces = 8
    obj.splinescape.display.mode = "MATERIAL"
    assert cycles.transparent_max_bounces == 1024


def test_a_view_transform_that_changes_colours_is_told_and_replaced(obj: bpy.types.Object) -> None:
    view = bpy.context.scene.view_settings
    view.view_transform = "AgX"
    assert bpy.ops.splinescape.use_splat_view_transform() == {"FINISHED"}
    assert view.view_transform == "Standard"
    obj.splinescape.display.raw_colors = True
    assert bpy.ops.splinescape.use_splat_view_transform() == {"FINISHED"}
    assert view.view_transform == "Raw"
    assert not bpy.ops.splinescape.use_splat_view_transform.poll()


def test_splats_can_be_selected_by_name(obj: bpy.types.Object) -> None:
    assert bpy.ops.splinescape.select_splats(object_name=obj.name) == {"FINISHED"}
    assert bpy.context.view_layer.objects.active == obj
    assert obj.select_get()
    with pytest.raises(RuntimeError, match="no splat object 'Nobody'"):
        bpy.ops.splinescape.select_splats(object_name="Nobody")


def test_what_no_splats_use_any_more_goes(obj: bpy.types.Object) -> None:
    other = add_splats(random_splats(5), name="Other")
    bpy.data.objects.remove(obj)
    modes.apply_mode(other)
    assert any(each.name.startswith("Splinescape ") for each in bpy.data.materials)
    bpy.context.scene.camera.data.type = "ORTHO"
    modes.apply_mode(other)
    assert not any("Card" in each.name for each in (*bpy.data.node_groups, *bpy.data.materials))
