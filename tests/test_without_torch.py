"""Blender's Python brings numpy and little else: what the extension imports works there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from io_support import make_meta, make_splats

from splinescape.io.formats import SUFFIXES, save_scene

ABSENT = (
    "torch",
    "scipy",
    "pydantic",
    "cv2",
    "PIL",
    "backports",
    "zstandard",
    "numba",
    "av",
    "OpenEXR",
    "plyfile",
)
NAMES = (
    "splinescape.client",
    "splinescape.protocol.wire",
    "splinescape.io.formats",
    "splinescape.io.stats",
    "splinescape.camera.blender",
    "splinescape.camera.pose",
    "splinescape.camera.shapes",
    "splinescape.camera.intrinsics",
    "splinescape.camera.plain",
    "splinescape.scene.meta",
    "splinescape.errors",
)

BLOCKER = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT} or name == "compression.zstd":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def run(code: str) -> str:
    """Run `code` in a new Python that lacks what Blender's lacks; return what it prints."""
    done = subprocess.run([sys.executable, "-c", BLOCKER + code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_imported(name: str) -> None:
    run(f"import {name}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_scene_files_are_read_and_written(tmp_path: Path, suffix: str) -> None:
    save_scene(tmp_path / f"a{suffix}", make_splats(300, 4), make_meta())
    run(
        "from splinescape.io.formats import load_arrays, save_arrays\n"
        f"save_arrays({str(tmp_path / f'b{suffix}')!r}, *load_arrays({str(tmp_path / f'a{suffix}')!r}))"
    )
    if suffix == ".ply":
        assert (tmp_path / "a.ply").read_bytes() == (tmp_path / "b.ply").read_bytes()
    assert (tmp_path / f"b{suffix}").stat().st_size > 0


def test_a_file_that_needs_zstd_says_what_to_install(tmp_path: Path) -> None:
    from test_io_damaged import sample_spz4

    path = tmp_path / "a.spz"
    path.write_bytes(sample_spz4(tmp_path))
    told = run(
        "from splinescape.io.formats import load_arrays\nfrom splinescape.errors import InputError\n"
        f"try:\n    load_arrays({str(path)!r})\nexcept InputError as error:\n    print(error)"
    )
    assert str(path) in told and "zstd" in told and "install" in told
