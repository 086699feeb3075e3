"""What several test files need: the command line, small inputs, and disks that are full or read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cli_support import Ran, write_path
from PIL import Image

# "auto" shall mean the same on every machine, whichever models its owner has.
os.environ["SPLINESCAPE_MODELS"] = str(Path(tempfile.gettempdir()) / "splinescape-tests" / "no-models")


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command line in this process, as its entry point does."""
    from splinescape.cli.main import run

    def call(*arguments: str | Path) -> Ran:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def small_picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 64x64 picture with a horizon, a floor and a box, as PNG."""
    v, u = np.mgrid[0:64, 0:64] / 64
    rgb = np.stack([120 + 80 * v, 150 - 60 * v, 200 - 150 * v], axis=-1)
    rgb[(v > 0.5)] *= 0.6 + 0.4 * (np.sin(40 * u[v > 0.5]) > 0)[:, None]
    rgb[20:50, 25:45] = (170, 60, 40)
    path = tmp_path_factory.mktemp("picture") / "picture.png"
    Image.fromarray(rgb.astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def side_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A path that moves the camera far enough sideways to uncover something."""
    file = tmp_path_factory.mktemp("path") / "path.json"
    return write_path(file, [(0, 0, 0), (0.6, 0, 0.1), (1.2, -0.1, 0.2)])


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Make disks of a given number of bytes; needs the right to mount."""
    mounted: list[Path] = []

    def make(size: int, options: str = "rw") -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size},{options}", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("making a small disk needs the right to mount")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def read_only_folder(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder that this user may not write to; root may write anywhere but on a read-only disk."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        yield request.getfixturevalue("tiny_disk")(4096, "ro")
        return
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    yield folder
    folder.chmod(0o755)
