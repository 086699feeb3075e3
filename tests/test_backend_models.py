"""Models as the preferences show them: listed, fetched with progress, refused with the reason, removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from models_support import WEIGHTS, Hub, fill, running_hub
from service_support import RunningService

from addon.backend.errors import BackendError
from addon.backend.models import Models, read_model
from addon.backend.shared import SharedClient

pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        fill(hub)
        yield hub


@pytest.fixture
def client(hub: Hub, tmp_path: Path) -> Iterator[SharedClient]:
    env = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "SPLINESCAPE_MODELS": str(tmp_path / "models"),
        "NO_PROXY": "127.0.0.1",
    }
    running = RunningService(tmp_path / "data", "--device", "cpu", env=env)
    with SharedClient(Path(running.connection), "test") as client:
        yield client
    running.close()


class Preferences:
    """Somebody who looks at the list."""

    def __init__(self, client: SharedClient) -> None:
        self.models = Models()
        self.client = client
        self.models.use(client)

    def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        ends = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < ends, self.models.all
            self.client.pump()
            self.models.tick(wanted=True)
            time.sleep(0.01)

    def state(self, id: str) -> str:
        model = self.models.get(id)
        return model.state if model is not None else ""


@pytest.mark.slow
def test_a_model_is_fetched_with_progress_and_removed(client: SharedClient, hub: Hub) -> None:
    seen = Preferences(client)
    seen.until(lambda: seen.state("moge-vitl") == "absent")
    assert not hub.requests  # looking fetches nothing
    hub.pace = 0.02
    seen.models.download("moge-vitl")
    fractions: list[float] = []

    def complete() -> bool:
        model = seen.models.get("moge-vitl")
        assert model is not None
        if model.fetching:
            fractions.append(model.fraction)
        return model.state == "complete" and not model.fetching

    seen.until(complete)
    assert any(0 < each < 1 for each in fractions) and fractions == sorted(fractions)
    model = seen.models.get("moge-vitl")
    assert model is not None and model.on_disk == len(WEIGHTS) and not model.error
    assert not seen.models.fetching
    seen.models.remove("moge-vitl")
    seen.until(lambda: seen.state("moge-vitl") == "absent")


@pytest.mark.slow
def test_a_licence_against_commercial_use_and_a_gate_are_said(client: SharedClient, hub: Hub) -> None:
    seen = Preferences(client)
    seen.until(lambda: seen.models.all)
    flux = seen.models.get("flux-fill")
    assert flux is not None and flux.gated and not flux.accepted and "hf auth login" in flux.hint
    with pytest.raises(BackendError, match="forbids commercial use"):
        seen.models.download("flux-fill")
    assert not hub.requests
    seen.models.download("flux-fill", accept_licence=True)  # there is no token

    def refused() -> bool:
        model = seen.models.get("flux-fill")
        return model is not None and bool(model.error) and not model.fetching

    seen.until(refused)
    flux = seen.models.get("flux-fill")
    assert flux is not None and "\n" not in flux.error and "token" in flux.error


def test_without_a_connection_nothing_can_be_fetched() -> None:
    with pytest.raises(BackendError, match="start it first"):
        Models().download("moge-vitl")


def test_what_an_older_or_newer_service_says_is_understood() -> None:
    assert read_model({"name": "x"}) is None
    model = read_model({"id": "x", "size": None, "new": 3, "downloading": True})
    assert model is not None and model.fetching and model.size is None and model.fraction == 0.0
