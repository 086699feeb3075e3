"""The display mode chooses what the viewport shows, and never what a render shows."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from gpu_support import add_splats, random_splats

from splinescape.io.splat_arrays import SplatArrays

N = 50


def _shown(obj: bpy.types.Object) -> dict[str, object]:
    """What the viewport gets of this object: its points' radii, and the edges and faces of meshes."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    shown: dict[str, object] = {"radius": np.zeros(0), "edges": 0, "faces": 0}
    for instance in depsgraph.object_instances:
        each = instance.object
        if (each.original if not instance.is_instance else instance.parent.original) != obj:
            continue
        if each.type == "POINTCLOUD" and "position" in each.data.attributes:
            radius = np.zeros(len(each.data.attributes["position"].data), np.float32)
            if "radius" in each.data.attributes:
                each.data.attributes["radius"].data.foreach_get("value", radius)
            shown["radius"] = radius
        if each.type == "MESH":
            shown["edges"], shown["faces"] = len(each.data.edges), len(each.data.polygons)
    return shown


@pytest.fixture
def splats() -> SplatArrays:
    return random_splats(N)


@pytest.fixture
def obj(splats: SplatArrays) -> bpy.types.Object:
    bpy.context.scene.render.engine = "CYCLES"
    made = add_splats(splats)
    made.splinescape.display.mode = "MATERIAL"
    made.splinescape.display.mode = "POINTS"
    return made


def test_points_are_dots_of_the_chosen_size(obj: bpy.types.Object, splats: SplatArrays) -> None:
    obj.splinescape.display.point_size = 0.25
    np.testing.assert_allclose(_shown(obj)["radius"], 0.25 * splats.scales.max(axis=1), rtol=1e-5)


def test_the_material_sees_whole_gaussians(obj: bpy.types.Object, splats: SplatArrays) -> None:
    obj.splinescape.display.mode = "MATERIAL"
    np.testing.assert_allclose(_shown(obj)["radius"], 3 * splats.scales.max(axis=1), rtol=1e-5)


def test_drawn_splats_leave_a_box_to_click_on_and_nothing_that_would_be_rendered(
    obj: bpy.types.Object,
) -> None:
    obj.splinescape.display.mode = "SPLATS"
    shown = _shown(obj)
    assert len(shown["radius"]) == 0
    assert shown["edges"] == 12
    assert shown["faces"] == 0
    assert obj.visible_get() and not obj.hide_render and not obj.hide_select


def test_the_viewport_can_show_a_part_that_is_the_same_each_time(obj: bpy.types.Object) -> None:
    obj.splinescape.display.density = 0.5
    radius = _shown(obj)["radius"]
    assert 0.2 * N < len(radius) < 0.8 * N
    obj.update_tag()
    np.testing.assert_array_equal(_shown(obj)["radius"], radius)


def test_the_data_stay_as_they_are_in_every_mode(obj: bpy.types.Object, splats: SplatArrays) -> None:
    for mode in ("POINTS", "SPLATS", "MATERIAL"):
        obj.splinescape.display.mode = mode
        bpy.context.view_layer.update()
        radius = np.zeros(N, np.float32)
        obj.data.attributes["radius"].data.foreach_get("value", radius)
        np.testing.assert_array_equal(radius, 3 * splats.scales.max(axis=1))


def test_setting_a_mode_again_and_again_adds_nothing(obj: bpy.types.Object) -> None:
    before = len(obj.modifiers), len(bpy.data.node_groups), len(bpy.data.materials)
    for mode in ("SPLATS", "MATERIAL", "POINTS") * 2:
        obj.splinescape.display.mode = mode
    assert (len(obj.modifiers), len(bpy.data.node_groups), len(bpy.data.materials)) == before


def test_copies_and_many_objects_share_what_is_shared_and_have_modes_of_their_own(
    obj: bpy.types.Object, splats: SplatArrays
) -> None:
    groups = len(bpy.data.node_groups)
    copy = obj.copy()
    bpy.context.collection.objects.link(copy)
    other = add_splats(splats, name="Other")
    copy.splinescape.display.mode = "MATERIAL"
    other.splinescape.display.mode = "SPLATS"
    assert len(bpy.data.node_groups) == groups
    assert len(_shown(obj)["radius"]) == N
    assert _shown(other)["edges"] == 12
    np.testing.assert_allclose(_shown(copy)["radius"], 3 * splats.scales.max(axis=1), rtol=1e-5)


def test_a_mode_is_saved_with_the_file(obj: bpy.types.Object, tmp_path: Path) -> None:
    obj.splinescape.display.mode = "SPLATS"
    path = str(tmp_path / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    again = bpy.data.objects["Splats"]
    assert again.splinescape.display.mode == "SPLATS"
    assert _shown(again)["edges"] == 12
    again.splinescape.display.mode = "POINTS"
    assert len(_shown(again)["radius"]) == N


def test_other_objects_are_left_alone() -> None:
    cube = bpy.data.objects.new("Cube", bpy.data.meshes.new("Cube"))
    cube.splinescape.display.mode = "MATERIAL"
    assert not cube.modifiers
