"""A service ends when it is told to, whoever waits for what, and tells nothing to those who may not hear it."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_support import PATH_JSON, TINY, RunningService, picture_png, until

from splinescape.client import Client, connect
from splinescape.service.broker import Broker
from splinescape.service.keys import Keyring
from splinescape.service.settings import ServiceSettings
from splinescape.service.store.store import Store

QUICK = {"stage": "no-outpaint", "max_resolution": 32}


@pytest.mark.slow
def test_a_service_ends_at_once_though_a_rendering_waits_for_a_worker(tmp_path: Path) -> None:
    config = tmp_path / "service.toml"
    config.write_text("idle_unload_s = 0.3\n")
    service = RunningService(tmp_path / "data", "--device", "cpu", "--config", str(config))
    with connect(service.connection) as client:
        job = client.submit(picture_png(), None, QUICK)
        until(lambda: client.status(job).state == "done", what="the job")
        preview = client.preview(job)
        until(lambda: not service.workers(), what="the end of the worker")
    height, width = preview.depth.shape
    with Client(service.connection) as viewer:
        until(lambda: viewer.poll() is not None and viewer.state == "connected", what="the connection")
        rendering = viewer.render(job, preview.cam_T_world[None], preview.K_33[None], width, height)
        until(lambda: viewer.poll() is not None and service.workers(), what="a worker that is starting")
        viewer.shutdown("now")
        until(lambda: viewer.poll() is not None and rendering.done, what="an answer")
        assert rendering.error is not None and "shutting down" in str(rendering.error)
    assert service.process.wait(10) == 0
    assert service.orphans() == []
    service.close()


@pytest.mark.slow
def test_a_signal_ends_a_service_that_was_told_to_let_its_job_end_first(tmp_path: Path) -> None:
    service = RunningService(tmp_path / "data", "--device", "cpu")
    with connect(service.connection) as client:
        job = client.submit(picture_png(), PATH_JSON, {**TINY, "n_frames": 100, "max_resolution": 256})
        until(lambda: client.status(job).state == "running", what="the job")
        client.shutdown("drained")
    assert service.stop() == 0
    store = Store.open(tmp_path / "data")
    assert [row.id for row in store.jobs.queued()] == [job]
    store.close()


def test_a_listener_whose_key_is_revoked_hears_nothing_more_though_it_says_nothing(tmp_path: Path) -> None:
    settings = ServiceSettings(data_dir=tmp_path)
    store, keyring = Store.open(tmp_path), Keyring.open(tmp_path / "keys")
    keyring.new("laptop")
    keyring.new("desk")
    broker = Broker(settings, store, keyring, "tcp://127.0.0.1:*")
    for name in ("laptop", "desk"):
        broker._door.sessions.get(name.encode(), name).subscribed = True
    Keyring.open(tmp_path / "keys").revoke("laptop")  # as another process does
    broker._seldom()
    assert [session.user for session in broker._door.sessions.listeners(None)] == ["desk"]
    broker.close()
    store.close()
