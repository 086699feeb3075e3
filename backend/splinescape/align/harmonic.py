"""Smooth fill of unknown pixels: the harmonic function that meets the known ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import njit, run_chunks

_SWEEPS = 40
_RELAXATION = 1.8
_COARSEST = 8
_ROWS = 64


def fill_harmonic(values_hw: NDArray[np.float32], known_hw: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Solve Laplace's equation on the unknown pixels with the known ones as boundary values.

    Coarse to fine: the half-size problem gives the start, red-black successive over-relaxation finishes it, so that
    the middle of a wide hole is as right as its rim. Image borders are free (zero normal derivative).

    Args:
        values_hw: (H, W) float32, read where `known_hw`.
        known_hw: (H, W) bool.

    Returns:
        (H, W) float32, equal to `values_hw` on known pixels; zero everywhere when nothing is known.
    """
    out = np.zeros(values_hw.shape, np.float32)
    if known_hw.any():
        np.copyto(out, values_hw, where=known_hw, casting="same_kind")
        _solve(out, np.ascontiguousarray(known_hw))
    return out


def _solve(field: NDArray[np.float32], known: NDArray[np.bool_]) -> None:
    """Fill `field`, 0 where it is not known, in place."""
    h, w = field.shape
    unknown = np.flatnonzero(~known)
    if unknown.size == 0:
        return
    if min(h, w) > _COARSEST:
        half = ((h + 1) // 2, (w + 1) // 2)
        coarse, coarse_known = np.empty(half, np.float32), np.empty(half, bool)
        run_chunks(_halve, half[0], field, known, coarse, coarse_known, smallest=_ROWS)
        _solve(coarse, coarse_known)
        _take_coarse(field, unknown, coarse)
        sweeps = _SWEEPS
    else:
        field[~known] = field[known].mean()
        sweeps = 8 * max(h, w)
    groups, ends = _grouped(unknown, h, w)
    _sweep(field.reshape(-1), groups, ends, h, w, sweeps, np.float32(_RELAXATION))


@njit
def _halve(start, stop, field, known, coarse, coarse_known):  # type: ignore[no-untyped-def]
    """Half-size problem: mean of the known pixels of each 2x2 block, known where any of them is.

    Args:
        start, stop: rows of the half size. field, known: (H, W) float32, 0 where not known, and bool.
        coarse, coarse_known: half of it, rounded up; to write.
    """
    h, w = field.shape
    for i in range(start, stop):
        for j in range(coarse.shape[1]):
            total, count = np.float32(0), np.float32(0)
            for v in range(2 * i, min(2 * i + 2, h)):
                in_row = np.float32(0)
                for u in range(2 * j, min(2 * j + 2, w)):
                    in_row += field[v, u]
                    count += np.float32(known[v, u])
                total += in_row
            coarse[i, j] = total / max(count, np.float32(1))
            coarse_known[i, j] = count > 0


@njit
def _take_coarse(field, unknown, coarse):  # type: ignore[no-untyped-def]
    """Start the flat pixels `unknown` (M,) from the half-size solution."""
    w = field.shape[1]
    for at in unknown:
        field[at // w, at % w] = coarse[at // w // 2, at % w // 2]


@njit
def _grouped(unknown, h, w):  # type: ignore[no-untyped-def]
    """Order flat pixels into red ones inside the image, red ones on its border, and the black ones likewise.

    Returns:
        (M,) uint32 pixels, unsigned so that an index needs no look at its sign, and where each group ends (4,).
    """
    group = np.empty(len(unknown), np.uint8)
    ends = np.zeros(5, np.int64)
    for k in range(len(unknown)):
        i, j = unknown[k] // w, unknown[k] % w
        border = i == 0 or j == 0 or i == h - 1 or j == w - 1
        group[k] = 2 * ((i + j) % 2) + border
        ends[group[k] + 1] += 1
    for g in range(4):
        ends[g + 1] += ends[g]
    groups = np.empty(len(unknown), np.uint32)
    for k in range(len(unknown)):
        groups[ends[group[k]]] = unknown[k]
        ends[group[k]] += 1
    return groups, ends[:4]


@njit
def _sweep(field, groups, ends, h, w, sweeps, relaxation):  # type: ignore[no-untyped-def]
    """Relax the unknown pixels of both colours in turn; the last sweeps without over-relaxation.

    One thread: the unknown pixels alone are so few that others would not have begun when it is done. Pixels of one
    colour have no neighbours among each other: their order does not matter.

    Args:
        field: (H * W,) float32. groups, ends: of `_grouped`. h, w: size.
    """
    for sweep in range(sweeps):
        factor = relaxation if sweep < sweeps - 4 else np.float32(1.0)
        for colour in range(2):
            middle = ends[2 * colour]
            _relax(field, groups[ends[1] * colour : middle], np.uint32(w), factor)
            _relax_border(field, groups[middle : ends[2 * colour + 1]], h, w, factor)


@njit
def _relax(field, pixels, w, relaxation):  # type: ignore[no-untyped-def]
    one = np.uint32(1)
    for at in pixels:
        total = field[at - w] + field[at + w] + field[at - one] + field[at + one]
        field[at] += relaxation * (total * np.float32(0.25) - field[at])


@njit
def _relax_border(field, pixels, h, w, relaxation):  # type: ignore[no-untyped-def]
    for pixel in pixels:
        at = np.int64(pixel)
        i, j = at // w, at % w
        total = np.float32(0.0)
        count = np.float32(0.0)
        if i > 0:
            total += field[at - w]
            count += np.float32(1.0)
        if i + 1 < h:
            total += field[at + w]
            count += np.float32(1.0)
        if j > 0:
            total += field[at - 1]
            count += np.float32(1.0)
        if j + 1 < w:
            total += field[at + 1]
            count += np.float32(1.0)
        field[at] += relaxation * (total / count - field[at])
