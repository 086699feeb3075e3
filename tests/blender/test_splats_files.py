"""Splat files in and out of a .blend: they stand where they belong and come back as they were."""

from __future__ import annotations

import gzip
import math
import struct
from itertools import pairwise
from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.image.camera import ensure_input_camera, scene_placement
from bl_ext.user_default.splinescape.splats.exporting import export_file, export_objects
from bl_ext.user_default.splinescape.splats.importing import import_file
from bl_ext.user_default.splinescape.splats.pointcloud import is_splats, read_splats
from bl_ext.user_default.splinescape.splats.transform import transformed
from mathutils import Euler, Matrix
from splat_support import assert_near, make_meta, make_splats

from splinescape.camera.blender import BLENDER_T_WORLD
from splinescape.errors import InputError
from splinescape.io.formats import SUFFIXES, load_arrays, save_arrays
from splinescape.scene.meta import SceneMeta

MOVED = Matrix.LocRotScale((1, -2, 3), Euler((0.3, -0.8, 2.0)), (1.5, 1.5, 1.5))


def write(path: Path, *, n: int = 200, coefficients: int = 16, meta: SceneMeta | None = None) -> Path:
    save_arrays(path, make_splats(n, coefficients), meta or SceneMeta())
    return path


def imported(path: Path) -> bpy.types.Object:
    return import_file(bpy.context, path)


def world(made: bpy.types.Object) -> np.ndarray:
    bpy.context.view_layer.update()
    return np.array(made.matrix_world)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_import_and_export_without_edits_gives_the_same_splats(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"a{suffix}", meta=make_meta())
    made = imported(tmp_path / f"a{suffix}")
    bpy.context.view_layer.update()
    export_file(made, tmp_path / "b.ply")
    read, meta = load_arrays(tmp_path / "a.ply" if suffix == ".ply" else tmp_path / f"a{suffix}")
    written, meta_written = load_arrays(tmp_path / "b.ply")
    assert_near(written, read)
    assert meta_written.comments() == meta.comments()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_is_written(tmp_path: Path, suffix: str) -> None:
    made = imported(write(tmp_path / "a.ply", n=300, coefficients=4))
    assert export_file(made, tmp_path / f"b{suffix}") == 300
    assert len(load_arrays(tmp_path / f"b{suffix}")[0]) == 300


def test_a_foreign_file_stands_upright_in_its_own_collection(tmp_path: Path) -> None:
    made = imported(write(tmp_path / "chair.ply"))
    assert (made.name, made.users_collection[0].name) == ("chair", "Splats: chair")
    np.testing.assert_allclose(world(made), BLENDER_T_WORLD, atol=1e-6)
    down, forward = made.matrix_world @ Matrix.Translation((0, 1, 0)), made.matrix_world.to_3x3().col[2]
    np.testing.assert_allclose(down.translation, (0, 0, -1), atol=1e-6)
    np.testing.assert_allclose(forward, (0, 1, 0), atol=1e-6)
    assert made["splinescape_source"] == str(tmp_path / "chair.ply")
    assert "splinescape_seed" not in made and "splinescape_K" not in made


def test_a_scene_of_ours_stands_in_front_of_the_input_camera(tmp_path: Path) -> None:
    camera = ensure_input_camera(bpy.context.scene)
    camera.matrix_world = Matrix.LocRotScale((4, 5, 6), Euler((1.2, 0.1, 0.7)), (2, 2, 2))
    made = imported(write(tmp_path / "gf.ply", meta=make_meta()))
    np.testing.assert_allclose(world(made), scene_placement(bpy.context.scene), atol=1e-5)
    # One unit in front of the picture is one unit along the camera's view, whatever the camera's scale.
    in_front = made.matrix_world @ Matrix.Translation((0, 0, 1))
    view = camera.matrix_world.to_3x3().normalized() @ Matrix.Identity(3)
    np.testing.assert_allclose(in_front.translation, camera.matrix_world.translation - view.col[2], atol=1e-5)
    assert made["splinescape_seed"] == 7
    np.testing.assert_allclose(made["splinescape_K"], make_meta().K_33.ravel())
    assert list(made["splinescape_size"]) == [512, 384]


