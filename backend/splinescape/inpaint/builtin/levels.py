"""The image pyramid that the completion runs on, from coarse to fine."""

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
        image: (H, W, 4) float32: colour in [0, 1] and texture strength; hole pixels are written as they get known.
        known: (H, W) bool, pixels that patches may be copied from.
        hole: (H, W) bool, pixels to fill. Pixels that are neither known nor hole are ignored.
        guide: (H, W, 2) float32: log depth guide per pixel, see `guide.py`.
    """

    image: NDArray[np.float32]
    known: NDArray[np.bool_]
    hole: NDArray[np.bool_]
    depth_guide: NDArray[np.float32]


def build_levels(
    image: NDArray[np.float32],
    known: NDArray[np.bool_],
    hole: NDArray[np.bool_],
    depth_guide: NDArray[np.float32],
    count: int,
) -> list[Level]:
    """Halve a picture `count - 1` times; its sides must be multiples of 2**(count - 1). Finest first."""
    levels = [Level(image, known, hole, depth_guide)]
    for _ in range(count - 1):
        levels.append(_half(levels[-1]))
    return levels


def _half(fine: Level) -> Level:
    quarters = [(slice(a, None, 2), slice(b, None, 2)) for a in (0, 1) for b in (0, 1)]
    votes = sum(fine.known[q].astype(np.float32) for q in quarters)
    holes = sum(fine.hole[q].astype(np.float32) for q in quarters)
    total = sum(fine.image[q] * fine.known[q][..., None] for q in quarters)
    known = (votes >= 3) | ((votes >= 2) & (votes + holes == 4))
    hole = ~known & (holes > 0)
    image = (total / np.maximum(votes, 1)[..., None]).astype(np.float32)
    guide = sum(fine.depth_guide[q] for q in quarters) / np.float32(4)
    return Level(image, known, hole, guide.astype(np.float32))


def patch_sources(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) True at the top left pixel of each patch that lies wholly in `known`."""
    inside = cv2.erode(
        known.astype(np.uint8), np.ones((SIDE, SIDE), np.uint8), anchor=(0, 0), borderValue=0,
        borderType=cv2.BORDER_CONSTANT,
    )
    return inside.astype(bool)


def patch_targets(hole: NDArray[np.bool_], step: int) -> NDArray[np.int32]:
    """Flat anchors, on a grid of `step`, of the patches inside the picture that touch `hole`."""
    touching = cv2.dilate(
        hole.astype(np.uint8), np.ones((SIDE, SIDE), np.uint8), anchor=(0, 0), borderValue=0,
        borderType=cv2.BORDER_CONSTANT,
    ).astype(bool)
    touching[hole.shape[0] - SIDE + 1 :] = False
    touching[:, hole.shape[1] - SIDE + 1 :] = False
    grid = np.zeros_like(touching)
    grid[::step, ::step] = touching[::step, ::step]
    return np.flatnonzero(grid).astype(np.int32)


def depth_into_hole(hole: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(H, W) distance in pixels of hole pixels from the nearest known one, 0 elsewhere."""
    return np.where(hole, ndimage.distance_transform_edt(~known), 0).astype(np.float32)


def nearest_known(known: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(H, W) row and column of the nearest known pixel."""
    rows, columns = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return rows, columns
