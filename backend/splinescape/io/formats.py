"""Saving and loading scenes by the suffix of their file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from splinescape.errors import InputError
from splinescape.io.compressed_ply import write_compressed_ply
from splinescape.io.ply import read_ply, write_ply
from splinescape.io.splat import read_splat, write_splat
from splinescape.io.splat_arrays import SplatArrays
from splinescape.io.spz import read_spz, write_spz
from splinescape.scene.meta import SceneMeta

if TYPE_CHECKING:
    from splinescape.scene.splats import Splats

SUFFIXES = (".compressed.ply", ".ply", ".spz", ".splat")
"""Known suffixes, the longest first."""


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix of `path` that names its format, in lower case.

    Raises:
        InputError: no known suffix.
    """
    name = Path(path).name.lower()
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return suffix
    raise InputError(
        f"{path}: the format of a scene is chosen by its suffix; use one of {', '.join(SUFFIXES)}"
    )


def save_arrays(path: str | os.PathLike[str], arrays: SplatArrays, meta: SceneMeta) -> None:
    """Write splats in the format that the suffix of `path` names.

    Only .ply is exact; only .ply and .compressed.ply hold `meta`.

    Raises:
        InputError: the suffix is not known, or the file cannot be written.
    """
    match suffix_of(path):
        case ".ply":
            write_ply(path, arrays, meta)
        case ".compressed.ply":
            write_compressed_ply(path, arrays, meta)
        case ".spz":
            write_spz(path, arrays)
        case ".splat":
            write_splat(path, arrays)


def load_arrays(path: str | os.PathLike[str]) -> tuple[SplatArrays, SceneMeta]:
    """Read the splats of a file of any known format.

    Raises:
        InputError: the suffix is not known, or the file cannot be read.
    """
    match suffix_of(path):
        case ".spz":
            return read_spz(path)
        case ".splat":
            return read_splat(path)
        case _:
            return read_ply(path)


def save_scene(path: str | os.PathLike[str], splats: Splats, meta: SceneMeta) -> None:
    """`save_arrays` for the tensors that the pipeline works with."""
    save_arrays(path, splats.to_arrays(), meta)


def load_splats(path: str | os.PathLike[str]) -> tuple[Splats, SceneMeta]:
    """`load_arrays` as the tensors that the pipeline works with."""
    from splinescape.scene.splats import Splats

    arrays, meta = load_arrays(path)
    return Splats.from_arrays(arrays), meta
