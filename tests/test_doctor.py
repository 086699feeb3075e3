"""`splinescape doctor`: facts about the machine, what would be chosen and why, and what to do, in a few seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_support import Ran, splinescape_command
from service_support import RunningService

from splinescape import __version__, engines
from splinescape.doctor import _build, examine
from splinescape.engines import EngineEntry
from splinescape.errors import NotEnoughMemoryError
from splinescape.models.catalogue import CATALOGUE
from splinescape.models.manager import ModelStore
from splinescape.prospects import prospects

Cli = Callable[..., Ran]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """The folder of models, empty."""
    monkeypatch.setenv("SPLINESCAPE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SPLINESCAPE_DEVICE", "cpu")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return ModelStore()


@pytest.fixture
def moge_vits(store: ModelStore, tmp_path: Path) -> Path:
    """A file that looks like a model from outside, in use as moge-2-vits-normal."""
    file = tmp_path / "model.pt"
    file.write_bytes(bytes(1000))
    store.use("moge-2-vits-normal", file)
    return file


def role(facts: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in facts["engines"] if each["role"] == name)


@pytest.mark.usefixtures("store")
def test_it_says_everything_that_a_bug_report_needs(cli: Cli) -> None:
    ran = cli("doctor")
    assert ran.code == 0 and ran.err == ""
    for word in (
        __version__,
        "python",
        "torch",
        "cpu",
        "GiB free",
        "gsplat",
        "extras",
        "models",
        "not running",
    ):
        assert word in ran.out
    for name in ("inpaint", "depth", "raster"):
        assert any(line.startswith(f"{name} ") and "best available" in line for line in ran.out.splitlines())
    assert "bug report" in ran.out.splitlines()[-1]
    assert str(Path.home()) + os.sep not in ran.out.replace(sys.prefix, "")


@pytest.mark.usefixtures("store")
def test_json_has_the_same_facts(cli: Cli) -> None:
    facts = json.loads(cli("doctor", "--json").out)
    assert facts["runs"] is True and facts["trouble"] == []
    assert facts["torch"]["chosen"] == "cpu"
    assert 0 < facts["torch"]["devices"][-1]["memory_free"] <= facts["torch"]["devices"][-1]["memory_total"]
    assert facts["models"]["states"] == dict.fromkeys(CATALOGUE, "absent")
    assert role(facts, "depth")["engine"] == "builtin"
    assert "splinescape models download moge-2-vits-normal" in role(facts, "depth")["better"][0]


@pytest.mark.usefixtures("moge_vits")
def test_a_model_on_the_disk_is_what_would_be_chosen_and_nothing_is_loaded() -> None:
    facts = examine()
    assert role(facts, "depth") == {
        "role": "depth",
        "engine": "moge-2-vits-normal",
        "reason": role(facts, "depth")["reason"],
        "better": [],
    }
    assert facts["models"]["states"]["moge-2-vits-normal"] == "complete"


def test_damaged_models_are_named(moge_vits: Path, cli: Cli) -> None:
    moge_vits.unlink()
    ran = cli("doctor")
    assert ran.code == 0
    assert "moge-2-vits-normal: damaged" in ran.out and "is gone" in ran.out


@pytest.mark.usefixtures("store")
def test_on_a_gpu_other_models_are_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splinescape.prospects.device_kind", lambda: "cuda")
    better = {each["role"]: "\n".join(each["better"]) for each in prospects()}
    assert "models download flux-fill" in better["inpaint"] and "no commercial use" in better["inpaint"]
    assert "models download flux-2-klein-4b" in better["inpaint"]
    assert "models download moge-2-vitl-normal" in better["depth"]
    assert "gsplat" in better["raster"]


@pytest.mark.usefixtures("store")
def test_the_best_engine_leaves_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    best = EngineEntry("gsplat", lambda: None, lambda _: None)
    monkeypatch.setattr(engines, "RASTERIZERS", [best, *engines.RASTERIZERS[1:]])
    monkeypatch.setattr("splinescape.prospects.device_kind", lambda: "cuda")
    assert prospects()[2]["better"] == []


@pytest.mark.usefixtures("store")
def test_memory_that_shrinks_between_two_looks_is_a_reason_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forecast(_config: object, _free: int) -> str:
        raise NotEnoughMemoryError("needs 8.2 GiB of memory, 5.9 GiB are free")

    greedy = EngineEntry("greedy", lambda: None, lambda _: None, forecast=forecast)
    monkeypatch.setattr(engines, "INPAINTERS", [greedy, *engines.INPAINTERS])
    told = next(each for each in prospects() if each["role"] == "inpaint")
    assert told["engine"] == "builtin"
    assert "greedy not used: needs 8.2 GiB" in told["reason"]


@pytest.mark.usefixtures("store")
def test_it_sees_the_service_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    service = RunningService(tmp_path / "data" / "splinescape", "--device", "cpu")
    try:
        assert examine()["service"]["running"]
    finally:
        service.close()
    after = examine()["service"]
    assert not after["running"] and after["endpoint"]


def fails_with(folder: Path, before: str, words: str) -> None:
    """Run the doctor in a process that did something `before` and can import from `folder` first."""
    program = f"import sys; {before}; from splinescape.cli.main import main; main()"
    command = [sys.executable, "-c", program, "doctor"]
    env = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 2, done.stderr
    assert "models" in done.stdout
    assert words in done.stderr and done.stderr.count("\n") == 1


def test_a_missing_package_is_named_and_means_failure(tmp_path: Path) -> None:
    fails_with(tmp_path, "sys.modules['numba'] = None", "the package numba is not installed")


def test_the_package_that_talks_to_the_service_may_be_missing_too(tmp_path: Path) -> None:
    fails_with(tmp_path, "sys.modules['zmq'] = None", "the package zmq is not installed")


@pytest.mark.usefixtures("store")
def test_a_disk_that_does_not_answer_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_place: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("splinescape.doctor.shutil.disk_usage", absent)
    assert examine()["models"]["disk_free"] is None
    monkeypatch.undo()
    monkeypatch.setenv("SPLINESCAPE_MODELS", f"/{'x' * 300}")
    assert "its disk does not answer" in cli("doctor").out


def test_a_build_of_torch_is_called_by_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("hip", "cuda", "xpu"):
        monkeypatch.setattr(torch.version, name, None, raising=False)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: False)
    assert _build() == "CPU"
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
    assert _build() == "Apple Metal"
    monkeypatch.setattr(torch.version, "xpu", "20250300")
    assert _build() == "Intel XPU 20250300"


def test_a_broken_torch_is_told_and_means_failure(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise OSError('libtorch_cpu.so: cannot open')")
    fails_with(tmp_path, "pass", "libtorch_cpu.so")


def test_it_is_quick() -> None:
    command = splinescape_command("doctor")
    before = os.times()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 5
