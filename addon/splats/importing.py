"""Splat files become objects in the scene."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import bpy
import numpy as np
from numpy.typing import ArrayLike, NDArray

from splinescape.camera.blender import BLENDER_T_WORLD
from splinescape.errors import InputError
from splinescape.io.formats import load_arrays, suffix_of
from splinescape.scene.meta import SceneMeta

from ..display.modes import apply_mode
from ..image.camera import scene_placement
from .pointcloud import create_object
from .records import remember

Axes = Literal["AUTO", "Y_DOWN", "Y_UP", "Z_UP"]

_Y_UP = BLENDER_T_WORLD @ np.diag([1.0, -1.0, -1.0, 1.0])


def import_file(
    context: Any,
    filepath: str | os.PathLike[str],
    *,
    name: str | None = None,
    matrix_world: ArrayLike | None = None,
    collection: Any = None,
    axes: Axes = "AUTO",
) -> Any:
    """Read a splat file into a new point cloud object.

    Args:
        name: of the object; that of the file if None.
        matrix_world: (4, 4) where the file's world is in Blender's; None decides by `axes`.
        collection: where the object goes; None makes the collection "Splats: NAME".
        axes: which way the file's axes point. "AUTO" puts scenes that know their picture's camera in front of the
            input camera, and takes y of other files as down, as most programs write them.

    Returns:
        The object.

    Raises:
        InputError: the file cannot be read or holds no splats; nothing was made. The message names the file.
    """
    path = Path(bpy.path.abspath(os.fspath(filepath)))
    splats, meta = load_arrays(path)
    if not len(splats):
        raise InputError(
            f"cannot read {path}: it holds no splats" + (" with finite numbers" * bool(meta.dropped))
        )
    name = name or path.name[: -len(suffix_of(path))] or path.name
    if matrix_world is None:
        matrix_world = _placement(context.scene, meta, axes)
    made = create_object(name, splats, matrix_world)
    remember(made, path, meta)
    (collection or _new_collection(context.scene, f"Splats: {name}")).objects.link(made)
    apply_mode(made)
    return made


def _new_collection(scene: Any, name: str) -> Any:
    made = bpy.data.collections.new(name)
    scene.collection.children.link(made)
    return made


def _placement(scene: Any, meta: SceneMeta, axes: Axes) -> NDArray[np.float64]:
    match axes:
        case "Y_DOWN":
            return BLENDER_T_WORLD
        case "Y_UP":
            return _Y_UP
        case "Z_UP":
            return np.eye(4)
    return scene_placement(scene) if meta.K_33 is not None else BLENDER_T_WORLD
