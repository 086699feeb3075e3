"""Front-to-back blending of tiles.

A tile is eight pixels wide and a vector covers one or two of its rows. A tile's pixels live in one flat buffer that
stays in the first-level cache, and a splat touches only its own rows. A pixel that has closed keeps its transmittance
with a minus sign, which makes every later test of "stays above 1e-4" fail without another mask.
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


@njit
def _open_tile(state: Any, w: Any, h: Any, stride: Any) -> None:
    """Set the transmittance of a tile's (w, h) pixels to 1, and close what lies outside the image."""
    for y in range(TILE_H):
        for x in range(TILE_W):
            inside = x < w and y < h
            state[(y // ROWS) * stride + (y % ROWS) * TILE_W + x] = (
                np.float32(1) if inside else np.float32(-1)
            )


@njit
def _is_open(state: Any, h: Any, stride: Any) -> Any:
    """Whether any pixel can still change."""
    found = False
    for v in range((h + ROWS - 1) // ROWS):
        found = found or any_lane(load(state, v * stride) > splat(np.float32(0)))
    return found


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
    lowest = splat(np.float32(-7.994353436858858))  # log2(1 / 255)
    highest = splat(np.float32(0.999))
    closed_below = splat(np.float32(1e-4))
    step = splat(np.float32(ROWS))
    for tile in range(start, stop):
        left, top = (tile % columns) * TILE_W, (tile // columns) * TILE_H
        w, h = min(TILE_W, width - left), min(TILE_H, height - top)
        state[:] = 0
        _open_tile(state, w, h, STATE)
        px = lane_columns() + splat(np.float32(left) + np.float32(0.5))
        py = lane_rows() + splat(np.float32(top) + np.float32(0.5))
        last = starts[tile + 1] - 1
        for j in range(starts[tile], starts[tile + 1]):
            ahead = np.int64(splats[min(j + AHEAD, last)]) * RECORD
            prefetch(records, ahead)
            prefetch(records, ahead + RECORD - 1)
            i = np.int64(splats[j]) * RECORD
            v0 = max(np.int64(records[i + 10]) - top, 0) // ROWS
            v1 = (min(np.int64(records[i + 11]) - top, h) + ROWS - 1) // ROWS
            ix = splat(records[i + 3])
            fx = (px - splat(records[i])) * ix
            slope = -splat(records[i + 2]) * ix
            iy = splat(records[i + 4])
            log2o = splat(records[i + 5])
            r, g = splat(records[i + 6]), splat(records[i + 7])
            b, z = splat(records[i + 8]), splat(records[i + 9])
            dy = py + splat(np.float32(v0 * ROWS) - records[i + 1])
            for v in range(v0, v1):
                at = v * STATE
                ex, ey = fma(slope, dy, fx), iy * dy
                log2a = fma(-ex, ex, fma(-ey, ey, log2o))
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
            if (j & 15) == 15 and not _is_open(state, h, STATE):
                break
        for y in range(h):
            for x in range(w):
                at = (y // ROWS) * STATE + (y % ROWS) * TILE_W + x
                a = np.float32(1) - abs(state[at])
                alpha[top + y, left + x] = a
                for c in range(3):
                    rgb[top + y, left + x, c] = state[at + (c + 1) * LANES]
                depth[top + y, left + x] = state[at + 4 * LANES] / max(a, np.float32(1e-10))
