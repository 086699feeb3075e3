"""Splat objects become a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from splinescape.errors import InputError
from splinescape.io.formats import save_arrays
from splinescape.io.splat_arrays import SplatArrays
from splinescape.scene.meta import SceneMeta

from .pointcloud import read_splats
from .records import meta_of, placement_of
from .transform import same_matrix, transformed

Array = NDArray[np.float64]


def export_file(exported: Any, filepath: str | os.PathLike[str], *, apply_transform: bool = True) -> int:
    """Write the splats of one object; see `export_objects`."""
    return export_objects([exported], filepath, apply_transform=apply_transform)


def export_objects(
    objects: Sequence[Any], filepath: str | os.PathLike[str], *, apply_transform: bool = True
) -> int:
    """Write the splats of objects into one file, in the axes of the first object's own file.

    An object that stands where it was imported is written as it was read; one that was moved, turned or scaled since
    then comes back in its new place when the file is imported again like the old one. Modifiers do not count.

    Args:
        objects: splat objects, at least one. filepath: its suffix names the format.
        apply_transform: False writes all splats in their objects' own coordinates.

    Returns:
        How many splats were written.

    Raises:
        InputError: an object holds no splats or cannot be transformed, or the file cannot be written; an existing
            file is then as it was.
    """
    bpy.context.view_layer.update()  # matrix_world of an object that a script has just moved
    path = Path(bpy.path.abspath(os.fspath(filepath)))
    reference = placement_of(objects[0])
    changes = [_change(exported, reference) if apply_transform else None for exported in objects]
    splats = SplatArrays.concatenate(map(_changed_splats, objects, changes))
    if not len(splats):
        raise InputError(f"cannot write {path}: there are no splats in {_names(objects)}")
    save_arrays(path, splats, _meta(objects, changes))
    return len(splats)


def _change(exported: Any, reference: Array) -> Array | None:
    """(4, 4) the file's world from the object's coordinates; None when they are the same."""
    now = np.array(exported.matrix_world, np.float64)
    return None if same_matrix(now, reference) else np.linalg.inv(reference) @ now


def _changed_splats(exported: Any, change: Array | None) -> SplatArrays:
    try:
        splats = read_splats(exported)
        return splats if change is None else transformed(splats, change)
    except ValueError as error:
        raise InputError(f"cannot export '{exported.name}': {error}") from error


def _meta(objects: Sequence[Any], changes: Sequence[Array | None]) -> SceneMeta:
    """What the first object's file said, as far as it is still true."""
    meta = meta_of(objects[0])
    if len(objects) > 1 or changes[0] is not None:
        meta = replace(meta, K_33=None, width=None, height=None)
    change = changes[0]
    if change is not None and abs(abs(np.linalg.det(change[:3, :3])) - 1) > 1e-4:
        meta = replace(meta, units="relative")
    return meta


def _names(objects: Sequence[Any]) -> str:
    return ", ".join(f"'{each.name}'" for each in objects)
