"""Gradient-domain composition: copied pixels keep their differences and take the colours of their surroundings.

Perez, Gangnet, Blake 2003, "Poisson image editing".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.inpaint.builtin.multigrid import make_operators, solve

PULL = 1e-3
"""Weight of the copied colour itself against one difference: keeps far corners from drifting."""
CLASH = 0.02
"""Squared colour difference across a seam from which on it is an edge between things, not to be levelled."""


def blend(
    image: NDArray[np.float32],
    known: NDArray[np.bool_],
    hole: NDArray[np.bool_],
    copied_from: NDArray[np.int64],
    cycles: int = 8,
) -> NDArray[np.float32]:
    """Refill `hole` from the differences of the places its pixels were copied from.

    Args:
        image: (H, W, 3) float32 with the hole filled.
        known: (H, W) True where colours are fixed and meet the hole.
        hole: (H, W) True where colours are solved for.
        copied_from: (H, W) flat index of each hole pixel's source; its own index where nothing was copied.

    Returns:
        (H, W, 3) float32.
    """
    height, width = hole.shape
    source = np.divmod(copied_from, width)
    colours = image.reshape(-1, 3)[copied_from]
    right, gx = _differences(image, colours, known, hole, source, axis=1)
    down, gy = _differences(image, colours, known, hole, source, axis=0)
    anchor = np.where(hole, np.float32(PULL), np.float32(0))
    target = colours * anchor[..., None]
    target -= gx
    target -= gy
    target[:, 1:] += gx[:, :-1]
    target[1:] += gy[:-1]
    # Edges between a hole pixel and a known one become part of the hole pixel's anchor.
    for axis, weight in ((1, right), (0, down)):
        a = [slice(None), slice(None)]
        b = [slice(None), slice(None)]
        a[axis], b[axis] = slice(None, -1), slice(1, None)
        first, second = tuple(a), tuple(b)
        w = weight[first]
        into = w * (hole[first] & known[second])
        anchor[first] += into
        target[first] += into[..., None] * image[second]
        into = w * (known[first] & hole[second])
        anchor[second] += into
        target[second] += into[..., None] * image[first]
        weight[first] = w * (hole[first] & hole[second])
    target *= hole[..., None]
    solution = solve(make_operators(right, down, anchor), target, image * hole[..., None], cycles)
    return np.where(hole[..., None], solution, image)


def _differences(image, colours, known, hole, source, axis):
    """Weight of the edge from each pixel to its next one along `axis`, and the weighted wanted next - this."""
    height, width = hole.shape
    step = (0, 1) if axis else (1, 0)
    ahead = _slope(image, known | hole, source[0], source[1], step)
    back = _slope(image, known | hole, source[0] - step[0], source[1] - step[1], step)
    weight = np.zeros((height, width), np.float32)
    wanted = np.zeros_like(image)
    a = (slice(None), slice(None, -1)) if axis else (slice(None, -1), slice(None))
    b = (slice(None), slice(1, None)) if axis else (slice(1, None), slice(None))
    joined = (hole[a] & (hole | known)[b]) | (known[a] & hole[b])
    from_first = hole[a][..., None]
    from_second = hole[b][..., None]
    count = from_first.astype(np.float32) + from_second
    mean = (ahead[a] * from_first + back[b] * from_second) / np.maximum(count, 1)
    clash = ((colours[b] - colours[a] - mean) ** 2).sum(axis=-1) / CLASH
    trust = joined / (1 + clash * clash)
    weight[a] = trust
    wanted[a] = trust[..., None] * mean
    return weight, wanted


def _slope(image, usable, rows, columns, step):
    """image[p + step] - image[p] at p = (rows, columns); 0 where that leaves the picture."""
    height, width = usable.shape
    inside = (rows >= 0) & (columns >= 0) & (rows + step[0] < height) & (columns + step[1] < width)
    y = np.where(inside, rows, 0)
    x = np.where(inside, columns, 0)
    y2 = np.where(inside, rows + step[0], 0)
    x2 = np.where(inside, columns + step[1], 0)
    inside &= usable[y, x] & usable[y2, x2]
    return (image[y2, x2] - image[y, x]) * inside[..., None]
