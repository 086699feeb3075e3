"""Where files of a job lie on this machine."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import bpy

from .job_view import JobView

_PACKAGE = (__package__ or "").rpartition(".")[0]


def result_file(view: JobView) -> Path:
    """Where a job's finished scene belongs: beside the .blend, or among the user's files while that is not saved."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", view.name).strip("_.") or "scene"
    folder = f"{name}_{view.job[:8]}"
    if bpy.data.filepath:
        return Path(bpy.data.filepath).parent / "splinescape" / folder / "gf.ply"
    return Path(bpy.utils.extension_path_user(_PACKAGE, path="scenes", create=True)) / folder / "gf.ply"


def preview_folder() -> Path:
    """Where splats of running jobs lie for a moment; Blender deletes it when it ends."""
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
