"""Multigrid for colours on a pixel grid with given differences between neighbours.

Minimises sum w (u_q - u_p - g)^2 over neighbours p, q plus sum a (u_p - c)^2 over pixels. Coarse grids join 2
x 2 pixels and add up the weights of the edges between them (aggregation), which keeps any mask and any
boundary. The V-cycle preconditions conjugate gradients, so that plain aggregation still converges fast
(Trottenberg, Oosterlee, Schueller 2001, "Multigrid", 7.8 and A.4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import njit, run_chunks

Array = NDArray[np.float32]
_COARSEST = 4
_SWEEPS = 2
_COARSEST_SWEEPS = 10


@dataclass(frozen=True, eq=False)
class Operator:
    """One grid's symmetric matrix.

    Attributes:
        right, down: (H, W) float32 weight of the edge to the next pixel; 0 in the last column or row.
        anchor: (H, W) float32 weight of the pull towards a fixed value.
        diagonal: (H, W) float32 sum of all weights at a pixel; 0 where nothing is solved for.
    """

    right: Array
    down: Array
    anchor: Array
    diagonal: Array


def make_operators(right: Array, down: Array, anchor: Array) -> list[Operator]:
    """Operators of the given grid and of ever coarser ones, finest first; arguments as in `Operator`."""
    operators = []
    while True:
        diagonal = anchor + right + down
        diagonal[:, 1:] += right[:, :-1]
        diagonal[1:] += down[:-1]
        operators.append(Operator(right, down, anchor, diagonal))
        if max(anchor.shape) <= _COARSEST:
            return operators
        right, down, anchor = _coarser(right, down, anchor)


def _coarser(right: Array, down: Array, anchor: Array) -> tuple[Array, Array, Array]:
    height, width = anchor.shape
    pad = ((0, height % 2), (0, width % 2))
    right, down, anchor = np.pad(right, pad), np.pad(down, pad), np.pad(anchor, pad)
    # Half the weight: a coarse edge spans two pixels, so the same slope makes twice the difference.
    right = np.ascontiguousarray(right[::2, 1::2] + right[1::2, 1::2]) * np.float32(0.5)
    down = np.ascontiguousarray(down[1::2, ::2] + down[1::2, 1::2]) * np.float32(0.5)
    anchor = anchor[::2, ::2] + anchor[1::2, ::2] + anchor[::2, 1::2] + anchor[1::2, 1::2]
    return right, down, anchor


def solve(operators: list[Operator], target: Array, start: Array, cycles: int) -> Array:
    """Conjugate gradients with one V-cycle as preconditioner.

    Args:
        operators: from `make_operators`.
        target: (H, W, 3) right-hand side.
        start: (H, W, 3) first guess.
        cycles: iterations.
    """
    u = start.copy()
    residual = _residual_of(operators[0], u, target)
    direction = np.zeros_like(u)
    no_target = np.zeros_like(u)
    old = np.full(3, np.inf)
    for _ in range(cycles):
        better = _v_cycle(operators, residual)
        gain = _dot(residual, better)
        direction *= (gain / np.maximum(old, 1e-30)).astype(np.float32)
        direction += better
        image = _residual_of(operators[0], direction, no_target)
        step = (gain / np.maximum(-_dot(direction, image), 1e-30)).astype(np.float32)
        u += step * direction
        residual += step * image
        old = gain
    return u


def _dot(a: Array, b: Array) -> NDArray[np.float64]:
    return np.asarray(np.einsum("ijc,ijc->c", a, b, dtype=np.float64))


def _v_cycle(operators: list[Operator], target: Array) -> Array:
    a = operators[0]
    u = np.zeros_like(target)
    if len(operators) == 1:
        _sweep(a, u, target, (0, 1) * _COARSEST_SWEEPS + (1, 0) * _COARSEST_SWEEPS)
        return u
    _sweep(a, u, target, (0, 1) * _SWEEPS)
    height, width = operators[1].anchor.shape
    coarse = np.empty((height, width, 3), np.float32)
    run_chunks(_restrict, height, _residual_of(a, u, target), coarse)
    run_chunks(_prolong, target.shape[0], a.diagonal, _v_cycle(operators[1:], coarse), u)
    _sweep(a, u, target, (1, 0) * _SWEEPS)
    return u


def _sweep(a: Operator, u: Array, target: Array, colours: tuple[int, ...]) -> None:
    for colour in colours:
        run_chunks(_relax, u.shape[0], a.right, a.down, a.diagonal, u, target, colour, chunks=_chunks(u))


def _residual_of(a: Operator, u: Array, target: Array) -> Array:
    out = np.empty_like(u)
    run_chunks(_residual, u.shape[0], a.right, a.down, a.diagonal, u, target, out, chunks=_chunks(u))
    return out


def _chunks(u: Array) -> int:
    """Small grids are done sooner than threads are woken."""
    return 1 if u.size < 30000 else 4


@njit(error_model="numpy")
def _relax(first, last, right, down, diagonal, u, target, colour):  # type: ignore[no-untyped-def]
    """One Gauss-Seidel half sweep over the pixels of one checkerboard colour, in place."""
    height, width, channels = u.shape
    for y in range(first, last):
        for x in range((y + colour) % 2, width, 2):
            d = diagonal[y, x]
            if d <= 0:
                continue
            for c in range(channels):
                s = target[y, x, c]
                if x + 1 < width:
                    s += right[y, x] * u[y, x + 1, c]
                if y + 1 < height:
                    s += down[y, x] * u[y + 1, x, c]
                if x > 0:
                    s += right[y, x - 1] * u[y, x - 1, c]
                if y > 0:
                    s += down[y - 1, x] * u[y - 1, x, c]
                u[y, x, c] = s / d


@njit(error_model="numpy")
def _residual(first, last, right, down, diagonal, u, target, out):  # type: ignore[no-untyped-def]
    """out = target - A u."""
    height, width, channels = u.shape
    for y in range(first, last):
        for x in range(width):
            d = diagonal[y, x]
            for c in range(channels):
                out[y, x, c] = 0
                if d <= 0:
                    continue
                s = target[y, x, c] - d * u[y, x, c]
                if x + 1 < width:
                    s += right[y, x] * u[y, x + 1, c]
                if y + 1 < height:
                    s += down[y, x] * u[y + 1, x, c]
                if x > 0:
                    s += right[y, x - 1] * u[y, x - 1, c]
                if y > 0:
                    s += down[y - 1, x] * u[y - 1, x, c]
                out[y, x, c] = s


@njit(error_model="numpy")
def _restrict(first, last, fine, coarse):  # type: ignore[no-untyped-def]
    """Sum of each 2 x 2 pixels; odd sides end in half a block."""
    height, width, channels = fine.shape
    coarse[first:last] = 0
    for y in range(2 * first, min(2 * last, height)):
        for x in range(width):
            for c in range(channels):
                coarse[y // 2, x // 2, c] += fine[y, x, c]


@njit(error_model="numpy")
def _prolong(first, last, diagonal, coarse, fine):  # type: ignore[no-untyped-def]
    """Add each coarse pixel to its 2 x 2 fine ones."""
    for y in range(first, last):
        for x in range(fine.shape[1]):
            if diagonal[y, x] > 0:
                for c in range(fine.shape[2]):
                    fine[y, x, c] += coarse[y // 2, x // 2, c]
