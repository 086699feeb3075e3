"""Gradient-domain composition: copied pixels keep their differences and take the colours around them.

Perez, Gangnet, Blake 2003, "Poisson image editing".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.inpaint.builtin.multigrid import make_operators, solve
from splinescape.jit import njit, run_chunks

CLASH = 0.06
"""Squared colour difference across a seam from which on it is an edge between things, not to be levelled."""
PULL = 1e-3
"""Weight of the copied colour itself against one difference: keeps far corners from drifting."""
RAGGED_PULL = 0.05
"""The same where all neighbours come from elsewhere: differences from many places add up to nonsense."""
CYCLES = 5


def blend(
    image: NDArray[np.float32],
    known: NDArray[np.bool_],
    hole: NDArray[np.bool_],
    copied_from: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Refill `hole` from the differences at the places that its pixels were copied from.

    Args:
        image: (H, W, 3) float32 with the hole filled.
        known: (H, W) True where colours are fixed and meet the hole.
        hole: (H, W) True where colours are solved for.
        copied_from: (H, W) flat index of each hole pixel's source; its own index where nothing was copied.

    Returns:
        (H, W, 3) float32.
    """
    colours = image.reshape(-1, 3)[copied_from]
    anchor = (PULL + RAGGED_PULL * _raggedness(hole, copied_from) ** 2) * hole
    target = colours * anchor[..., None]
    inner = []
    for axis in (0, 1):
        weight = np.zeros(hole.shape, np.float32)
        wanted = np.zeros_like(image)
        run_chunks(_edges, hole.shape[0], image, colours, known, hole, copied_from, axis, weight, wanted)
        inner.append(_add_edges(image, hole, axis, weight, wanted, anchor, target))
    target *= hole[..., None]
    down, right = inner
    solution = solve(make_operators(right, down, anchor), target, image * hole[..., None], CYCLES)
    return np.where(hole[..., None], solution, image)


def _raggedness(hole: NDArray[np.bool_], copied_from: NDArray[np.int64]) -> NDArray[np.float32]:
    """(H, W) share of the four neighbours in the hole that are not copied together with a pixel."""
    offset = copied_from - np.arange(hole.size).reshape(hole.shape)
    ragged = np.zeros(hole.shape, np.float32)
    for axis in (0, 1):
        for here, there in (_pairs(axis), _pairs(axis)[::-1]):
            ragged[here] += hole[there] & (offset[here] != offset[there])
    return ragged / np.float32(4)


def _pairs(axis: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Indices of all pixels that have a next one along `axis`, and of those next ones."""
    every, first, second = slice(None), slice(None, -1), slice(1, None)
    return ((every, first), (every, second)) if axis else ((first, every), (second, every))


def _add_edges(
    image: NDArray[np.float32],
    hole: NDArray[np.bool_],
    axis: int,
    weight: NDArray[np.float32],
    wanted: NDArray[np.float32],
    anchor: NDArray[np.float32],
    target: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Put edges along one axis into `anchor` and `target`; returns the weights of those inside the hole.

    An edge from a hole pixel to a known one has only one unknown, so it becomes an anchor.
    """
    here, there = _pairs(axis)
    target[here] -= wanted[here]
    target[there] += wanted[here]
    for inside, outside in ((here, there), (there, here)):
        fixed = weight[here] * (hole[inside] & ~hole[outside])
        anchor[inside] += fixed
        target[inside] += fixed[..., None] * image[outside]
    inner = np.zeros_like(weight)
    inner[here] = weight[here] * (hole[here] & hole[there])
    return inner


@njit(error_model="numpy")
def _edges(first, last, image, colours, known, hole, source, axis, weight, wanted):  # type: ignore[no-untyped-def]
    """Weight of the edge from each pixel to its next one along `axis`, and weight * (wanted next - this).

    The difference is the mean of what the two pixels' sources show; where it contradicts the copied colours
    strongly, two things meet and the edge counts little.
    """
    height, width, channels = image.shape
    dy = 1 - axis
    dx = axis
    for y in range(first, min(last, height - dy)):
        for x in range(width - dx):
            p_hole = hole[y, x]
            q_hole = hole[y + dy, x + dx]
            if not ((p_hole and (q_hole or known[y + dy, x + dx])) or (q_hole and known[y, x])):
                continue
            py = source[y, x] // width if p_hole else -1
            px = source[y, x] % width
            if py >= 0 and (py + dy >= height or px + dx >= width):
                py = -1
            qy = source[y + dy, x + dx] // width - dy if q_hole else -1
            qx = source[y + dy, x + dx] % width - dx
            if qx < 0:
                qy = -1
            count = (py >= 0) + (qy >= 0)
            clash = np.float32(0)
            for c in range(channels):
                g = np.float32(0)
                if py >= 0:
                    g += image[py + dy, px + dx, c] - image[py, px, c]
                if qy >= 0:
                    g += image[qy + dy, qx + dx, c] - image[qy, qx, c]
                g /= max(count, 1)
                wanted[y, x, c] = g
                clash += (colours[y + dy, x + dx, c] - colours[y, x, c] - g) ** 2
            trust = 1 / (1 + (clash / CLASH) ** 2)
            weight[y, x] = trust
            for c in range(channels):
                wanted[y, x, c] *= trust
