"""How a picture of any size becomes one that the network can look at."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from splinescape.depth.network.model import STRIDE

_PIXELS = 512 * 384
"""What the network looks at: measured, see docs/builtin-depth.md. A constant area is a constant time."""
_LONGEST = 1024
"""Of a panorama; the network was trained up to 608."""
_MOST_ENLARGED = 4.0
"""Per side. There is nothing to see in more, and it takes time."""


def working_size(width: int, height: int, pixel_height: float = 1.0) -> tuple[int, int]:
    """Width and height to look at a picture with: multiples of STRIDE with its proportions and a fixed area.

    Args:
        width, height: of the picture in pixels.
        pixel_height: of a pixel in widths of it, fx / fy; the network expects square pixels.
    """
    height_now = height * pixel_height
    wanted = min(_PIXELS, width * height_now * _MOST_ENLARGED**2)
    sides = range(STRIDE, _LONGEST + 1, STRIDE)

    def badness(size: tuple[int, int]) -> float:
        proportions = abs(math.log(size[0] / size[1] * height_now / width))
        area = math.log(size[0] * size[1] / wanted)
        return proportions + (4 * area if area > 0 else -area / 2)

    return min(((w, h) for w in sides for h in sides), key=badness)


def resized(rgb_hw3: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """The picture in another size, without aliasing; pixel centres at half pixels, so nothing shifts."""
    h, w = rgb_hw3.shape[:2]
    smaller = min(w, width), min(h, height)
    rgb = np.ascontiguousarray(rgb_hw3)
    if smaller != (w, h):
        rgb = np.asarray(cv2.resize(rgb, smaller, interpolation=cv2.INTER_AREA), np.uint8)
    if smaller != (width, height):
        rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    return rgb
