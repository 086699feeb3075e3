"""The camera that follows the path is where the path is sampled, in every frame."""

from __future__ import annotations

import math

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.image.camera import ensure_input_camera
from bl_ext.user_default.splinescape.path.sampling import PathError, sample_path
from bl_ext.user_default.splinescape.render.camera import camera_poses, ensure_path_camera
from bl_ext.user_default.splinescape.render.versions import fcurves

FRAMES = 60


@pytest.fixture
def scene() -> bpy.types.Scene:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 11, 10 + FRAMES
    scene.frame_current = 17
    camera = ensure_input_camera(scene)
    camera.data.lens, camera.data.shift_x, camera.data.shift_y = 31.0, 0.03, -0.02
    return scene


def add_curve(scene: bpy.types.Scene, tilt: float = 0.0, cyclic: bool = False) -> bpy.types.Object:
    """A bent curve that is moved, turned and scaled as an object too."""
    data = bpy.data.curves.new("path", "CURVE")
    data.dimensions = "3D"
    spline = data.splines.new("BEZIER")
    spline.bezier_points.add(3)
    places = [(0, 0, 0), (1, 0.5, 0.3), (2.5, 0.2, 0.1), (2.0, 2.0, 0.4)]
    for point, place in zip(spline.bezier_points, places, strict=True):
        point.co = place
        point.handle_left_type = point.handle_right_type = "AUTO"
    spline.bezier_points[1].tilt = tilt
    spline.use_cyclic_u = cyclic
    curve = bpy.data.objects.new("path", data)
    curve.location, curve.rotation_euler, curve.scale = (0.2, 0.1, 1.5), (0.1, 0.2, 0.3), (1.3, 1.3, 1.3)
    scene.collection.objects.link(curve)
    scene.splinescape.path.object = curve
    bpy.context.view_layer.update()
    return curve


def add_target(scene: bpy.types.Scene, place: tuple[float, float, float] = (1, 6, 1)) -> bpy.types.Object:
    target = bpy.data.objects.new("target", None)
    target.location = place
    scene.collection.objects.link(target)
    scene.splinescape.path.target = target
    scene.splinescape.path.orientation = "TARGET"
    return target


def error_on_the_way(scene: bpy.types.Scene, camera: bpy.types.Object) -> float:
    """The largest difference of any number of the camera's matrix from the path, over all frames."""
    wanted = sample_path(scene, bpy.context.evaluated_depsgraph_get(), FRAMES)
    there = camera_poses(scene, camera, range(scene.frame_start, scene.frame_end + 1))
    return float(np.abs(there - wanted).max())


def is_led_by_constraints(camera: bpy.types.Object) -> bool:
    return any(each.type == "FOLLOW_PATH" for each in camera.constraints)


@pytest.mark.parametrize("cyclic", [False, True])
@pytest.mark.parametrize("tilt", [0.0, 0.6])
@pytest.mark.parametrize("orientation", ["TARGET", "TANGENT", "FORWARD"])
def test_it_agrees_with_the_path_in_every_frame(
    scene: bpy.types.Scene, orientation: str, tilt: float, cyclic: bool
) -> None:
    add_curve(scene, tilt, cyclic)
    add_target(scene)
    scene.splinescape.path.orientation = orientation
    camera = ensure_path_camera(scene)
    assert error_on_the_way(scene, camera) < 1e-4
    assert scene.frame_current == 17, "the current frame stays what it is"


def test_a_camera_that_looks_at_a_target_follows_when_curve_and_target_are_moved(
    scene: bpy.types.Scene,
) -> None:
    curve, target = add_curve(scene), add_target(scene)
    camera = ensure_path_camera(scene)
    assert is_led_by_constraints(camera)
    curve.data.splines[0].bezier_points[2].co = (3.0, 1.0, 0.5)
    target.location = (0.5, 8.0, 2.0)
    bpy.context.view_layer.update()
    assert error_on_the_way(scene, camera) < 1e-4


def test_a_roll_is_honoured_beside_a_target(scene: bpy.types.Scene) -> None:
    add_curve(scene, tilt=0.8)
    add_target(scene)
    camera = ensure_path_camera(scene)
    assert not is_led_by_constraints(camera)
    poses = camera_poses(scene, camera, range(11, 71))
    assert np.abs(poses[:, 2, 0]).max() > math.sin(0.5), "its x axis leaves the horizon"
    assert {key.interpolation for each in fcurves(camera) for key in each.keyframe_points} == {"LINEAR"}
    assert {len(each.keyframe_points) for each in fcurves(camera)} == {FRAMES}


