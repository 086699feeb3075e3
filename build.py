#!/usr/bin/env python3
"""Build tasks that need nothing but Python: make the environment, run the demo, the tests or the linters.

    python build.py demo            makes .venv, turns a bundled picture into gf.ply, a film and a Rerun recording
    python build.py test            all tests, also inside Blender 4.2, 4.5 and 5.0 (--quick leaves the slow ones out)
    python build.py lint            ruff and mypy
    python build.py extension       the Blender extension, one zip for each platform, in dist/ (--out DIR)
    python build.py repository DIR  the same as a static repository that Blender can subscribe to

Environments are made once and again only when something they depend on changes.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an old Python must get a sentence instead of a SyntaxError
    sys.exit("error: Splinescape needs Python 3.11 or newer; this is %d.%d" % sys.version_info[:2])  # noqa: UP031

import argparse
import hashlib
import importlib.util
import os
import shutil
import urllib.request
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from building import blenders
from building.steps import apt_install, fail, may_install_packages, run

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "splinescape-stamp"

TORCH = "torch==2.13.0"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
EXTRAS = "dev,rerun,heif,models"

DEMO_PICTURE = ROOT / "examples" / "room.png"
DEMO_PATH = ROOT / "examples" / "room_path.json"
DEMO_OUT = ROOT / "demo"


def require_ensurepip() -> None:
    """Debian and Ubuntu split `ensurepip` off Python: fetch it as root, otherwise say how."""
    if importlib.util.find_spec("ensurepip"):
        return
    package = f"python3.{sys.version_info.minor}-venv"
    if may_install_packages():
        apt_install(package)
        return
    fail(f"this Python cannot make environments; run: sudo apt-get install {package}")


def wanted_stamp() -> str:
    """What the environment depends on, as one hash; the root is in it because the install is editable."""
    digest = hashlib.sha256()
    for part in (sys.version, str(ROOT), (ROOT / "pyproject.toml").read_text(), Path(__file__).read_text()):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def torch_index() -> list[str]:
    """PyPI's torch for Linux brings gigabytes of CUDA: without an NVIDIA driver, offer the CPU builds too."""
    if not sys.platform.startswith("linux") or shutil.which("nvidia-smi"):
        return []
    try:
        urllib.request.urlopen(f"{TORCH_CPU_INDEX}/torch/", timeout=5).close()
    except OSError:
        return []
    return ["--extra-index-url", TORCH_CPU_INDEX]


def ensure_environment() -> None:
    """Make .venv and install the project into it, unless that has been done already."""
    stamp = wanted_stamp()
    if VENV_PYTHON.exists() and STAMP.exists() and STAMP.read_text() == stamp:
        return
    require_ensurepip()
    if not VENV_PYTHON.exists():
        print("Making the environment in .venv (once, a few minutes)", flush=True)
        venv.create(VENV, with_pip=True, clear=VENV.exists())
    pip = (VENV_PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    print(f"Installing {TORCH}", flush=True)
    run(*pip, TORCH, *torch_index())
    print(f"Installing splinescape[{EXTRAS}]", flush=True)
    run(*pip, TORCH, "--editable", f"{ROOT}[{EXTRAS}]")
    STAMP.write_text(stamp)


def demo(_extra: list[str]) -> None:
    """Run the main job on the bundled picture with the built-in engines and say where the results are."""
    ensure_environment()
    run(
        *(VENV_PYTHON, "-m", "splinescape.cli.main", "generate", DEMO_PICTURE),
        *("--path", DEMO_PATH, "--out", DEMO_OUT, "--video", "--rerun", "save"),
        *("--stage", "coarse", "--inpainter", "builtin", "--depth", "builtin", "--rasterizer", "cpu"),
    )


def test(extra: list[str]) -> None:
    """Run the tests; `--quick` leaves out those marked slow, everything else goes to pytest."""
    from building.tests import run_tests

    ensure_environment()
    run_tests(VENV_PYTHON, extra)


def lint(_extra: list[str]) -> None:
    """Check style, formatting and types."""
    ensure_environment()
    run(VENV_PYTHON, "-m", "ruff", "check", ".")
    run(VENV_PYTHON, "-m", "ruff", "format", "--check", ".")
    run(VENV_PYTHON, "-m", "mypy")


def extension(extra: list[str]) -> None:
    """Make the extension's zips, one for each platform."""
    from building.extension import build_extension

    out = Path(extra[1]) if extra else ROOT / "dist"
    for archive in build_extension(ROOT, out.resolve(), builder()):
        print(archive)


def repository(extra: list[str]) -> None:
    """Make a folder that Blender can subscribe to, at any address that serves files."""
    from building.extension import build_repository

    print(build_repository(ROOT, Path(extra[0]).resolve(), builder()))


def builder() -> blenders.BlenderEnvironment:
    """The newest Blender, whose own tool makes and checks extensions."""
    python = blenders.find_python()
    if python is None:
        fail(
            f"the extension is built with Blender's own tool, which needs python{blenders.BLENDER_PYTHON} on the PATH"
        )
    return blenders.ensure_blender(blenders.NEWEST, python)


@dataclass(frozen=True)
class Task:
    """What a task does, and which arguments it takes: a sentence for people, and a check."""

    do: Callable[[list[str]], None]
    takes: str
    accepts: Callable[[list[str]], bool]


def _nothing(extra: list[str]) -> bool:
    return not extra


TASKS = {
    "demo": Task(demo, "no arguments", _nothing),
    "test": Task(test, "--quick, and whatever pytest takes", lambda _extra: True),
    "lint": Task(lint, "no arguments", _nothing),
    "extension": Task(
        extension,
        "--out DIR or nothing",
        lambda extra: not extra or (extra[0] == "--out" and len(extra) == 2),
    ),
    "repository": Task(repository, "one folder", lambda extra: len(extra) == 1 and extra[0][:1] != "-"),
}


def main() -> None:
    """Read the task's name and do it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=TASKS)
    parser.add_argument(
        "extra", nargs=argparse.REMAINDER, help="for test: --quick, and whatever pytest takes"
    )
    arguments = parser.parse_args()
    task = TASKS[arguments.task]
    if not task.accepts(arguments.extra):
        got = " ".join(arguments.extra) or "nothing"
        parser.error(f"{arguments.task} takes {task.takes}, got: {got}")
    task.do(arguments.extra)


if __name__ == "__main__":
    main()
