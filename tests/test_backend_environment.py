"""Where the backend's environment lies, when it counts, and what is fetched for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from addon.backend import environment
from addon.backend.errors import BackendError
from addon.backend.install import Installer
from addon.backend.probe import Probe

ROOT = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"


def wait(tick: Callable[[], object], condition: Callable[[], bool], seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "in vain"
        tick()
        time.sleep(0.02)


def made(home: Path, version: str = VERSION) -> Path:
    """A folder that looks like a complete environment; its interpreter."""
    python = environment.python_in(home / "env-1")
    python.parent.mkdir(parents=True)
    python.touch()
    stamp = {"folder": "env-1", "kind": "cpu", "bytes": 5, "splinescape": version, "torch": "2.13.0+cpu"}
    (home / environment.POINTER).write_text(json.dumps(stamp))
    return python


def test_an_environment_counts_when_its_stamp_is_there(tmp_path: Path) -> None:
    assert environment.installed(tmp_path) is None
    (tmp_path / "env-1").mkdir()
    assert environment.installed(tmp_path) is None
    python = made(tmp_path / "other")
    found = environment.installed(tmp_path / "other")
    assert found is not None and found.python == python and found.torch == "2.13.0+cpu" and found.size == 5
    assert environment.trouble_with(found, VERSION) == ""


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', '{"folder": 3}', '{"folder": "../../etc"}', "\x00"])
def test_a_damaged_stamp_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / environment.POINTER).write_text(text)
    assert environment.installed(tmp_path) is None


def test_what_is_wrong_with_an_environment_is_said_with_the_next_step(tmp_path: Path) -> None:
    python = made(tmp_path, "0.0.9")
    assert "Install Backend" in environment.trouble_with(None, VERSION)
    found = environment.installed(tmp_path)
    text = environment.trouble_with(found, VERSION)
    assert "0.0.9" in text and VERSION in text and "click Install Again" in text
    python.unlink()
    assert "is gone" in environment.trouble_with(found, VERSION)


def test_the_wheel_of_the_extension_is_taken_before_the_checkout(tmp_path: Path) -> None:
    assert environment.find_source(ROOT / "addon" / "preferences.py") == (ROOT, "checkout")
    (tmp_path / "wheels").mkdir()
    wheel = tmp_path / "wheels" / "splinescape-0.1.0-py3-none-any.whl"
    wheel.touch()
    assert environment.find_source(tmp_path / "preferences.py") == (wheel, "wheel")
    assert environment.find_source(tmp_path / "wheels" / "x.py") is None


def test_an_nvidia_gpu_gets_the_cuda_build_and_anything_else_the_small_one(tmp_path: Path) -> None:
    wheel = (tmp_path / "with space" / "splinescape-0.1.0-py3-none-any.whl", "wheel")
    small = environment.make_plan(tmp_path, VERSION, wheel, "cpu")
    large = environment.make_plan(tmp_path, VERSION, wheel, "cuda")
    torch, backend = (arguments for _text, arguments in small.steps)
    assert torch[0] == "torch==2.13.0"
    if sys.platform.startswith("linux"):
        assert torch[-1] == "https://download.pytorch.org/whl/cpu"
        assert large.steps[0][1] == ("torch==2.13.0",)
    assert backend[0].startswith("splinescape[models] @ file:///") and "with%20space" in backend[0]
    assert large.steps[1][1][0].startswith("splinescape[models,cuda] @ ")
    assert large.needs_bytes > small.needs_bytes


def test_a_new_environment_never_takes_the_folder_of_the_present_one(tmp_path: Path) -> None:
    names = set()
    for _ in range(3):
        plan = environment.make_plan(tmp_path, VERSION, (ROOT, "checkout"), "cpu")
        (tmp_path / plan.name).mkdir()
        names.add(plan.name)
    assert len(names) == 3


def test_removing_lets_it_count_no_more_before_anything_is_deleted(tmp_path: Path) -> None:
    made(tmp_path)
    left = environment.remove(tmp_path)
    assert environment.installed(tmp_path) is None
    assert [each.exists() for each in left] == [True] and not list(tmp_path.glob("env-*"))


def test_the_python_found_by_itself_is_one(tmp_path: Path) -> None:
    first = environment.pythons()[0]
    said = subprocess.run(
        [first, "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True
    )
    assert said.stdout.strip() == b"True"
    assert environment.pythons(tmp_path / "mine") == [tmp_path / "mine"]


def test_blender_itself_is_never_taken_for_a_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blender = tmp_path / "blender"
    blender.touch()
    monkeypatch.setattr(sys, "executable", str(blender))
    found = environment.pythons()
    assert found and blender not in found
    assert all(each.name.startswith("python") for each in found)


# Installing, as far as it goes without packages.


def plan_for(home: Path, needs: int = 0) -> environment.Plan:
    nothing = (("Installing PyTorch", ("--no-index", "torch==2.13.0")), ("Installing Splinescape", ()))
    return environment.Plan(home, "env-test", "cpu", VERSION, nothing, needs)


def finish(installer: Installer, seconds: float = 90) -> None:
    wait(installer.tick, lambda: not installer.running, seconds)


def test_too_small_a_disk_is_said_before_anything_is_made(tmp_path: Path) -> None:
    installer = Installer()
    installer.begin(plan_for(tmp_path, 10**18), Path(sys.executable))
    finish(installer)
    assert installer.state == "failed"
    assert "GB are free" in installer.text and "choose another folder" in installer.text
    assert not list(tmp_path.glob("env-*"))


@pytest.mark.slow
def test_a_package_that_cannot_be_had_is_one_sentence_and_the_log_has_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    python = made(tmp_path, "0.0.9")
    installer = Installer()
    installer.begin(plan_for(tmp_path), Path(sys.executable))
    finish(installer, 180)
    assert installer.state == "failed"
    assert "\n" not in installer.text and len(installer.text) < 300
    assert installer.log_file is not None and "torch==2.13.0" in installer.log_file.read_text()
    assert python.exists() and environment.installed(tmp_path) is not None  # what was there is untouched


def test_two_at_the_same_time_exclude_each_other(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installer = Installer()
        installer.begin(plan_for(tmp_path), Path(sys.executable))
        finish(installer)
    assert installer.state == "failed" and "Another Blender" in installer.text


@pytest.mark.parametrize("content", ["", "#!/bin/sh\nexit 3\n", "no script"])
def test_a_python_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    fake = tmp_path / "python"
    fake.write_text(content)
    fake.chmod(0o755)
    installer = Installer()
    try:
        installer.begin(plan_for(tmp_path / "home"), fake)
        finish(installer)
    except BackendError as error:
        assert str(error) == installer.text
    assert installer.state == "failed"
    assert "is none" in installer.text or "is not a Python" in installer.text


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match="choose another folder"):
        Installer().begin(plan_for(tmp_path / "file" / "home"), Path(sys.executable))


# An environment of one's own.


def probed(python: Path, version: str = VERSION, patience: float = 20) -> str | None:
    probe = Probe(version, patience)
    probe.begin(python)
    wait(probe.tick, lambda: not probe.running, 30)
    return probe.trouble


def test_this_environment_passes_and_another_version_does_not() -> None:
    from splinescape import __version__

    assert probed(Path(sys.executable), __version__) == ""
    text = probed(Path(sys.executable), "9.9.9")
    assert text is not None and __version__ in text and "pip install splinescape==9.9.9" in text


@pytest.mark.parametrize(
    "content", ["#!/bin/sh\nyes\n", "#!/bin/sh\nsleep 60\n"], ids=["floods", "says nothing"]
)
def test_a_program_that_is_no_python_is_given_up_after_a_while_and_ended(
    tmp_path: Path, content: str
) -> None:
    fake = tmp_path / "python"
    fake.write_text(content)
    fake.chmod(0o755)
    text = probed(fake, patience=1)
    assert text is not None and "does not answer within 1 s" in text


@pytest.mark.parametrize("content", ["#!/bin/sh\necho '{}'\n", "#!/bin/sh\necho hello\n", "text"])
def test_an_answer_that_no_python_gives_is_refused(tmp_path: Path, content: str) -> None:
    fake = tmp_path / "python"
    fake.write_text(content)
    fake.chmod(0o755)
    text = probed(fake)
    assert text is not None and "is not a Python" in text


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    text = probed(tmp_path / "none")
    assert text is not None and "There is no file" in text
