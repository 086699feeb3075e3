"""Regions of one colour."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinescape.depth.builtin.imaging import Image, blurred
from splinescape.jit import njit


def segment(rgb: Image, scale: float, smallest: int) -> NDArray[np.int64]:
    """Split a picture into regions by graph-based segmentation (Felzenszwalb and Huttenlocher 2004).

    Args:
        rgb: (H, W, 3) float32 in [0, 1].
        scale: larger gives larger regions; k of the paper for colours in [0, 1].
        smallest: regions of fewer pixels join the neighbour with the faintest border.

    Returns:
        (H, W) int64 labels from 0, without gaps, in reading order.
    """
    soft = blurred(rgb, 0.8)
    height, width = rgb.shape[:2]
    index = np.arange(height * width).reshape(height, width)
    neighbours = [
        (soft[:, :-1] - soft[:, 1:], index[:, :-1], index[:, 1:]),
        (soft[:-1] - soft[1:], index[:-1], index[1:]),
        (soft[:-1, :-1] - soft[1:, 1:], index[:-1, :-1], index[1:, 1:]),
        (soft[:-1, 1:] - soft[1:, :-1], index[:-1, 1:], index[1:, :-1]),
    ]
    step = np.concatenate([np.sqrt((difference**2).sum(-1)).ravel() for difference, _, _ in neighbours])
    first = np.concatenate([a.ravel() for _, a, _ in neighbours])
    second = np.concatenate([b.ravel() for _, _, b in neighbours])
    order = np.argsort(step, kind="stable")
    roots = _merge(first[order], second[order], step[order], height * width, scale, smallest)
    # A region's root is its first pixel, so numbering roots in order numbers regions in reading order.
    return (np.cumsum(roots == np.arange(roots.size)) - 1)[roots].reshape(height, width)


@njit
def _merge(first: Any, second: Any, step: Any, count: int, scale: float, smallest: int) -> Any:
    """(count,) root of every pixel: joined in order of `step`, then once more to absorb small regions."""
    parent = np.arange(count)
    size = np.ones(count, np.int64)
    limit = np.full(count, scale)
    for absorbing in (False, True):
        for i in range(first.size):
            a, b = first[i], second[i]
            while parent[a] != a:
                parent[a] = parent[parent[a]]
                a = parent[a]
            while parent[b] != b:
                parent[b] = parent[parent[b]]
                b = parent[b]
            if a == b:
                continue
            small = size[a] < smallest or size[b] < smallest
            if (absorbing and small) or (not absorbing and step[i] <= min(limit[a], limit[b])):
                a, b = min(a, b), max(a, b)
                parent[b] = a
                size[a] += size[b]
                limit[a] = step[i] + scale / size[a]
    for i in range(count):
        # Parents come before their children, so theirs is final already.
        parent[i] = parent[parent[i]]
    return parent
