"""Looking at model files: sizes, hashes, and whether something looks like a model at all."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from splinescape.errors import CancelledError
from splinescape.models.catalogue import CATALOGUE, ModelEntry
from splinescape.models.errors import ModelError
from splinescape.models.record import RECORD_NAME

_ALONE = {".pt": (".pt", ".pth"), ".gguf": (".gguf", ".safetensors")}
"""Endings of files that an engine loads by themselves, by what the published file ends in."""
_PIPELINE = "model_index.json"
_BLOCK = 2**20


def folder_size(folder: Path) -> int:
    """Bytes of all files in a folder but our records; 0 when there is no such folder."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += 0 if name == RECORD_NAME else (Path(where) / name).stat().st_size
            except OSError:  # gone meanwhile
                continue
    return total


def hash_file(path: Path, on_size: Callable[[int], None], cancel: threading.Event) -> str | None:
    """SHA-256 of a file, None when it cannot be read.

    Args:
        on_size: called with the bytes read so far, often.

    Raises:
        CancelledError: `cancel` was set.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                if cancel.is_set():
                    raise CancelledError("the check was stopped")
                digest.update(block)
                size += len(block)
                on_size(size)
    except OSError:
        return None
    return digest.hexdigest()


def check_local(entry: ModelEntry, path: Path) -> None:
    """Refuse what cannot be the model, going by names.

    Raises:
        ModelError: "bad_input"; it is not there, no file that is this model by itself, or a folder without any of the
            model's files.
    """
    if path.is_file():
        _check_file(entry, path)
        return
    if not path.is_dir():
        raise ModelError("bad_input", f"there is no file or folder {path}")
    names = (file.relative_to(path).as_posix() for file in path.rglob("*"))
    if not any(fnmatchcase(name, pattern) for name in names for pattern in entry.files):
        wanted = ", ".join(entry.files[:3]) + (" ..." if len(entry.files) > 3 else "")
        raise ModelError("bad_input", f"{path} has none of the files of {entry.id} ({wanted})")


def _check_file(entry: ModelEntry, path: Path) -> None:
    if _PIPELINE in entry.files:
        raise ModelError(
            "bad_input",
            f"{path} is a single file, but {entry.id} is the folder of a diffusers pipeline, with {_PIPELINE}, "
            f"transformer, vae and so on{_transformer_advice(entry)}",
        )
    if len(entry.files) > 1:
        names = f"{', '.join(entry.files[:-1])} and {entry.files[-1]}"
        raise ModelError(
            "bad_input", f"{path} is a single file, but {entry.id} is a folder with {names}: give that folder"
        )
    endings = next(_ALONE[kind] for kind in _ALONE if entry.files[0].endswith(kind))
    if path.suffix not in endings:
        raise ModelError(
            "bad_input", f"{path} is no file of {entry.id}: it should end in {' or '.join(endings)}"
        )


def _transformer_advice(entry: ModelEntry) -> str:
    """For those who have the transformer alone."""
    alone = f"{entry.id}-gguf"
    return f"; a transformer in a single file is given to {alone}" if alone in CATALOGUE else ""
