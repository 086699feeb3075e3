"""Many clients and many jobs: everything gets done, and everybody has their turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_support import RunningService, picture_png, until

from splinescape.client import Service, connect

CLIENTS = 8
JOBS = 200
QUICK = {"stage": "no-outpaint", "max_resolution": 32}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    running = RunningService(tmp_path / "data", "--device", "cpu")
    yield running
    running.close()


@pytest.mark.slow
def test_eight_clients_with_two_hundred_jobs_take_turns(service: RunningService) -> None:
    clients = [connect(service.connection) for _ in range(CLIENTS)]
    owner: dict[str, int] = {}
    for number, client in enumerate(clients):  # the first has queued all of its jobs before the last comes
        for _ in range(JOBS // CLIENTS):
            owner[client.submit(picture_png(number, 32, 32), None, QUICK)] = number
    watching = clients[0]
    started: list[str] = []
    done: set[str] = set()
    for event in watching.watch(None, thumbnails=False):
        if event.kind == "state" and event.data["state"] == "running":
            started.append(event.job or "")
        if event.kind == "state" and event.data["state"] in ("done", "failed"):
            assert event.data["state"] == "done", event.data
            done.add(event.job or "")
            if len(done) == JOBS:
                break
    assert sorted(started) == sorted(owner)
    # What was started while others were still being sent cannot be fair yet; from there on it goes round and round.
    turns = [owner[job] for job in started[JOBS // CLIENTS :]]
    for begin in range(0, len(turns) - CLIENTS * 8, CLIENTS):
        assert len(set(turns[begin : begin + CLIENTS])) >= CLIENTS - 1, turns
    for client in clients:
        client.close()
    assert service.stop() == 0


def test_a_second_client_need_not_wait_for_the_queue_of_the_first(service: RunningService) -> None:
    with connect(service.connection) as first, connect(service.connection) as second:
        crowd = [first.submit(picture_png(0, 32, 32), None, QUICK) for _ in range(12)]
        late = second.submit(picture_png(1, 32, 32), None, QUICK)
        until(lambda: second.status(late).state == "done", 60, "the late job")
        assert _waiting(first) > 0
        for job in crowd:
            first.cancel(job) if first.status(job).state == "queued" else None


def _waiting(client: Service) -> int:
    return len(client.jobs(states=["queued"]))
