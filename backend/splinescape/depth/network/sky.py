"""Which pixels are sky: a hard decision, region by region."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_LEVEL, _SURE = 0.0, 1.0
"""Logits: a region is where the network rather says sky than not; it is sure from 73 % on."""
_SHARE = 0.3
"""Of a region that the network has to be sure of."""
_SMALLEST = 5e-4
"""Share of the picture."""
_HORIZON = 0.2
"""Sine of the angle above the horizon down to which a region reaches that touches it: things stand before it."""


def find_sky(logit: NDArray[np.float32], elevation: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(H, W) sky: connected regions that the network is sure of and that touch the top of the picture or the horizon.

    Holes in them stay what they are: birds, wires, leaves.

    Args:
        logit: (H, W) over 0: rather sky.
        elevation: (H, W) sine of the angle of each pixel's ray over the horizon.
    """
    count, region, stats, _ = cv2.connectedComponentsWithStats(
        (logit > _LEVEL).astype(np.uint8), connectivity=4
    )
    sky = np.zeros(logit.shape, bool)
    for i in range(1, count):
        left, top, width, height, area = stats[i]
        box = slice(top, top + height), slice(left, left + width)
        inside = region[box] == i
        if area < _SMALLEST * logit.size or (logit[box][inside] > _SURE).mean() < _SHARE:
            continue
        if top == 0 or elevation[box][inside].min() < _HORIZON:
            sky[box] |= inside
    return sky
