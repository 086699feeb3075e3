"""The image pyramid that the completion runs on, from fine to coarse."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from splinescape.inpaint.builtin.patches import SIDE


@dataclass(frozen=True, eq=False)
class Level:
    """One scale of the picture to complete.

    Attributes:
        image: (H, W, 4) float32: colour in [0, 1] and texture strength; holes get filled in place.
        known: (H, W) bool, pixels that patches may be copied from.
        context: (H, W) bool, the known pixels that a hole has to go on from; others hide what it shows.
        hole: (H, W) bool, pixels to fill.
        nearness: (H, W) float32 log inverse depth of the known pixels.
        wanted: (H, W) float32 the same for what the hole should show.
        limit: (H, W) float32 log inverse depth that no pixel copied there may exceed.
    """

    image: NDArray[np.float32]
    known: NDArray[np.bool_]
    context: NDArray[np.bool_]
    hole: NDArray[np.bool_]
    nearness: NDArray[np.float32]
    wanted: NDArray[np.float32]
    limit: NDArray[np.float32]


def build_levels(finest: Level, count: int) -> list[Level]:
    """Halve a picture `count - 1` times; its sides must be multiples of 2**(count - 1). Finest first."""
    levels = [finest]
    while len(levels) < count:
        levels.append(_half(levels[-1]))
    return levels


def _half(fine: Level) -> Level:
    known, image = _mean(fine.image, fine.known)
    _, nearness = _mean(fine.nearness[..., None], fine.known)
    _, wanted = _mean(np.stack([fine.wanted, fine.limit], axis=-1), np.ones_like(fine.known))
    context, _ = _mean(fine.image[..., :0], fine.context)
    holes, _ = _mean(fine.image[..., :0], fine.hole)
    mostly_known = (known >= 3) | ((known >= 2) & (known + holes == 4))
    hole = ~mostly_known & (holes > 0)
    return Level(
        image,
        mostly_known,
        mostly_known & (context == known),
        hole,
        nearness[..., 0],
        wanted[..., 0],
        wanted[..., 1],
    )


def _mean(
    values: NDArray[np.float32], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How many of each 2 x 2 pixels are valid, and their mean."""
    quarters = [(slice(a, None, 2), slice(b, None, 2)) for a in (0, 1) for b in (0, 1)]
    count = np.zeros((valid.shape[0] // 2, valid.shape[1] // 2), np.float32)
    total = np.zeros((*count.shape, values.shape[2]), np.float32)
    for quarter in quarters:
        count += valid[quarter]
        total += values[quarter] * valid[quarter][..., None]
    total /= np.maximum(count, 1)[..., None]
    return count, total


def patch_sources(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) True at the top left pixel of each patch that lies wholly in `known`."""
    if min(known.shape) < SIDE:
        return np.zeros_like(known)
    return patch_minimum(known.astype(np.uint8), outside=0).astype(bool)


def patch_minimum(values: NDArray[np.uint8], outside: float) -> NDArray[np.uint8]:
    """(H, W) smallest value in the patch at each anchor; `outside` stands beyond the picture."""
    square = np.ones((SIDE, SIDE), np.uint8)
    border = cv2.BORDER_CONSTANT
    return np.asarray(cv2.erode(values, square, anchor=(0, 0), borderType=border, borderValue=outside))


def patch_maximum(values: NDArray[np.float32], outside: float) -> NDArray[np.float32]:
    """(H, W) largest value in the patch at each anchor; `outside` stands beyond the picture."""
    square = np.ones((SIDE, SIDE), np.uint8)
    border = cv2.BORDER_CONSTANT
    return np.asarray(cv2.dilate(values, square, anchor=(0, 0), borderType=border, borderValue=outside))


def patch_targets(hole: NDArray[np.bool_], step: int) -> NDArray[np.int32]:
    """Flat anchors, on a grid of `step`, of the patches inside the picture that touch `hole`."""
    touching = patch_maximum(hole.astype(np.float32), 0) > 0
    grid = np.zeros_like(hole)
    inside = (slice(0, hole.shape[0] - SIDE + 1, step), slice(0, hole.shape[1] - SIDE + 1, step))
    grid[inside] = touching[inside]
    return np.flatnonzero(grid).astype(np.int32)


def distance_into(hole: NDArray[np.bool_], context: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(H, W) distance in pixels of hole pixels from the nearest context, 0 elsewhere."""
    if not context.any():
        return hole.astype(np.float32)
    return np.where(hole, ndimage.distance_transform_edt(~context), 0).astype(np.float32)


def nearest(there: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(H, W) row and column of the nearest True pixel."""
    rows, columns = ndimage.distance_transform_edt(~there, return_distances=False, return_indices=True)
    return rows, columns
