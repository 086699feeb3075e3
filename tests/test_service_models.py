"""Models over the service: listed, fetched from a hub beside it with progress, and removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from models_support import WEIGHTS, Hub, fill, running_hub
from service_support import RunningService, until

from splinescape.client import Service, connect
from splinescape.models.manager import ModelStore
from splinescape.protocol.errors import ServiceError

pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        fill(hub)
        yield hub


@pytest.fixture
def service(hub: Hub, tmp_path: Path) -> Iterator[RunningService]:
    env = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "SPLINESCAPE_MODELS": str(tmp_path / "models"),
        "NO_PROXY": "127.0.0.1",
    }
    running = RunningService(tmp_path / "data", "--device", "cpu", env=env)
    yield running
    running.close()


@pytest.fixture
def client(service: RunningService) -> Iterator[Service]:
    with connect(service.connection) as connected:
        yield connected


def model(client: Service, name: str) -> dict[str, Any]:
    return next(each for each in client.models() if each["id"] == name)


def told_until(client: Service, final: str, since: int) -> list[dict[str, Any]]:
    """What events say of models until one has this state."""
    told = []
    for event in client.watch(None, since=since):
        if event.kind == "model":
            told.append(event.data)
            if event.data["state"] == final:
                break
    return told


def test_a_model_is_fetched_with_progress_and_removed(client: Service, hub: Hub, tmp_path: Path) -> None:
    before = client.hello().last_seq
    assert model(client, "moge-vitl")["state"] == "absent"
    hub.pace = 0.01
    client.download_model("moge-vitl")
    assert model(client, "moge-vitl")["downloading"]
    told = told_until(client, "complete", before)
    assert any(0 < data["done"] < data["total"] == len(WEIGHTS) for data in told)
    listed = until(lambda: (m := model(client, "moge-vitl"))["state"] == "complete" and m)
    assert listed["on_disk"] == len(WEIGHTS) and "path" not in listed
    assert (tmp_path / "models" / "moge-vitl" / "model.pt").read_bytes() == WEIGHTS
    client.remove_model("moge-vitl")
    until(lambda: model(client, "moge-vitl")["state"] == "absent")


def test_a_licence_must_be_accepted_first(client: Service) -> None:
    with pytest.raises(ServiceError, match="must be accepted") as refused:
        client.download_model("flux-fill")
    assert refused.value.code == "not_allowed" and "http" in str(refused.value)


def test_only_models_of_the_catalogue_can_be_named(client: Service) -> None:
    for name in ("../../etc", "no-such-model"):
        with pytest.raises(ServiceError):
            client.download_model(name)


def test_what_the_hub_refuses_is_told(client: Service) -> None:
    before = client.hello().last_seq
    client.download_model("flux-fill", accept_licence=True)  # gated, and there is no token
    told = told_until(client, "failed", before)
    assert "token" in told[-1]["error"]


def offered(client: Service) -> dict[str, str]:
    """Depth engine -> why it cannot run, as the client knows it without asking for it."""
    client.jobs()  # any call: heartbeats are sent and heard meanwhile
    return {
        engine.name: "" if engine.available else str(engine.reason)
        for engine in client.capabilities.engines
        if engine.role == "depth"
    }


@pytest.mark.slow
@pytest.mark.parametrize("idle_unload_s", [600.0, 0.3], ids=["worker-awake", "worker-asleep"])
def test_clients_hear_that_a_model_makes_an_engine_usable_and_that_it_is_gone(
    hub: Hub, tmp_path: Path, idle_unload_s: float
) -> None:
    config = tmp_path / "service.toml"
    config.write_text(f"idle_unload_s = {idle_unload_s}\n")
    env = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "127.0.0.1"}
    env["SPLINESCAPE_MODELS"] = str(tmp_path / "models")
    service = RunningService(tmp_path / "data", "--device", "cpu", "--config", str(config), env=env)
    with closing(service), connect(service.connection) as client:
        until(lambda: "no weights" in offered(client).get("moge-vitl", ""), what="the first table of engines")
        if idle_unload_s < 1:
            until(lambda: not service.workers(), what="the worker's sleep")
        client.download_model("moge-vitl")
        until(
            lambda: offered(client)["moge-vitl"] == "" == offered(client)["moge"],
            what="an engine that can run",
        )
        assert next(m for m in client.capabilities.models if m["id"] == "moge-vitl")["state"] == "complete"
        client.remove_model("moge-vitl")
        until(lambda: "no weights" in offered(client)["moge-vitl"], what="an engine without weights")
        file = tmp_path / "model.pt"  # the command line's doing, on the service's machine
        file.write_bytes(bytes(100))
        ModelStore(tmp_path / "models").use("moge-2-vits-normal", file)
        client.models()
        until(lambda: offered(client)["moge-2-vits-normal"] == "", what="an engine with a local file")


def test_a_removal_stops_the_download(client: Service, hub: Hub, service: RunningService) -> None:
    hub.gate.clear()
    client.download_model("moge-vitl")
    fetching = until(lambda: _fetchers(service), what="the process that downloads")
    client.remove_model("moge-vitl")
    until(lambda: model(client, "moge-vitl")["state"] == "absent")
    assert not any(process.is_running() for process in fetching)


def test_no_download_outlives_the_service(client: Service, hub: Hub, service: RunningService) -> None:
    hub.gate.clear()
    client.download_model("moge-vitl")
    fetching = until(lambda: _fetchers(service), what="the process that downloads")
    service.kill()
    psutil.wait_procs(fetching, timeout=10)
    assert not any(process.is_running() for process in fetching)


def _fetchers(service: RunningService) -> list[psutil.Process]:
    return [each for each in service.workers() if "splinescape.models.fetch" in " ".join(each.cmdline())]
