"""The client with the real service: what only the two together can show."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_support import Ran
from client_support import Proxy, finish, poll_until
from service_support import PATH_JSON, TINY, RunningService, picture_png

from splinescape.client import Client, Event, ServiceError, connect
from splinescape.protocol.connection import Connection, read_connection


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("service") / "data", "--device", "cpu")
    yield running
    running.close()
    assert running.orphans() == []


@pytest.fixture(scope="module")
def job(service: RunningService) -> str:
    """A job that is done."""
    with connect(service.connection) as remote:
        job = remote.submit(picture_png(), PATH_JSON, TINY, name="done")
        assert [event.data["state"] for event in remote.watch(job) if event.kind == "state"][-1] == "done"
    return job


def through(service: RunningService, line: Proxy) -> Connection:
    direct = read_connection(service.connection)
    return Connection(
        f"tcp://127.0.0.1:{line.port}",
        direct.server_key,
        direct.public_key,
        direct.secret_key,
    )


def port_of(service: RunningService) -> int:
    return int(read_connection(service.connection).endpoint.rsplit(":", 1)[1])


class Polling:
    """A client polled as Blender does, with every poll timed."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.events: list[Event] = []

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        ends = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < ends, f"{self.client.state} {self.client.reason}"
            self.events += self.client.poll()
            self.client.wait(0.02)

    def finish(self, call: Any) -> Any:
        self.until(lambda: call.done)
        return call.get()


@pytest.mark.slow
def test_the_whole_journey_without_ever_waiting(service: RunningService, tmp_path: Path) -> None:
    with Client(service.connection, name="blender") as client:
        polling = Polling(client)
        picture = tmp_path / "room.png"
        picture.write_bytes(picture_png(3))
        job = polling.finish(client.submit(picture, PATH_JSON, TINY, formats=["spz"]))
        client.watch(job)
        polling.until(lambda: any(event.final for event in polling.events))
        seqs = [event.seq for event in polling.events]
        assert seqs == sorted(set(seqs))
        frames = [event for event in polling.events if event.kind == "frame"]
        assert frames and set(frames[0].buffers) == {"rgb", "depth"}
        info = polling.finish(client.status(job))
        assert (info.state, info.name, info.last_seq) == ("done", "room", seqs[-1])
        files = polling.finish(client.results(job))
        assert {"gf.ply", "gf.spz"} <= {file.name for file in files}
        for file in files:
            path = polling.finish(client.fetch(job, file, tmp_path / file.name))
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
        preview = polling.finish(client.preview(job))
        views = np.stack([preview.cam_T_world] * 2)
        height, width = preview.rgb.shape[:2]
        rendering = polling.finish(
            client.render(job, views, preview.K_33, width, height, ["rgb", "depth", "alpha"])
        )
        assert rendering.rgb.shape == (2, height, width, 3) and rendering.alpha.shape == (2, height, width)
        assert np.isfinite(rendering.depth).any() and rendering.splats == info.splats
        assert "gf.ply" in str(files) and polling.finish(client.log(job)).size >= 0
        assert polling.finish(client.pin(job)) is True
        assert polling.finish(client.pin(job, False)) is False
        assert job in [each.id for each in polling.finish(client.jobs(["done"]))]
        assert polling.finish(client.delete(job))
        with pytest.raises(ServiceError) as caught:
            polling.finish(client.status(job))
        assert caught.value.code == "not_found"


@pytest.mark.slow
def test_the_line_breaks_all_the_time_and_nothing_is_lost(service: RunningService, tmp_path: Path) -> None:
    with Proxy(port_of(service)) as line, Client(through(service, line)) as client:
        polling = Polling(client)
        rng = np.random.default_rng(0)
        cut_at = time.monotonic() + 0.3

        def cut_now_and_then() -> None:
            nonlocal cut_at
            if time.monotonic() > cut_at:
                line.cut()
                cut_at = time.monotonic() + rng.uniform(0.1, 1.0)

        def eventually(call: Any) -> Any:
            polling.until(lambda: bool(cut_now_and_then() or call.done))
            return call.get()

        job = eventually(client.submit(picture_png(4), PATH_JSON, TINY))
        client.watch(job)
        polling.until(lambda: bool(cut_now_and_then() or any(event.final for event in polling.events)))
        path = eventually(client.fetch(job, "gf.ply", tmp_path / "gf.ply"))
        with connect(service.connection) as direct:
            past = list(direct.watch(job))
            assert path.read_bytes() == bytes(direct.fetch(job, "gf.ply"))
            assert len([each for each in direct.jobs() if each.name == "picture"]) == 1
        told = [event.seq for event in polling.events]
        assert told == sorted(set(told))
        # The service keeps only the newest "progress" of a stage; everything else was told once.
        assert {event.seq for event in past if event.kind != "progress"} <= set(told)


