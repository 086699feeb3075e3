"""Gradient of blending, by replaying a tile front to back.

With weights w_i = alpha_i T_i and q_i = dL/dw_i, the loss changes with alpha_i by T_i q_i - (Q - P_i) / (1 - alpha_i),
where Q sums w q over all splats of the pixel and P_i over those up to i: one number per pixel instead of a list.
"""

from __future__ import annotations

import numpy as np

from splinescape.jit import njit

TILE_W, TILE_H = 8, 16


@njit
def blend_backward(
    start, stop, records, splats, tile_start, first_slot, rects, columns,
    rgb, depth, alpha, v_rgb, v_depth, v_alpha, slots,
):  # fmt: skip
    """Write the gradient sums of tiles [start, stop) to one row of `slots` (S, 10) per intersection."""
    height, width = alpha.shape
    T = np.empty((TILE_H, TILE_W), np.float32)
    rest = np.empty((TILE_H, TILE_W), np.float32)
    v = np.empty((TILE_H, TILE_W, 5), np.float32)
    one = np.float32(1)
    for tile in range(start, stop):
        tx, ty = tile % columns, tile // columns
        left, top = tx * TILE_W, ty * TILE_H
        w, h = min(TILE_W, width - left), min(TILE_H, height - top)
        T[:] = 1
        closed = np.zeros((TILE_H, TILE_W), np.bool_)
        for y in range(h):
            for x in range(w):
                py, px = top + y, left + x
                a = max(alpha[py, px], np.float32(1e-10))
                v[y, x, 0], v[y, x, 1], v[y, x, 2] = v_rgb[py, px, 0], v_rgb[py, px, 1], v_rgb[py, px, 2]
                v[y, x, 3] = v_depth[py, px] / a
                v[y, x, 4] = v_alpha[py, px] - v_depth[py, px] * depth[py, px] / a
                total = v[y, x, 3] * depth[py, px] * a + v[y, x, 4] * alpha[py, px]
                for c in range(3):
                    total += v[y, x, c] * rgb[py, px, c]
                rest[y, x] = total
        for j in range(tile_start[tile], tile_start[tile + 1]):
            i = splats[j]
            rec = records[i]
            rect = rects[i]
            out = slots[first_slot[i] + (ty - rect[2]) * (rect[1] - rect[0]) + tx - rect[0]]
            out[:] = 0
            y0 = np.int64(max(np.ceil(rec[1] - rec[11] - np.float32(0.5)) - top, 0))
            y1 = np.int64(min(np.floor(rec[1] + rec[11] - np.float32(0.5)) + 1 - top, h))
            for y in range(y0, y1):
                dy = np.float32(top + y) + np.float32(0.5) - rec[1]
                e = dy * rec[4]
                row = rec[5] - e * e
                for x in range(w):
                    dx = np.float32(left + x) + np.float32(0.5) - rec[0]
                    f = (dx - rec[2] * dy) * rec[3]
                    raw = np.exp2(row - f * f)
                    a = min(np.float32(0.999), raw)
                    if a < np.float32(1.0 / 255.0) or closed[y, x]:
                        continue
                    t = T[y, x]
                    after = t * (one - a)
                    if after <= np.float32(1e-4):
                        closed[y, x] = True
                        continue
                    weight = a * t
                    q = v[y, x, 4]
                    for c in range(4):
                        q += v[y, x, c] * rec[6 + c]
                        out[6 + c] += weight * v[y, x, c]
                    rest[y, x] -= weight * q
                    T[y, x] = after
                    if raw <= np.float32(0.999):
                        g = a * (t * q - rest[y, x] / (one - a))
                        out[0] += g
                        out[1] += g * dx
                        out[2] += g * dy
                        out[3] += g * dx * dx
                        out[4] += g * dx * dy
                        out[5] += g * dy * dy
