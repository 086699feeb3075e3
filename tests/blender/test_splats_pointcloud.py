"""Splats in a point cloud: the attributes others rely on, bounds that fit, and nothing lost on the way back."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.splats.pointcloud import (
    create_object,
    is_splats,
    read_splats,
    replace_splats,
)
from splat_support import assert_near, make_splats

from splinescape.io.splat_arrays import SH_C0, SplatArrays


def values(made: bpy.types.Object, name: str, kind: str, prop: str, width: int) -> np.ndarray:
    attribute = made.data.attributes[name]
    assert (attribute.data_type, attribute.domain) == (kind, "POINT")
    out = np.empty(len(attribute.data) * width, np.float32)
    attribute.data.foreach_get(prop, out)
    return out.reshape(-1, width)


def bounds(made: bpy.types.Object) -> np.ndarray:
    corners = np.array([tuple(corner) for corner in made.bound_box])
    return np.stack([corners.min(axis=0), corners.max(axis=0)])


def fitting_bounds(splats: SplatArrays) -> np.ndarray:
    radius = 3 * splats.scales.max(axis=1, keepdims=True)
    return np.stack([(splats.means - radius).min(axis=0), (splats.means + radius).max(axis=0)])


def link(made: bpy.types.Object) -> bpy.types.Object:
    bpy.context.scene.collection.objects.link(made)
    bpy.context.view_layer.update()
    return made


def ids() -> list[int]:
    return [len(getattr(bpy.data, kind)) for kind in ("objects", "meshes", "node_groups", "pointclouds")]


def test_the_attributes_that_others_read() -> None:
    splats = make_splats(200, 16)
    made = create_object("test", splats, np.eye(4))
    assert made["splinescape_splats"] == 1 and not made.users_collection
    np.testing.assert_array_equal(values(made, "position", "FLOAT_VECTOR", "vector", 3), splats.means)
    np.testing.assert_allclose(values(made, "scale", "FLOAT_VECTOR", "vector", 3), np.exp(splats.log_scales))
    np.testing.assert_array_equal(values(made, "rotation", "QUATERNION", "value", 4), splats.quats)
    radius = values(made, "radius", "FLOAT", "value", 1)[:, 0]
    np.testing.assert_allclose(radius, 3 * np.exp(splats.log_scales).max(axis=1), rtol=1e-6)
    opacity = values(made, "opacity", "FLOAT", "value", 1)[:, 0]
    np.testing.assert_allclose(opacity, 1 / (1 + np.exp(-splats.opacity_logits)), rtol=1e-6)
    color = values(made, "color", "FLOAT_COLOR", "color", 4)
    np.testing.assert_allclose(color[:, :3], 0.5 + SH_C0 * splats.sh[:, 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(color[:, 3], opacity)
    for index in range(15):
        stored = values(made, f"sh_{index}", "FLOAT_VECTOR", "vector", 3)
        np.testing.assert_array_equal(stored, splats.sh[:, index + 1])
    assert not [each for each in made.data.attributes if each.name.startswith(".")]


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
@pytest.mark.parametrize("n", [0, 1, 1000])
def test_splats_come_back(n: int, coefficients: int) -> None:
    splats = make_splats(n, coefficients)
    made = create_object("test", splats, np.eye(4))
    assert is_splats(made)
    read = read_splats(made)
    assert read.sh.shape == ((n, coefficients, 3))
    assert_near(read, splats)
    assert_near(read_splats(made.data), splats)


@pytest.mark.parametrize("n", [1, 1000])
def test_the_bounding_box_fits_at_once_and_when_evaluated(n: int) -> None:
    splats = make_splats(n)
    made = link(create_object("test", splats, np.diag([2.0, 2.0, 2.0, 1.0])))
    np.testing.assert_allclose(bounds(made), fitting_bounds(splats), rtol=1e-5)
    evaluated = made.evaluated_get(bpy.context.evaluated_depsgraph_get())
    np.testing.assert_allclose(bounds(evaluated), fitting_bounds(splats), rtol=1e-5)
    np.testing.assert_allclose(made.dimensions, 2 * np.diff(fitting_bounds(splats), axis=0)[0], rtol=1e-5)


def test_making_objects_leaves_nothing_else_behind() -> None:
    before = ids()
    made = create_object("test", make_splats(10), np.eye(4))
    after = ids()
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 0, 0, 1]
    for _ in range(3):
        replace_splats(made, make_splats(20))
    assert ids() == after
    assert (made.name, made.data.name) == ("test", "test")


def test_replacing_keeps_the_object_its_modifiers_materials_and_properties() -> None:
    made = link(create_object("test", make_splats(10, 4), np.eye(4)))
    made.data.materials.append(bpy.data.materials.new("material"))
    made.modifiers.new("modifier", "NODES")
    made.location = (1, 2, 3)
    made["mine"] = 5
    made.data["mine too"] = 6
    for n in (50, 0, 7):
        splats = make_splats(n, 1, seed=n)
        replace_splats(made, splats)
        bpy.context.view_layer.update()
        assert_near(read_splats(made), splats)
        if n:
            np.testing.assert_allclose(bounds(made), fitting_bounds(splats), rtol=1e-5)
    assert [material.name for material in made.data.materials] == ["material"]
    assert [modifier.name for modifier in made.modifiers] == ["modifier"]
    assert (tuple(made.location), made["mine"], made.data["mine too"]) == ((1, 2, 3), 5, 6)


@pytest.mark.parametrize("mode", ["EDIT", "SCULPT", "WEIGHT_PAINT"])
def test_splats_arrive_while_something_else_is_edited(mode: str) -> None:
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode=mode)
    edited = bpy.context.mode
    made = link(create_object("test", make_splats(10), np.eye(4)))
    replace_splats(made, make_splats(20))
    assert len(read_splats(made)) == 20
    assert (bpy.context.mode, bpy.context.active_object.name) == (edited, "Cube")


def test_while_the_splats_themselves_are_edited_replacing_says_so_and_leaves_nothing_behind() -> None:
    made = link(create_object("test", make_splats(10), np.eye(4)))
    bpy.context.view_layer.objects.active = made
    bpy.ops.object.mode_set(mode="EDIT")
    before = ids()
    with pytest.raises(RuntimeError, match="Object Mode"):
        replace_splats(made, make_splats(20))
    bpy.ops.object.mode_set(mode="OBJECT")
    assert (ids(), len(read_splats(made))) == (before, 10)
    replace_splats(made, make_splats(20))
    assert len(read_splats(made)) == 20


def test_replacing_leaves_other_objects_with_the_same_data_alone() -> None:
    first = create_object("first", make_splats(10), np.eye(4))
    second = first.copy()
    replace_splats(first, make_splats(20))
    assert (len(read_splats(first)), len(read_splats(second))) == (20, 10)


def test_extreme_numbers_stay_finite() -> None:
    base = make_splats(3)
    extreme = np.array([80, -80, 0], np.float32)
    scales = np.repeat(extreme[:, None], 3, axis=1)
    splats = SplatArrays(base.means, scales, base.quats, extreme, base.sh)
    read = read_splats(create_object("test", splats, np.eye(4)))
    np.testing.assert_allclose(read.log_scales, scales, rtol=1e-5)
    np.testing.assert_allclose(read.opacities, [1, 0, 0.5], atol=1e-6)


def test_points_spoilt_by_hand_are_left_out() -> None:
    made = create_object("test", make_splats(10), np.eye(4))
    made.data.attributes["position"].data[3].vector = (np.nan, 0, 0)
    made.data.attributes["opacity"].data[5].value = 7
    made.data.attributes["scale"].data[6].vector = (0, 0, 0)
    read = read_splats(made)
    assert len(read) == 9
    np.testing.assert_allclose(read.opacities[4], 1, atol=1e-6)


@pytest.mark.parametrize("missing", ["scale", "rotation", "opacity", "color"])
def test_other_points_are_no_splats(missing: str) -> None:
    made = create_object("test", make_splats(10), np.eye(4))
    made.data.attributes.remove(made.data.attributes[missing])
    assert not is_splats(made)
    with pytest.raises(ValueError, match="'test' holds no splats"):
        read_splats(made)


def test_nothing_and_meshes_are_no_splats() -> None:
    assert not is_splats(None)
    bpy.ops.mesh.primitive_cube_add()
    assert not is_splats(bpy.context.object)


def test_a_cloud_in_the_schema_of_blender_5_3_is_read() -> None:
    """The type itself cannot be made by this Blender; its attributes can."""
    splats = make_splats(50, 4)
    made = create_object("test", splats, np.eye(4))
    attributes = made.data.attributes
    for name in ("opacity", "color", "radius", "sh_0", "sh_1", "sh_2"):
        attributes.remove(attributes[name])
    base = np.concatenate([splats.sh[:, 0], splats.opacities[:, None]], axis=1)
    attributes.new("radiance:base", "FLOAT_COLOR", "POINT").data.foreach_set("color", base.ravel())
    for index in range(3):
        higher = np.ascontiguousarray(splats.sh[:, index + 1]).ravel()
        attributes.new(f"radiance:sh_{index}", "FLOAT_VECTOR", "POINT").data.foreach_set("vector", higher)
    assert is_splats(made)
    assert_near(read_splats(made), splats)


def test_a_saved_blend_holds_the_same_splats(tmp_path: Path) -> None:
    splats = make_splats(300, 9)
    link(create_object("test", splats, np.diag([1.0, 2.0, 3.0, 1.0])))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    made = bpy.data.objects["test"]
    assert is_splats(made) and made["splinescape_splats"] == 1
    assert_near(read_splats(made), splats)
    made.modifiers.clear()  # the display shows dots, smaller than the splats
    bpy.context.view_layer.update()
    np.testing.assert_allclose(bounds(made), fitting_bounds(splats), rtol=1e-5)
