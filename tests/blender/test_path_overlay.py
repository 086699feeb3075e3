"""The overlay without a window: what is read, when, how long it takes, and what is handed to the GPU."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.image.camera import ensure_input_camera
from bl_ext.user_default.splinescape.path import frusta, overlay, sampling
from bl_ext.user_default.splinescape.path.state import DENSE
from bl_ext.user_default.splinescape.splats import pointcloud
from mathutils import Matrix

from splinescape.io.splat_arrays import SplatArrays


def update() -> overlay.PathState:
    bpy.context.view_layer.update()
    return overlay.update(bpy.context.scene, bpy.context.evaluated_depsgraph_get())


def stale() -> bool:
    return overlay._memory(bpy.context.scene).stale


def settings() -> bpy.types.PropertyGroup:
    return bpy.context.scene.splinescape.path


def add_wall(distance: float, n: int = 200, half: float = 8.0) -> bpy.types.Object:
    """A scene of one wall of splats in front of the input camera."""
    scene = bpy.context.scene
    ensure_input_camera(scene)
    side = np.linspace(-half, half, n, dtype=np.float32)
    x, y = np.meshgrid(side, side)
    means = np.stack([x.ravel(), y.ravel(), np.full(x.size, distance, np.float32)], axis=1)
    count = len(means)
    quats = np.tile(np.float32([1, 0, 0, 0]), (count, 1))
    zeros = np.zeros((count, 1, 3), np.float32)
    splats = SplatArrays(
        means, np.full((count, 3), -4, np.float32), quats, np.full(count, 5, np.float32), zeros
    )
    made = pointcloud.create_object("Scene", splats, Matrix(sampling.scene_placement(scene).tolist()))
    scene.collection.objects.link(made)
    scene.splinescape.generate.scene_object = made
    return made


def test_no_path_is_no_error() -> None:
    state = update()
    assert state.poses is None and state.error == ""


def test_cameras_stand_on_the_path_and_are_grey_before_there_is_a_scene() -> None:
    bpy.ops.splinescape.add_path(shape="SPIRAL")
    state = update()
    assert len(state.poses) == DENSE and not state.error and not state.problems and state.uncovered is None
    assert 61 <= state.count <= 241 and state.length > 1
    lines, colours = overlay.drawing(state, 24, 1.0)
    assert len(lines) == len(colours) == 2 * (DENSE - 1) + 24 * 22
    np.testing.assert_allclose(lines[0], state.poses[0, :3, 3], atol=1e-6)
    np.testing.assert_allclose(colours, [frusta.GREY] * len(colours), atol=1e-6)


def test_what_is_wrong_is_a_sentence() -> None:
    bpy.ops.splinescape.add_path(shape="SPIRAL")
    bpy.data.objects.remove(settings().target)
    state = update()
    assert state.poses is None and "Look At" in state.error


def test_frusta_are_coloured_by_the_summary_of_the_scene() -> None:
    bpy.ops.splinescape.add_path(shape="DOLLY", size=0.3)
    add_wall(4.0)
    own = bpy.context.scene.splinescape.generate
    frames = [{"dense_pose_index": 50, "inpaint_ratio": 0.1}, {"dense_pose_index": 99, "inpaint_ratio": 0.3}]
    own.summary = json.dumps({"data": {"frames": frames}, "text": ""})
    state = update()
    assert not state.problems
    np.testing.assert_allclose(state.uncovered[[0, -1]], [0, 0.3])
    _, colours = overlay.drawing(state, 2, 1.0)
    first, last = colours[-44], colours[-1]
    assert first[1] > first[2] and last[2] > last[1]  # green, violet


def test_a_path_through_the_scene_is_red_there_and_the_place_is_said() -> None:
    bpy.ops.splinescape.add_path(shape="DOLLY", size=2.0)  # 2.4 units ahead
    add_wall(1.5)
    state = update()
    assert any("passes through the scene" in each.text() for each in state.problems)
    _, colours = overlay.drawing(state, 24, 1.0)
    assert (colours == np.float32(frusta.RED)).all(axis=1).any()


@pytest.mark.parametrize(
    "change",
    [
        lambda: setattr(settings().object, "location", (0, 0, 3)),
        lambda: setattr(settings().object.data.splines[0].bezier_points[1], "co", (1, 2, 3)),
        lambda: setattr(settings().target, "location", (0, 9, 3)),
        lambda: setattr(settings(), "orientation", "TANGENT"),
    ],
    ids=["move", "edit", "target", "setting"],
)
def test_it_is_read_again_only_after_a_change(change: object) -> None:
    bpy.ops.splinescape.add_path(shape="ARC")
    before = update().poses
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.location.x = 3
    bpy.context.view_layer.update()
    assert not stale()
    change()
    bpy.context.view_layer.update()
    assert stale()
    assert np.abs(update().poses - before).max() > 1e-3
    assert not stale()


def flying_camera() -> bpy.types.Object:
    bpy.ops.object.camera_add()
    camera = bpy.context.object
    for frame in (1, 50):
        camera.location.x, camera.rotation_euler.z = frame / 10, frame / 50
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)
    bpy.context.scene.frame_set(1)
    return camera


def test_reading_an_animated_camera_does_not_make_it_stale() -> None:
    settings().object = flying_camera()
    scene = bpy.context.scene
    state = update()
    bpy.context.view_layer.update()
    assert not stale() and scene.frame_current == 1 and state.length == pytest.approx(4.9, rel=0.01)
    scene.frame_set(20)
    assert not stale()


def test_a_camera_that_is_moved_but_not_keyed_yet_stays_where_it_is_put() -> None:
    camera = settings().object = flying_camera()
    length = update().length
    camera.location.x = 7
    bpy.context.view_layer.update()
    assert not stale()
    camera.keyframe_insert("location", frame=50)
    bpy.context.view_layer.update()
    assert stale() and update().length > length + 1


def test_another_resolution_or_summary_does_not_walk_through_the_frames_of_a_camera() -> None:
    camera = settings().object = flying_camera()
    scene = bpy.context.scene
    before = update()
    camera.location.y = 9  # not keyed: a change of frame would take it back
    camera.location.x = 7
    scene.render.resolution_x *= 2
    scene.splinescape.generate.summary = "{}"
    overlay.state_of(scene)
    assert stale() and not overlay._sets_frames(scene)
    after = update()
    assert camera.location.x == 7 and after.window != before.window
    np.testing.assert_array_equal(after.poses, before.poses)
    scene.frame_end = 30
    assert overlay._sets_frames(scene)
    assert update().length < before.length


@pytest.mark.parametrize("kind", ["path", "guide"])
def test_a_camera_that_is_slow_to_read_is_given_up_and_read_when_it_is_chosen_again(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    camera = flying_camera()
    if kind == "path":
        settings().object = camera
    else:
        bpy.ops.splinescape.add_path(shape="DOLLY")
        settings().guide, settings().orientation = camera, "CAMERA"
    scene = bpy.context.scene
    scene.frame_set(20)
    with monkeypatch.context() as patched:
        patched.setattr(overlay, "_LONGEST_WALK", 0.0)
        state = update()
    assert state.poses is None and "takes long" in state.error and scene.frame_current == 20
    assert "takes long" in update().error  # nothing has changed: not tried again
    if kind == "path":
        settings().object = camera
    else:
        settings().guide = camera
    assert stale() and update().poses is not None


def test_editing_a_curve_that_turns_like_a_camera_does_not_walk_through_the_frames() -> None:
    camera = flying_camera()
    bpy.ops.splinescape.add_path(shape="DOLLY")
    settings().guide, settings().orientation = camera, "CAMERA"
    first = update().poses
    camera.location.y = 9  # not keyed: a change of frame would take it back
    settings().object.data.splines[0].bezier_points[1].co.x += 1
    bpy.context.view_layer.update()
    assert stale() and np.abs(update().poses - first).max() > 0.1 and camera.location.y == 9
    camera.rotation_euler.z = 3
    camera.keyframe_insert("rotation_euler", frame=50)
    bpy.context.view_layer.update()
    assert stale()
    turned = update().poses
    assert np.abs(turned[-1, :3, :3] - first[-1, :3, :3]).max() > 0.1


def test_a_camera_without_keyframes_is_said_to_stand_still() -> None:
    bpy.ops.object.camera_add()
    bpy.ops.splinescape.use_active_object()
    assert "neither moves nor turns: animate the camera" in update().error


def test_another_file_is_read_anew() -> None:
    bpy.ops.splinescape.add_path()
    update()
    bpy.ops.wm.read_homefile(use_empty=True)
    assert stale() and overlay._memory(bpy.context.scene).state is None


def test_it_can_be_switched_off_after_another_add_on_has_cleared_the_handlers() -> None:
    kept = list(bpy.app.handlers.undo_post)
    bpy.app.handlers.undo_post.clear()
    try:
        overlay.unregister()
        assert not [each for each in bpy.app.handlers.load_post if each.__module__ == overlay.__name__]
    finally:
        overlay.register()
        bpy.app.handlers.undo_post[:] = kept


@pytest.mark.slow
def test_reading_and_drawing_are_quick() -> None:
    bpy.ops.splinescape.add_path(shape="SPIRAL")
    update()
    began = time.thread_time()
    for _ in range(20):
        state = update()
    read = (time.thread_time() - began) / 20
    began = time.thread_time()
    for _ in range(20):
        overlay.drawing(state, 100, 1.0)
    prepared = (time.thread_time() - began) / 20
    add_wall(4.0, n=1000)  # a million splats
    update()
    began = time.thread_time()
    for _ in range(5):
        update()
    large = (time.thread_time() - began) / 5
    print(
        f"read {1e3 * read:.1f} ms, prepare 100 {1e3 * prepared:.1f} ms, read with 1 M splats {1e3 * large:.1f} ms"
    )
    assert read < 0.1 and prepared < 0.02 and large < 0.5


class Layout:
    """Takes what a panel draws and keeps its texts and properties."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def __getattr__(self, name: str) -> object:
        def take(*args: object, **options: object) -> Layout:
            self.shown.extend(str(each) for each in (*args[1:2], options.get("text", "")) if each)
            return self

        return take


def test_the_panel_says_what_is_wrong_with_the_path() -> None:
    from bl_ext.user_default.splinescape.path.panel import CameraPathPanel, CamerasPanel

    bpy.ops.splinescape.add_path(shape="DOLLY", size=2.0)
    add_wall(1.5)
    update()
    context = SimpleNamespace(
        scene=bpy.context.scene, mode="OBJECT", region=None, preferences=bpy.context.preferences
    )
    layout = Layout()
    CameraPathPanel.draw(SimpleNamespace(layout=layout), context)
    CamerasPanel.draw(SimpleNamespace(layout=layout), context)
    text = " ".join(layout.shown)
    assert "orientation" in text and "poses" in text and "passes through" in text
