"""Adding, choosing and drawing a camera path with the operators, and what comes out of it."""

from __future__ import annotations

import json

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.image.camera import ensure_input_camera
from bl_ext.user_default.splinescape.path import making, sampling
from mathutils import Matrix

from splinescape.camera import shapes
from splinescape.camera.blender import view_matrix

SHAPES = ("SPIRAL", "DOLLY", "ARC", "PAN", "CRANE")
WAVE = [(0.1 * i, 0.05 * i * i, 1.6 + 0.2 * np.sin(i)) for i in range(30)]


def settings() -> bpy.types.PropertyGroup:
    return bpy.context.scene.splinescape.path


def sample(n: int) -> np.ndarray:
    bpy.context.view_layer.update()
    return sampling.sample_path(bpy.context.scene, bpy.context.evaluated_depsgraph_get(), n)


def path_file() -> dict:
    bpy.context.view_layer.update()
    return json.loads(sampling.path_json(bpy.context.scene, bpy.context.evaluated_depsgraph_get()))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_new_path_is_a_selected_bezier_curve_that_starts_at_the_input_camera(shape: str) -> None:
    camera = ensure_input_camera(bpy.context.scene)
    camera.matrix_world = Matrix.Translation((3, 2, 1)) @ camera.matrix_world @ Matrix.Rotation(0.4, 4, "Y")
    assert bpy.ops.splinescape.add_path(shape=shape) == {"FINISHED"}
    path = settings().object
    assert path == bpy.context.object and path.type == "CURVE" and path.select_get()
    assert path.data.splines[0].type == "BEZIER"
    poses = sample(20)
    np.testing.assert_allclose(poses[0], np.array(camera.matrix_world), atol=1e-5)
    first = np.array(path_file()["poses"][0]["cam_T_world"])
    np.testing.assert_allclose(first, np.eye(4), atol=1e-5)


def test_the_spiral_is_that_of_the_service() -> None:
    bpy.ops.splinescape.add_path(shape="SPIRAL")
    views = view_matrix(sample(400), sampling.scene_placement(bpy.context.scene))
    wanted = shapes.spiral(4.0, n=1201)
    for view in views[::20]:
        nearest = wanted[np.abs(wanted[:, :3, 3] - view[:3, 3]).max(axis=1).argmin()]
        np.testing.assert_allclose(view, nearest, atol=0.02)


def test_a_pan_turns_on_the_spot() -> None:
    bpy.ops.splinescape.add_path(shape="PAN", angle=0.5)
    poses = sample(11)
    assert np.ptp(poses[:, :3, 3], axis=0).max() < 1e-6
    turn = np.arccos(poses[0, :3, 2] @ poses[-1, :3, 2])
    assert abs(turn - 0.5) < 1e-3 and poses[-1, 0, 2] < 0  # it looks along -Z: to the right
    assert len(path_file()["poses"]) >= 61


def test_size_is_that_of_the_scene_once_there_is_one() -> None:
    from bl_ext.user_default.splinescape.splats import pointcloud

    from splinescape.io.splat_arrays import SplatArrays

    rng = np.random.default_rng(0)
    means = (rng.uniform(-1, 1, (5000, 3)) * [20, 20, 0] + rng.uniform(0, 1, (5000, 3)) * [0, 0, 40]).astype(
        "f4"
    )
    quats = np.tile(np.float32([1, 0, 0, 0]), (5000, 1))
    splats = SplatArrays(
        means, np.full((5000, 3), -3, "f4"), quats, np.full(5000, 4, "f4"), np.zeros((5000, 1, 3), "f4")
    )
    scene = bpy.context.scene
    ensure_input_camera(scene)
    made = pointcloud.create_object("Scene", splats, Matrix(sampling.scene_placement(scene).tolist()))
    scene.collection.objects.link(made)
    scene.splinescape.generate.scene_object = made
    bpy.ops.splinescape.add_path(shape="DOLLY")
    expected = 0.3 * np.subtract(*np.percentile(means.astype(float), [50, 5], axis=0)).mean()
    bpy.context.view_layer.update()
    length = sampling.path_length(scene, bpy.context.evaluated_depsgraph_get())
    assert length == pytest.approx(expected, rel=0.05)
    bpy.ops.splinescape.add_target()
    bpy.context.view_layer.update()
    assert settings().target.matrix_world.translation.y == pytest.approx(20, rel=0.1)


