"""Multigrid for u on a pixel grid with given differences between neighbours.

Minimises sum_edges w (u_p - u_q - g)^2 + sum_p a_p (u_p - c_p)^2; coarse grids join 2 x 2 pixels and add up the weights
of the edges between them (aggregation), which keeps any mask and any boundary. The V-cycle preconditions conjugate
gradients, so that the plain aggregation still converges fast (Saad, "Iterative methods for sparse linear systems", 9.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import njit

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Operator:
    """Weights of one grid: (H, W) to the right neighbour, to the lower neighbour, and to a fixed value."""

    right: Array
    down: Array
    anchor: Array
    diagonal: Array


def make_operators(right: Array, down: Array, anchor: Array) -> list[Operator]:
    """Operators from the fine grid to one a few pixels wide. The last column of `right`, row of `down` must be 0."""
    operators = []
    while True:
        diagonal = anchor + right + down
        diagonal[:, 1:] += right[:, :-1]
        diagonal[1:] += down[:-1]
        operators.append(Operator(right, down, anchor, diagonal))
        height, width = anchor.shape
        if max(height, width) <= 4:
            return operators
        right, down, anchor = _coarser(right, down, anchor)


def _coarser(right: Array, down: Array, anchor: Array) -> tuple[Array, Array, Array]:
    height, width = anchor.shape
    pad = ((0, height % 2), (0, width % 2))
    right, down, anchor = (np.pad(a, pad) for a in (right, down, anchor))
    # Half the weight: a coarse edge spans two pixels, so the same slope makes twice the difference.
    right = (right[::2, 1::2] + right[1::2, 1::2]) / 2
    down = (down[1::2, ::2] + down[1::2, 1::2]) / 2
    anchor = anchor[::2, ::2] + anchor[1::2, ::2] + anchor[::2, 1::2] + anchor[1::2, 1::2]
    return np.ascontiguousarray(right), np.ascontiguousarray(down), anchor


def solve(operators: list[Operator], target: NDArray[np.float32], start: NDArray[np.float32], cycles: int):
    """Conjugate gradients with one V-cycle as preconditioner.

    Args:
        operators: from `make_operators`.
        target: (H, W, C) right-hand side.
        start: (H, W, C) first guess.
        cycles: iterations.
    """
    fine = operators[0]
    u = start.copy()
    residual = np.empty_like(u)
    _residual(fine.right, fine.down, fine.diagonal, u, target, residual)
    direction = np.zeros_like(u)
    image = np.empty_like(u)
    zero = np.zeros_like(u)
    old = None
    for _ in range(cycles):
        z = _v_cycle(operators, residual)
        rz = np.einsum("ijc,ijc->c", residual, z, dtype=np.float64)
        if not (rz > 1e-12 * residual.size).any():
            break
        beta = np.zeros(3) if old is None else rz / np.maximum(old, 1e-30)
        direction = z + beta.astype(np.float32) * direction
        _residual(fine.right, fine.down, fine.diagonal, direction, zero, image)
        energy = -np.einsum("ijc,ijc->c", direction, image, dtype=np.float64)
        alpha = (rz / np.maximum(energy, 1e-30)).astype(np.float32)
        u += alpha * direction
        residual += alpha * image
        old = rz
    return u


def _v_cycle(operators: list[Operator], target: Array) -> Array:
    a = operators[0]
    u = np.zeros_like(target)
    sweeps = 2 if len(operators) > 1 else 20
    for _ in range(sweeps):
        _smooth(a.right, a.down, a.diagonal, u, target, 0)
        _smooth(a.right, a.down, a.diagonal, u, target, 1)
    if len(operators) == 1:
        for _ in range(sweeps):
            _smooth(a.right, a.down, a.diagonal, u, target, 1)
            _smooth(a.right, a.down, a.diagonal, u, target, 0)
        return u
    residual = np.empty_like(u)
    _residual(a.right, a.down, a.diagonal, u, target, residual)
    height, width = a.anchor.shape
    r = np.pad(residual, ((0, height % 2), (0, width % 2), (0, 0)))
    coarse = _v_cycle(operators[1:], r[::2, ::2] + r[1::2, ::2] + r[::2, 1::2] + r[1::2, 1::2])
    u += np.repeat(np.repeat(coarse, 2, axis=0), 2, axis=1)[:height, :width]
    u *= (a.diagonal > 0)[..., None]
    for _ in range(sweeps):
        _smooth(a.right, a.down, a.diagonal, u, target, 1)
        _smooth(a.right, a.down, a.diagonal, u, target, 0)
    return u


@njit(error_model="numpy")
def _smooth(right, down, diagonal, u, target, colour):
    """One Gauss-Seidel half sweep over the pixels of one checkerboard colour, in place."""
    height, width, channels = u.shape
    for y in range(height):
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
def _residual(right, down, diagonal, u, target, out):
    """out = target - A u."""
    height, width, channels = u.shape
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                s = target[y, x, c] - diagonal[y, x] * u[y, x, c]
                if x + 1 < width:
                    s += right[y, x] * u[y, x + 1, c]
                if y + 1 < height:
                    s += down[y, x] * u[y + 1, x, c]
                if x > 0:
                    s += right[y, x - 1] * u[y, x - 1, c]
                if y > 0:
                    s += down[y - 1, x] * u[y - 1, x, c]
                out[y, x, c] = s
