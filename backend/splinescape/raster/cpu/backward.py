"""Gradient of blending, by replaying a tile front to back.

With weights w_i = alpha_i T_i and q_i = dL/dw_i, the loss changes with alpha_i by T_i q_i - (Q - P_i) /
(1 - alpha_i), where Q sums w q over all splats of the pixel and P_i over those up to i: one number per
pixel instead of a list. A splat's gradient leaves a tile as ten sums in a slot of its own, so nothing is
shared between threads and the order of additions is fixed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from splinescape.jit import njit
from splinescape.raster.cpu.blend import is_open, log2_alpha, open_tile, shape_in_tile
from splinescape.raster.cpu.vec import (
    LANES,
    exp2,
    fma,
    lane_columns,
    lane_rows,
    load,
    minimum,
    negative_abs,
    prefetch,
    reciprocal,
    select,
    splat,
    store,
    store_sums,
)

# As in blend.py; numba's cache only sees literals of this file.
TILE_W, TILE_H = 8, 32
ROWS = LANES // TILE_W
RECORD, SLOT = 12, 10
STATE = 7 * LANES
AHEAD = 6

LOG2_MIN_ALPHA = -7.994353436858858  # log2(1 / 255)
MAX_ALPHA = 0.999
MIN_TRANSMITTANCE = 1e-4


@njit
def _load_gradients(
    state: Any, top: Any, left: Any, w: Any, h: Any,
    rgb: Any, depth: Any, alpha: Any, v_rgb: Any, v_depth: Any, v_alpha: Any,
) -> None:  # fmt: skip
    """Fill a tile's Q and its gradients by accumulated r, g, b, z and by alpha."""
    for y in range(h):
        for x in range(w):
            at = (y // ROWS) * STATE + (y % ROWS) * TILE_W + x
            py, px = top + y, left + x
            a = alpha[py, px]
            vz = v_depth[py, px] / max(a, np.float32(1e-10))
            # Depth is the mean of z: its terms by z and by alpha cancel in Q.
            total = v_alpha[py, px] * a
            for c in range(3):
                total += v_rgb[py, px, c] * rgb[py, px, c]
                state[at + (2 + c) * LANES] = v_rgb[py, px, c]
            state[at + LANES] = total
            state[at + 5 * LANES] = vz
            state[at + 6 * LANES] = v_alpha[py, px] - vz * depth[py, px]


@njit
def blend_backward(
    start: Any, stop: Any, records: Any, splats: Any, starts: Any, first_slot: Any, rects: Any, columns: Any,
    rgb: Any, depth: Any, alpha: Any, v_rgb: Any, v_depth: Any, v_alpha: Any, slots: Any,
) -> None:  # fmt: skip
    """Write the gradient sums of tiles [start, stop) to `slots` (S * SLOT,), one row per intersection.

    Args:
        records: (N * RECORD,) projected splats.
        splats, starts: see `Tiles`. first_slot, rects: see `slot_starts`. columns: tiles per row.
        rgb, depth, alpha: what `blend` made; v_*: dL by each of them.
    """
    height, width = alpha.shape
    # Per vector: transmittance, Q - P, then dL/d of accumulated r, g, b, z and of alpha.
    state = np.empty(TILE_H // ROWS * STATE, np.float32)
    zero, one = splat(np.float32(0)), splat(np.float32(1))
    lowest, highest = splat(np.float32(LOG2_MIN_ALPHA)), splat(np.float32(MAX_ALPHA))
    closed_below = splat(np.float32(MIN_TRANSMITTANCE))
    step = splat(np.float32(ROWS))
    for tile in range(start, stop):
        tx, ty = tile % columns, tile // columns
        left, top = tx * TILE_W, ty * TILE_H
        w, h = min(TILE_W, width - left), min(TILE_H, height - top)
        state[:] = 0
        open_tile(state, w, h, STATE)
        _load_gradients(state, top, left, w, h, rgb, depth, alpha, v_rgb, v_depth, v_alpha)
        px = lane_columns() + splat(np.float32(left) + np.float32(0.5))
        py = lane_rows() + splat(np.float32(top) + np.float32(0.5))
        last = starts[tile + 1] - 1
        still_open = True
        for j in range(starts[tile], starts[tile + 1]):
            ahead = np.int64(splats[min(j + AHEAD, last)])
            prefetch(records, ahead * RECORD)
            prefetch(records, ahead * RECORD + RECORD - 1)
            prefetch(first_slot, ahead)
            prefetch(rects, ahead * 4)
            s = np.int64(splats[j])
            tiles_wide = np.int64(rects[4 * s + 1]) - rects[4 * s]
            slot = (first_slot[s] + (ty - rects[4 * s + 2]) * tiles_wide + tx - rects[4 * s]) * SLOT
            if not still_open:
                slots[slot : slot + SLOT] = 0
                continue
            i = s * RECORD
            v0, v1, dy, fx, slope, iy, log2o = shape_in_tile(records, i, px, py, top, h)
            r, g = splat(records[i + 6]), splat(records[i + 7])
            b, z = splat(records[i + 8]), splat(records[i + 9])
            g_sum, g_x, g_y, g_xx, g_xy, g_yy = zero, zero, zero, zero, zero, zero
            v_r, v_g, v_b, v_z = zero, zero, zero, zero
            for v in range(v0, v1):
                at = v * STATE
                log2a, ex, ey = log2_alpha(fx, slope, iy, log2o, dy)
                raw = exp2(log2a)
                a = select(log2a >= lowest, minimum(raw, highest), zero)
                T = load(state, at)
                after = T - a * T
                alive = after > closed_below
                a = select(alive, a, zero)
                weight = a * T
                store(state, at, select(alive, after, negative_abs(T)))
                cr, cg, cb = (
                    load(state, at + 2 * LANES),
                    load(state, at + 3 * LANES),
                    load(state, at + 4 * LANES),
                )
                cz, ca = load(state, at + 5 * LANES), load(state, at + 6 * LANES)
                q = fma(cr, r, fma(cg, g, fma(cb, b, fma(cz, z, ca))))
                rest = fma(-weight, q, load(state, at + LANES))
                store(state, at + LANES, rest)
                v_r, v_g, v_b, v_z = (
                    fma(weight, cr, v_r),
                    fma(weight, cg, v_g),
                    fma(weight, cb, v_b),
                    fma(weight, cz, v_z),
                )
                # A clamped alpha does not follow the splat's shape.
                grad = select(highest >= raw, a, zero) * (T * q - rest * reciprocal(one - a))
                grad_x, grad_y = grad * ex, grad * ey
                g_sum, g_x, g_y = g_sum + grad, g_x + grad_x, g_y + grad_y
                g_xx, g_xy, g_yy = fma(grad_x, ex, g_xx), fma(grad_x, ey, g_xy), fma(grad_y, ey, g_yy)
                dy = dy + step
            store_sums(slots, slot, (g_sum, g_x, g_y, g_xx, g_xy, g_yy, v_r, v_g, v_b, v_z))
            if (j & 15) == 15:
                still_open = is_open(state, h, STATE)
