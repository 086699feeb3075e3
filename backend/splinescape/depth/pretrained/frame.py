"""What goes into a network and what comes out of the engine: centring, the final maps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinescape.depth import DepthPrediction
from splinescape.picture.focal import LIKELY_FOV, centred_intrinsics


@dataclass(frozen=True, eq=False)
class Centred:
    """A picture around its principal point.

    Attributes:
        rgb: (H', W', 3) uint8; the picture starts at `left`, `top`.
        width, height: of the picture itself.
    """

    rgb: NDArray[np.uint8]
    left: int
    top: int
    width: int
    height: int

    def cut(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The (H, W) part of (H', W') `values` that belongs to the picture."""
        return values[self.top : self.top + self.height, self.left : self.left + self.width]


def centre(rgb_hw3: NDArray[np.uint8], K_33: NDArray[np.float32] | None) -> Centred:
    """Pad a picture so that its principal point is its centre, to half a pixel, as the networks take for granted.

    Nothing is cropped, so every pixel gets a depth; the colours at the rim are repeated, which adds no edge. A
    principal point outside the picture is taken to lie on its rim.
    """
    height, width = rgb_hw3.shape[:2]
    left = top = right = bottom = 0
    if K_33 is not None:
        left, right = _margins(float(K_33[0, 2]), width)
        top, bottom = _margins(float(K_33[1, 2]), height)
    if left or top or right or bottom:
        rgb_hw3 = np.pad(rgb_hw3, ((top, bottom), (left, right), (0, 0)), mode="edge")
    return Centred(rgb_hw3, left, top, width, height)


def _margins(middle: float, side: int) -> tuple[int, int]:
    middle = min(max(middle, 0.0), float(side))
    return max(0, round(side - 2 * middle)), max(0, round(2 * middle - side))


def guessed_intrinsics(width: int, height: int) -> NDArray[np.float32]:
    """(3, 3) intrinsics whose longer side spans 70 degrees."""
    return centred_intrinsics(max(width, height) / (2 * math.tan(LIKELY_FOV / 2)), width, height)


def finished(
    depth: NDArray[np.float32], far: NDArray[np.bool_], K_33: NDArray[np.float32]
) -> DepthPrediction:
    """The prediction: +inf with confidence 0 where `far` or not finite, else confidence 1.

    The networks say nothing about how sure they are, so confidence does not either: 1 means "the network saw a
    surface here". Every `depth` that is not far is positive already.
    """
    unknown = far | ~np.isfinite(depth)
    return DepthPrediction(
        np.where(unknown, np.float32(np.inf), depth),
        np.where(unknown, np.float32(0), np.float32(1)),
        np.array(K_33, np.float32),
    )
