"""Clients learn what is wrong, but not where things lie on the service's machine."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

import pytest
from service_support import RunningService, until

from splinescape.client import connect
from splinescape.models.folders import default_root
from splinescape.models.manager import ModelStore
from splinescape.service.discreet import discreet

SAID = {
    "its files cannot be used: /mnt/My Disk/flux, which was to be used, is gone": (
        "its files cannot be used: flux, which was to be used, is gone"
    ),
    "[Errno 2] No such file or directory: '/srv/a b/model.pt'": "[Errno 2] No such file or directory: 'model.pt'",
    "cannot import name 'x' from 'y' (/usr/lib/python3/y.py)": "cannot import name 'x' from 'y' (y.py)",
    "/srv/full/ has no room, C:\\Users\\me too\\a.pt and \\\\server\\share\\b.pt have": (
        "full has no room, a.pt and b.pt have"
    ),
}


@pytest.mark.parametrize("text", SAID)
def test_of_a_path_only_the_name_is_told(text: str) -> None:
    assert discreet(text) == SAID[text]


def test_of_a_models_file_its_place_in_the_model_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLINESCAPE_MODELS", "/home/me, (myself)/models")
    text = f"{default_root()}/flux-fill/vae/config.json is damaged; {default_root()} has no room"
    assert discreet(text) == "flux-fill/vae/config.json is damaged; the models' folder has no room"


def test_a_users_name_is_not_told_whatever_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/o'neill, (jr)")
    assert discreet("/home/o'neill, (jr)/weights/a.pt is gone") == "a.pt is gone"


@pytest.mark.parametrize(
    "text",
    [
        "read https://huggingface.co/a/b",
        "12/24 GB, 3 GB/s, and/or",
        "put it in ./a or ../b or models/a",
        "a / b",
    ],
)
def test_what_is_no_path_of_a_machine_stays(text: str) -> None:
    assert discreet(text) == text


def test_no_reason_of_a_service_names_its_folders(tmp_path: Path) -> None:
    """A model's own file is gone, and another's damaged: in the lists, in the choice of a job, in what is refused."""
    store = ModelStore(tmp_path / "models")
    for model in ("moge-vitl", "moge-2-vits-normal"):
        weights = tmp_path / f"{model}.pt"
        weights.write_bytes(bytes(100))
        store.use(model, weights)
    (tmp_path / "moge-vitl.pt").unlink()
    (tmp_path / "models" / "moge-2-vitl").mkdir()
    (tmp_path / "models" / "moge-2-vitl" / "mine").touch()
    service = RunningService(
        tmp_path / "data", "--device", "cpu", env={"SPLINESCAPE_MODELS": str(tmp_path / "models")}
    )
    with closing(service), connect(service.connection) as client:
        greeting = until(lambda: (said := client.hello()).engines and said, what="engines")
        told = [*(engine.reason for engine in greeting.engines), json.dumps(client.models())]
        assert any("moge-vitl.pt, which was to be used, is gone" in str(text) for text in told)
        client.remove_model("moge-2-vitl")
        removed = next(event for event in client.watch(None) if event.data.get("state") == "failed")
        assert "was not made by Splinescape" in removed.data["error"]
        told += [removed.data["error"]]
    assert not re.search(re.escape(str(tmp_path)), "\n".join(map(str, told)))
