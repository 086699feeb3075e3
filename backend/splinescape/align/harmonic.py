"""Smooth fill of unknown pixels: the harmonic function that meets the known ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import njit

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
    v, u = np.nonzero(~known)
    black = (v + u) % 2 == 1
    _sweep(field, v[~black], u[~black], v[black], u[black], sweeps, np.float32(_RELAXATION))


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
def _sweep(field, red_v, red_u, black_v, black_u, sweeps, relaxation):  # type: ignore[no-untyped-def]
    """Relax the unknown pixels of both colours in turn; the last sweeps without over-relaxation.

    One thread: the unknown pixels alone are so few that others would not have begun when it is done.
    """
    for sweep in range(sweeps):
        factor = relaxation if sweep < sweeps - 4 else np.float32(1.0)
        _relax(field, red_v, red_u, factor)
        _relax(field, black_v, black_u, factor)


@njit
def _relax(field, rows, columns, relaxation):  # type: ignore[no-untyped-def]
    """Pixels of one colour have no neighbours among each other: their order does not matter."""
    h, w = field.shape
    for k in range(len(rows)):
        i, j = rows[k], columns[k]
        if 0 < i < h - 1 and 0 < j < w - 1:
            total = field[i - 1, j] + field[i + 1, j] + field[i, j - 1] + field[i, j + 1]
            field[i, j] += relaxation * (total * np.float32(0.25) - field[i, j])
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