def test_it_turns_like_an_animated_object(scene: bpy.types.Scene) -> None:
    add_curve(scene)
    guide = bpy.data.objects.new("guide", bpy.data.cameras.new("guide"))
    scene.collection.objects.link(guide)
    for frame, angle in ((11, 0.0), (40, 0.4), (70, 0.1)):
        guide.rotation_euler = (math.pi / 2, angle, 2 * angle)
        guide.keyframe_insert("rotation_euler", frame=frame)
    scene.splinescape.path.guide = guide
    scene.splinescape.path.orientation = "CAMERA"
    camera = ensure_path_camera(scene)
    assert error_on_the_way(scene, camera) < 1e-4


def test_an_animated_camera_is_used_as_it_is(scene: bpy.types.Scene) -> None:
    source = bpy.data.objects.new("mine", bpy.data.cameras.new("mine"))
    scene.collection.objects.link(source)
    for frame, place in ((11, (0, 0, 1)), (70, (2, 1, 1))):
        source.location = place
        source.keyframe_insert("location", frame=frame)
    source.data.lens = 77.0
    scene.splinescape.path.object = source
    camera = ensure_path_camera(scene)
    assert camera == source and camera.data.lens == 77.0 and len(fcurves(camera)) == 3
    assert error_on_the_way(scene, camera) < 1e-4


def test_it_has_the_lens_and_the_shift_of_the_picture(scene: bpy.types.Scene) -> None:
    add_curve(scene)
    source = ensure_input_camera(scene)
    camera = ensure_path_camera(scene)
    for name in ("lens", "sensor_width", "sensor_fit", "shift_x", "shift_y", "clip_start", "clip_end"):
        assert getattr(camera.data, name) == getattr(source.data, name), name
    assert camera != source and camera.data != source.data


def test_it_is_made_once_and_then_updated(scene: bpy.types.Scene) -> None:
    add_curve(scene, tilt=0.5)
    target = add_target(scene)
    first = ensure_path_camera(scene)
    count = len(bpy.data.objects), len(bpy.data.cameras)
    target.location.x += 1
    scene.frame_end += 5
    second = ensure_path_camera(scene)
    assert second == first
    assert (len(bpy.data.objects), len(bpy.data.cameras)) == count
    assert {len(each.keyframe_points) for each in fcurves(second)} == {FRAMES + 5}
    scene.splinescape.path.orientation = "FORWARD"
    scene.splinescape.path.object.data.splines[0].bezier_points[1].tilt = 0
    assert is_led_by_constraints(ensure_path_camera(scene))
    assert scene.splinescape.path.object is not None and len(second.constraints) == 1


def test_what_the_artist_added_stays_and_nothing_is_left_behind(scene: bpy.types.Scene) -> None:
    curve = add_curve(scene)
    add_target(scene)
    camera = ensure_path_camera(scene)
    camera.constraints.new("LIMIT_SCALE").name = "Mine"
    camera.scale = (1, 1, 1)
    camera.keyframe_insert("hide_render", frame=20)
    for tilt in (0.8, 0.0, 0.5, 0.0):
        curve.data.splines[0].bezier_points[1].tilt = tilt
        assert ensure_path_camera(scene) == camera
        assert error_on_the_way(scene, camera) < 1e-4
        assert is_led_by_constraints(camera) == (tilt == 0.0)
    assert "Mine" in camera.constraints and len(camera.constraints) == 3
    assert "hide_render" in {each.data_path for each in fcurves(camera)}
    assert [each.name for each in bpy.data.actions] == [camera.animation_data.action.name]


def test_an_action_of_the_artist_is_set_aside_not_lost(scene: bpy.types.Scene) -> None:
    add_curve(scene)
    add_target(scene)
    camera = ensure_path_camera(scene)
    camera.animation_data.action = mine = bpy.data.actions.new("Mine")
    camera.keyframe_insert("location", frame=11)
    ensure_path_camera(scene)
    assert error_on_the_way(scene, camera) < 1e-4
    assert mine.use_fake_user and camera.animation_data.action != mine


def test_a_range_of_one_frame_is_the_beginning_of_the_path(scene: bpy.types.Scene) -> None:
    add_curve(scene)
    add_target(scene)
    scene.frame_end = scene.frame_start
    camera = ensure_path_camera(scene)
    begin = sample_path(scene, bpy.context.evaluated_depsgraph_get(), 2)[0]
    assert np.abs(camera_poses(scene, camera, [scene.frame_start])[0] - begin).max() < 1e-4


def test_without_a_path_it_says_so(scene: bpy.types.Scene) -> None:
    with pytest.raises(PathError, match="no camera path"):
        ensure_path_camera(scene)
    assert not bpy.ops.splinescape.make_path_camera.poll()


def test_the_button_makes_it_the_camera_of_the_scene(scene: bpy.types.Scene) -> None:
    add_curve(scene)
    assert bpy.ops.splinescape.make_path_camera() == {"FINISHED"}
    assert scene.camera == scene.splinescape.render.camera != ensure_input_camera(scene)
    assert bpy.ops.splinescape.use_input_camera() == {"FINISHED"}
    assert scene.camera == ensure_input_camera(scene)
