"""Where the backend's own Python environment lies and what is in it. Looks at the disk only, starts nothing."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOT_INSTALLED = "Not installed: click Install Backend in the preferences"

POINTER = "environment.json"
"""Written when an environment is complete: names its folder and what is in it."""

TORCH = "torch==2.13.0"
_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_CUDA_INDEX_WINDOWS = "https://download.pytorch.org/whl/cu130"
_CPU_BYTES, _CUDA_BYTES = 3_000_000_000, 12_000_000_000


@dataclass(frozen=True)
class Installed:
    """A complete environment.

    Attributes:
        python: its interpreter, which is gone when the Python that it was made from is.
        splinescape, torch: versions. kind: "cpu" or "cuda". size: bytes on disk.
    """

    folder: Path
    python: Path
    splinescape: str
    torch: str
    kind: str
    size: int = 0


@dataclass(frozen=True)
class Plan:
    """What to install.

    Attributes:
        home: folder that holds environments. name: of the new one's folder in it.
        steps: arguments for pip, with what people are told meanwhile.
        needs_bytes: free disk that it takes.
    """

    home: Path
    name: str
    kind: str
    version: str
    steps: tuple[tuple[str, tuple[str, ...]], ...]
    needs_bytes: int


def python_in(folder: Path) -> Path:
    """The interpreter of the environment in `folder`."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def installed(home: Path) -> Installed | None:
    """The complete environment below `home`; None when there is none."""
    try:
        data = json.loads((home / POINTER).read_bytes())
        folder = home / Path(data["folder"]).name
        words = (str(data["splinescape"]), str(data["torch"]), str(data["kind"]))
        size = int(data["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Installed(folder, python_in(folder), *words, size)


def trouble_with(environment: Installed | None, version: str) -> str:
    """Why an environment cannot be used by an extension that needs this version of the backend; "" when it can."""
    if environment is None:
        return NOT_INSTALLED
    if not environment.python.exists():
        return (
            "Not usable: the Python that the backend was installed with is gone; click Install Backend again"
        )
    if environment.splinescape != version:
        versions = f"the backend is {environment.splinescape}, this extension needs {version}"
        return f"Out of date: {versions}; click Install Again or Update"
    return ""


def has_nvidia() -> bool:
    """Whether there is an NVIDIA driver."""
    return shutil.which("nvidia-smi") is not None


def find_source(extension: Path) -> tuple[Path, str] | None:
    """The backend that comes with the extension.

    Args:
        extension: any file of the extension's own folder.

    Returns:
        Its wheel, or the checkout that the extension is run from, and "wheel" or "checkout"; None without either.
    """
    folder = extension.parent
    wheels = sorted((folder / "wheels").glob("splinescape-*-py3-none-any.whl"))
    if wheels:
        return wheels[-1], "wheel"
    checkout = extension.resolve().parent.parent
    return (checkout, "checkout") if (checkout / "pyproject.toml").exists() else None


def make_plan(home: Path, version: str, source: tuple[Path, str], kind: str) -> Plan:
    """What is to be installed.

    Args:
        home: folder for environments. version: of the backend. source: see `find_source`. kind: "cpu" or "cuda".
    """
    path, form = source
    extras = "models,cuda" if kind == "cuda" else "models"
    if form == "wheel":
        backend: tuple[str, ...] = (f"splinescape[{extras}] @ {path.resolve().as_uri()}",)
    else:
        backend = ("--editable", f"{path}[{extras}]")
    index = _torch_index(kind)
    steps = (
        ("Installing PyTorch", (TORCH, *index)),
        (
            "Installing Splinescape",
            (*backend, TORCH),
        ),  # which is there: the other index need not be asked again
    )
    taken = {each.name for each in home.glob("env-*")}
    names = [f"env-{version}-{kind}"] + [f"env-{version}-{kind}-{i}" for i in range(2, len(taken) + 3)]
    name = next(name for name in names if name not in taken)
    return Plan(home, name, kind, version, steps, _CUDA_BYTES if kind == "cuda" else _CPU_BYTES)


def _torch_index(kind: str) -> tuple[str, ...]:
    """PyPI's torch is the CUDA build on Linux and the CPU build elsewhere: name the other index where it is needed."""
    if kind == "cpu" and sys.platform.startswith("linux"):
        return ("--extra-index-url", _CPU_INDEX)
    if kind == "cuda" and sys.platform == "win32":
        return ("--extra-index-url", _CUDA_INDEX_WINDOWS)
    return ()


def pythons(chosen: Path | None = None) -> list[Path]:
    """Interpreters that an environment may be made with, the best first; a chosen one is the only one.

    `sys.executable` is Blender itself in some builds, whose own Python then lies below `sys.prefix`.
    """
    if chosen is not None:
        return [chosen]
    own = Path(sys.prefix) / "bin"
    names = (f"python{sys.version_info.major}.{sys.version_info.minor}", "python3", "python")
    ending = ".exe" if os.name == "nt" else ""
    found = [Path(sys.executable), Path(getattr(sys, "_base_executable", None) or sys.executable)]
    found += [own / f"{name}{ending}" for name in names]
    found += [Path(sys.prefix) / f"{name}{ending}" for name in names]
    found += [Path(path) for path in map(shutil.which, ("python3.13", "python3.12", "python3.11")) if path]
    usable = [path for path in found if path.name.lower().startswith("python") and path.is_file()]
    return list(dict.fromkeys(usable))


def remove(home: Path) -> list[Path]:
    """Let no environment count any more.

    Returns:
        What is left to delete, under names that nothing uses; it has tens of thousands of files, so do it elsewhere.

    Raises:
        OSError: it is in use, or the folder cannot be written.
    """
    (home / POINTER).unlink(missing_ok=True)
    left = []
    for folder in [*home.glob("env-*"), home / "cache"]:
        if folder.is_dir():
            left.append(folder.rename(folder.with_name(f"removed-{folder.name}-{os.getpid()}")))
    return left


def free_bytes(folder: Path) -> int | None:
    """Free disk where a folder is or would be; None when that cannot be told."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None


def plan_as_json(plan: Plan) -> str:
    """The plan for the process that carries it out."""
    data: Mapping[str, Any] = {
        "home": str(plan.home),
        "name": plan.name,
        "kind": plan.kind,
        "version": plan.version,
        "steps": plan.steps,
        "needs_bytes": plan.needs_bytes,
        "pointer": POINTER,
    }
    return json.dumps(data)
