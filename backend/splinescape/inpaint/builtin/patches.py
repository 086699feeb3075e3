"""Distance between two patches, compiled; every search is built on it."""

from __future__ import annotations

from functools import partial

import numba
import numpy as np

SIDE = 8
"""Patches are SIDE x SIDE pixels, named by the flat index of their top left pixel."""
CHANNELS = 4
"""Red, green, blue and texture strength; 8 x 4 floats fill whole vector registers."""

inner = partial(numba.njit, nogil=True, fastmath=True, error_model="numpy")
"""For the innermost kernels: reductions may be reordered so that they become vector code."""


@inner
def load_patch(image, weight, width, anchor, values, weights):  # type: ignore[no-untyped-def]
    """Copy a target patch, and its pixel weights once per channel; returns the sum of the pixel weights."""
    total = np.float32(0)
    k = 0
    for dy in range(SIDE):
        for dx in range(SIDE):
            pixel = anchor + dy * width + dx
            w = weight[pixel]
            total += w
            for c in range(CHANNELS):
                values[k] = image[pixel * CHANNELS + c]
                weights[k] = w
                k += 1
    return total


@inner
def patch_distance(image, width, anchor, values, weights, limit):  # type: ignore[no-untyped-def]
    """Weighted sum of squared differences; gives up, with some larger number, once it passes `limit`.

    Unsigned indices and a row length that the compiler does not know are what makes it emit vector code.
    """
    total = np.float32(0)
    length = np.uint64(values.shape[0] // SIDE)
    at = np.uint64(anchor * CHANNELS)
    row = np.uint64(width * CHANNELS)
    base = np.uint64(0)
    for _ in range(SIDE):
        part = np.float32(0)
        for k in range(length):
            d = image[at + k] - values[base + k]
            part += weights[base + k] * d * d
        total += part
        if total > limit:
            break
        at += row
        base += length
    return total
