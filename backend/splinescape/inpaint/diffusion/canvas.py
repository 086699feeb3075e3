"""Bringing a picture onto the grid and into the range of sizes that a diffusion model can work on, and back."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from splinescape.errors import InputError

_LONGEST_TO_SHORTEST = 8
"""Ratio of the sides beyond which no model was ever shown a picture."""


@dataclass(frozen=True)
class Limits:
    """Sizes that a model works on.

    Attributes:
        grid: sides are multiples of it. shortest: pixels of the shorter side at least. most: pixels in all at most.
    """

    grid: int
    shortest: int
    most: int


@dataclass(frozen=True)
class Canvas:
    """A picture as the model gets it.

    Attributes:
        rgb_hw3: uint8; sides on the grid, borders repeated where it was widened.
        mask_hw: bool, True where the model paints.
        inner: width and height of the part that the picture takes, from the top left corner.
        outer: width and height of the picture itself.
    """

    rgb_hw3: NDArray[np.uint8]
    mask_hw: NDArray[np.bool_]
    inner: tuple[int, int]
    outer: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height that the model works on."""
        return self.rgb_hw3.shape[1], self.rgb_hw3.shape[0]

    def back(self, painted_hw3: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Crop, and scale if the canvas was scaled, what the model made of this canvas to the picture's size."""
        width, height = self.inner
        return _scaled(np.ascontiguousarray(painted_hw3[:height, :width]), self.outer)


def canvas_size(width: int, height: int, limits: Limits) -> tuple[int, int]:
    """Width and height that the model works on for a picture of this size. Raises InputError as `make_canvas`."""
    inner = _inner_size(width, height, limits)
    return _up(inner[0], limits.grid), _up(inner[1], limits.grid)


def make_canvas(rgb_hw3: NDArray[np.uint8], mask_hw: NDArray[np.bool_], limits: Limits) -> Canvas:
    """Widen a picture to the grid by repeating its right and bottom border; scale it only if it is out of range.

    The mask is widened alike, so that a hole that reaches the border goes on beyond it.

    Raises:
        InputError: the picture is far longer than wide, or wider than high, which no model can work on.
    """
    height, width = mask_hw.shape
    inner = _inner_size(width, height, limits)
    rgb, mask = _scaled(rgb_hw3, inner), mask_hw
    if inner != (width, height):
        mask = cv2.resize(mask_hw.astype(np.float32), inner, interpolation=cv2.INTER_AREA) > 0
    right, below = _up(inner[0], limits.grid) - inner[0], _up(inner[1], limits.grid) - inner[1]
    return Canvas(
        np.pad(rgb, ((0, below), (0, right), (0, 0)), mode="edge"),
        np.pad(mask, ((0, below), (0, right)), mode="edge"),
        inner,
        (width, height),
    )


def _inner_size(width: int, height: int, limits: Limits) -> tuple[int, int]:
    if max(width, height) > _LONGEST_TO_SHORTEST * min(width, height):
        raise InputError(
            f"a picture of {width}x{height} is too long and narrow for a diffusion model: the longer side may be "
            f"{_LONGEST_TO_SHORTEST} times the shorter one at most"
        )
    scale = max(1.0, limits.shortest / min(width, height))
    scale = min(scale, sqrt(limits.most / (width * height)))
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    while _up(inner[0], limits.grid) * _up(inner[1], limits.grid) > limits.most:
        scale *= 0.995
        inner = max(1, round(width * scale)), max(1, round(height * scale))
    return inner


def _up(length: int, grid: int) -> int:
    return -(-length // grid) * grid


def _scaled(rgb_hw3: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = rgb_hw3.shape[:2]
    if size == (width, height):
        return rgb_hw3
    how = cv2.INTER_AREA if size[0] < width else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb_hw3, size, interpolation=how))
