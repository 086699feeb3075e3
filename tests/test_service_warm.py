"""A service keeps models loaded: the job after the first begins to paint at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_support import RunningService, picture_png, until

from splinescape.client import Event, Service, connect
from splinescape.models.manager import ModelStore

pytest.importorskip("diffusers")
from diffusion_support import make_flux_fill

SETTINGS = {"stage": "outpaint", "max_resolution": 64, "num_steps": 1}
ENGINES = {"inpaint": "flux-fill", "depth": "builtin", "raster": "cpu"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with a tiny FLUX Fill among its models."""
    import numba

    import splinescape.jit  # noqa: F401 - says where compiled code is kept

    folder = tmp_path_factory.mktemp("warm")
    ModelStore(folder / "models").use("flux-fill", make_flux_fill(folder / "flux"))
    env = {
        "SPLINESCAPE_MODELS": str(folder / "models"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "NUMBA_CACHE_DIR": numba.config.CACHE_DIR,
    }
    running = RunningService(folder / "data", "--device", "cpu", env=env)
    yield running
    running.close()
    assert running.orphans() == []


@pytest.fixture
def client(service: RunningService) -> Iterator[Service]:
    with connect(service.connection) as connected:
        until(lambda: connected.hello().engines, what="a worker that has said which engines there are")
        yield connected


def run(client: Service, **settings: object) -> list[tuple[float, Event]]:
    """Do a job; its events and when each was heard, in seconds since the job was sent."""
    began = time.monotonic()
    job = client.submit(picture_png(), settings={**SETTINGS, **settings}, engines=ENGINES)
    heard = [(time.monotonic() - began, event) for event in client.watch(job, thumbnails=False)]
    info = client.status(job)
    assert info.state == "done", info.reason
    return heard


def painting(heard: list[tuple[float, Event]]) -> float:
    """Seconds between the beginning of outpainting and what comes after it."""
    stages = {event.data["stage"]: at for at, event in heard if event.kind == "stage"}
    return stages["depth"] - stages["outpaint"]


def notes(heard: list[tuple[float, Event]]) -> str:
    return "\n".join(str(event.data["text"]) for _, event in heard if event.kind == "note")


def test_the_engines_with_weights_are_offered_with_their_licence(client: Service) -> None:
    offered = {(engine.role, engine.name): engine for engine in client.capabilities.engines}
    flux, klein = offered["inpaint", "flux-fill"], offered["inpaint", "flux-2-klein"]
    assert flux.available and "Non-Commercial" in str(flux.licence)
    assert not klein.available and "splinescape models download flux-2-klein-4b" in str(klein.reason)
    assert not offered["depth", "moge"].available
    assert offered["depth", "builtin"].available


@pytest.mark.slow
def test_the_second_job_paints_within_a_second(client: Service) -> None:
    """From the stage's event to the finished picture of one step: more than what the first step has to wait for."""
    first = run(client)
    assert "expected memory" in notes(first)
    later = [run(client, seed=seed) for seed in (1, 2, 3)]
    assert all("loaded already" in notes(heard) for heard in later)
    # The quickest: this machine may have something else to do.
    assert min(map(painting, later)) < min(1.0, painting(first))


@pytest.mark.slow
def test_a_model_that_comes_or_goes_is_noticed_without_a_new_start(
    client: Service, service: RunningService, tmp_path: Path
) -> None:
    store = ModelStore(service.folder.parent / "models")
    file = tmp_path / "model.pt"
    file.write_bytes(bytes(100))

    def available() -> bool:
        return next(each for each in client.hello().engines if each.name == "moge-2-vits-normal").available

    store.use("moge-2-vits-normal", file)
    until(available, 30)
    store.remove("moge-2-vits-normal")
    until(lambda: not available(), 30)
