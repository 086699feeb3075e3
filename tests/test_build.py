"""The build tasks: one environment, made once; sentences instead of tracebacks."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_under_test", ROOT / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """build.py as a module whose project is an empty folder."""
    module = _load()
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    for name, value in (
        ("ROOT", tmp_path),
        ("VENV", tmp_path / ".venv"),
        ("VENV_PYTHON", tmp_path / ".venv" / "python"),
        ("STAMP", tmp_path / ".venv" / "stamp"),
    ):
        monkeypatch.setattr(module, name, value)
    return module


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "build.py", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_help_lists_the_tasks() -> None:
    ran = _run("--help")
    assert ran.returncode == 0
    for task in ("demo", "test", "lint", "extension", "repository"):
        assert f"python build.py {task}" in ran.stdout


def test_wrong_tasks_are_refused_before_anything_is_installed() -> None:
    assert _run("dmeo").returncode == 2
    ran = _run("lint", "--quick")
    assert ran.returncode == 2
    assert "lint takes no arguments" in ran.stderr


def test_an_old_python_gets_a_sentence() -> None:
    pretend = "import sys; sys.version_info = (3, 10, 2); exec(open('build.py').read())"
    ran = subprocess.run([sys.executable, "-c", pretend], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr == "error: Splinescape needs Python 3.11 or newer; this is 3.10\n"


def test_a_finished_environment_is_left_alone(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    build.VENV.mkdir()
    build.VENV_PYTHON.touch()
    build.STAMP.write_text(build.wanted_stamp())
    monkeypatch.setattr(build, "run", lambda *command: pytest.fail(f"ran {command}"))
    build.ensure_environment()


def test_a_changed_project_is_installed_again(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.wanted_stamp()
    build.VENV.mkdir()
    build.VENV_PYTHON.touch()
    build.STAMP.write_text(before)
    (build.ROOT / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    ran: list[list[str]] = []
    monkeypatch.setattr(build, "run", lambda *command: ran.append([str(part) for part in command]))
    monkeypatch.setattr(build, "torch_index", list)
    build.ensure_environment()
    assert ran[0][-1] == build.TORCH
    assert f"{build.ROOT}[{build.EXTRAS}]" in ran[1]
    assert build.STAMP.read_text() == build.wanted_stamp() != before


def test_a_python_without_ensurepip_is_told_what_to_install(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(build.os, "geteuid", lambda: 1000, raising=False)
    with pytest.raises(SystemExit, match=rf"sudo apt-get install python3\.{sys.version_info.minor}-venv"):
        build.ensure_environment()


def test_a_failing_command_ends_with_its_exit_code(build: ModuleType) -> None:
    with pytest.raises(SystemExit) as ended:
        build.run(sys.executable, "-c", "raise SystemExit(7)")
    assert ended.value.code == 7


def test_pins_and_extras_fit_the_project(build: ModuleType) -> None:
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(build.EXTRAS.split(",")) <= set(project["optional-dependencies"])
    torch = next(Requirement(text) for text in project["dependencies"] if text.startswith("torch"))
    assert torch.specifier.contains(build.TORCH.removeprefix("torch=="))


def test_the_demo_has_its_picture_and_path() -> None:
    module = _load()
    from splinescape.camera.path import CameraPath
    from splinescape.picture.load import load_picture

    assert load_picture(module.DEMO_PICTURE).rgb.shape[0] >= 256
    assert len(CameraPath.from_json(module.DEMO_PATH).cam_T_world) >= 2


@pytest.mark.parametrize(
    ("extra", "blender", "main"),
    [
        ([], ("tests/blender",), ()),
        (["--quick"], ("-m", "not slow", "tests/blender"), ("-m", "not slow")),
        (["-x", "-k", "path"], ("-x", "-k", "path", "tests/blender"), ("-x", "-k", "path")),
        (["tests/test_build.py"], None, ("tests/test_build.py",)),
        (
            ["--quick", "tests/blender/test_extension.py"],
            ("-m", "not slow", "tests/blender/test_extension.py"),
            None,
        ),
        (
            ["tests/blender/test_extension.py::test_x", "-x"],
            ("-x", "tests/blender/test_extension.py::test_x"),
            None,
        ),
    ],
)
def test_arguments_reach_the_tests_that_they_are_for(
    extra: list[str], blender: tuple[str, ...] | None, main: tuple[str, ...] | None
) -> None:
    from building.tests import plan

    chosen = plan(extra)
    assert (chosen.blender, chosen.main) == (blender is not None, main is not None)
    if blender is not None:
        assert chosen.blender_arguments == blender
    if main is not None:
        assert chosen.main_arguments == main


def test_the_first_failing_run_is_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from building import blenders, tests

    ran: list[str] = []
    answers = {"4.2": 0, "4.5": 1, "main": 0}

    def run_pytest(python: Path, _arguments: tuple[str, ...]) -> int:
        ran.append(python.name)
        return answers[python.name]

    class Made:
        def __init__(self, version: str) -> None:
            self.python = Path(version)

    monkeypatch.setattr(tests, "_pytest", run_pytest)
    monkeypatch.setattr(blenders, "ensure_blender", lambda version, _python: Made(version))
    monkeypatch.setattr(blenders, "find_python", lambda: tmp_path)
    with pytest.raises(SystemExit) as ended:
        tests.run_tests(Path("main"), [])
    assert ended.value.code == 1 and ran == ["4.2", "4.5"]


def test_without_the_right_python_the_blender_tests_are_left_out_with_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from building import blenders, tests

    monkeypatch.setattr(tests, "_pytest", lambda _python, _arguments: 0)
    monkeypatch.setattr(blenders, "find_python", lambda: None)
    with pytest.raises(SystemExit) as ended:
        tests.run_tests(Path("main"), [])
    assert ended.value.code == 0
    assert "SKIPPED the tests inside Blender: its packages need Python 3.11" in capsys.readouterr().out
