"""How a service looks after itself: workers that crash or idle, memory, revoked keys, jobs that are too old."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from service_support import PATH_JSON, TINY, RunningService, picture_png, until
from worker_support import with_odd_engines

from splinescape.client import JobInfo, Service, connect
from splinescape.protocol.connection import Connection, write_connection
from splinescape.protocol.errors import ServiceError
from splinescape.service.keys import Keyring

Start = Callable[..., RunningService]

QUICK = {"stage": "no-outpaint", "max_resolution": 32}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts services; they are gone after the test, whatever happened."""
    begun: list[RunningService] = []

    def start_one(
        *options: str, data: Path | None = None, env: dict[str, str] | None = None
    ) -> RunningService:
        begun.append(RunningService(data or tmp_path / "data", "--device", "cpu", *options, env=env))
        return begun[-1]

    yield start_one
    for service in begun:
        service.close()


def end(client: Service, job: str) -> JobInfo:
    """Wait until the job is over."""
    return until(lambda: (info := client.status(job)).final and info, 120, f"the end of {job}")


def settings_file(folder: Path, text: str) -> str:
    path = folder / "service.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.slow
def test_a_job_that_kills_its_workers_fails_with_the_reason_and_others_go_on(
    start: Start,
) -> None:
    service = start(env=with_odd_engines())
    with connect(service.connection) as client:
        deadly = client.submit(picture_png(), None, QUICK, engines={"depth": "crash"}, name="deadly")
        good = client.submit(picture_png(), None, QUICK, name="good")
        info = end(client, deadly)
        assert info.state == "failed" and info.attempts == 3
        assert "SIGSEGV" in info.reason and "Segmentation fault" in info.reason
        notes = [event.data["text"] for event in client.watch(deadly) if event.kind == "note"]
        assert sum("the worker died" in note for note in notes) == 2
        assert "SIGSEGV" in client.log(deadly).text
        assert end(client, good).state == "done"
        assert client.resume(deadly) == "queued"  # a person may want to try again
        client.cancel(deadly)
    assert service.stop() == 0
    assert service.orphans() == []


@pytest.mark.slow
def test_memory_that_runs_out_is_retried_with_less_and_said_so(start: Start) -> None:
    service = start(env=with_odd_engines())
    with connect(service.connection) as client:
        job = client.submit(picture_png(), None, QUICK, engines={"depth": "memory-error-twice"})
        events = list(client.watch(job))
        assert events[-1].data["state"] == "done"
        warnings = [event.data["text"] for event in events if event.kind == "note" and event.data["warning"]]
        assert any("memory" in warning for warning in warnings), warnings
    assert service.stop() == 0


@pytest.mark.slow
def test_an_idle_worker_gives_its_memory_back_and_returns_for_work(start: Start, tmp_path: Path) -> None:
    config = settings_file(tmp_path, "idle_unload_s = 0.5\n")
    service = start("--config", config)
    with connect(service.connection) as client:
        until(lambda: client.hello().devices[0].state == "asleep", what="sleep")
        until(lambda: not service.workers(), what="the end of the worker")
        job = client.submit(picture_png(), None, QUICK)
        assert end(client, job).state == "done"
        until(lambda: client.hello().devices[0].state == "asleep", what="sleep")
        rendering = _render(client, job)  # wakes a worker, too
        assert rendering.rgb is not None
    assert service.stop() == 0
    assert list((tmp_path / "data" / "logs").glob("worker-*")) == []


def _render(client: Service, job: str) -> object:
    preview = client.preview(job)
    height, width = preview.depth.shape
    return client.render(job, preview.cam_T_world, preview.K_33, width, height)


def test_a_revoked_key_is_out_at_once(start: Start, tmp_path: Path) -> None:
    service = start()
    keyring = Keyring.open(service.folder / "keys")
    pair = keyring.new("laptop")
    file = tmp_path / "laptop.json"
    endpoint = service.ready["endpoint"]
    write_connection(
        file, Connection(endpoint, keyring.server_public_text, pair.public, pair.secret, "laptop")
    )
    with connect(file) as laptop, connect(service.connection) as local:
        assert laptop.jobs() == ()
        keyring.revoke("laptop")
        with pytest.raises(ServiceError) as refused:
            until(lambda: not laptop.jobs() and False, 10)
        assert refused.value.code == "not_allowed"
        assert local.jobs() == ()
    with pytest.raises(ServiceError):
        connect(file, wait_s=3)
    assert service.stop() == 0


@pytest.mark.slow
def test_old_jobs_are_deleted_but_not_pinned_ones(start: Start, tmp_path: Path) -> None:
    config = settings_file(tmp_path, "[retention]\ndays = 0.00002\n")  # two seconds
    service = start("--config", config)
    with connect(service.connection) as client:
        pinned = client.submit(picture_png(), None, QUICK, pinned=True)
        old = client.submit(picture_png(), None, QUICK)
        assert end(client, pinned).state == end(client, old).state == "done"
    assert service.stop() == 0
    time.sleep(2.5)
    service.start()  # looks at once; while it runs, once a minute
    with connect(service.connection) as client:
        until(lambda: [info.id for info in client.jobs()] == [pinned], what="the old job's end")
    until(lambda: [path.name for path in (service.folder / "jobs").iterdir()] == [pinned], what="its folder")
    assert service.stop() == 0


@pytest.mark.slow
def test_shutdown_drained_lets_the_running_job_end_first(start: Start) -> None:
    service = start()
    with connect(service.connection) as client:
        running = client.submit(picture_png(), PATH_JSON, TINY)
        until(lambda: client.status(running).state == "running", what="the job")
        waiting = client.submit(picture_png(), None, QUICK)
        client.shutdown("drained")
        with pytest.raises(ServiceError, match="shutting down"):
            client.submit(picture_png(), None, QUICK)
    assert service.process.wait(60) == 0
    service.start()
    with connect(service.connection) as client:
        assert client.status(running).state == "done"
        assert end(client, waiting).state == "done"
    assert service.stop() == 0


def test_a_client_finds_the_service_again_on_its_old_port(start: Start) -> None:
    service = start()
    endpoint = service.ready["endpoint"]
    with connect(service.connection) as client:
        assert client.jobs() == ()
        assert service.stop() == 0
        service.start()
        assert service.ready["endpoint"] == endpoint
        assert client.jobs() == ()
    assert service.stop() == 0


def test_workers_talk_over_tcp_with_keys_where_a_socket_file_would_have_too_long_a_name(
    start: Start,
    tmp_path: Path,
) -> None:
    folder = tmp_path / ("long" * 25) / "data"
    folder.parent.mkdir()
    service = start(data=folder)
    listening = psutil.Process(service.process.pid).net_connections("tcp")
    assert len({c.laddr.port for c in listening if c.status == psutil.CONN_LISTEN}) == 2
    with connect(service.connection) as client:
        assert end(client, client.submit(picture_png(), None, QUICK)).state == "done"
    assert service.stop() == 0
