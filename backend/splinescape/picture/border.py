"""The border that the outpainter fills."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinescape.errors import InputError
from splinescape.picture import GRID


@dataclass(frozen=True, eq=False)
class Bordered:
    """A picture in the middle of a larger canvas.

    Attributes:
        rgb: (H, W, 3) uint8 canvas, black where nothing is known.
        inpaint: (H, W) bool, True on the border.
        left, top: where the picture starts; the right and bottom borders are equally wide, so the principal
            point of a centred picture is W/2, H/2 in the canvas as well.
    """

    rgb: NDArray[np.uint8]
    inpaint: NDArray[np.bool_]
    left: int
    top: int


def add_border(rgb: NDArray[np.uint8], expansion_percent: float) -> Bordered:
    """Put a picture, pixel for pixel, in the middle of a canvas with a border to be outpainted.

    Args:
        rgb: (H, W, 3) uint8, both sides multiples of 32.
        expansion_percent: how much wider and higher the canvas is, as a fraction of the picture. The canvas
            is rounded to the nearest multiple of 32, and up to at least 16 px a side when this is above 0.

    Raises:
        InputError: a side of the picture is not a multiple of 32, or the fraction is negative or not finite.
    """
    height, width = rgb.shape[:2]
    if height % GRID or width % GRID or not height or not width:
        raise InputError(f"a {width}x{height} picture is not on the {GRID} px grid; call fit_picture first")
    if not (np.isfinite(expansion_percent) and expansion_percent >= 0):
        raise InputError(f"expansion_percent must be 0 or more, not {expansion_percent}")
    left, top = _border(width, expansion_percent), _border(height, expansion_percent)
    canvas = np.zeros((height + 2 * top, width + 2 * left, 3), np.uint8)
    canvas[top : top + height, left : left + width] = rgb
    inpaint = np.ones(canvas.shape[:2], bool)
    inpaint[top : top + height, left : left + width] = False
    return Bordered(canvas, inpaint, left, top)


def _border(side: int, fraction: float) -> int:
    if fraction == 0:
        return 0
    # A whole number of grid cells split in two: both halves are equal, so no rounding slack goes to one side.
    return max(1, int(side * fraction / GRID + 0.5)) * GRID // 2
