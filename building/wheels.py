"""The wheels inside the extension: pyzmq for every platform and Python of Blender's, and the backend's own."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from .blenders import BlenderEnvironment
from .steps import ROOT, fail, run

CACHE = ROOT / ".cache" / "wheels"
EARLIEST_ZIP_DATE = "315532800"
"""1980, in seconds: what all dates inside packages are set to, so that the same sources give the same bytes."""

_PYZMQ = "27.3.0"


@dataclass(frozen=True)
class Wheel:
    """A wheel of pyzmq on PyPI, and what it is called in the extension.

    Blender reads file names only, and not all versions read them well:

    * "abi3" beside a wheel for one version of Python makes Blender think that only that version is served. The stable
      ABI's wheel is therefore called by the Python versions that may load it.
    * Blender 4.2.0 does not look at Python's version at all: of two wheels of a package it takes the name that sorts
      last. The build number 0 makes the newer Pythons' wheel sort first: 4.2 has Python 3.11.
    * It does not know "universal2" either: macOS gets each wheel under the name of each kind of machine.
    """

    file: str
    sha256: str
    python: str
    pip_platform: str
    blender_names: tuple[str, ...]


def _names(python: str, *platforms: str) -> tuple[str, ...]:
    return tuple(f"pyzmq-{_PYZMQ}-{python}-{platform}.whl" for platform in platforms)


_OLD = "cp311-cp311"
_NEW = "0-cp312.cp313.cp314.cp315.cp316-none"
_LINUX = "manylinux_2_26_x86_64"
_WINDOWS = "win_amd64"
_MACOS = ("macosx_10_15_arm64", "macosx_10_15_x86_64")

PYZMQ_WHEELS = (
    Wheel(
        f"pyzmq-{_PYZMQ}-cp311-cp311-manylinux_2_26_x86_64.manylinux_2_28_x86_64.whl",
        "477b8ad30d66fc905c5388351e83b9ac25824b00e82c0d052b72ea6392636dfd",
        *("3.11", "manylinux_2_28_x86_64", _names(_OLD, _LINUX)),
    ),
    Wheel(
        f"pyzmq-{_PYZMQ}-cp312-abi3-manylinux_2_26_x86_64.manylinux_2_28_x86_64.whl",
        "858fe25231e0fd8612da142efde019faa5ef63fa150a821a27870e791b38c798",
        *("3.13", "manylinux_2_28_x86_64", _names(_NEW, _LINUX)),
    ),
    Wheel(
        f"pyzmq-{_PYZMQ}-cp311-cp311-win_amd64.whl",
        "df98c790f86b6aa2378b4bb94dec7b85b0adb195b880b41e429a4990aed2a8c9",
        *("3.11", "win_amd64", _names(_OLD, _WINDOWS)),
    ),
    Wheel(
        f"pyzmq-{_PYZMQ}-cp312-abi3-win_amd64.whl",
        "3ea8e8fa5c097e68fef91d70b150fda96f307758103868018fc4deeb9c214122",
        *("3.13", "win_amd64", _names(_NEW, _WINDOWS)),
    ),
    Wheel(
        f"pyzmq-{_PYZMQ}-cp311-cp311-macosx_10_15_universal2.whl",
        "86fb4408797aabb54a31e147176ae0f2474d99f1715a36a4564089eca9ef9ce8",
        *("3.11", "macosx_11_0_arm64", _names(_OLD, *_MACOS)),
    ),
    Wheel(
        f"pyzmq-{_PYZMQ}-cp312-abi3-macosx_10_15_universal2.whl",
        "15155fd8f308d3bd47f67a8f6cc809f9db90abbf63c514c384a17622e2cf080f",
        *("3.13", "macosx_11_0_arm64", _names(_NEW, *_MACOS)),
    ),
)


def collect_wheels(source: Path, folder: Path, builder: BlenderEnvironment) -> list[str]:
    """Put all wheels into `folder`, made from the project in `source`; returns their names, sorted."""
    folder.mkdir(parents=True)
    for wheel in PYZMQ_WHEELS:
        file = _download(wheel, builder)
        for name in wheel.blender_names:
            shutil.copyfile(file, folder / name)
    _build_own_wheel(source, folder, builder)
    return sorted(path.name for path in folder.glob("*.whl"))


def _download(wheel: Wheel, builder: BlenderEnvironment) -> Path:
    file = CACHE / wheel.file
    if not file.exists():
        print(f"Fetching {wheel.file}", flush=True)
        run(
            *(builder.python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--only-binary=:all:", "--platform", wheel.pip_platform, "--python-version", wheel.python),
            *(f"pyzmq=={_PYZMQ}", "--dest", CACHE),
        )
    if not file.exists():
        fail(f"pip did not fetch {wheel.file}, which building/wheels.py names")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != wheel.sha256:
        fail(
            f"{file} is not the file that building/wheels.py names: its SHA-256 is {found}; delete it and try again"
        )
    return file


def _build_own_wheel(source: Path, folder: Path, builder: BlenderEnvironment) -> None:
    run(
        *(builder.python, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--no-build-isolation", "--no-cache-dir", "--wheel-dir", folder, source),
        env={"SOURCE_DATE_EPOCH": EARLIEST_ZIP_DATE},
    )
