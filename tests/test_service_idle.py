"""A service that may end by itself does so when nobody needs it, and not before."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from service_support import PATH_JSON, TINY, RunningService, picture_png, until

from splinescape.client import Client, connect

SOON = ("--device", "cpu", "--idle-exit", "0.05")
"""Three seconds."""


@pytest.mark.slow
def test_it_ends_when_no_client_is_there_and_goes_on_while_one_is(tmp_path: Path) -> None:
    service = RunningService(tmp_path / "data", *SOON)
    with Client(service.connection) as client:
        until(lambda: client.poll() is not None and client.state == "connected", what="the connection")
        ends = time.monotonic() + 6
        while time.monotonic() < ends:
            client.poll()
            time.sleep(0.05)
        assert service.process.poll() is None
    assert service.process.wait(15) == 0
    assert "nobody needs the service" in service.stderr()
    service.close()


@pytest.mark.slow
def test_it_finishes_its_jobs_before_it_ends_though_nobody_watches(tmp_path: Path) -> None:
    service = RunningService(tmp_path / "data", *SOON)
    with connect(service.connection) as client:
        jobs = [
            client.submit(
                picture_png(i), PATH_JSON, {**TINY, "n_frames": 8, "max_resolution": 128, "seed": i}
            )
            for i in range(2)
        ]
    assert service.process.wait(120) == 0
    service.close()
    service.start()
    with connect(service.connection) as client:
        assert [client.status(job).state for job in jobs] == ["done", "done"]
    service.kill()


@pytest.mark.slow
def test_without_the_option_it_stays(tmp_path: Path) -> None:
    service = RunningService(tmp_path / "data", "--device", "cpu")
    time.sleep(5)
    assert service.process.poll() is None
    assert service.stop() == 0
