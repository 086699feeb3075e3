"""Where files of a job lie on this machine."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import bpy

from .job_view import JobView
from .request import shown_name

_PACKAGE = (__package__ or "").rpartition(".")[0]


def result_file(view: JobView) -> Path:
    """Where a job's finished scene belongs: beside the .blend, or among the user's files.

    Those are taken while the .blend is not saved, or where nothing can be written beside it.

    Raises:
        OSError: the user's files have no place for it.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", shown_name(view.name)).strip("_.") or "scene"
    folder = f"{name}_{view.job[:8]}"
    if bpy.data.filepath:
        beside = Path(bpy.data.filepath).parent / "splinescape" / folder
        if _is_writable(beside):
            return beside / "gf.ply"
    return Path(bpy.utils.extension_path_user(_PACKAGE, path="scenes", create=True)) / folder / "gf.ply"


def _is_writable(folder: Path) -> bool:
    """Whether files can be made there; only trying tells, on Windows and over networks."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def preview_folder() -> Path:
    """Where splats of running jobs lie for a moment; Blender deletes it when it ends.

    Raises:
        OSError: it cannot be made.
    """
    folder = Path(bpy.app.tempdir or tempfile.gettempdir()) / "splinescape"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def for_blend(path: Path) -> str:
    """A path as it is saved in the .blend: relative to it where that is possible."""
    if not bpy.data.filepath:
        return str(path)
    try:
        return bpy.path.relpath(str(path))
    except ValueError:  # on another drive
        return str(path)
