"""Gradient of blending, by replaying a tile front to back.

With weights w_i = alpha_i T_i and q_i = dL/dw_i, the loss changes with alpha_i by T_i q_i - (Q - P_i) / (1 - alpha_i),
where Q sums w q over all splats of the pixel and P_i over those up to i: one number per pixel instead of a list.
A vector's lane is a column and dx is constant down a column, so moments in x are formed once per splat.
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
    reciprocal,
    select,
    splat,
    store,
    store_sums,
)

TILE_W, TILE_H = 8, 16  # as in blend.py; numba's cache only sees literals of this file


@njit
def blend_backward(
    start, stop, records, splats, tile_start, first_slot, rects, columns,
    rgb, depth, alpha, v_rgb, v_depth, v_alpha, slots,
):  # fmt: skip
    """Write the gradient sums of tiles [start, stop) to `slots` (S * 10,), one row per intersection.

    Args:
        records: (N * 12,) projected splats, flat.
        splats, tile_start, first_slot, rects: see `Tiles`. columns: tiles per row.
        rgb, depth, alpha: what `blend` made; v_*: dL by each of them.
    """
    height, width = alpha.shape
    # Per row: transmittance, Q - P, then dL/d of accumulated r, g, b, z and of alpha.
    state = np.zeros(TILE_H * 7 * TILE_W, np.float32)
    zero, one = splat(np.float32(0)), splat(np.float32(1))
    lowest = splat(np.float32(-7.994353436858858))  # log2(1 / 255)
    highest = splat(np.float32(0.999))
    closed_below = splat(np.float32(1e-4))
    half = np.float32(0.5)
    for tile in range(start, stop):
        tx, ty = tile % columns, tile // columns
        left, top = tx * TILE_W, ty * TILE_H
        w, h = min(TILE_W, width - left), min(TILE_H, height - top)
        for y in range(h):
            at = y * 7 * TILE_W
            store(state, at, one)
            for x in range(w):
                py, px_ = top + y, left + x
                a = alpha[py, px_]
                vz = v_depth[py, px_] / max(a, np.float32(1e-10))
                va = v_alpha[py, px_] - vz * depth[py, px_]
                # The sum of w z is depth * alpha, so depth's own two terms of Q cancel.
                total = v_alpha[py, px_] * a
                for c in range(3):
                    total += v_rgb[py, px_, c] * rgb[py, px_, c]
                    state[at + (2 + c) * TILE_W + x] = v_rgb[py, px_, c]
                state[at + TILE_W + x] = total
                state[at + 5 * TILE_W + x] = vz
                state[at + 6 * TILE_W + x] = va
            for x in range(w, TILE_W):
                for c in range(1, 7):
                    state[at + c * TILE_W + x] = 0
        px = iota() + splat(np.float32(left) + half)
        since_check = 0
        tile_open = True
        for j in range(tile_start[tile], tile_start[tile + 1]):
            s = np.int64(splats[j])
            slot = (first_slot[s] + (ty - rects[s, 2]) * (rects[s, 1] - rects[s, 0]) + tx - rects[s, 0]) * 10
            if not tile_open:
                slots[slot : slot + 10] = 0
                continue
            i = s * 12
            cy, reach = records[i + 1], records[i + 11]
            y0 = max(np.int64(np.ceil(cy - reach - half)) - top, 0)
            y1 = min(np.int64(np.floor(cy + reach - half)) + 1 - top, h)
            ix = records[i + 3]
            dx = px - splat(records[i])
            fx = dx * splat(ix)
            slope = splat(-records[i + 2] * ix)
            iy = splat(records[i + 4])
            log2o = splat(records[i + 5])
            r, g, b, z = (
                splat(records[i + 6]), splat(records[i + 7]), splat(records[i + 8]), splat(records[i + 9])
            )  # fmt: skip
            g_sum, g_dy, g_dy2, v_r, v_g, v_b, v_z = zero, zero, zero, zero, zero, zero, zero
            dy = splat(np.float32(top + y0) + half - cy)
            for y in range(y0, y1):
                at = y * 7 * TILE_W
                ex, ey = fx + slope * dy, iy * dy
                log2a = log2o - ey * ey - ex * ex
                raw = exp2(log2a)
                a = select(log2a >= lowest, minimum(raw, highest), zero)
                T = load(state, at)
                after = T - a * T
                alive = after > closed_below
                a = select(alive, a, zero)
                weight = a * T
                store(state, at, select(alive, after, negative_abs(T)))
                cr, cg, cb = (
                    load(state, at + 2 * TILE_W), load(state, at + 3 * TILE_W), load(state, at + 4 * TILE_W)
                )  # fmt: skip
                cz = load(state, at + 5 * TILE_W)
                q = load(state, at + 6 * TILE_W) + cr * r + cg * g + cb * b + cz * z
                rest = load(state, at + TILE_W) - weight * q
                store(state, at + TILE_W, rest)
                v_r, v_g, v_b, v_z = (
                    v_r + weight * cr,
                    v_g + weight * cg,
                    v_b + weight * cb,
                    v_z + weight * cz,
                )
                # A clamped alpha does not follow the splat's shape.
                grad = select(highest >= raw, a, zero) * (T * q - rest * reciprocal(one - a))
                g_sum = g_sum + grad
                grad = grad * dy
                g_dy = g_dy + grad
                g_dy2 = g_dy2 + grad * dy
                dy = dy + one
            g_dx = g_sum * dx
            store_sums(slots, slot, (g_sum, g_dx, g_dy, g_dx * dx, g_dy * dx, g_dy2, v_r, v_g, v_b, v_z))
            since_check += 1
            if since_check == 16:
                since_check = 0
                tile_open = False
                for y in range(h):
                    tile_open = tile_open or any_lane(load(state, y * 7 * TILE_W) > zero)
