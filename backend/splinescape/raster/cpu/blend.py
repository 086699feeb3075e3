"""Front-to-back blending of tiles."""

from __future__ import annotations

import numpy as np

from splinescape.jit import njit

TILE_W, TILE_H = 8, 16


@njit
def blend(start, stop, records, splats, tile_start, columns, rgb, depth, alpha):
    """Render tiles [start, stop): rgb (H, W, 3), expected depth (H, W) and alpha (H, W)."""
    height, width = alpha.shape
    T = np.empty((TILE_H, TILE_W), np.float32)
    acc = np.empty((TILE_H, TILE_W, 4), np.float32)
    one = np.float32(1)
    for tile in range(start, stop):
        left, top = (tile % columns) * TILE_W, (tile // columns) * TILE_H
        w, h = min(TILE_W, width - left), min(TILE_H, height - top)
        T[:] = 1
        acc[:] = 0
        closed = np.zeros((TILE_H, TILE_W), np.bool_)
        for j in range(tile_start[tile], tile_start[tile + 1]):
            rec = records[splats[j]]
            y0 = np.int64(max(np.ceil(rec[1] - rec[11] - np.float32(0.5)) - top, 0))
            y1 = np.int64(min(np.floor(rec[1] + rec[11] - np.float32(0.5)) + 1 - top, h))
            for y in range(y0, y1):
                dy = np.float32(top + y) + np.float32(0.5) - rec[1]
                e = dy * rec[4]
                row = rec[5] - e * e
                for x in range(w):
                    dx = np.float32(left + x) + np.float32(0.5) - rec[0]
                    f = (dx - rec[2] * dy) * rec[3]
                    a = min(np.float32(0.999), np.exp2(row - f * f))
                    if a < np.float32(1.0 / 255.0) or closed[y, x]:
                        continue
                    t = T[y, x]
                    after = t * (one - a)
                    if after <= np.float32(1e-4):
                        closed[y, x] = True
                        continue
                    weight = a * t
                    for c in range(4):
                        acc[y, x, c] += weight * rec[6 + c]
                    T[y, x] = after
        for y in range(h):
            for x in range(w):
                a = one - T[y, x]
                for c in range(3):
                    rgb[top + y, left + x, c] = acc[y, x, c]
                depth[top + y, left + x] = acc[y, x, 3] / max(a, np.float32(1e-10))
                alpha[top + y, left + x] = a
