"""Which splats touch which tile, front to back.

One radix sort of all visible splats by depth, then a counting sort of their tile intersections that keeps that order:
no tile is ever sorted by itself, and the result does not depend on how the work was cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import njit, num_threads, run_chunks


@dataclass(frozen=True, eq=False)
class Tiles:
    """Intersections of splats and tiles.

    Attributes:
        splats: (S,) int32 splat of each intersection, tile by tile, front to back within a tile.
        tile_start: (tiles + 1,) int64 range of each tile in `splats`.
        first_slot: (N + 1,) int64 gradient slots of each splat, one per tile of its rectangle in row-major order.
        rects: (N, 4) int32 first and last + 1 tile column, first and last + 1 tile row of each splat.
    """

    splats: NDArray[np.int32]
    tile_start: NDArray[np.int64]
    first_slot: NDArray[np.int64]
    rects: NDArray[np.int16]


@njit
def _rectangles(start, stop, records, width, height, tile_w, tile_h, rects, first_slot):
    for i in range(start, stop):
        rec = records[i]
        rects[i, :] = 0
        first_slot[i + 1] = 0
        if not rec[11] >= 0:
            continue
        half = np.float32(0.5)
        # Pixels whose centres lie in the box, clamped in float because a far-off centre does not fit an int.
        x0 = np.int64(min(max(np.ceil(rec[0] - rec[10] - half), np.float32(0)), np.float32(width)))
        x1 = np.int64(min(max(np.floor(rec[0] + rec[10] - half) + 1, np.float32(0)), np.float32(width)))
        y0 = np.int64(min(max(np.ceil(rec[1] - rec[11] - half), np.float32(0)), np.float32(height)))
        y1 = np.int64(min(max(np.floor(rec[1] + rec[11] - half) + 1, np.float32(0)), np.float32(height)))
        if x0 >= x1 or y0 >= y1:
            continue
        tx0, tx1 = x0 // tile_w, (x1 - 1) // tile_w + 1
        ty0, ty1 = y0 // tile_h, (y1 - 1) // tile_h + 1
        rects[i, 0], rects[i, 1], rects[i, 2], rects[i, 3] = tx0, tx1, ty0, ty1
        first_slot[i + 1] = (tx1 - tx0) * (ty1 - ty0)


@njit
def _prefix_sum_and_visible(first_slot, keys, order, records):
    """Turn counts into starts in place and list what is visible with its depth bits; return how many."""
    n = 0
    total = 0
    for i in range(len(first_slot) - 1):
        count = first_slot[i + 1]
        if count > 0:
            keys[n] = records[i, 9]
            order[n] = i
            n += 1
        total += count
        first_slot[i + 1] = total
    return n


@njit
def _radix_pass(keys, order, keys_out, order_out, shift):
    counts = np.zeros(2048, np.int64)
    for i in range(len(keys)):
        counts[(keys[i] >> shift) & np.uint32(2047)] += 1
    total = 0
    for b in range(2048):
        count = counts[b]
        counts[b] = total
        total += count
    for i in range(len(keys)):
        b = (keys[i] >> shift) & np.uint32(2047)
        j = counts[b]
        counts[b] = j + 1
        keys_out[j] = keys[i]
        order_out[j] = order[i]


def _depth_sort(depths: NDArray[np.float32], order: NDArray[np.int32]) -> NDArray[np.int32]:
    """Stable sort of `order` by positive float32 depths, whose bits sort like integers."""
    keys = depths.view(np.uint32)
    keys_out, order_out = np.empty_like(keys), np.empty_like(order)
    for shift in (0, 11, 22):
        _radix_pass(keys, order, keys_out, order_out, np.uint32(shift))
        keys, keys_out, order, order_out = keys_out, keys, order_out, order
    return order


@njit
def _count(start, stop, bounds, order, rects, columns, counts):
    for chunk in range(start, stop):
        row = counts[chunk]
        row[:] = 0
        for j in range(bounds[chunk], bounds[chunk + 1]):
            rect = rects[order[j]]
            for ty in range(rect[2], rect[3]):
                for tx in range(rect[0], rect[1]):
                    row[ty * columns + tx] += 1


@njit
def _starts(counts, tile_start):
    """Turn counts per chunk and tile into the first position of each, in place."""
    total = 0
    for t in range(counts.shape[1]):
        tile_start[t] = total
        for chunk in range(counts.shape[0]):
            count = counts[chunk, t]
            counts[chunk, t] = total
            total += count
    tile_start[counts.shape[1]] = total


@njit
def _fill(start, stop, bounds, order, rects, columns, counts, splats):
    for chunk in range(start, stop):
        row = counts[chunk]
        for j in range(bounds[chunk], bounds[chunk + 1]):
            i = order[j]
            rect = rects[i]
            for ty in range(rect[2], rect[3]):
                for tx in range(rect[0], rect[1]):
                    t = ty * columns + tx
                    splats[row[t]] = i
                    row[t] += 1


def bin_splats(records: NDArray[np.float32], width: int, height: int, tile_w: int, tile_h: int) -> Tiles:
    """List the splats of every tile of a (width, height) image, front to back.

    Args:
        records: (N, RECORD) projected splats.
        tile_w, tile_h: tile size in pixels.
    """
    n = len(records)
    columns, rows = -(-width // tile_w), -(-height // tile_h)
    rects = np.empty((n, 4), np.int16)
    first_slot = np.zeros(n + 1, np.int64)
    run_chunks(_rectangles, n, records, width, height, tile_w, tile_h, rects, first_slot)
    depths, order = np.empty(n, np.float32), np.empty(n, np.int32)
    visible = _prefix_sum_and_visible(first_slot, depths, order, records)
    order = _depth_sort(depths[:visible], order[:visible])
    chunks = num_threads()
    bounds = np.array([visible * i // chunks for i in range(chunks + 1)])
    counts = np.empty((chunks, columns * rows), np.int64)
    tile_start = np.empty(columns * rows + 1, np.int64)
    run_chunks(_count, chunks, bounds, order, rects, columns, counts, chunks=chunks)
    _starts(counts, tile_start)
    splats = np.empty(tile_start[-1], np.int32)
    run_chunks(_fill, chunks, bounds, order, rects, columns, counts, splats, chunks=chunks)
    return Tiles(splats, tile_start, first_slot, rects)
