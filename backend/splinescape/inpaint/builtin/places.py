"""Where a patch should be copied from, apart from its looks: each level's maps for `search.prior_cost`."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from splinescape.inpaint.builtin.levels import Level, nearest, patch_maximum, patch_sources
from splinescape.inpaint.builtin.patches import SIDE
from splinescape.inpaint.builtin.unique import uniqueness
from splinescape.jit import run_chunks

ROW_PRIOR = 0.6
COLUMN_PRIOR = 0.25
"""Times a distance over the picture's longer side: sky comes from the sky's rows, and floor from its own."""
DEPTH_PRIOR = 0.2
"""Times a difference of log depth."""
HIDING_PRICE = 0.5
"""For a patch with pixels that hide what the hole shows."""
COPY_PRICE = 0.012
"""What each copy that is grown adds to the price of sources around its own."""
CROWDING_PRICE = 0.003
CROWDING_LIMIT = 10.0
UNIQUE_PRICE = 0.5
UNIQUE_LIMIT = 0.03
UNIQUE_SOURCES = 4500
"""Uniqueness compares every patch with every other, so it waits for a level that has no more than these."""


def offers_and_wishes(level: Level) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(H*W, 4) what each source patch offers and what each target wants.

    Hole pixels want the place of their nearest context and the depth of the surface that they continue.
    """
    height, width = level.hole.shape
    scale = np.float32(1 / max(height, width))
    context = level.context if level.context.any() else level.known
    rows, columns = np.indices((height, width))
    offered = _place(level.nearness, level.nearness, rows * scale, columns * scale)
    rows, columns = nearest(context)
    wanted = _place(level.wanted, level.limit, rows * scale, columns * scale)
    return offered, wanted


def _place(
    nearness: NDArray[np.float32],
    limit: NDArray[np.float32],
    rows: NDArray[np.floating],
    columns: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Rows, columns and depth at the middle of the patch at each anchor, and the largest limit inside it."""
    height, width = nearness.shape
    place = np.empty((height, width, 4), np.float32)
    place[..., 0] = ROW_PRIOR * cv2.blur(np.asarray(rows, np.float32), (5, 5))
    place[..., 1] = COLUMN_PRIOR * cv2.blur(np.asarray(columns, np.float32), (5, 5))
    place[..., 2] = DEPTH_PRIOR * nearness
    place[..., 3] = patch_maximum(limit, float(limit.min()))
    half = SIDE // 2
    place[: height - half, : width - half, :3] = place[half:, half:, :3]
    return place.reshape(-1, 4)


def standing_price(
    level: Level, noticed: NDArray[np.float32], rarity: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(H*W,) price of each source patch that does not change while matches do."""
    hiding = (level.known & ~level.context).astype(np.float32)
    price = UNIQUE_PRICE * noticed * rarity + HIDING_PRICE * patch_maximum(hiding, 0)
    return price.astype(np.float32).reshape(-1)


def crowding_price(
    match: NDArray[np.int32], allowed: NDArray[np.bool_], noticed: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(H*W,) price for how much more often than its fair share each source patch is used.

    Kaspar et al. 2015, "Self tuning texture optimization", section 5.
    """
    used = np.bincount(match, minlength=allowed.size).astype(np.float32).reshape(noticed.shape)
    fair = max(match.size / max(int(allowed.sum()), 1), 1e-6)
    near = cv2.boxFilter(used, -1, (SIDE, SIDE)) / fair
    price = CROWDING_PRICE * noticed * np.clip(near - 1, 0, CROWDING_LIMIT)
    return price.astype(np.float32).reshape(-1)


def noticeable(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W) in [0, 1] per patch anchor: how easily a repetition of it is seen; a plain wall's never is."""
    mean = cv2.blur(image[..., :3], (SIDE, SIDE), anchor=(0, 0))
    square = cv2.blur(image[..., :3] ** 2, (SIDE, SIDE), anchor=(0, 0))
    variance = np.maximum(square - mean**2, 0).sum(axis=-1)
    return (variance / (variance + 0.006)).astype(np.float32)


def find_rarity(levels: list[Level]) -> NDArray[np.float32]:
    """(H, W) at the finest level: `uniqueness` of the place around each pixel, found on a coarse level."""
    rarity = np.zeros(levels[0].hole.shape, np.float32)
    for level in levels:
        sources = np.flatnonzero(patch_sources(level.known))
        if 0 < sources.size <= UNIQUE_SOURCES:
            found = np.empty(sources.size, np.float32)
            ones = np.ones(level.hole.size, np.float32)
            limit = np.float32(UNIQUE_LIMIT)
            width = level.hole.shape[1]
            image = level.image.reshape(-1)
            run_chunks(uniqueness, sources.size, image, ones, width, sources, limit, found)
            coarse = np.zeros(level.hole.shape, np.float32)
            coarse.reshape(-1)[sources] = found
            factor = len(rarity) // len(coarse)
            return np.repeat(np.repeat(coarse, factor, axis=0), factor, axis=1)
    return rarity
