"""Voting: what the matched patches together say about each hole pixel (Wexler et al. 2007)."""

from __future__ import annotations

import numpy as np

from splinescape.inpaint.builtin.patches import CHANNELS, SIDE
from splinescape.jit import njit

DOUBT = np.float32(1.25e-4)
"""What a patch with the mean weight adds to a squared colour difference when candidates are compared."""


@njit(error_model="numpy")
def vote(first, last, image, width, pixels, targets, target_id, step, match, trust, window, out, offset):  # type: ignore[no-untyped-def]
    """Each of pixels[first:last] takes the candidate nearest to the weighted mean of all its candidates.

    A candidate is the pixel that one of the patches covering it would copy there. The plain mean of Wexler et
    al. blurs where patches disagree, and blurred patches then match smooth places; a real pixel stays sharp.

    image (H*W*4), pixels (M,) flat hole pixels, trust (N,) weight of each match, window (SIDE, SIDE) weight
    inside a patch; out (M, 4) and offset (M,), where the pixel is copied from, are written. Pixels that no
    patch covers keep their colour and get offset 0.
    """
    mean = np.empty(CHANNELS, np.float32)
    for k in range(first, last):
        p = pixels[k]
        rows = min(SIDE, p // width + 1)
        columns = min(SIDE, p % width + 1)
        first_row = p // width % step
        first_column = p % width % step
        mean[:] = 0
        weight = np.float32(0)
        count = 0
        for dy in range(first_row, rows, step):
            for dx in range(first_column, columns, step):
                i = target_id[p - dy * width - dx]
                if i < 0:
                    continue
                w = trust[i] * window[dy, dx]
                at = (p + match[i] - targets[i]) * CHANNELS
                for c in range(CHANNELS):
                    mean[c] += w * image[at + c]
                weight += w
                count += 1
        offset[k] = 0
        for c in range(CHANNELS):
            out[k, c] = image[p * CHANNELS + c]
            mean[c] /= max(weight, np.float32(1e-30))
        closest = np.float32(1e30)
        for dy in range(first_row, rows, step):
            for dx in range(first_column, columns, step):
                i = target_id[p - dy * width - dx]
                if i < 0:
                    continue
                at = (p + match[i] - targets[i]) * CHANNELS
                d = DOUBT * weight / (count * trust[i] * window[dy, dx])
                for c in range(CHANNELS):
                    d += (image[at + c] - mean[c]) ** 2
                if d < closest:
                    closest = d
                    offset[k] = match[i] - targets[i]
                    for c in range(CHANNELS):
                        out[k, c] = image[at + c]
