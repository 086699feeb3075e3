#!/usr/bin/env python3
"""Build tasks that need nothing but Python: make the environment, run the demo, the tests or the linters.

    python build.py demo      makes .venv, turns a bundled picture into gf.ply, a film and a Rerun recording
    python build.py test      the same environment, all tests (--quick leaves the slow ones out)
    python build.py lint      ruff and mypy

The environment is made once and again only when pyproject.toml, this file or Python changes.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an old Python must get a sentence instead of a SyntaxError
    sys.exit("error: Splinescape needs Python 3.11 or newer; this is %d.%d" % sys.version_info[:2])  # noqa: UP031

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import urllib.request
import venv
from pathlib import Path

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


def run(*command: str | Path) -> None:
    """Run a command in the project's root; a failure ends this program with the same exit code."""
    code = subprocess.run([str(part) for part in command], cwd=ROOT).returncode
    if code:
        sys.exit(code)


def require_ensurepip() -> None:
    """Debian and Ubuntu split `ensurepip` off Python: fetch it as root, otherwise say how."""
    if importlib.util.find_spec("ensurepip"):
        return
    package = f"python3.{sys.version_info.minor}-venv"
    if shutil.which("apt-get") and os.geteuid() == 0:
        run("apt-get", "update")
        run("apt-get", "install", "-y", package)
        return
    sys.exit(f"error: this Python cannot make environments; run: sudo apt-get install {package}")


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
    run(
        *(VENV_PYTHON, "-m", "splinescape.cli.main", "generate", DEMO_PICTURE),
        *("--path", DEMO_PATH, "--out", DEMO_OUT, "--video", "--rerun", "save"),
        *("--stage", "coarse", "--inpainter", "builtin", "--depth", "builtin", "--rasterizer", "cpu"),
    )


def test(extra: list[str]) -> None:
    """Run the tests; `--quick` leaves out those marked slow, everything else goes to pytest."""
    quick = "--quick" in extra
    extra = [argument for argument in extra if argument != "--quick"]
    run(VENV_PYTHON, "-m", "pytest", *(("-m", "not slow") if quick else ()), *extra)


def lint(_extra: list[str]) -> None:
    """Check style, formatting and types."""
    run(VENV_PYTHON, "-m", "ruff", "check", ".")
    run(VENV_PYTHON, "-m", "ruff", "format", "--check", ".")
    run(VENV_PYTHON, "-m", "mypy")


TASKS = {"demo": demo, "test": test, "lint": lint}


def main() -> None:
    """Read the task's name, make the environment, run the task."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=TASKS)
    parser.add_argument(
        "extra", nargs=argparse.REMAINDER, help="for test: --quick, and whatever pytest takes"
    )
    arguments = parser.parse_args()
    if arguments.extra and arguments.task != "test":
        parser.error(f"{arguments.task} takes no arguments, got: {' '.join(arguments.extra)}")
    ensure_environment()
    TASKS[arguments.task](arguments.extra)


if __name__ == "__main__":
    main()