def test_the_artists_own_target_is_kept() -> None:
    bpy.ops.splinescape.add_target()
    target = settings().target
    target.location.x += 1
    bpy.ops.splinescape.add_path(shape="ARC")
    assert settings().target == target and settings().orientation == "TARGET"
    bpy.ops.splinescape.add_path(shape="PAN")
    bpy.ops.splinescape.add_path(shape="CRANE")  # a pan's aim is no target for it
    assert settings().target.type == "EMPTY"


def test_existing_curves_and_cameras_can_be_used() -> None:
    bpy.ops.curve.primitive_bezier_curve_add()
    curve = bpy.context.object
    assert bpy.ops.splinescape.use_active_object() == {"FINISHED"}
    assert settings().object == curve and len(sample(7)) == 7
    bpy.ops.object.camera_add()
    bpy.ops.splinescape.use_active_object()
    assert settings().object.type == "CAMERA"
    bpy.ops.object.empty_add()
    with pytest.raises(RuntimeError, match="Select a curve or a camera"):
        bpy.ops.splinescape.use_active_object()


def test_a_drawn_curve_becomes_a_smooth_path() -> None:
    data = bpy.data.curves.new("Drawn", "CURVE")
    spline = data.splines.new("POLY")
    spline.points.add(len(WAVE) - 1)
    for point, place in zip(spline.points, WAVE, strict=True):
        point.co = (*place, 1)
    drawn = bpy.data.objects.new("Drawn", data)
    drawn.location.x = 2
    bpy.context.scene.collection.objects.link(drawn)
    bpy.context.view_layer.objects.active = drawn
    drawn.select_set(True)
    assert bpy.ops.splinescape.path_from_annotation() == {"FINISHED"}
    path = settings().object
    assert path not in {drawn} and len(path.data.splines[0].bezier_points) <= 16
    np.testing.assert_allclose(sample(5)[[0, -1], :3, 3], np.array(WAVE)[[0, -1]] + [2, 0, 0], atol=1e-4)


def grease_pencil() -> bpy.types.Object:
    """An object with one stroke, in this version's own way."""
    if hasattr(bpy.data, "grease_pencils_v3") or hasattr(bpy.data, "annotations"):
        data = (
            bpy.data.grease_pencils_v3 if hasattr(bpy.data, "grease_pencils_v3") else bpy.data.grease_pencils
        )
        drawing = data.new("Drawn")
        frame = drawing.layers.new("Lines").frames.new(1)
        frame.drawing.add_strokes([len(WAVE)])
        for point, place in zip(frame.drawing.strokes[0].points, WAVE, strict=True):
            point.position = place
    else:
        drawing = bpy.data.grease_pencils.new("Drawn")
        stroke = drawing.layers.new("Lines").frames.new(1).strokes.new()
        stroke.points.add(len(WAVE))
        for point, place in zip(stroke.points, WAVE, strict=True):
            point.co = place
    made = bpy.data.objects.new("Drawn", drawing)
    bpy.context.scene.collection.objects.link(made)
    return made


def test_a_grease_pencil_stroke_becomes_a_path() -> None:
    drawn = grease_pencil()
    drawn.location.z = 1
    bpy.context.view_layer.objects.active = drawn
    drawn.select_set(True)
    bpy.context.view_layer.update()
    assert bpy.ops.splinescape.path_from_annotation() == {"FINISHED"}
    np.testing.assert_allclose(sample(5)[[0, -1], :3, 3], np.array(WAVE)[[0, -1]] + [0, 0, 1], atol=1e-4)