@pytest.mark.slow
def test_the_service_is_killed_and_started_again_meanwhile(tmp_path: Path) -> None:
    running = RunningService(tmp_path / "data", "--device", "cpu")
    try:
        with Client(running.connection) as client:
            polling = Polling(client)
            job = polling.finish(client.submit(picture_png(5), PATH_JSON, TINY))
            client.watch(job)
            polling.until(lambda: any(event.kind == "frame" for event in polling.events))
            running.kill()
            polling.until(lambda: client.state == "lost")
            running.start()
            polling.until(lambda: any(event.final for event in polling.events), 120)
            assert polling.events[-1].data["state"] == "done"
            told = [event.seq for event in polling.events]
            assert told == sorted(set(told))
    finally:
        running.close()
        assert running.orphans() == []


def test_a_revoked_key_is_told_so_in_the_middle_of_work(
    service: RunningService, tmp_path: Path, cli: Callable[..., Ran]
) -> None:
    file = tmp_path / "laptop.json"
    made = cli("keys", "new", "laptop", "--out", file, "--data", service.folder)
    assert made.code == 0, made.err
    with Client(file) as client:
        poll_until(client, lambda: client.state == "connected")
        assert client.capabilities is not None and client.capabilities.user == "laptop"
        cli("keys", "revoke", "laptop", "--data", service.folder)
        poll_until(client, lambda: client.reason_code == "not_allowed")
        assert "ask for a new connection file" in client.reason


def test_asking_for_too_much_does_not_break_the_connection(service: RunningService, job: str) -> None:
    with connect(service.connection) as remote:
        limits = remote.capabilities.limits
        assert limits.render_pixels is not None and limits.path_bytes is not None
        with pytest.raises(ServiceError) as caught:
            remote.render(job, np.eye(4), np.eye(3) * 100, 2**12, 2**12)
        assert caught.value.code in ("too_large", "bad_input")
        with pytest.raises(ServiceError) as caught:
            remote.submit(picture_png(), " " * (limits.path_bytes + 1))
        assert caught.value.code == "too_large"
        assert remote.status(job).state == "done"


def test_what_the_service_says_of_itself_is_understood(service: RunningService, job: str) -> None:
    with connect(service.connection) as remote:
        told = remote.hello()
        assert told.devices[0].device == "cpu" and told.devices[0].kind == "cpu"
        assert {engine.role for engine in told.engines} == {"inpaint", "depth", "raster"}
        assert "n_frames" in told.settings["properties"]
        assert len(remote.models()) == len(told.models) > 0
        assert told.last_seq >= remote.status(job).last_seq
        part = remote.log(job)
        assert part.offset <= part.size


@pytest.mark.slow
def test_fetching_the_same_file_from_many_clients_at_once(
    service: RunningService, job: str, tmp_path: Path
) -> None:
    clients = [Client(service.connection) for _ in range(6)]
    try:
        calls = [client.fetch(job, "gf.ply", tmp_path / f"{i}.ply") for i, client in enumerate(clients)]
        ends = time.monotonic() + 60
        while not all(call.done for call in calls):
            assert time.monotonic() < ends
            for client in clients:
                client.poll()
        assert len({Path(str(call.get())).read_bytes() for call in calls}) == 1
        assert len(list(tmp_path.iterdir())) == 6
    finally:
        for client in clients:
            client.close()


def test_polling_and_finishing_are_the_same_as_waiting(service: RunningService, job: str) -> None:
    with Client(service.connection) as client, connect(service.connection) as remote:
        assert finish(client, client.status(job)) == remote.status(job)
        assert finish(client, client.results(job)) == remote.results(job)
