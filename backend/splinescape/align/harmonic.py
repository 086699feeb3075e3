"""Smooth fill of unknown pixels: the harmonic function that meets the known ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import njit, run_chunks

_SWEEPS = 40
_RELAXATION = 1.8
_COARSEST = 8


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
    if not known_hw.any():
        return np.zeros(values_hw.shape, np.float32)
    out = np.where(known_hw, values_hw, 0).astype(np.float32)
    _solve(out, np.ascontiguousarray(known_hw))
    return out


def _solve(field: NDArray[np.float32], known: NDArray[np.bool_]) -> None:
    """Fill `field` in place."""
    h, w = field.shape
    if known.all():
        return
    if min(h, w) > _COARSEST:
        coarse, coarse_known = _halve(field, known)
        _solve(coarse, coarse_known)
        up = np.repeat(np.repeat(coarse, 2, 0), 2, 1)[:h, :w]
        field[~known] = up[~known]
        sweeps = _SWEEPS
    else:
        field[~known] = field[known].mean()
        sweeps = 8 * max(h, w)
    for sweep in range(sweeps):
        relaxation = _RELAXATION if sweep < sweeps - 4 else 1.0
        for colour in (0, 1):
            run_chunks(_relax, h, field, known, colour, np.float32(relaxation))


def _halve(
    field: NDArray[np.float32], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Half-size problem: mean of the known pixels of each 2x2 block, known where any of them is."""
    h, w = (field.shape[0] + 1) // 2 * 2, (field.shape[1] + 1) // 2 * 2
    count = np.zeros((h, w), np.float32)
    total = np.zeros((h, w), np.float32)
    count[: field.shape[0], : field.shape[1]] = known
    total[: field.shape[0], : field.shape[1]] = np.where(known, field, 0)
    count = count.reshape(h // 2, 2, w // 2, 2).sum((1, 3))
    total = total.reshape(h // 2, 2, w // 2, 2).sum((1, 3))
    return (total / np.maximum(count, 1)).astype(np.float32), count > 0


@njit
def _relax(start, stop, field, known, colour, relaxation):  # type: ignore[no-untyped-def]
    h, w = field.shape
    for i in range(start, stop):
        for j in range((i + colour) % 2, w, 2):
            if known[i, j]:
                continue
            total = np.float32(0.0)
            count = np.float32(0.0)
            if i > 0:
                total += field[i - 1, j]
                count += np.float32(1.0)
            if i + 1 < h:
                total += field[i + 1, j]
                count += np.float32(1.0)
            if j > 0:
                total += field[i, j - 1]
                count += np.float32(1.0)
            if j + 1 < w:
                total += field[i, j + 1]
                count += np.float32(1.0)
            field[i, j] += relaxation * (total / count - field[i, j])