def test_a_scene_of_ours_without_a_camera_stands_at_eye_height(tmp_path: Path) -> None:
    made = imported(write(tmp_path / "gf.ply", meta=make_meta()))
    expected = BLENDER_T_WORLD.copy()
    expected[2, 3] = 1.6
    np.testing.assert_allclose(world(made), expected, atol=1e-6)


@pytest.mark.parametrize(("axes", "up"), [("Y_DOWN", (0, -1, 0)), ("Y_UP", (0, 1, 0)), ("Z_UP", (0, 0, 1))])
def test_other_axes_can_be_chosen(tmp_path: Path, axes: str, up: tuple[float, ...]) -> None:
    path = write(tmp_path / "a.ply", meta=make_meta())
    made = import_file(bpy.context, path, axes=axes)
    np.testing.assert_allclose(world(made)[:3, :3] @ up, (0, 0, 1), atol=1e-6)
    assert np.linalg.det(world(made)[:3, :3]) == pytest.approx(1)


def test_name_matrix_and_collection_can_be_given(tmp_path: Path) -> None:
    collection = bpy.data.collections.new("mine")
    bpy.context.scene.collection.children.link(collection)
    path = write(tmp_path / "a.ply", meta=make_meta())
    made = import_file(bpy.context, path, name="b", matrix_world=np.array(MOVED), collection=collection)
    assert made.name == "b" and list(made.users_collection) == [collection]
    np.testing.assert_allclose(world(made), np.array(MOVED), atol=1e-5)


def test_a_great_seed_is_kept(tmp_path: Path) -> None:
    made = imported(write(tmp_path / "a.ply", meta=SceneMeta(seed=2**62)))
    assert made["splinescape_seed"] == str(2**62)
    export_file(made, tmp_path / "b.ply")
    assert load_arrays(tmp_path / "b.ply")[1].seed == 2**62


def test_a_missing_file_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*none\.ply: No such file"):
        imported(tmp_path / "none.ply")
    with pytest.raises(InputError, match="holds no splats"):
        imported(write(tmp_path / "empty.ply", n=0))
    assert not bpy.data.objects and not bpy.data.collections and not bpy.data.pointclouds


