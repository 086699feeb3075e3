"""The whole journey over real processes: submit, watch, fetch; the bytes are those of the library."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from service_support import PATH_JSON, TINY, RunningService, picture_png, until

from splinescape import CameraPath, SceneConfig, ScenePipeline
from splinescape.client import connect
from splinescape.client.service import Service
from splinescape.protocol.errors import ServiceError


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("service") / "data", "--device", "cpu")
    yield running
    running.close()
    assert running.orphans() == []


@pytest.fixture
def client(service: RunningService) -> Iterator[Service]:
    with connect(service.connection) as connected:
        yield connected


BUFFERS = ("rgb", "depth", "alpha")


def wait(client: Service, job: str) -> str:
    """Watch a job to its end; its last state."""
    last = ""
    for event in client.watch(job):
        if event.kind == "state":
            last = event.data["state"]
    return last


def test_a_job_over_the_service_gives_the_bytes_of_the_library(client: Service, tmp_path: Path) -> None:
    picture = picture_png(1)
    job = client.submit(picture, PATH_JSON, TINY, name="bytes")
    events = list(client.watch(job))
    assert events[-1].kind == "state" and events[-1].data["state"] == "done", events[-1]
    fetched = Path(client.fetch(job, "gf.ply", tmp_path / "fetched.ply"))

    rgb = np.array(Image.open(io.BytesIO(picture)))
    result = ScenePipeline(SceneConfig(**TINY)).run(rgb, CameraPath.from_json(PATH_JSON))
    result.save_ply(tmp_path / "own.ply")
    assert fetched.read_bytes() == (tmp_path / "own.ply").read_bytes()
    assert result.summary.text() in [event.data["text"] for event in events if event.kind == "summary"]


def test_the_first_splats_can_be_fetched_before_expansion_starts(client: Service, tmp_path: Path) -> None:
    job = client.submit(picture_png(2), PATH_JSON, TINY)
    seen: list[tuple[str, int]] = []
    for event in client.watch(job):
        splats = event.data.get("splats") if event.kind in ("frame", "scene") else None
        if splats:
            seen.append((event.kind, splats["count"]))
            if len(seen) == 1:
                preview = client.preview(job)
                assert preview.rgb.shape[2] == 3 and preview.depth.shape == preview.rgb.shape[:2]
                file = preview.splats
                assert file is not None
                early = client.fetch(job, file, tmp_path / "early.ply")
                assert Path(early).stat().st_size == file.size
    assert seen and seen[0][1] < seen[-1][1]


def test_events_tell_stage_step_and_thumbnails(client: Service) -> None:
    job = client.submit(picture_png(3), PATH_JSON, TINY)
    events = list(client.watch(job))
    kinds = {event.kind for event in events}
    assert {"state", "stage", "progress", "frame", "scene", "summary", "results"} <= kinds
    progress = [event.data for event in events if event.kind == "progress"]
    assert all(0 <= p["step"] <= p["total"] for p in progress)
    assert any(p["eta_s"] is not None for p in progress)
    frame = next(event for event in events if event.kind == "frame")
    for name in ("rgb", "depth"):
        thumbnail = Image.open(io.BytesIO(frame.buffers[name]))
        assert max(thumbnail.size) <= 256
    assert [event.seq for event in events] == sorted({event.seq for event in events})


def test_a_late_client_learns_everything_that_happened(service: RunningService, client: Service) -> None:
    job = client.submit(picture_png(4), None, {"stage": "no-outpaint", "max_resolution": 64})
    live = [event for event in client.watch(job) if event.kind != "progress"]
    with connect(service.connection) as late:
        told = [event for event in late.watch(job, since=0) if event.kind != "progress"]
    assert [(event.seq, event.kind, event.data) for event in told] == [
        (event.seq, event.kind, event.data) for event in live
    ]


def test_a_rendering_shows_the_picture(client: Service) -> None:
    picture = picture_png(5, 64, 64)
    job = client.submit(picture, None, {"stage": "no-outpaint", "max_resolution": 64})
    assert wait(client, job) == "done"
    preview = client.preview(job)
    height, width = preview.depth.shape
    rendering = client.render(job, preview.cam_T_world[None], preview.K_33[None], width, height, BUFFERS)
    rgb = np.array(Image.open(io.BytesIO(picture)))
    assert rendering.rgb is not None and rendering.alpha is not None and rendering.depth is not None
    error = np.abs(rendering.rgb[0].astype(float) - rgb).mean()
    assert error < 8, error
    assert (rendering.alpha[0] > 127).mean() > 0.99
    assert np.isfinite(rendering.depth[0]).mean() > 0.5


def test_cancel_acts_within_a_step_and_the_next_job_runs(client: Service) -> None:
    long = client.submit(
        picture_png(6, 512, 384), PATH_JSON, {**TINY, "max_resolution": 512, "stage": "fine"}
    )
    until(lambda: client.status(long).stage == "train", what="training")
    asked = time.monotonic()
    client.cancel(long)
    assert wait(client, long) == "cancelled"
    assert time.monotonic() - asked < 8
    job = client.submit(picture_png(7), None, {"stage": "no-outpaint", "max_resolution": 64})
    assert wait(client, job) == "done"


def test_pause_frees_the_device_and_resume_gives_the_same_bytes(client: Service, tmp_path: Path) -> None:
    settings = {**TINY, "max_resolution": 128, "n_frames": 5}
    straight = client.submit(picture_png(8), PATH_JSON, settings)
    assert wait(client, straight) == "done"
    paused = client.submit(picture_png(8), PATH_JSON, settings)
    until(lambda: client.status(paused).frames >= 2, what="two frames")
    client.pause(paused)
    until(lambda: client.status(paused).state == "paused", what="pause")
    between = client.submit(picture_png(9), None, {"stage": "no-outpaint", "max_resolution": 64})
    assert wait(client, between) == "done"
    client.resume(paused)
    until(lambda: client.status(paused).state == "done", what="the resumed job")
    files = [Path(client.fetch(job, "gf.ply", tmp_path / f"{job}.ply")) for job in (straight, paused)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_further_formats_and_the_film_are_made(client: Service, tmp_path: Path) -> None:
    job = client.submit(picture_png(10), PATH_JSON, TINY, formats=["spz", "splat"], film=True)
    assert wait(client, job) == "done"
    names = {file.name for file in client.results(job)}
    assert {"gf.ply", "gf.spz", "gf.splat", "film.mp4", "summary.json"} <= names
    film = Path(client.fetch(job, "film.mp4", tmp_path / "film.mp4"))
    assert film.read_bytes()[4:8] == b"ftyp"


def test_a_deleted_job_is_gone(service: RunningService, client: Service) -> None:
    job = client.submit(picture_png(11), None, {"stage": "no-outpaint", "max_resolution": 64})
    assert wait(client, job) == "done"
    assert (service.folder / "jobs" / job).exists()
    client.delete(job)
    with pytest.raises(ServiceError, match="no job"):
        client.status(job)
    until(lambda: not (service.folder / "jobs" / job).exists(), what="the folder")


def test_the_log_of_a_job_can_be_read(client: Service) -> None:
    job = client.submit(picture_png(12), None, {"stage": "no-outpaint", "max_resolution": 64})
    assert wait(client, job) == "done"
    assert "depth" in client.log(job).text


def test_bad_input_is_refused_at_once_with_a_reason(client: Service) -> None:
    with pytest.raises(ServiceError, match="not a JPEG"):
        client.submit(b"no picture at all" * 10, None, {})
    with pytest.raises(ServiceError, match="n_frames"):
        client.submit(picture_png(), None, {"n_frames": 1})
    with pytest.raises(ServiceError, match="engine"):
        client.submit(picture_png(), None, {}, engines={"depth": "/etc/passwd"})
    with pytest.raises(ServiceError, match="poses"):
        client.submit(picture_png(), json.dumps({"version": 1, "poses": []}), {})


def test_the_broker_is_light(service: RunningService) -> None:
    process = psutil.Process(service.process.pid)
    assert process.memory_info().rss < 60 * 2**20
    if psutil.LINUX:
        mapped = " ".join(entry.path for entry in process.memory_maps())
        assert "libtorch" not in mapped


def test_sigterm_ends_it_with_code_0_and_leaves_no_process(tmp_path: Path) -> None:
    running = RunningService(tmp_path / "data", "--device", "cpu")
    with connect(running.connection) as client:
        job = client.submit(picture_png(13, 256, 192), PATH_JSON, {**TINY, "max_resolution": 256})
        until(lambda: client.status(job).state == "running", what="the job")
        assert running.stop() == 0
    assert running.orphans() == []
    running.start()
    with connect(running.connection) as client:
        until(lambda: client.status(job).state == "done", 120, "the job after the restart")
    assert running.stop() == 0
    assert running.orphans() == []


def test_a_second_service_on_the_same_folder_refuses(service: RunningService) -> None:
    with pytest.raises(AssertionError, match="another service"):
        RunningService(service.folder)