@pytest.mark.skipif(bpy.app.version >= (4, 3), reason="later versions draw annotations by hand only")
def test_the_last_annotation_becomes_a_path() -> None:
    scene = bpy.context.scene
    scene.grease_pencil = bpy.data.grease_pencils.new("Annotations")
    frame = scene.grease_pencil.layers.new("Note").frames.new(1)
    for shift in (5, 0):
        stroke = frame.strokes.new()
        stroke.display_mode = "3DSPACE"
        stroke.points.add(len(WAVE))
        for point, place in zip(stroke.points, WAVE, strict=True):
            point.co = np.add(place, shift)
    assert bpy.ops.splinescape.path_from_annotation() == {"FINISHED"}
    np.testing.assert_allclose(sample(5)[0, :3, 3], WAVE[0], atol=1e-4)
    stroke.display_mode = "SCREEN"
    with pytest.raises(RuntimeError, match="Placement to 3D Cursor"):
        bpy.ops.object.select_all(action="DESELECT")
        bpy.ops.splinescape.path_from_annotation()


def test_without_a_drawing_the_button_says_what_to_draw() -> None:
    with pytest.raises(RuntimeError, match="Draw a line first"):
        bpy.ops.splinescape.path_from_annotation()


def test_draw_path_opens_an_empty_curve_for_drawing() -> None:
    assert bpy.ops.splinescape.draw_path() == {"FINISHED"}
    assert bpy.context.mode == "EDIT_CURVE" and settings().object == bpy.context.object
    with pytest.raises(RuntimeError, match="press Tab"):
        bpy.ops.splinescape.add_path()
    bpy.ops.object.mode_set(mode="OBJECT")
    with pytest.raises(sampling.PathError, match="no points"):
        sample(5)


def draw_stroke(shift: float) -> None:
    """What the Draw tool does for one stroke of the mouse."""
    elements = {each.identifier for each in bpy.types.OperatorStrokeElement.bl_rna.properties}
    stroke = [
        {
            "name": "",
            "location": np.add(place, (shift, 0, 0)).tolist(),
            "mouse": (10.0 * i, 0.0),
            "mouse_event": (10.0 * i, 0.0),
            "pressure": 1.0,
            "size": 1.0,
            "pen_flip": False,
            "x_tilt": 0.0,
            "y_tilt": 0.0,
            "time": 0.1 * i,
            "is_start": i == 0,
        }
        for i, place in enumerate(WAVE)
    ]
    stroke = [{name: value for name, value in each.items() if name in elements} for each in stroke]
    bpy.ops.curve.draw(
        error_threshold=0.02, fit_method="REFIT", corner_angle=1.2, use_cyclic=False, stroke=stroke
    )


def test_the_path_is_what_the_draw_tool_drew_last() -> None:
    bpy.ops.splinescape.draw_path()
    for shift in (0.0, 3.0):
        draw_stroke(shift)
        ends = sample(9)[[0, -1], :3, 3]
        np.testing.assert_allclose(ends, np.array(WAVE)[[0, -1]] + [shift, 0, 0], atol=1e-3)


def test_a_scaled_and_rotated_path_of_a_saved_file_is_the_same_after_reopening(tmp_path: object) -> None:
    bpy.ops.splinescape.add_path(shape="CRANE", size=0.5)
    settings().object.rotation_euler.z = 0.3
    before = sample(30)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "path.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "path.blend"))
    np.testing.assert_array_equal(sample(30), before)
    assert making.NAME in settings().object.name


@pytest.mark.parametrize("button", ["add_path", "add_target", "draw_path"])
def test_a_mirrored_input_camera_is_an_error_that_says_what_to_do(button: str) -> None:
    ensure_input_camera(bpy.context.scene).scale.x = -1
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match="input camera is mirrored"):
        getattr(bpy.ops.splinescape, button)()
    assert settings().object is None