def test_spz_4_is_unpacked_with_the_zstd_that_blender_brings(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    save_arrays(tmp_path / "3.spz", make_splats(50), SceneMeta())
    plain = gzip.decompress((tmp_path / "3.spz").read_bytes())
    ends = np.cumsum([16, *(50 * size for size in (9, 1, 3, 3, 4))])
    streams = [plain[start:end] for start, end in pairwise(ends)]
    packed = [zstandard.ZstdCompressor().compress(stream) for stream in streams]
    header = struct.pack("<4sIIBBBBI12x", b"NGSP", 4, 50, 0, plain[13], 0, len(streams), 32)
    table = b"".join(struct.pack("<QQ", len(a), len(b)) for a, b in zip(packed, streams, strict=True))
    (tmp_path / "4.spz").write_bytes(header + table + b"".join(packed))
    assert_near(read_splats(imported(tmp_path / "4.spz")), load_arrays(tmp_path / "3.spz")[0])
    (tmp_path / "4.spz").write_bytes(header + table + b"".join(packed)[:-9])
    with pytest.raises(InputError, match="does not have the size"):
        imported(tmp_path / "4.spz")
    spoilt = bytearray(header + table + b"".join(packed))
    spoilt[32 + 16 * 5] ^= 255
    (tmp_path / "4.spz").write_bytes(spoilt)
    with pytest.raises(InputError, match="damaged"):
        imported(tmp_path / "4.spz")


# Exporting what was moved


@pytest.mark.parametrize("meta", [SceneMeta(), make_meta()])
def test_what_was_moved_comes_back_in_its_new_place(tmp_path: Path, meta: SceneMeta) -> None:
    first = imported(write(tmp_path / "a.ply", meta=meta))
    first.matrix_world = MOVED @ first.matrix_world
    export_file(first, tmp_path / "b.ply")
    # The same axes as the file that the object came from.
    again = import_file(
        bpy.context, tmp_path / "b.ply", matrix_world=np.reshape(first["splinescape_placement"], (4, 4))
    )
    expected = transformed(read_splats(first), world(first))
    found = transformed(read_splats(again), world(again))
    np.testing.assert_allclose(found.means, expected.means, atol=1e-4)
    np.testing.assert_allclose(found.log_scales, expected.log_scales, atol=1e-5)
    same = np.abs((found.quats * expected.quats).sum(axis=1))
    np.testing.assert_allclose(same, 1, atol=1e-5)
    np.testing.assert_allclose(found.sh, expected.sh, atol=1e-5)
    written = load_arrays(tmp_path / "b.ply")[1]
    assert (written.K_33, written.width, written.seed) == (None, None, meta.seed)
    assert written.units == "relative"


def test_a_metric_scene_that_was_only_turned_stays_metric(tmp_path: Path) -> None:
    made = imported(write(tmp_path / "a.ply", meta=make_meta()))
    made.rotation_euler.z += 0.5
    export_file(made, tmp_path / "b.ply")
    assert load_arrays(tmp_path / "b.ply")[1].units == "metres"


def test_transforms_can_be_left_out(tmp_path: Path) -> None:
    made = imported(write(tmp_path / "a.ply"))
    made.matrix_world = MOVED
    export_file(made, tmp_path / "b.ply", apply_transform=False)
    assert_near(load_arrays(tmp_path / "b.ply")[0], make_splats(200, 16))


def test_a_parent_moves_its_splats(tmp_path: Path) -> None:
    made = imported(write(tmp_path / "a.ply"))
    parent = bpy.data.objects.new("parent", None)
    bpy.context.scene.collection.objects.link(parent)
    made.parent = parent
    parent.location = (0, 0, 5)
    export_file(made, tmp_path / "b.ply")
    read = load_arrays(tmp_path / "b.ply")[0]
    # Five up in Blender is five against the file's y, which points down.
    np.testing.assert_allclose(read.means - make_splats(200, 16).means, [[0, -5, 0]] * 200, atol=1e-5)


def test_a_point_cloud_without_a_file_is_written_with_y_down(tmp_path: Path) -> None:
    made = imported(write(tmp_path / "a.ply"))
    for key in list(made.keys()):
        if key.startswith("splinescape_"):
            del made[key]
    made.matrix_world = Matrix()
    export_file(made, tmp_path / "b.ply")
    expected = transformed(make_splats(200, 16), np.linalg.inv(BLENDER_T_WORLD))
    np.testing.assert_allclose(load_arrays(tmp_path / "b.ply")[0].means, expected.means, atol=1e-5)


def test_several_objects_are_joined_in_the_axes_of_the_first(tmp_path: Path) -> None:
    first = imported(write(tmp_path / "a.ply", n=100, coefficients=4, meta=make_meta()))
    second = imported(write(tmp_path / "b.ply", n=50, coefficients=1))
    second.location.x += 10
    export_objects([first, second], tmp_path / "c.ply")
    read, meta = load_arrays(tmp_path / "c.ply")
    assert read.sh.shape == (150, 4, 3)
    assert_near(read.select(np.arange(100)), make_splats(100, 4))
    relative = np.linalg.inv(world(first)) @ world(second)
    expected = transformed(make_splats(50), relative)
    np.testing.assert_allclose(read.means[100:], expected.means, atol=1e-4)
    assert meta.K_33 is None


def test_a_failed_export_keeps_the_old_file(tmp_path: Path) -> None:
    made = imported(write(tmp_path / "a.ply"))
    (tmp_path / "b.ply").write_text("old")
    made.scale = (1, 0, 1)
    with pytest.raises(InputError, match=r"cannot export 'a': .*scale of zero"):
        export_file(made, tmp_path / "b.ply")
    bpy.ops.mesh.primitive_cube_add()
    with pytest.raises(InputError, match=r"cannot export 'Cube': .*holds no splats"):
        export_file(bpy.context.object, tmp_path / "b.ply")
    assert (tmp_path / "b.ply").read_text() == "old"


# Operators


def test_files_are_imported_by_the_operator_selected_and_active(tmp_path: Path) -> None:
    write(tmp_path / "a.ply"), write(tmp_path / "b.spz")
    names = [{"name": "a.ply"}, {"name": "b.spz"}]
    assert bpy.ops.splinescape.import_splats(directory=str(tmp_path), files=names) == {"FINISHED"}
    assert [each.name for each in bpy.context.selected_objects] == ["a", "b"]
    assert bpy.context.active_object.name == "a" and all(map(is_splats, bpy.data.objects))


def test_one_broken_file_of_several_does_not_keep_the_others_out(tmp_path: Path) -> None:
    write(tmp_path / "b.ply")
    (tmp_path / "a.ply").write_bytes(b"ply\nnot really")
    names = [{"name": "a.ply"}, {"name": "b.ply"}]
    with pytest.raises(RuntimeError, match=r"a\.ply.*header is damaged"):
        bpy.ops.splinescape.import_splats(directory=str(tmp_path), files=names)
    assert [each.name for each in bpy.data.objects] == ["b"]


def test_relative_paths_start_at_the_blend(tmp_path: Path) -> None:
    write(tmp_path / "a.ply")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    export_file(import_file(bpy.context, "//a.ply"), "//b.spz")
    assert (tmp_path / "b.spz").is_file()


def test_the_export_operator_adds_the_suffix_of_the_format(tmp_path: Path) -> None:
    bpy.ops.splinescape.import_splats(filepath=str(write(tmp_path / "a.ply")))
    bpy.ops.splinescape.export_splats(filepath=str(tmp_path / "b"), file_format="COMPRESSED_PLY")
    bpy.ops.splinescape.export_splats(filepath=str(tmp_path / "c.splat"), file_format="PLY")
    assert len(load_arrays(tmp_path / "b.compressed.ply")[0]) == 200
    assert len(load_arrays(tmp_path / "c.splat")[0]) == 200


def test_the_export_operator_takes_the_selected_or_all(tmp_path: Path) -> None:
    for name in ("a", "b"):
        bpy.ops.splinescape.import_splats(filepath=str(write(tmp_path / f"{name}.ply")))
    bpy.ops.splinescape.export_splats(filepath=str(tmp_path / "one.ply"))
    bpy.ops.splinescape.export_splats(filepath=str(tmp_path / "all.ply"), use_selection=False)
    assert len(load_arrays(tmp_path / "one.ply")[0]) == 200
    assert len(load_arrays(tmp_path / "all.ply")[0]) == 400


def test_the_exporter_of_a_collection_takes_its_splats_and_no_others(tmp_path: Path) -> None:
    for name, n in (("a", 100), ("b", 200), ("c", 300)):
        bpy.ops.splinescape.import_splats(filepath=str(write(tmp_path / f"{name}.ply", n=n)))
    collection = bpy.data.collections.new("Chosen")
    bpy.context.scene.collection.children.link(collection)
    with bpy.context.temp_override(collection=collection):
        bpy.ops.collection.exporter_add(name="SPLINESCAPE_FH_splats")
        exporter = collection.exporters[0]
        exporter.export_properties.filepath = str(tmp_path / "out.ply")
        with pytest.raises(RuntimeError, match="Chosen holds no splats"):
            bpy.ops.splinescape.export_splats(filepath=str(tmp_path / "out.ply"), collection="Chosen")
        for name in ("a", "b"):
            collection.objects.link(bpy.data.objects[name])
        assert bpy.ops.collection.exporter_export(index=0) == {"FINISHED"}
    assert len(load_arrays(tmp_path / "out.ply")[0]) == 300
    bpy.ops.splinescape.export_splats(filepath=str(tmp_path / "all.ply"), use_selection=False)
    assert len(load_arrays(tmp_path / "all.ply")[0]) == 600


@pytest.mark.parametrize("name", ["", "folder/", ".ply"])
def test_an_export_without_a_name_asks_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    bpy.ops.splinescape.import_splats(filepath=str(write(tmp_path / "a.ply")))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError, match="choose a file"):
        bpy.ops.splinescape.export_splats(filepath=name)
    assert [each.name for each in tmp_path.iterdir()] == ["a.ply"]


