"""Which splats touch which tile, front to back.

One radix sort of all visible splats by depth, then a counting sort of their tile intersections that keeps
that order: no tile is ever sorted by itself, and the result does not depend on how the work was cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import njit, num_threads, run_chunks
from splinescape.raster.cpu.vec import prefetch


@dataclass(frozen=True, eq=False)
class Tiles:
    """Intersections of splats and tiles.

    Attributes:
        splats: (S,) int32 splat of each intersection, tile by tile, front to back within a tile.
        starts: (tiles + 1,) int64 range of each tile in `splats`.
    """

    splats: NDArray[np.int32]
    starts: NDArray[np.int64]


@njit
def _list_visible(rects: Any, depths: Any, keys: Any) -> int:
    """Write depth bits and index of each visible splat to `keys`, depth on top; return how many there are."""
    n = 0
    for i in range(len(depths)):
        keys[n] = (np.uint64(depths[i]) << np.uint64(32)) | np.uint64(i)
        n += rects[4 * i + 1] > rects[4 * i]
    return n


@njit
def _histogram(start: Any, stop: Any, bounds: Any, keys: Any, shift: Any, counts: Any) -> None:
    for chunk in range(start, stop):
        row = counts[chunk]
        row[:] = 0
        for j in range(bounds[chunk], bounds[chunk + 1]):
            row[(keys[j] >> shift) & np.uint64(2047)] += 1


@njit
def _to_starts(counts: Any, starts: Any) -> None:
    """Turn counts (chunks, bins) into each chunk's first place in each bin; say where bins start and end."""
    total = 0
    for b in range(counts.shape[1]):
        starts[b] = total
        for chunk in range(counts.shape[0]):
            count = counts[chunk, b]
            counts[chunk, b] = total
            total += count
    starts[counts.shape[1]] = total


@njit
def _scatter(start: Any, stop: Any, bounds: Any, keys: Any, shift: Any, places: Any, out: Any) -> None:
    for chunk in range(start, stop):
        row = places[chunk]
        for j in range(bounds[chunk], bounds[chunk + 1]):
            b = (keys[j] >> shift) & np.uint64(2047)
            out[row[b]] = keys[j]
            row[b] += 1


def _sort_by_depth(keys: NDArray[np.uint64], bounds: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Stable sort by the upper 32 bits, which are positive float32 numbers and so sort like integers."""
    chunks = len(bounds) - 1
    counts, starts = np.empty((chunks, 2048), np.int64), np.empty(2049, np.int64)
    spare = np.empty_like(keys)
    for shift in (32, 43, 54):
        run_chunks(_histogram, chunks, bounds, keys, np.uint64(shift), counts, chunks=chunks)
        _to_starts(counts, starts)
        if np.diff(starts).max() == len(keys):
            continue
        run_chunks(_scatter, chunks, bounds, keys, np.uint64(shift), counts, spare, chunks=chunks)
        keys, spare = spare, keys
    return keys


@njit
def _count(start: Any, stop: Any, bounds: Any, keys: Any, rects: Any, columns: Any, counts: Any) -> None:
    for chunk in range(start, stop):
        row = counts[chunk]
        row[:] = 0
        last = bounds[chunk + 1] - 1
        for j in range(bounds[chunk], bounds[chunk + 1]):
            prefetch(rects, np.int64(keys[min(j + 16, last)] & np.uint64(0xFFFFFFFF)) * 4)
            i = np.int64(keys[j] & np.uint64(0xFFFFFFFF)) * 4
            for ty in range(rects[i + 2], rects[i + 3]):
                for tx in range(rects[i], rects[i + 1]):
                    row[ty * columns + tx] += 1


@njit
def _fill(
    start: Any, stop: Any, bounds: Any, keys: Any, rects: Any, columns: Any, places: Any, splats: Any
) -> None:
    for chunk in range(start, stop):
        row = places[chunk]
        last = bounds[chunk + 1] - 1
        for j in range(bounds[chunk], bounds[chunk + 1]):
            prefetch(rects, np.int64(keys[min(j + 16, last)] & np.uint64(0xFFFFFFFF)) * 4)
            splat = np.int32(keys[j] & np.uint64(0xFFFFFFFF))
            i = np.int64(splat) * 4
            for ty in range(rects[i + 2], rects[i + 3]):
                for tx in range(rects[i], rects[i + 1]):
                    t = ty * columns + tx
                    splats[row[t]] = splat
                    row[t] += 1


def list_tiles(rects: NDArray[np.int16], depths: NDArray[np.float32], columns: int, rows: int) -> Tiles:
    """List the splats of every tile of an image of (columns, rows) tiles, front to back, ties by index.

    Args:
        rects: (N * 4,) tile rectangles and depths: (N,) camera z, as `project` writes them.
    """
    keys = np.empty(len(depths), np.uint64)
    keys = keys[: _list_visible(rects, depths.view(np.uint32), keys)]
    chunks = num_threads()
    bounds = np.array([len(keys) * i // chunks for i in range(chunks + 1)])
    keys = _sort_by_depth(keys, bounds)
    counts, starts = np.empty((chunks, columns * rows), np.int64), np.empty(columns * rows + 1, np.int64)
    run_chunks(_count, chunks, bounds, keys, rects, columns, counts, chunks=chunks)
    _to_starts(counts, starts)
    splats = np.empty(starts[-1], np.int32)
    run_chunks(_fill, chunks, bounds, keys, rects, columns, counts, splats, chunks=chunks)
    return Tiles(splats, starts)


@njit
def _slot_starts(rects: Any, first_slot: Any) -> None:
    total = 0
    for i in range(len(first_slot) - 1):
        first_slot[i] = total
        total += (np.int64(rects[4 * i + 1]) - rects[4 * i]) * (np.int64(rects[4 * i + 3]) - rects[4 * i + 2])
    first_slot[len(first_slot) - 1] = total


def slot_starts(rects: NDArray[np.int16]) -> NDArray[np.int64]:
    """Give each splat one gradient slot per tile of its rectangle: (N + 1,) starts."""
    first_slot = np.empty(len(rects) // 4 + 1, np.int64)
    _slot_starts(rects, first_slot)
    return first_slot
