"""Front-to-back blending of tiles.

A tile is eight pixels wide and a vector covers one or two of its rows. A tile's pixels live in one flat
buffer that stays in the first-level cache, and a splat touches only its own rows. A pixel that has closed
keeps its transmittance with a minus sign, which makes every later test of "stays above 1e-4" fail without
another mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from splinescape.jit import njit
from splinescape.raster.cpu.vec import (
    LANES,
    any_lane,
    exp2,
    fma,
    lane_columns,
    lane_rows,
    load,
    maximum,
    minimum,
    negative_abs,
    prefetch,
    select,
    splat,
    store,
)

# Numba's cache only sees literals of this file; backward.py repeats them.
TILE_W, TILE_H = 8, 32
ROWS = LANES // TILE_W
RECORD = 12
STATE = 5 * LANES
AHEAD = 6  # records come from all over memory

LOG2_MIN_ALPHA = -7.994353436858858  # log2(1 / 255)
MAX_ALPHA = 0.999
MIN_TRANSMITTANCE = 1e-4


@njit
def open_tile(state: Any, w: Any, h: Any, stride: Any) -> None:
    """Set the transmittance of a tile's (w, h) pixels to 1, and close what lies outside the image."""
    one = splat(np.float32(1))
    right, bottom = splat(np.float32(w)), splat(np.float32(h))
    for v in range(TILE_H // ROWS):
        inside = (right > lane_columns()) & (bottom > lane_rows() + splat(np.float32(v * ROWS)))
        store(state, v * stride, select(inside, one, -one))


@njit
def is_open(state: Any, h: Any, stride: Any) -> Any:
    """Whether any pixel of a tile's first h rows can still change."""
    found = False
    for v in range((h + ROWS - 1) // ROWS):
        found = found or any_lane(load(state, v * stride) > splat(np.float32(0)))
    return found


@njit
def shape_in_tile(records: Any, i: Any, px: Any, py: Any, top: Any, h: Any) -> Any:
    """What a tile needs of a splat's shape.

    Args:
        i: start of its record. px, py: pixel centres of the tile's first vector.
        top, h: first row and rows of the tile.

    Returns:
        First and last + 1 vector of rows, then dy in the first of them, fx, slope, iy and log2(opacity) for
        `log2_alpha`.
    """
    v0 = max(np.int64(records[i + 10]) - top, 0) // ROWS
    v1 = (min(np.int64(records[i + 11]) - top, h) + ROWS - 1) // ROWS
    dy = py + splat(np.float32(v0 * ROWS) - records[i + 1])
    ix = splat(records[i + 3])
    fx, slope = (px - splat(records[i])) * ix, -splat(records[i + 2]) * ix
    return v0, v1, dy, fx, slope, splat(records[i + 4]), splat(records[i + 5])


@njit
def log2_alpha(fx: Any, slope: Any, iy: Any, log2o: Any, dy: Any) -> Any:
    """log2(opacity exp(-sigma)) for pixels dy below the centre, and ex, ey: sigma log2(e) = ex^2 + ey^2."""
    ex, ey = fma(slope, dy, fx), iy * dy
    return fma(-ex, ex, fma(-ey, ey, log2o)), ex, ey


@njit
def blend(
    start: Any,
    stop: Any,
    records: Any,
    splats: Any,
    starts: Any,
    columns: Any,
    rgb: Any,
    depth: Any,
    alpha: Any,
) -> None:
    """Render tiles [start, stop).

    Args:
        records: (N * RECORD,) projected splats.
        splats, starts: see `Tiles`. columns: tiles per row.
        rgb: (H, W, 3), depth: (H, W) alpha-weighted mean camera z, alpha: (H, W); outputs.
    """
    height, width = alpha.shape
    state = np.empty(TILE_H // ROWS * STATE, np.float32)  # per vector: transmittance, r, g, b, z
    zero, one = splat(np.float32(0)), splat(np.float32(1))
    lowest, highest = splat(np.float32(LOG2_MIN_ALPHA)), splat(np.float32(MAX_ALPHA))
    closed_below = splat(np.float32(MIN_TRANSMITTANCE))
    step = splat(np.float32(ROWS))
    for tile in range(start, stop):
        left, top = (tile % columns) * TILE_W, (tile // columns) * TILE_H
        w, h = min(TILE_W, width - left), min(TILE_H, height - top)
        state[:] = 0
        open_tile(state, w, h, STATE)
        px = lane_columns() + splat(np.float32(left) + np.float32(0.5))
        py = lane_rows() + splat(np.float32(top) + np.float32(0.5))
        last = starts[tile + 1] - 1
        for j in range(starts[tile], starts[tile + 1]):
            ahead = np.int64(splats[min(j + AHEAD, last)]) * RECORD
            prefetch(records, ahead)
            prefetch(records, ahead + RECORD - 1)
            i = np.int64(splats[j]) * RECORD
            v0, v1, dy, fx, slope, iy, log2o = shape_in_tile(records, i, px, py, top, h)
            r, g = splat(records[i + 6]), splat(records[i + 7])
            b, z = splat(records[i + 8]), splat(records[i + 9])
            for v in range(v0, v1):
                at = v * STATE
                log2a, _ex, _ey = log2_alpha(fx, slope, iy, log2o, dy)
                dy = dy + step
                T = load(state, at)
                weight = select(log2a >= lowest, minimum(exp2(log2a), highest) * T, zero)
                after = T - weight
                alive = after > closed_below
                weight = select(alive, weight, zero)
                store(state, at, select(alive, after, negative_abs(T)))
                store(state, at + LANES, fma(weight, r, load(state, at + LANES)))
                store(state, at + 2 * LANES, fma(weight, g, load(state, at + 2 * LANES)))
                store(state, at + 3 * LANES, fma(weight, b, load(state, at + 3 * LANES)))
                store(state, at + 4 * LANES, fma(weight, z, load(state, at + 4 * LANES)))
            if (j & 15) == 15 and not is_open(state, h, STATE):
                break
        for v in range((h + ROWS - 1) // ROWS):
            at = v * STATE
            a = one + negative_abs(load(state, at))
            store(state, at, a)
            store(state, at + 4 * LANES, load(state, at + 4 * LANES) / maximum(a, splat(np.float32(1e-10))))
        for y in range(h):
            at = (y // ROWS) * STATE + (y % ROWS) * TILE_W
            for x in range(w):
                alpha[top + y, left + x] = state[at + x]
                depth[top + y, left + x] = state[at + 4 * LANES + x]
                for c in range(3):
                    rgb[top + y, left + x, c] = state[at + (c + 1) * LANES + x]


@njit
def cover(start: Any, stop: Any, records: Any, splats: Any, starts: Any, columns: Any, alpha: Any) -> None:
    """`blend` for alpha alone, bit for bit the same."""
    height, width = alpha.shape
    state = np.empty(TILE_H // ROWS * LANES, np.float32)  # transmittance
    zero, one = splat(np.float32(0)), splat(np.float32(1))
    lowest, highest = splat(np.float32(LOG2_MIN_ALPHA)), splat(np.float32(MAX_ALPHA))
    closed_below = splat(np.float32(MIN_TRANSMITTANCE))
    step = splat(np.float32(ROWS))
    for tile in range(start, stop):
        left, top = (tile % columns) * TILE_W, (tile // columns) * TILE_H
        w, h = min(TILE_W, width - left), min(TILE_H, height - top)
        open_tile(state, w, h, LANES)
        px = lane_columns() + splat(np.float32(left) + np.float32(0.5))
        py = lane_rows() + splat(np.float32(top) + np.float32(0.5))
        last = starts[tile + 1] - 1
        for j in range(starts[tile], starts[tile + 1]):
            ahead = np.int64(splats[min(j + AHEAD, last)]) * RECORD
            prefetch(records, ahead)
            prefetch(records, ahead + RECORD - 1)
            i = np.int64(splats[j]) * RECORD
            v0, v1, dy, fx, slope, iy, log2o = shape_in_tile(records, i, px, py, top, h)
            for v in range(v0, v1):
                log2a, _ex, _ey = log2_alpha(fx, slope, iy, log2o, dy)
                dy = dy + step
                T = load(state, v * LANES)
                after = T - select(log2a >= lowest, minimum(exp2(log2a), highest) * T, zero)
                store(state, v * LANES, select(after > closed_below, after, negative_abs(T)))
            if (j & 15) == 15 and not is_open(state, h, LANES):
                break
        for v in range((h + ROWS - 1) // ROWS):
            store(state, v * LANES, one + negative_abs(load(state, v * LANES)))
        for y in range(h):
            for x in range(w):
                alpha[top + y, left + x] = state[y * TILE_W + x]