def test_operators_say_why_they_are_unavailable(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no splats in this scene"):
        bpy.ops.splinescape.export_splats(filepath=str(tmp_path / "a.ply"))
    with pytest.raises(RuntimeError, match="Select an object with splats"):
        bpy.ops.splinescape.apply_splat_transform()
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="Object Mode"):
        bpy.ops.splinescape.import_splats(filepath=str(write(tmp_path / "a.ply")))


def test_applying_the_transform_keeps_the_scene_and_its_export(tmp_path: Path) -> None:
    bpy.ops.splinescape.import_splats(filepath=str(write(tmp_path / "a.ply", meta=make_meta())))
    made = bpy.context.object
    made.matrix_world = MOVED @ made.matrix_world
    before = transformed(read_splats(made), world(made))
    export_file(made, tmp_path / "before.ply")
    assert bpy.ops.splinescape.apply_splat_transform() == {"FINISHED"}
    assert made.matrix_basis == Matrix()
    after = read_splats(made)
    np.testing.assert_allclose(after.means, before.means, atol=1e-5)
    np.testing.assert_allclose(after.log_scales, before.log_scales, atol=1e-5)
    np.testing.assert_allclose(after.sh, before.sh, atol=1e-5)
    export_file(made, tmp_path / "after.ply")
    ours, theirs = (load_arrays(tmp_path / f"{name}.ply")[0] for name in ("before", "after"))
    np.testing.assert_allclose(ours.means, theirs.means, atol=1e-4)
    np.testing.assert_allclose(ours.sh, theirs.sh, atol=1e-5)


