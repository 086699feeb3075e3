"""The process that downloads for a service: it reports in JSON lines, ends when told, and may be killed any time."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from models_support import FLUX, FLUX_NEEDED, TOKEN, WEIGHTS, Hub, contents, fill, running_hub

from splinescape.models.manager import ModelStore

pytest.importorskip("huggingface_hub")
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        fill(hub)
        yield hub


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@contextmanager
def fetching(
    hub: Hub, store: ModelStore, *arguments: str, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """The process as a service starts it; nothing of it survives the block."""
    private = ("HF_", "HUGGING", "SPLINESCAPE", "XDG")
    env = {name: value for name, value in os.environ.items() if not name.startswith(private)}
    env |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(store.folders.root.parent / "hf")}
    env |= {"SPLINESCAPE_MODELS": str(store.folders.root), "NO_PROXY": "127.0.0.1"} | environment
    process = subprocess.Popen(
        [sys.executable, "-m", "splinescape.models.fetch", *arguments],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def next_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def lines_until_end(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """All lines that are left; nothing else may have been printed."""
    assert process.stdout is not None and process.stderr is not None
    lines = [json.loads(line) for line in process.stdout]
    assert process.stderr.read() == ""
    process.wait(20)
    return lines


def test_progress_and_success(hub: Hub, store: ModelStore) -> None:
    hub.pace = 0.01
    with fetching(hub, store, "moge-vitl") as process:
        lines = lines_until_end(process)
    size = len(WEIGHTS)
    assert process.returncode == 0
    assert lines[-1] == {"id": "moge-vitl", "state": "complete", "done": size, "total": size}
    assert {line["state"] for line in lines[:-1]} == {"downloading"}
    assert 2 <= len(lines) < 30
    assert contents(store.path("moge-vitl")) == {"model.pt": WEIGHTS}


def test_several_models_and_failures(hub: Hub, store: ModelStore) -> None:
    with fetching(hub, store, "flux", "flux-fill", "moge-vitl", "depth-pro", HF_TOKEN=TOKEN) as process:
        lines = lines_until_end(process)
    last = {line["id"]: line for line in lines}
    assert process.returncode == 1
    assert {id: line["state"] for id, line in last.items()} == {
        "flux": "failed",
        "flux-fill": "failed",
        "moge-vitl": "complete",
        "depth-pro": "failed",
    }
    assert [last[id]["code"] for id in ("flux", "flux-fill")] == ["not_found", "not_allowed"]
    assert "Non-Commercial" in last["flux-fill"]["error"]


def test_the_licence_can_be_accepted_and_the_token_comes_from_the_usual_place(
    hub: Hub, store: ModelStore
) -> None:
    home = store.folders.root.parent / "hf"
    home.mkdir()
    (home / "token").write_text(TOKEN)
    with fetching(hub, store, "--accept-licence", "flux-fill") as process:
        lines = lines_until_end(process)
    assert lines[-1]["state"] == "complete", lines
    assert contents(store.path("flux-fill")) == {name: hub.repos[FLUX][name] for name in FLUX_NEEDED}
    assert store.accepted("flux-fill")


def test_offline_mode_of_the_environment(hub: Hub, store: ModelStore) -> None:
    with fetching(hub, store, "moge-vitl", HF_HUB_OFFLINE="1") as process:
        lines = lines_until_end(process)
    assert lines[-1]["code"] == "unavailable" and "HF_HUB_OFFLINE" in lines[-1]["error"]
    assert hub.requests == []


@posix
@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "stdin"])
def test_it_ends_when_told_and_continues_later(hub: Hub, store: ModelStore, how: str) -> None:
    hub.pace = 0.01
    with fetching(hub, store, "moge-vitl") as process:
        while next_line(process)["done"] == 0:
            pass
        if how == "stdin":
            assert process.stdin is not None
            process.stdin.close()
        else:
            process.send_signal(getattr(signal, how))
        assert lines_until_end(process)[-1]["state"] == "cancelled"
        assert process.returncode == 1
    hub.pace, hub.sent = 0.0, 0
    with fetching(hub, store, "moge-vitl") as process:
        assert lines_until_end(process)[-1]["state"] == "complete"
    assert hub.sent < len(WEIGHTS)
    assert contents(store.path("moge-vitl")) == {"model.pt": WEIGHTS}


@posix
@pytest.mark.slow
def test_it_ends_even_while_the_hub_says_nothing(hub: Hub, store: ModelStore) -> None:
    hub.gate.clear()
    with fetching(hub, store, "moge-vitl") as process:
        next_line(process)
        process.terminate()
        assert process.wait(10) == 1


@posix
def test_it_ends_when_nobody_reads(hub: Hub, store: ModelStore) -> None:
    hub.pace = 0.01
    with fetching(hub, store, "moge-vitl") as process:
        next_line(process)
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(20) == 1
    assert store.status("moge-vitl").state == "partial"


def kill_and_continue(hub: Hub, store: ModelStore, kills: int, seed: int) -> None:
    """Kill the download at random moments, look at what is left each time, and let the last one finish."""
    rng = random.Random(seed)
    total = sum(len(hub.repos[FLUX][name]) for name in FLUX_NEEDED)
    store.accept("flux-fill")
    have = 0
    for _ in range(kills):
        hub.pace, enough = 0.002, hub.sent + rng.randrange(total // kills)
        with fetching(hub, store, "flux-fill", HF_TOKEN=TOKEN) as process:
            while hub.sent < enough and process.poll() is None:
                time.sleep(0.0005)
            process.kill()
            process.wait()
        status = store.status("flux-fill")
        assert (status.state == "complete") == store.folders.complete("flux-fill").exists()
        assert status.state != "complete" or store.verify("flux-fill") == ()
        assert status.on_disk >= have
        have = status.on_disk
    hub.pace = 0.0
    with fetching(hub, store, "flux-fill", HF_TOKEN=TOKEN, HF_HUB_USER_AGENT_ORIGIN="last") as process:
        assert lines_until_end(process)[-1]["state"] == "complete"
    assert contents(store.path("flux-fill")) == {name: hub.repos[FLUX][name] for name in FLUX_NEEDED}
    assert not list((store.folders.root / ".partial").iterdir())
    asked = hub.file_requests("origin/last")
    starts = [int((range_ or "bytes=0-")[6:-1]) for _, range_ in asked]
    assert sum(len(hub.repos[FLUX][name]) for name, _ in asked) - sum(starts) <= total - have


@posix
def test_kill_9_and_continue(hub: Hub, store: ModelStore) -> None:
    kill_and_continue(hub, store, 2, seed=1)


@posix
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_kill_9_at_many_moments(hub: Hub, store: ModelStore, seed: int) -> None:
    kill_and_continue(hub, store, 3, seed=100 + seed)
