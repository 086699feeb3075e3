"""From an image file to splats in the scene with a real service; saved, reopened, checked again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.generate import api, jobs, offers, scene_splats, timer
from bl_ext.user_default.splinescape.generate.summary import read_summary
from generate_support import check_scene, finish, set_up, view
from service import LONGER, TINY, RunningService, until, use


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("service") / "data")
    yield running
    running.kill()


@pytest.fixture
def scene(service: RunningService, tmp_path: Path) -> bpy.types.Scene:
    use(service.connection)
    return set_up(tmp_path)


def test_from_an_image_file_to_splats_that_are_still_there_after_reopening(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "room.blend"))
    api.generate(scene)
    seen: list[tuple[str, int]] = []

    def turn() -> None:
        timer.tick()
        made = scene.splinescape.generate.scene_object
        seen.append((view().state, 0 if made is None else len(made.data.attributes["position"].data)))

    until(lambda: not jobs.is_working(scene), 120, turn)
    assert view().state == "done", view().problem()
    counts = [count for _, count in seen]
    assert counts == sorted(counts), "the scene only grows"
    assert view().notes
    own = scene.splinescape.generate
    result = tmp_path / "splinescape"
    assert [each.name for each in result.glob("*/gf.ply")] == ["gf.ply"]
    assert own.result.startswith("//splinescape/room_Scene_")
    assert own.delivered
    count = check_scene(scene)
    table = read_summary(own.summary)
    assert table is not None
    assert f"{count:,} splats" in table.totals
    frame = view().input_frame
    assert frame is not None
    assert (scene.render.resolution_x, scene.render.resolution_y) == (frame.width, frame.height)
    assert json.loads(own.scene_object["splinescape_settings"])["settings"]["n_frames"] == TINY["n_frames"]

    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "room.blend"))
    assert check_scene(bpy.context.scene) == count
    assert not jobs.is_working(bpy.context.scene)


def test_the_operator_waits_in_background_and_a_second_scene_leaves_the_first_in_peace(
    scene: bpy.types.Scene,
) -> None:
    assert bpy.ops.splinescape.generate() == {"FINISHED"}
    first = scene.splinescape.generate.scene_object
    check_scene(scene)
    scene.splinescape.generate.seed = 5
    assert bpy.ops.splinescape.generate() == {"FINISHED"}
    second = scene.splinescape.generate.scene_object
    assert second != first
    assert second["splinescape_seed"] == 5
    assert first.name in scene.objects
    assert first.hide_render
    assert not second.hide_render


def test_the_spiral_is_taken_without_a_path(scene: bpy.types.Scene) -> None:
    scene.splinescape.path.object = None
    api.generate(scene, wait=True)
    assert json.loads(scene.splinescape.generate.sent)["path"] is False
    check_scene(scene)


def test_moving_the_camera_later_does_not_move_the_scene(scene: bpy.types.Scene) -> None:
    camera = scene.splinescape.image.camera
    camera.location = (3, -2, 1)
    camera.rotation_euler = (1.2, 0.1, 0.4)
    bpy.context.view_layer.update()
    placed = camera.matrix_world.copy()
    api.generate(scene)
    camera.location = (0, 0, 0)
    bpy.context.view_layer.update()
    finish()
    made = scene.splinescape.generate.scene_object
    expected = np.array(placed) @ np.diag([1, -1, -1, 1])
    assert np.allclose(np.array(made.matrix_world), expected, atol=1e-5)


@pytest.mark.slow
def test_the_growing_object_is_the_artists_to_move(scene: bpy.types.Scene) -> None:
    _settings(scene, LONGER)
    api.generate(scene)
    until(lambda: scene.splinescape.generate.scene_object is not None, 90, timer.tick)
    made = scene.splinescape.generate.scene_object
    made.location.x += 2.0
    made.name = "mine"
    finish()
    assert scene.splinescape.generate.scene_object == made
    assert made.name == "mine"
    assert abs(made.location.x - 2.0) < 1e-5


@pytest.mark.slow
def test_the_scene_comes_while_the_artist_edits_the_path(scene: bpy.types.Scene) -> None:
    path = scene.splinescape.path.object
    api.generate(scene)
    bpy.context.view_layer.objects.active = path
    bpy.ops.object.mode_set(mode="EDIT")
    finish()
    assert path.mode == "EDIT"
    bpy.ops.object.mode_set(mode="OBJECT")
    check_scene(scene)


@pytest.mark.slow
def test_splats_that_cannot_be_imported_are_said_once_and_leave_nothing_behind(
    scene: bpy.types.Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_made: object) -> None:
        raise TypeError("a mistake")

    from bl_ext.user_default.splinescape.splats import importing

    monkeypatch.setattr(importing, "apply_mode", broken)
    objects, collections = len(bpy.data.objects), len(bpy.data.collections)
    api.generate(scene)
    finish()
    assert "a mistake" in jobs.running(scene).problem
    assert (len(bpy.data.objects), len(bpy.data.collections)) == (objects, collections)
    monkeypatch.undo()
    assert bpy.ops.splinescape.import_result() == {"FINISHED"}
    check_scene(scene)


@pytest.mark.slow
def test_splats_deleted_while_they_grow_stay_deleted_until_they_are_asked_for(scene: bpy.types.Scene) -> None:
    _settings(scene, LONGER)
    api.generate(scene)
    until(lambda: scene.splinescape.generate.scene_object is not None, 90, timer.tick)
    bpy.data.objects.remove(scene.splinescape.generate.scene_object)
    finish()
    own = scene.splinescape.generate
    assert own.scene_object is None
    assert not own.delivered
    assert "Import Scene" in jobs.running(scene).problem
    assert bpy.ops.splinescape.import_result() == {"FINISHED"}
    check_scene(scene)
    assert own.delivered


@pytest.mark.slow
def test_undo_takes_neither_the_job_nor_its_splats_away(scene: bpy.types.Scene) -> None:
    _settings(scene, LONGER)
    api.generate(scene)
    until(lambda: scene.splinescape.generate.scene_object is not None, 90, timer.tick)
    own = scene.splinescape.generate
    job, sent = own.job, own.sent
    # What Blender does to the .blend on undo: there is no undo in background mode.
    bpy.data.objects.remove(own.scene_object)
    own.job = own.sent = own.job_name = ""
    jobs.after_undo()
    finish()
    assert (own.job, own.sent) == (job, sent)
    assert own.delivered
    check_scene(scene)


@pytest.mark.slow
def test_loading_another_file_does_not_lose_the_job(scene: bpy.types.Scene, tmp_path: Path) -> None:
    _settings(scene, LONGER)
    blend = str(tmp_path / "long.blend")
    api.generate(scene)
    until(lambda: view().state == "running" and scene.splinescape.generate.job, 60, timer.tick)
    job = scene.splinescape.generate.job
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    bpy.ops.wm.read_homefile(use_empty=True)
    assert not jobs.any_working()
    bpy.ops.wm.open_mainfile(filepath=blend)
    assert view().job == job
    finish()
    assert bpy.context.scene.splinescape.generate.delivered
    check_scene(bpy.context.scene)


@pytest.mark.slow
def test_a_job_that_the_blend_does_not_know_is_offered_and_brought(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "crashing.blend"))
    api.generate(scene)
    until(lambda: view().job, 60, timer.tick)
    job = view().job
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "crashing.blend"))  # as it was before the click
    scene = bpy.context.scene
    assert scene.splinescape.generate.job == ""
    timer.seen()
    found = until(lambda: offers.offer(scene, jobs.followed()), 30, timer.tick)
    assert found.id == job
    assert bpy.ops.splinescape.reattach_job(job=found.id) == {"FINISHED"}
    check_scene(scene)
    assert offers.offer(scene, jobs.followed()) is None


@pytest.mark.slow
def test_two_scenes_follow_the_same_job(scene: bpy.types.Scene) -> None:
    _settings(scene, LONGER)
    api.generate(scene)
    until(lambda: view().frames >= 1, 60, timer.tick)
    other = bpy.data.scenes.new("Other")
    jobs.attach(other, view().job)
    third = bpy.data.scenes.new("Third")
    jobs.attach(third, view().job)
    timer.tick()
    bpy.data.scenes.remove(third)
    until(lambda: not jobs.is_working(scene) and not jobs.is_working(other), 120, timer.tick)
    check_scene(scene)
    assert scene.splinescape.generate.delivered
    assert other.splinescape.generate.delivered
    assert other.splinescape.generate.scene_object != scene.splinescape.generate.scene_object


def test_cancelling_keeps_what_is_there(scene: bpy.types.Scene) -> None:
    _settings(scene, LONGER)
    api.generate(scene)
    until(lambda: scene.splinescape.generate.scene_object is not None, 90, timer.tick)
    assert not bpy.ops.splinescape.generate.poll()
    assert bpy.ops.splinescape.pause_job() == {"FINISHED"}
    until(lambda: view().state == "paused", 60, timer.tick)
    assert bpy.ops.splinescape.cancel_job() == {"FINISHED"}
    until(lambda: view().state == "cancelled", 60, timer.tick)
    assert scene_splats.splats_object(scene) is not None
    assert bpy.ops.splinescape.generate.poll()


def test_the_log_opens_as_a_text(scene: bpy.types.Scene) -> None:
    api.generate(scene, wait=True)
    assert bpy.ops.splinescape.open_log() == {"FINISHED"}
    (text,) = (each for each in bpy.data.texts if each.name.startswith("Splinescape Log"))
    assert "depth" in text.as_string()
    assert bpy.ops.splinescape.show_summary() == {"FINISHED"}
    assert "[COARSE] Summary" in bpy.data.texts["Splinescape Report"].as_string()


def test_what_is_missing_is_said_in_a_sentence(service: RunningService) -> None:
    use(service.connection)
    assert not bpy.ops.splinescape.generate.poll()
    for operator in ("cancel_job", "pause_job", "resume_job", "open_log", "import_result", "show_summary"):
        assert not getattr(bpy.ops.splinescape, operator).poll()
        with pytest.raises(RuntimeError, match=r"poll\(\) .*[A-Z]"):
            getattr(bpy.ops.splinescape, operator)()
    with pytest.raises(ValueError, match="Choose an image first"):
        api.generate(bpy.context.scene)


def _settings(scene: bpy.types.Scene, settings: dict[str, object]) -> None:
    for name, value in settings.items():
        setattr(scene.splinescape.generate, name, value)
