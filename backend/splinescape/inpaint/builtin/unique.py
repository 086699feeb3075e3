"""How one-of-a-kind each source patch is: copies of a texture go unnoticed, a second lamp does not."""

from __future__ import annotations

import numpy as np

from splinescape.inpaint.builtin.patches import CHANNELS, SIDE, load_patch, patch_distance
from splinescape.jit import njit


@njit(error_model="numpy")
def uniqueness(first, last, image, ones, width, sources, limit, out):  # type: ignore[no-untyped-def]
    """out[i] = mean squared distance from source i to the most similar source that does not overlap it.

    Stops at `limit`. image (H*W*4), ones (H*W) of 1; sources (N,) flat anchors; fills out[first:last].
    """
    values = np.empty(SIDE * SIDE * CHANNELS, np.float32)
    weights = np.empty(SIDE * SIDE * CHANNELS, np.float32)
    for i in range(first, last):
        a = sources[i]
        total = load_patch(image, ones, width, a, values, weights)
        ay = a // width
        ax = a - ay * width
        best = limit * total
        for b in sources:
            by = b // width
            bx = b - by * width
            if abs(by - ay) < SIDE and abs(bx - ax) < SIDE:
                continue
            best = min(best, patch_distance(image, width, b, values, weights, best))
        out[i] = best / total
