"""The worker process: jobs from folder to results, the same as the library makes them, and what it tells on the way."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cli_support import Ran
from core_support import frame
from PIL import Image
from worker_support import SMALL, Job, PretendBroker, broker, is_event, made_in_process, make_job

from splinescape import CameraPath
from splinescape.coarse.report import CoarseFrame, CoarseSummary
from splinescape.events import CoarseReported, FrameAdded, Progress, SceneChanged
from splinescape.protocol.arrays import to_array
from splinescape.protocol.wire import MAX_HEADER, Message, encode, unpack
from splinescape.scene.splats import Splats
from splinescape.service.worker.joblog import JobLog
from splinescape.service.worker.relay import Relay


def relay_to(heard: list[Message], folder: Path) -> Relay:
    """A relay whose messages end up in `heard`."""
    return Relay("0" * 32, heard.append, lambda *_: None, folder, JobLog(folder / "log.txt"))


@pytest.fixture(scope="module")
def warm() -> Iterator[PretendBroker]:
    """A worker that has done nothing yet, for all tests of this file."""
    with broker() as pretend:
        pretend.ready()
        yield pretend


@pytest.fixture(scope="module")
def done(
    warm: PretendBroker, small_picture: Path, side_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Job, PretendBroker, dict]:
    """A job with everything that can be asked for, what was heard meanwhile, and how it ended."""
    folder = tmp_path_factory.mktemp("jobs") / "job"
    job = make_job(folder, small_picture, side_path, formats=["spz", "compressed.ply", "splat"], film=True)
    warm.messages.clear()
    warm.run(job)
    return job, warm, warm.finished(job)


def test_a_worker_says_what_it_is_and_which_engines_can_run_and_why_not() -> None:
    with broker() as pretend:
        said = pretend.ready()
        device = said["device"]
        assert (device["device"], device["kind"], device["count"]) == ("cpu", "cpu", 1)
        assert device["name"]
        assert 0 < device["memory_free"] <= device["memory_total"]
        assert said["pid"] == pretend.process.pid
        table = {(engine["role"], engine["name"]): engine for engine in said["engines"]}
        assert table["raster", "cpu"]["available"]
        assert table["depth", "builtin"]["note"] == "small network"
        assert not table["raster", "gsplat"]["available"]
        assert (
            "gsplat" in table["raster", "gsplat"]["reason"] or "CUDA" in table["raster", "gsplat"]["reason"]
        )


def test_signs_of_life_come_before_anything_heavy_is_loaded_and_never_stop() -> None:
    with broker() as pretend:
        first = pretend.hear()
        assert first.type == "beat"
        assert first.content["rss"] < 60e6
        assert first.content["memory_free"] > 0
        pretend.ready()
        beats = [m for m in pretend.messages if m.type == "beat"]
        assert len(beats) >= 2
        pretend.until(lambda m: m.type == "beat")


def test_a_device_that_is_not_there_is_refused_with_a_sentence() -> None:
    with broker(device="cuda:63") as pretend:
        assert pretend.process.wait(60) != 0
        assert pretend.stderr().splitlines()[-1].startswith("there is no device cuda:63")


@pytest.mark.slow
def test_a_line_with_keys_works_as_one_without(small_picture: Path, tmp_path: Path) -> None:
    with broker(curve=True) as pretend:
        pretend.ready()
        job = make_job(tmp_path / "job", small_picture)
        pretend.run(job)
        assert pretend.finished(job)["outcome"] == "done"


def test_the_scene_is_byte_for_byte_what_the_library_makes(
    done: tuple[Job, PretendBroker, dict], tmp_path: Path
) -> None:
    job, _, ended = done
    assert ended["outcome"] == "done", ended
    assert job.results()["gf.ply"] == made_in_process(job, tmp_path)


def test_everything_else_is_byte_for_byte_what_the_command_line_makes(
    done: tuple[Job, PretendBroker, dict],
    cli: Callable[..., Ran],
    small_picture: Path,
    side_path: Path,
    tmp_path: Path,
) -> None:
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items() if name != "traj_type"]
    formats = ("--format", "spz", "--format", "compressed.ply", "--format", "splat")
    ran = cli(
        "generate", small_picture, "--path", side_path, "--out", tmp_path, "--video", *formats, *flags, "-q"
    )
    assert ran.code == 0, ran.err
    results = done[0].results()
    for name in ("gf.ply", "gf.spz", "gf.compressed.ply", "gf.splat", "film.mp4"):
        assert results[name] == (tmp_path / name).read_bytes(), name


def test_the_list_of_results_is_the_truth(done: tuple[Job, PretendBroker, dict]) -> None:
    job, _, ended = done
    results = job.results()
    assert ended["files"][0]["name"] == "gf.ply"
    assert {f["name"] for f in ended["files"]} == set(results)
    for file in ended["files"]:
        data = results[file["name"]]
        assert (file["size"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert json.loads((job.folder / "results.json").read_text()) == {"files": ended["files"]}


def test_the_summary_and_the_path_can_be_used_by_other_programs(
    done: tuple[Job, PretendBroker, dict],
) -> None:
    results = done[0].results()
    summary = json.loads(results["summary.json"])
    assert summary["text"].startswith("[COARSE] Summary")
    told = [m.content for m in done[1].messages if m.type == "event" and m.content["kind"] == "frame"]
    assert summary["data"]["scene_frames"] == len(told) > 2
    path = CameraPath.from_json(results["path.json"].decode())
    assert np.array_equal(path.cam_T_world, CameraPath.from_json(done[0].folder / "path.json").cam_T_world)


def test_only_what_is_needed_is_left_in_the_folder(done: tuple[Job, PretendBroker, dict]) -> None:
    folder = done[0].folder
    assert {p.name for p in folder.iterdir()} == {
        *("spec.json", "picture", "path.json", "log.txt", "preview", "results", "results.json")
    }
    assert not list(folder.rglob("*.tmp"))


def test_events_tell_the_story_in_order(done: tuple[Job, PretendBroker, dict]) -> None:
    told = [m.content for m in done[1].messages if m.type == "event"]
    kinds = [each["kind"] for each in told if each["kind"] != "progress"]
    assert kinds[0] == "note"
    stages = [each["data"]["stage"] for each in told if each["kind"] == "stage"]
    assert stages[:4] == ["outpaint", "depth", "train", "coarse"]
    assert stages[-1] == "render"
    frames = [each["data"] for each in told if each["kind"] == "frame"]
    assert [frame["index"] for frame in frames] == list(range(len(frames)))
    assert [frame["role"] for frame in frames[:2]] == ["input", "outpaint"]
    assert any("raster engine: cpu" in each["data"].get("text", "") for each in told)
    summary = next(each["data"] for each in told if each["kind"] == "summary")
    assert summary["text"].startswith("[COARSE] Summary")
    assert len(summary["data"]["frames"]) + len(summary["data"]["closing_frames"]) == len(frames) - 2


def test_the_first_splats_can_be_fetched_before_expansion_and_more_after_each_frame(
    done: tuple[Job, PretendBroker, dict],
) -> None:
    told = [m.content for m in done[1].messages if m.type == "event"]
    first_scene = next(i for i, each in enumerate(told) if each["kind"] == "scene")
    coarse = next(i for i, each in enumerate(told) if each["data"].get("stage") == "coarse")
    assert first_scene < coarse
    scenes = [each["data"]["splats"] for each in told if each["kind"] == "scene"]
    assert [scene["revision"] for scene in scenes] == list(range(1, len(scenes) + 1))
    counts = [scene["count"] for scene in scenes]
    assert counts == sorted(counts)
    frames = [each["data"] for each in told if each["kind"] == "frame"]
    assert frames[0]["splats"] == frames[1]["splats"] == scenes[0]
    assert frames[2]["splats"] == scenes[1]
    assert frames[0]["new_splats"] + frames[1]["new_splats"] == scenes[0]["count"]


def test_the_preview_shows_the_latest_frame_and_keeps_the_revision_before(
    done: tuple[Job, PretendBroker, dict],
) -> None:
    job, pretend, _ = done
    preview = job.folder / "preview"
    latest = unpack((preview / "latest.msg").read_bytes())
    assert latest.type == "reply"
    frame, scene = pretend.events("frame")[-1], pretend.events("scene")[-1]
    assert latest.content["frame"] == frame["index"]
    assert latest.content["K_33"] == frame["K_33"]
    assert {**latest.content["splats"], "revision": latest.content["revision"]} == scene["splats"]
    shape = (frame["height"], frame["width"])
    assert to_array(latest.buffer("rgb")).shape == (*shape, 3)
    assert to_array(latest.buffer("depth")).shape == shape
    last = scene["splats"]["revision"]
    assert {p.name for p in preview.iterdir()} == {
        *("latest.msg", f"scene_{last}.ply", f"scene_{last - 1}.ply")
    }
    data = (preview / scene["splats"]["name"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == scene["splats"]["sha256"]


def test_frames_come_with_small_pictures_of_colour_and_depth(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = frame(1 + rng.random((300, 400)), rgb=rng.random((300, 400, 3), np.float32))
    heard: list[Message] = []
    relay = relay_to(heard, tmp_path)
    relay(FrameAdded("input", 0, noise, Splats.empty()))
    assert not heard  # there is nothing to fetch yet
    relay(SceneChanged(Splats.empty()))
    told, _scene = heard
    assert [buffer.name for buffer in told.buffers] == ["rgb", "depth"]
    for buffer in told.buffers:
        assert len(buffer.data) <= 32 * 2**10
        picture = Image.open(io.BytesIO(bytes(buffer.data)))
        assert max(picture.size) == 256
    assert picture.mode == "L"


def test_depth_is_shown_in_the_range_of_its_own_frame(tmp_path: Path) -> None:
    """A border may be much nearer than the picture was: in the range of the picture it would be white all over."""
    heard: list[Message] = []
    relay = relay_to(heard, tmp_path)
    near_to_far = np.linspace(1, 10, 64 * 64).reshape(64, 64)
    for index, depth in enumerate((near_to_far, 20 * near_to_far, near_to_far / 20)):
        relay(FrameAdded("input", index, frame(depth), Splats.empty()))
        relay(SceneChanged(Splats.empty()))
    pictures = [np.array(Image.open(io.BytesIO(bytes(m.buffer("depth").data)))) for m in heard if m.buffers]
    for picture in pictures:
        assert picture[0].min() > 180
        assert picture[-1].max() < 40


def test_steps_are_told_at_most_four_times_a_second_and_always_the_last(
    done: tuple[Job, PretendBroker, dict],
) -> None:
    steps = done[1].events("progress")
    assert all(step["step"] <= step["total"] for step in steps)
    assert sum(step["stage"] == "render" and step["step"] == step["total"] for step in steps) == 1
    assert {"train", "coarse", "settle", "render"} <= {step["stage"] for step in steps}


def test_the_time_left_for_frames_is_judged_by_those_that_are_done(tmp_path: Path) -> None:
    heard: list[Message] = []
    relay = relay_to(heard, tmp_path)
    for step in range(2, 5):  # a job that is continued begins with frames that cost no time
        relay(Progress("coarse", step, 8))
        time.sleep(0.05)
    left = [message.content["data"]["eta_s"] for message in heard]
    assert left[0] is None
    assert left[1] >= 5 * 0.05
    assert left[2] >= 4 * 0.05


def test_the_log_can_be_read(done: tuple[Job, PretendBroker, dict]) -> None:
    lines = done[0].log().splitlines()
    assert "attempt 1 begins" in lines[0]
    assert lines[0][:4].isdigit()
    assert any("[depth] predicting depth" in line for line in lines)
    assert lines[-1].endswith(" done")


def test_a_job_whose_results_are_complete_is_only_reported(
    done: tuple[Job, PretendBroker, dict],
) -> None:
    job, pretend, ended = done
    heard = len(pretend.messages)
    pretend.run(job, attempt=1)
    assert pretend.finished(job) == ended
    assert not [m for m in pretend.messages[heard:] if m.type == "event"]


def test_damaged_results_are_made_again(warm: PretendBroker, small_picture: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", small_picture)
    warm.run(job)
    ended = warm.finished(job)
    good = job.results()["gf.ply"]
    (job.folder / "results" / "gf.ply").write_bytes(good[:1000])
    warm.run(job)
    assert warm.finished(job) == ended
    assert job.results()["gf.ply"] == good


def test_jobs_follow_one_another_and_the_stages_before_coarse_have_results_too(
    warm: PretendBroker, small_picture: Path, tmp_path: Path
) -> None:
    jobs = [
        make_job(tmp_path / stage, small_picture, settings={"stage": stage, "max_resolution": 32})
        for stage in ("no-outpaint", "outpaint")
    ]
    for job in jobs:
        warm.run(job)
    for job in jobs:
        assert warm.finished(job)["outcome"] == "done"
        assert job.results()["gf.ply"] == made_in_process(job, tmp_path)
        assert json.loads(job.results()["summary.json"])["data"]["frames"] == []


def test_a_summary_of_very_many_frames_still_fits_an_event(tmp_path: Path) -> None:
    frames = tuple(CoarseFrame(i, 1 / 3, 10**6 + i, 10**6 + i, 10**6 + i) for i in range(198))
    heard: list[Message] = []
    relay_to(heard, tmp_path)(CoarseReported(CoarseSummary(frames=frames)))
    (message,) = heard
    assert is_event(message, "summary")
    assert len(encode(message)[0]) < MAX_HEADER
    assert len(message.content["data"]["data"]["frames"]) == 198
