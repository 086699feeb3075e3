"""A whole picture of splats, read back from the graphics card."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .drawing import SplatDrawing
from .packing import PackedSplats
from .target import Target
from .view import Matrix, View

_TILE = 2048
"""Pixels on a side at most: memory stays small, and no graphics card refuses it."""

Floats = NDArray[np.float32]


def draw_picture(
    clouds: Sequence[PackedSplats],
    world_T_objects: Sequence[Matrix],
    view: View,
    go_on: Callable[[float], bool] = lambda _: True,
) -> tuple[Floats, Floats]:
    """Draw splats over nothing; needs a GPU context.

    Args:
        go_on: called with the part that is done, before each tile; False ends the work, the rest stays empty.

    Returns:
        (H, W, 4) premultiplied colour as stored (not linear light) with alpha, and (H, W) expected camera z,
        infinite where nothing is; both with the lowest row first.
    """
    rgba = np.zeros((view.height, view.width, 4), np.float32)
    depth = np.full((view.height, view.width), np.inf, np.float32)
    drawing = SplatDrawing(clouds)
    tiles = [(x, y) for y in range(0, view.height, _TILE) for x in range(0, view.width, _TILE)]
    for index, (x, y) in enumerate(tiles):
        if not go_on(index / len(tiles)):
            break
        width, height = min(_TILE, view.width - x), min(_TILE, view.height - y)
        target = Target(width, height, with_depth=True, precise=True)
        with target.cleared():
            drawing.draw(world_T_objects, view.crop(x, y, width, height), with_depth=True)
        part = np.s_[y : y + height, x : x + width]
        rgba[part] = target.read()
        weighted, alpha = target.read(1)[..., 0], rgba[part][..., 3]
        np.divide(weighted, alpha, out=depth[part], where=alpha > 0)
    return rgba, depth
