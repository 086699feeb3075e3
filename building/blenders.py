"""Blender as a Python package: one environment for each version, because each wants another NumPy.

The packages (bpy on PyPI) need Python 3.11, whatever Python the rest of the project runs on.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .steps import ROOT, apt_install, fail, may_install_packages, run

VERSIONS = ("4.2", "4.5", "5.0")
NEWEST = VERSIONS[-1]
BLENDER_PYTHON = "3.11"

_SHARED_REQUIREMENTS = ("pyzmq==27.3.0", "pytest>=8.2")
_BUILDER_REQUIREMENTS = ("hatchling==1.33.0",)
"""Only where the extension is built; pinned, because a wheel names the version that made it."""

_LIBRARIES = {
    "libX11.so.6": "libx11-6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libXext.so.6": "libxext6",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libgomp.so.1": "libgomp1",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libEGL_mesa.so.0": "libegl-mesa0",
}
"""What Blender takes from the system on Linux, and Debian's package for each."""

_SOFTWARE_OPENGL = "libgl1-mesa-dri"


@dataclass(frozen=True)
class BlenderEnvironment:
    """The environment of one Blender version, made or not."""

    version: str

    @property
    def folder(self) -> Path:
        return ROOT / f".venv-bpy-{self.version}"

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def stamp(self) -> Path:
        return self.folder / "splinescape-stamp"

    @property
    def scripts(self) -> Path:
        """Blender's own scripts: the extension builder is among them."""
        site_packages = next(self.folder.glob("[Ll]ib/**/site-packages/bpy"))
        return site_packages / self.version / "scripts"

    @property
    def requirements(self) -> tuple[str, ...]:
        """Packages beside NumPy, whose version the bpy wheel decides."""
        builder = _BUILDER_REQUIREMENTS if self.version == NEWEST else ()
        return (f"bpy=={self.version}.0", *_SHARED_REQUIREMENTS, *builder)

    def wanted_stamp(self, python: Path) -> str:
        """What the environment depends on, as one hash."""
        version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
        digest = hashlib.sha256()
        for part in (_python_version(python), str(ROOT), version, *self.requirements):
            digest.update(part.encode() + b"\0")
        return digest.hexdigest()


@functools.cache
def _python_version(python: Path) -> str:
    return subprocess.run(
        [str(python), "-c", "import sys; print(sys.version)"], check=True, capture_output=True, text=True
    ).stdout.strip()


def find_python() -> Path | None:
    """The Python that Blender's packages need: this one, or another on the PATH; None where there is none."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == BLENDER_PYTHON:
        return Path(sys.executable)
    for name in (f"python{BLENDER_PYTHON}", f"python{BLENDER_PYTHON}.exe"):
        found = shutil.which(name)
        if found and _python_version(Path(found)).startswith(f"{BLENDER_PYTHON}."):
            return Path(found)
    return None


def ensure_blender(version: str, python: Path) -> BlenderEnvironment:
    """The environment of a Blender version, made now unless it exists and nothing has changed."""
    environment = BlenderEnvironment(version)
    stamp = environment.wanted_stamp(python)
    if environment.python.exists() and environment.stamp.exists() and environment.stamp.read_text() == stamp:
        return environment
    if not environment.python.exists():
        print(f"Making the environment of Blender {version} in {environment.folder.name}", flush=True)
        run(python, "-m", "venv", "--clear", environment.folder)
    print(f"Installing {', '.join(environment.requirements)}", flush=True)
    pip = (environment.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, *environment.requirements)
    run(*pip, "--no-deps", "--editable", ROOT)
    ensure_libraries()
    run(environment.python, "-c", "import bpy")
    environment.stamp.write_text(stamp)
    return environment


def ensure_libraries() -> None:
    """On Linux, install the system libraries that Blender needs, or say how."""
    if not sys.platform.startswith("linux"):
        return
    missing = [package for library, package in _LIBRARIES.items() if not _loads(library)]
    if not missing:
        return
    packages = (*missing, _SOFTWARE_OPENGL)
    if not may_install_packages():
        fail(f"Blender needs libraries of the system; run: sudo apt-get install {' '.join(packages)}")
    apt_install(*packages)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
