"""Voting: what the matched patches together say about each hole pixel (Wexler et al. 2007)."""

from __future__ import annotations

import numpy as np

from splinescape.inpaint.builtin.patches import CHANNELS, SIDE
from splinescape.jit import njit


@njit(error_model="numpy")
def vote(first, last, image, width, pixels, targets, target_id, step, match, trust, window, out, offset):
    """Weighted mean over the patches that cover the pixels [first, last) of `pixels`.

    image (H*W*4), pixels (M,) flat hole pixels, trust (N,) weight of each match, window (SIDE, SIDE) weight inside
    a patch; out (M, 4) and offset (M,), where the heaviest patch copies the pixel from, are written. Pixels that no
    patch covers keep their colour and get offset 0.
    """
    total = np.empty(CHANNELS, np.float32)
    for k in range(first, last):
        p = pixels[k]
        py = p // width
        px = p - py * width
        total[:] = 0
        weight = np.float32(0)
        heaviest = np.float32(0)
        offset[k] = 0
        for dy in range(py % step, min(SIDE, py + 1), step):
            for dx in range(px % step, min(SIDE, px + 1), step):
                i = target_id[p - dy * width - dx]
                if i < 0:
                    continue
                w = trust[i] * window[dy, dx]
                shift = match[i] - targets[i]
                for c in range(CHANNELS):
                    total[c] += w * image[(p + shift) * CHANNELS + c]
                weight += w
                if w > heaviest:
                    heaviest = w
                    offset[k] = shift
        if weight > 0:
            for c in range(CHANNELS):
                out[k, c] = total[c] / weight
        else:
            for c in range(CHANNELS):
                out[k, c] = image[p * CHANNELS + c]
