"""Front-to-back blending of tiles.

A row of a tile is one vector; a tile's pixels live in one flat buffer that stays in the first-level cache, and a splat
touches only its own rows. A pixel that has closed keeps its transmittance with a minus sign, which makes every later
test of "stays above 1e-4" fail without another mask.
"""

from __future__ import annotations

import numpy as np

from splinescape.jit import njit
from splinescape.raster.cpu.vec import (
    any_lane,
    exp2,
    iota,
    load,
    minimum,
    negative_abs,
    select,
    splat,
    store,
)

TILE_W, TILE_H = 8, 16  # TILE_W lanes to a vector; numba's cache only sees literals of this file


@njit
def blend(start, stop, records, splats, tile_start, columns, rgb, depth, alpha):
    """Render tiles [start, stop).

    Args:
        records: (N * 12,) projected splats, flat.
        splats, tile_start: see `Tiles`. columns: tiles per row.
        rgb: (H, W, 3), depth: (H, W) alpha-weighted mean camera z, alpha: (H, W); outputs.
    """
    height, width = alpha.shape
    state = np.empty(TILE_H * 5 * TILE_W, np.float32)  # per row: transmittance, r, g, b, z
    zero, one = splat(np.float32(0)), splat(np.float32(1))
    lowest = splat(np.float32(-7.994353436858858))  # log2(1 / 255)
    highest = splat(np.float32(0.999))
    closed_below = splat(np.float32(1e-4))
    half = np.float32(0.5)
    for tile in range(start, stop):
        left, top = (tile % columns) * TILE_W, (tile // columns) * TILE_H
        h = min(TILE_H, height - top)
        for y in range(h):
            at = y * 5 * TILE_W
            store(state, at, one)
            for c in range(1, 5):
                store(state, at + c * TILE_W, zero)
        px = iota() + splat(np.float32(left) + half)
        since_check = 0
        for j in range(tile_start[tile], tile_start[tile + 1]):
            i = np.int64(splats[j]) * 12
            cy, reach = records[i + 1], records[i + 11]
            y0 = max(np.int64(np.ceil(cy - reach - half)) - top, 0)
            y1 = min(np.int64(np.floor(cy + reach - half)) + 1 - top, h)
            ix = records[i + 3]
            fx = (px - splat(records[i])) * splat(ix)
            slope = splat(-records[i + 2] * ix)
            iy = splat(records[i + 4])
            log2o = splat(records[i + 5])
            r, g, b, z = (
                splat(records[i + 6]), splat(records[i + 7]), splat(records[i + 8]), splat(records[i + 9])
            )  # fmt: skip
            dy = splat(np.float32(top + y0) + half - cy)
            for y in range(y0, y1):
                at = y * 5 * TILE_W
                ex, ey = fx + slope * dy, iy * dy
                log2a = log2o - ey * ey - ex * ex
                dy = dy + one
                T = load(state, at)
                weight = select(log2a >= lowest, minimum(exp2(log2a), highest) * T, zero)
                after = T - weight
                alive = after > closed_below
                weight = select(alive, weight, zero)
                store(state, at, select(alive, after, negative_abs(T)))
                store(state, at + TILE_W, load(state, at + TILE_W) + weight * r)
                store(state, at + 2 * TILE_W, load(state, at + 2 * TILE_W) + weight * g)
                store(state, at + 3 * TILE_W, load(state, at + 3 * TILE_W) + weight * b)
                store(state, at + 4 * TILE_W, load(state, at + 4 * TILE_W) + weight * z)
            since_check += 1
            if since_check == 16:
                since_check = 0
                open_pixels = False
                for y in range(h):
                    open_pixels = open_pixels or any_lane(load(state, y * 5 * TILE_W) > zero)
                if not open_pixels:
                    break
        for y in range(h):
            at = y * 5 * TILE_W
            for x in range(min(TILE_W, width - left)):
                a = np.float32(1) - abs(state[at + x])
                alpha[top + y, left + x] = a
                for c in range(3):
                    rgb[top + y, left + x, c] = state[at + (c + 1) * TILE_W + x]
                depth[top + y, left + x] = state[at + 4 * TILE_W + x] / max(a, np.float32(1e-10))
