"""Undo and loading change the .blend behind a job's back: no splats of another job are lost by that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.generate import jobs, request, timer
from bl_ext.user_default.splinescape.generate.follower import Follower
from bl_ext.user_default.splinescape.generate.job_view import Arrived, InputFrame, JobView
from bl_ext.user_default.splinescape.generate.scene_splats import show_splats, splats_object

from splinescape.io.formats import save_arrays
from splinescape.io.splat_arrays import SplatArrays
from splinescape.scene.meta import SceneMeta

A, B = "a" * 32, "b" * 32


def splat_file(path: Path, n: int) -> Path:
    arrays = SplatArrays(
        means=np.ones((n, 3), np.float32),
        log_scales=np.zeros((n, 3), np.float32),
        quats=np.tile(np.float32([1, 0, 0, 0]), (n, 1)),
        opacity_logits=np.zeros(n, np.float32),
        sh=np.zeros((n, 1, 3), np.float32),
    )
    save_arrays(path, arrays, SceneMeta())
    return path


def count(made: bpy.types.Object) -> int:
    return len(made.data.attributes["position"].data)


@pytest.fixture
def first(tmp_path: Path) -> bpy.types.Object:
    """The scene of job A, delivered."""
    own = bpy.context.scene.splinescape.generate
    own.job, own.result, own.delivered = A, "//first.ply", True
    made = show_splats(bpy.context.scene, splat_file(tmp_path / "a.ply", 3), np.eye(4), A)
    made["splinescape_job"] = A
    return made


def follow(state: str, tmp_path: Path) -> jobs.Running:
    """Job B, submitted before an undo took the .blend back to job A."""
    return jobs.Running(Follower(JobView("b", B, state), tmp_path, lambda _view: tmp_path / "gf.ply"), "{}")


def test_the_splats_before_stay_when_a_running_job_survives_an_undo(
    first: bpy.types.Object, tmp_path: Path
) -> None:
    scene = bpy.context.scene
    running = follow("running", tmp_path)
    running.view.arrived = Arrived(splat_file(tmp_path / "b.ply", 5), 0, 5, final=False)
    running.update(scene)
    own = scene.splinescape.generate
    assert (own.job, own.result, own.delivered) == (B, "", False)
    assert (count(first), first.hide_render) == (3, True)
    assert count(splats_object(scene)) == 5


def test_an_undo_after_a_job_is_over_is_left_as_it_is(first: bpy.types.Object, tmp_path: Path) -> None:
    scene = bpy.context.scene
    follow("cancelled", tmp_path).update(scene)
    own = scene.splinescape.generate
    assert (own.job, own.result, own.delivered) == (A, "//first.ply", True)
    assert splats_object(scene) == first
    assert not first.hide_render


def test_splats_of_another_job_are_never_replaced(first: bpy.types.Object, tmp_path: Path) -> None:
    scene = bpy.context.scene
    made = show_splats(scene, splat_file(tmp_path / "b.ply", 5), np.eye(4), B)
    assert made != first
    assert (count(first), first.hide_render, count(made)) == (3, True, 5)


@pytest.fixture
def followed() -> Iterator[str]:
    """A job of the open .blend."""
    jobs.attach(bpy.context.scene, B)
    yield B
    jobs.forget_all()


def test_a_file_that_cannot_be_opened_leaves_the_job_of_the_open_one(followed: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.blend"
    broken.write_bytes(b"BLENDER nothing of the kind")
    with pytest.raises(RuntimeError):
        bpy.ops.wm.open_mainfile(filepath=str(broken))
    assert jobs.followed() == {followed}
    bpy.ops.wm.read_homefile(use_empty=True)
    assert not jobs.followed()


def test_the_timer_outlives_what_goes_wrong_in_a_turn(followed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise TypeError("a mistake")

    assert followed
    monkeypatch.setattr(jobs, "changes", broken)
    assert timer.tick() > 0


def test_a_linked_scene_is_left_alone(tmp_path: Path) -> None:
    bpy.context.scene.splinescape.generate.job = B
    bpy.context.scene.name = "theirs"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (there, here):
        here.scenes = ["theirs"]
    assert there.scenes == ["theirs"]
    jobs.reattach_saved()
    assert not jobs.followed()


def test_in_a_batch_a_refused_import_becomes_an_error(
    first: bpy.types.Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_given: object) -> None:
        raise RuntimeError("not in this mode")

    monkeypatch.setattr(jobs, "show_splats", refuse)
    monkeypatch.setattr(jobs, "_REFUSED_FOR_S", 0.0)
    running = follow("running", tmp_path)
    running.view.arrived = Arrived(tmp_path / "b.ply", 0, 5, final=False)
    running.update(bpy.context.scene)
    assert "not in this mode" in running.says
    assert count(first) == 3


def test_what_was_cancelled_does_not_come_back_with_the_file(tmp_path: Path) -> None:
    own = bpy.context.scene.splinescape.generate
    own.job = B
    running = follow("cancelled", tmp_path)
    running.update(bpy.context.scene)
    jobs.reattach_saved()
    assert not jobs.followed()
    running.view.state = "running"  # Resume
    running.update(bpy.context.scene)
    jobs.reattach_saved()
    assert jobs.followed() == {B}
    jobs.forget_all()


def test_the_lens_is_set_once_for_a_job(tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.splinescape.generate.job = B
    for _ in range(2):
        running = follow("running", tmp_path)
        running.view.input_frame = InputFrame(((80, 0, 48), (0, 80, 32), (0, 0, 1)), 96, 64)
        running.update(scene)
        lens = scene.splinescape.image.camera.data.lens
        scene.splinescape.image.camera.data.lens = 77
        scene.render.resolution_x = 1234
    assert lens == 77
    assert scene.render.resolution_x == 1234


def test_deleted_splats_are_not_kept_by_the_scene(tmp_path: Path) -> None:
    scene = bpy.context.scene
    running = follow("running", tmp_path)
    running.view.arrived = Arrived(splat_file(tmp_path / "b.ply", 5), 0, 5, final=False)
    running.update(scene)
    made = splats_object(scene)
    made.users_collection[0].objects.unlink(made)
    assert made.users == 1
    running.view.arrived = Arrived(splat_file(tmp_path / "b.ply", 6), 1, 6, final=True)
    running.update(scene)
    assert made.users == 0
    assert "Import Scene" in running.says


def test_jobs_of_other_files_and_other_blenders_are_not_taken_for_the_scenes_own(tmp_path: Path) -> None:
    names = set()
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / folder / "room.blend"))
        assert request.job_names(bpy.context.scene) == {request.job_name(bpy.context.scene)}
        names.add(request.job_name(bpy.context.scene))
    for _ in range(2):
        bpy.ops.wm.read_homefile(use_empty=True)
        assert not request.job_names(bpy.context.scene), "nothing was sent yet"
        names.add(request.job_name(bpy.context.scene))
    assert len(names) == 4
    unsaved = request.job_name(bpy.context.scene)
    assert request.job_names(bpy.context.scene) == {unsaved}
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "room.blend"))
    assert request.job_names(bpy.context.scene) == {unsaved, request.job_name(bpy.context.scene)}
    assert request.shown_name(unsaved) == "unsaved / Scene"
