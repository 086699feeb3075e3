"""Puts the principal point of a picture into its middle, where the networks expect it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Framed:
    """A picture with a border, and where the picture lies in it.

    Attributes:
        rgb: (H + border, W + border, 3) uint8. top, left, height, width: of the picture.
    """

    rgb: NDArray[np.uint8]
    top: int
    left: int
    height: int
    width: int

    @property
    def inside(self) -> tuple[slice, slice]:
        """Rows and columns of the picture."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def framed(rgb_hw3: NDArray[np.uint8], K_33: NDArray[np.floating] | None) -> Framed:
    """Repeat the edge pixels on the sides that are too short, by whole pixels.

    At most a quarter of a pixel per axis is left, and what is left is no error: the shift is solved with the true
    principal point. No side grows by more than the picture's size, so a principal point far outside stays off-centre.
    """
    height, width = rgb_hw3.shape[:2]
    left, right = _border(width, None if K_33 is None else float(K_33[0, 2]))
    top, bottom = _border(height, None if K_33 is None else float(K_33[1, 2]))
    rgb = cv2.copyMakeBorder(rgb_hw3, top, bottom, left, right, cv2.BORDER_REPLICATE)
    return Framed(np.asarray(rgb, np.uint8), top, left, height, width)


def _border(size: int, middle: float | None) -> tuple[int, int]:
    """Pixels before and after."""
    lacking = 0 if middle is None else round(min(max(size - 2 * middle, -size), size))
    return max(lacking, 0), max(-lacking, 0)
