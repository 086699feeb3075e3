"""Splats of a job into the .blend: a new object at first, the same one with more splats from then on."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from splinescape.io.formats import load_arrays

from ..display import modes
from ..splats import importing, pointcloud, records

_PLACEMENT = "splinescape_placement"


def splats_object(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The object with the splats of the scene's job; None when there is none or it was deleted."""
    made = scene.splinescape.generate.scene_object
    return made if made is not None and made.name in scene.objects else None


def show_splats(
    scene: bpy.types.Scene, path: Path, placement: NDArray[np.float64], job: str
) -> bpy.types.Object:
    """Put a file's splats into the scene's splat object, which is made if there is none, or only another job's.

    Args:
        placement: (4, 4) Blender's world from the scene's world; only for a new object, which may be moved later.
        job: the service's name for the job that has made them.

    Raises:
        InputError: the file cannot be read. RuntimeError: Blender is in a mode in which nothing can be made.
    """
    made = splats_object(scene)
    if made is not None and made.get("splinescape_job", job) != job:
        set_aside(scene)
        made = None
    if made is None:
        made = scene.splinescape.generate.scene_object = _import(scene, path, placement)
        return made
    arrays, meta = load_arrays(path)
    placed = made.get(_PLACEMENT)
    pointcloud.replace_splats(made, arrays)
    records.remember(made, path, meta)
    if placed is not None:  # it may have been moved since
        made[_PLACEMENT] = placed
    modes.apply_mode(made)
    return made


def _import(scene: bpy.types.Scene, path: Path, placement: NDArray[np.float64]) -> bpy.types.Object:
    """A new object in a collection of its own; nothing is left behind when that fails."""
    name = f"{scene.name} Splats"
    collection = bpy.data.collections.new(name)
    try:
        scene.collection.children.link(collection)
        return importing.import_file(
            bpy.context, path, name=name, matrix_world=placement, collection=collection
        )
    except BaseException:
        for each in list(collection.objects):
            bpy.data.objects.remove(each)
        bpy.data.collections.remove(collection)
        raise


def set_aside(scene: bpy.types.Scene) -> None:
    """Make room for the splats of a new job: those of the last one are hidden, not deleted."""
    made = splats_object(scene)
    if made is not None:
        made.hide_viewport = made.hide_render = True
    scene.splinescape.generate.scene_object = None
