"""What a splat object remembers of its file, in custom properties that are saved in the .blend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.blender import BLENDER_T_WORLD
from splinescape.errors import InputError
from splinescape.scene.meta import SceneMeta

_SOURCE = "splinescape_source"
_SEED = "splinescape_seed"
_K_33 = "splinescape_K"
_SIZE = "splinescape_size"
_META = "splinescape_meta"
_PLACEMENT = "splinescape_placement"

_MAX_INT = 2**31 - 1


def remember(made: Any, source: Path, meta: SceneMeta) -> None:
    """Store where the splats came from, what their file said, and where they were placed."""
    made[_SOURCE] = str(source)
    made[_META] = "\n".join(meta.comments())
    made[_PLACEMENT] = [value for row in made.matrix_world for value in row]
    if meta.seed is not None:
        made[_SEED] = meta.seed if abs(meta.seed) <= _MAX_INT else str(meta.seed)
    if meta.K_33 is not None:
        made[_K_33] = meta.K_33.ravel().tolist()
    if meta.width is not None and meta.height is not None:
        made[_SIZE] = [meta.width, meta.height]


def meta_of(made: Any) -> SceneMeta:
    """What the file of an object said; nothing for other objects."""
    try:
        return SceneMeta.from_comments(str(made.get(_META, "")).split("\n"))
    except InputError:  # somebody edited the property
        return SceneMeta()


def placement_of(made: Any) -> NDArray[np.float64]:
    """(4, 4) Blender's world from the world of the object's file, as it was imported."""
    stored = made.get(_PLACEMENT)
    matrix = np.array(stored if stored is not None else BLENDER_T_WORLD, np.float64).reshape(-1)
    if matrix.size != 16 or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix.reshape(4, 4))) < 1e-30:
        return BLENDER_T_WORLD
    return matrix.reshape(4, 4)
