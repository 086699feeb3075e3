"""A worker's engines: kept while they are the best, given up for others, never the end of a job or of the worker."""

from __future__ import annotations

from dataclasses import replace

import pytest

from splinescape import SceneConfig, engines
from splinescape.engines import EngineEntry, MemoryTier
from splinescape.errors import (
    EngineUnavailableError,
    InputError,
    NotEnoughMemoryError,
    is_out_of_memory,
)
from splinescape.service.worker import device
from splinescape.service.worker.link import Address
from splinescape.service.worker.main import Worker
from splinescape.service.worker.runner import WarmEngines

FREE = 10
WANTED = {"inpaint": "auto", "depth": "builtin", "raster": "cpu"}


def entry(name: str, need: int = 0, **more: object) -> EngineEntry:
    """An engine that is its name and needs so much memory."""
    short = lambda _config, free: f"needs {need}" if need > free else None  # noqa: E731
    return EngineEntry(name, lambda: None, lambda _: name, short=short, **more)  # type: ignore[arg-type]


def inpaint(warm: WarmEngines, *table: EngineEntry) -> tuple[str, str]:
    """The inpainter that is taken among these, and why."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "INPAINTERS", list(table))
        patch.setattr(engines, "free_memory", lambda: FREE)
        patch.setattr("splinescape.service.worker.runner.free_on_device", lambda: FREE)
        choice = warm.choose(WANTED, SceneConfig(), MemoryTier.FULL)["inpaint"]
    return choice.engine, choice.reason


def test_what_a_kept_engine_once_found_free_is_not_free_for_another() -> None:
    """The kept one was made when there was more: it may stay, but another has to do with what there is now."""
    warm = WarmEngines()
    small = entry("small", 2)
    inpaint(warm, small)
    warm._made["inpaint"] = replace(warm._made["inpaint"], free=100)
    name, reason = inpaint(warm, entry("large", 50), small)
    assert name == "small" and "large not used: needs 50" in reason
    assert inpaint(warm, small)[0] == "small"


@pytest.mark.parametrize("error", [InputError, EngineUnavailableError, NotEnoughMemoryError])
def test_one_that_cannot_be_made_or_forecast_gives_way(error: type[Exception]) -> None:
    def fail(*_: object) -> str:
        raise error("its file\nis cut off")

    broken = EngineEntry("broken", lambda: None, fail)
    moody = entry("moody", forecast=fail)
    name, reason = inpaint(WarmEngines(), broken, moody, entry("last"))
    assert name == "last" and "broken, moody not used: its file is cut off" in reason


def test_memory_that_went_between_the_choice_and_the_work_is_memory_that_ran_out() -> None:
    assert is_out_of_memory(NotEnoughMemoryError("needs 2 GB, 1 GB are free"))
    assert not is_out_of_memory(EngineUnavailableError("there is no GPU"))


def test_a_look_at_the_engines_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(Address("tcp://127.0.0.1:1", "0", 1.0), "cpu")
    worker._kind = "cpu"
    known = worker._news()["engines"]
    assert known

    def fail() -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(device, "engine_table", fail)
    worker._next_look = 0.0
    assert worker._news() == {}
    monkeypatch.undo()
    worker._next_look = 0.0
    assert worker._news() == {"looked": True}, "the same as before"
