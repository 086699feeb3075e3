"""Nothing is lost: a run that was killed or cancelled goes on to the same bytes as one that never was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from core_support import moved, oracle, picture, room
from PIL import Image

from splinescape import CameraPath, SceneConfig, pipeline
from splinescape.checkpoint import Checkpoint, Job, open_job
from splinescape.errors import CancelledError, InputError
from splinescape.events import FrameAdded, Note

PATH = CameraPath.from_matrices(np.stack([moved(x) for x in (-0.5, 0, 0.5)]))
SETTINGS = {
    "stage": "coarse",
    "n_frames": 5,
    "coarse_max_inpaint_ratio": 0.5,
    "coarse_min_inpaint_ratio": 0.02,
}

PROGRAM = """
import sys
from pathlib import Path
sys.path[:0] = ["examples", "tests"]
from test_checkpoint import run
run(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def run(checkpoints: Path | None, file: Path, **more) -> list:
    """One run in this process; returns its events."""
    events = []
    result = oracle(room(), **SETTINGS).run(
        picture(room()), PATH, checkpoint_dir=checkpoints, on_event=events.append, **more
    )
    result.save_ply(file)
    return events


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, Path]:
    """The scene of a run that nothing disturbed, and its checkpoints."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder / "checkpoints", folder / "gf.ply")
    return folder / "gf.ply", folder / "checkpoints"


def frames_in(folder: Path) -> int:
    return len(list(folder.glob("frame_*.npz")))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_job_of_these_tests_expands_at_least_two_frames(whole):
    assert frames_in(whole[1]) >= 4


def test_checkpoints_do_not_change_the_result(whole, tmp_path):
    run(None, tmp_path / "gf.ply")
    assert (tmp_path / "gf.ply").read_bytes() == whole[0].read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("after", [0, 2, 3, 4])
def test_kill_9_after_any_frame_and_continue_to_the_same_bytes(whole, tmp_path, after):
    checkpoints = tmp_path / "checkpoints"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(checkpoints), str(tmp_path / "never.ply")],
        cwd=Path(__file__).parent.parent,
    )
    while frames_in(checkpoints) < after or not (checkpoints / "job.json").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "never.ply").exists()

    events = run(checkpoints, tmp_path / "gf.ply")
    assert (tmp_path / "gf.ply").read_bytes() == whole[0].read_bytes()
    told = [str(e) for e in events if isinstance(e, Note)]
    assert any("continuing after" in text for text in told) or after < 3, "it did not begin anew"


@pytest.mark.parametrize("after", [2, 3, 4])
def test_cancel_after_a_frame_and_continue_to_the_same_bytes(whole, tmp_path, after):
    cancel, added = threading.Event(), []

    def on_event(event):
        if isinstance(event, FrameAdded):
            added.append(event)
            if len(added) == after:
                cancel.set()

    with pytest.raises(CancelledError):
        oracle(room(), **SETTINGS).run(
            picture(room()), PATH, checkpoint_dir=tmp_path / "c", cancel=cancel, on_event=on_event
        )
    assert frames_in(tmp_path / "c") == after
    events = run(tmp_path / "c", tmp_path / "gf.ply")
    assert (tmp_path / "gf.ply").read_bytes() == whole[0].read_bytes()
    assert f"continuing after {after} finished frames" in map(str, events)
    told = [e for e in events if isinstance(e, FrameAdded)]
    assert [e.index for e in told] == list(range(len(told))), "a viewer is shown all frames again"
    assert [e.role for e in told[:after]] == [e.role for e in added]


def test_continuing_a_finished_job_gives_it_again_without_asking_the_engines(whole, tmp_path):
    class Forbidden:
        name, device = "cpu", None

        def inpaint(self, *_args, **_more):
            raise AssertionError

        predict = inpaint

    made = oracle(room(), **SETTINGS)
    made._engines = type(made._engines)(Forbidden(), Forbidden(), made._engines.rasterizer)
    result = made.run(picture(room()), PATH, checkpoint_dir=whole[1])
    result.save_ply(tmp_path / "gf.ply")
    assert (tmp_path / "gf.ply").read_bytes() == whole[0].read_bytes()


def copy_of(whole: tuple[Path, Path], folder: Path) -> Path:
    folder.mkdir()
    for name, data in snapshot(whole[1]).items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("stage", ["outpaint", "fine"])
def test_other_stages_continue_as_well(tmp_path, stage, monkeypatch):
    monkeypatch.setattr(pipeline, "FINE_SCHEDULE", replace(pipeline.FINE_SCHEDULE, steps=2))
    settings = SETTINGS | {"stage": stage, "n_frames": 3}
    results = []
    for _ in range(2):
        result = oracle(room(), **settings).run(picture(room()), PATH, checkpoint_dir=tmp_path / "c")
        result.save_ply(tmp_path / "gf.ply")
        results.append((tmp_path / "gf.ply").read_bytes())
    assert results[0] == results[1]


@pytest.mark.parametrize("name", ["scene.npz", "frame_000.npz", "frame_002.npz"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "gone", "flipped"])
def test_a_damaged_checkpoint_is_said_not_used(whole, tmp_path, name, damage):
    if (name, damage) == ("scene.npz", "gone"):
        pytest.skip("without a scene the job begins anew, see the kill tests")
    folder = copy_of(whole, tmp_path / "c")
    file = folder / name
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    elif damage == "flipped":
        middle = len(data) // 2
        file.write_bytes(data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :])
    else:
        file.write_bytes(
            {"truncated": data[: len(data) // 2], "empty": b"", "garbage": b"\x07" * 500}[damage]
        )
    with pytest.raises(InputError, match=r"checkpoint .* is damaged: delete .* and start again") as e:
        run(folder, tmp_path / "gf.ply")
    assert "\n" not in str(e.value)
    assert not (tmp_path / "gf.ply").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 3}', "\x00\x01"])
def test_a_damaged_job_is_said_not_used(whole, tmp_path, text):
    folder = copy_of(whole, tmp_path / "c")
    (folder / "job.json").write_text(text)
    before = snapshot(folder)
    with pytest.raises(InputError):
        run(folder, tmp_path / "gf.ply")
    assert snapshot(folder) == before
    with pytest.raises(InputError):
        open_job(folder)


OTHER_JOBS = {
    "another seed": lambda: ({"seed": 1}, picture(room()), PATH, {}),
    "another picture": lambda: ({}, 255 - picture(room()), PATH, {}),
    "another path": lambda: ({}, picture(room()), CameraPath.from_matrices(PATH.cam_T_world[:2]), {}),
    "no path": lambda: ({}, picture(room()), None, {}),
    "another focal length": lambda: ({}, picture(room()), PATH, {"focal_px": 80.0}),
}


@pytest.mark.parametrize("name", OTHER_JOBS)
def test_the_folder_of_another_job_is_refused_and_left_alone(whole, name):
    settings, rgb, path, more = OTHER_JOBS[name]()
    before = snapshot(whole[1])
    with pytest.raises(InputError, match="another job"):
        oracle(room(), **(SETTINGS | settings)).run(rgb, path, checkpoint_dir=whole[1], **more)
    assert snapshot(whole[1]) == before


def test_a_job_reads_back_as_it_was(tmp_path):
    config = SceneConfig(prompt="Straße", seed=2**62, guidance=0.1)
    path = CameraPath.from_matrices(PATH.cam_T_world, [50.0, 51.25, 52.5])
    job = Job(picture(room()), config, path, 123.456, {"depth": "builtin"})
    Checkpoint(tmp_path).begin(job)
    again = open_job(tmp_path)
    assert again.spec() == job.spec()
    assert again.config == config
    assert np.array_equal(again.rgb, job.rgb)
    assert np.array_equal(again.path.cam_T_world, path.cam_T_world)
    assert again.focal_px == 123.456
    Checkpoint(tmp_path).begin(job)


def test_a_job_of_another_version_is_not_continued(whole, tmp_path):
    folder = copy_of(whole, tmp_path / "c")
    spec = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps(spec | {"version": "0.0.1"}))
    with pytest.raises(InputError, match=r"made by Splinescape 0\.0\.1"):
        open_job(folder)
    with pytest.raises(InputError):
        run(folder, tmp_path / "gf.ply")


def test_another_picture_under_the_same_name_is_noticed(whole, tmp_path):
    folder = copy_of(whole, tmp_path / "c")
    Image.fromarray(255 - picture(room())).save(folder / "picture.png")
    with pytest.raises(InputError, match="not the one this job began with"):
        open_job(folder)


def test_an_empty_folder_holds_nothing_to_resume(tmp_path):
    with pytest.raises(InputError, match="nothing to resume"):
        open_job(tmp_path)


def test_a_folder_that_cannot_be_made_is_said_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        run(tmp_path / "file" / "c", tmp_path / "gf.ply")