def test_children_stay_where_they_are_when_the_transform_is_applied(tmp_path: Path) -> None:
    bpy.ops.splinescape.import_splats(filepath=str(write(tmp_path / "a.ply", meta=make_meta())))
    made = bpy.context.object
    above = bpy.data.objects.new("above", None)
    child = bpy.data.objects.new("child", None)
    for each in (above, child):
        bpy.context.scene.collection.objects.link(each)
    above.location, above.rotation_euler = (3, 2, 1), (0.5, 0.2, 0.1)
    made.parent = above
    child.parent, child.location, child.rotation_euler = made, (1, 2, 3), (0.1, 0.7, 0.3)
    child.matrix_parent_inverse = MOVED.inverted()
    made.matrix_basis = MOVED @ made.matrix_basis
    before = world(child)
    assert bpy.ops.splinescape.apply_splat_transform() == {"FINISHED"}
    np.testing.assert_allclose(world(child), before, atol=1e-5)
    assert made.matrix_basis == Matrix() and tuple(child.location) == (1, 2, 3)


def test_applying_a_scale_of_zero_changes_nothing(tmp_path: Path) -> None:
    bpy.ops.splinescape.import_splats(filepath=str(write(tmp_path / "a.ply")))
    made = bpy.context.object
    made.scale.x = 0
    with pytest.raises(RuntimeError, match=r"a stays as it was: .*scale of zero"):
        bpy.ops.splinescape.apply_splat_transform()
    assert made.scale.x == 0
    assert_near(read_splats(made), make_splats(200, 16))


def test_menus_and_dropped_files_lead_to_the_operators() -> None:
    for menu in ("TOPBAR_MT_file_import", "TOPBAR_MT_file_export", "VIEW3D_MT_object_apply"):
        drawn = getattr(bpy.types, menu).draw._draw_funcs
        assert [each for each in drawn if each.__module__.endswith("splinescape.splats.operators")], menu
    handler = bpy.types.SPLINESCAPE_FH_splats
    assert handler.bl_file_extensions.split(";") == [".ply", ".spz", ".splat"]
    area = next(each for each in bpy.context.window.screen.areas if each.type == "VIEW_3D")
    with bpy.context.temp_override(area=area):
        assert handler.poll_drop(bpy.context)


def test_an_imported_scene_survives_saving_and_loading(tmp_path: Path) -> None:
    made = imported(write(tmp_path / "gf.ply", meta=make_meta()))
    name = made.name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    made = bpy.data.objects[name]
    export_file(made, tmp_path / "b.ply")
    read, meta = load_arrays(tmp_path / "b.ply")
    assert_near(read, make_splats(200, 16))
    assert meta.comments() == make_meta().comments()
    assert math.isclose(made["splinescape_K"][0], 460.1)
