"""Who sends garbage hurts only himself: a client beside him notices nothing, and the broker does not grow."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from service_attacks import ATTACKS, dealer
from service_support import PATH_JSON, TINY, RunningService, expected_ply, picture_png, until

from splinescape.client import connect
from splinescape.protocol.connection import read_connection
from splinescape.protocol.wire import Message, decode, encode

MAY_GROW = 20 * 2**20
ROUND_TRIP_S = 0.05


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("hostile") / "data", "--device", "cpu")
    with connect(running.connection) as client:  # so that everything that is loaded late is loaded
        job = client.submit(picture_png(), None, {"stage": "no-outpaint", "max_resolution": 32})
        until(lambda: client.status(job).final, what="a first job")
    yield running
    running.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_hurts_nobody_else(service: RunningService, name: str) -> None:
    broker = psutil.Process(service.process.pid)
    before = broker.memory_info().rss
    script = str(Path(__file__).with_name("service_attacks.py"))
    with connect(service.connection) as client:
        attack = subprocess.Popen((sys.executable, script, name, service.connection), stderr=subprocess.PIPE)
        trips, most = [], before
        while attack.poll() is None:
            began = time.perf_counter()
            client.jobs(limit=1)
            trips.append(time.perf_counter() - began)
            most = max(most, broker.memory_info().rss)
            time.sleep(0.01)
        assert attack.stderr is not None
        assert attack.returncode == 0, attack.stderr.read().decode()[-1000:]
        attack.stderr.close()
    assert most - before < MAY_GROW, f"{(most - before) / 2**20:.1f} MiB"
    assert np.percentile(trips, 95) < ROUND_TRIP_S, f"{np.percentile(trips, [50, 95, 100])} s"


@pytest.mark.slow
def test_who_was_paused_for_a_flood_is_heard_again(service: RunningService) -> None:
    line = dealer(read_connection(service.connection))
    for _ in range(20_000):
        line.send(b"x")
    asked: set[str] = set()
    answered: set[str | None] = set()
    ends = time.monotonic() + 60  # packets that were dropped are sent again after longer and longer times
    while not asked & answered and time.monotonic() < ends:
        ping = Message("ping")
        asked.add(ping.id)
        line.send_multipart(encode(ping))
        while line.poll(1000):
            answered.add(decode(line.recv_multipart()).parent)
    assert asked & answered


@pytest.mark.slow
def test_after_all_of_that_a_job_still_gives_the_right_bytes(service: RunningService, tmp_path: Path) -> None:
    with connect(service.connection) as client:
        job = client.submit(picture_png(3), PATH_JSON, TINY)
        until(lambda: client.status(job).final, what="the job")
        client.fetch(job, "gf.ply", tmp_path / "gf.ply")
    assert (tmp_path / "gf.ply").read_bytes() == expected_ply(picture_png(3), PATH_JSON, TINY)
    assert "Traceback" not in service.stderr()
    assert service.stop() == 0
