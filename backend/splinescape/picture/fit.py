"""Fits a picture to the working size: one uniform scale, then a small centred crop, never a stretch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from splinescape.errors import InputError
from splinescape.picture import GRID


@dataclass(frozen=True, eq=False)
class FittedPicture:
    """A picture at its working size.

    Attributes:
        rgb: (H, W, 3) uint8, both sides multiples of 32 and at most max_resolution.
        scale: working pixels per pixel of the original, the same in x and y, at most 1.
        crop: (left, top, right, bottom) cut off after scaling, in working pixels; left equals right and top
            equals bottom, each at most 16.
        notes: what was done, for the user.
    """

    rgb: NDArray[np.uint8]
    scale: float
    crop: tuple[float, float, float, float]
    notes: tuple[str, ...]


def fit_picture(rgb: NDArray[np.uint8], max_resolution: int) -> FittedPicture:
    """Bring a picture within `max_resolution` on the 32 px grid without stretching or enlarging it.

    The long side becomes the largest multiple of 32 within itself and `max_resolution`. The short side
    follows and is cropped to the grid; where less is lost by cropping the long side instead, that is done.
    A picture that already fits is returned bit for bit.

    Args:
        rgb: (H, W, 3) uint8.
        max_resolution: longest side allowed, in pixels.

    Raises:
        InputError: a side is below 32 px, `max_resolution` is below 32, or the picture is so elongated
            that its short side would drop below 32 px.
    """
    height, width = rgb.shape[:2]
    if min(width, height) < GRID:
        raise InputError(f"the picture is {width}x{height} px; at least {GRID}x{GRID} px are needed")
    if max_resolution < GRID:
        raise InputError(f"max_resolution is {max_resolution}; it must be at least {GRID}")
    size, scale = _working_size(width, height, max_resolution)
    if size == (width, height):
        return FittedPicture(rgb, 1.0, (0.0, 0.0, 0.0, 0.0), ())
    crop_x, crop_y = (max(0.0, (s * scale - n) / 2) for s, n in zip((width, height), size, strict=True))
    return FittedPicture(
        _resample(rgb, size, scale, crop_x, crop_y),
        scale,
        (crop_x, crop_y, crop_x, crop_y),
        (_note(width, height, size, scale, crop_x, crop_y),),
    )


def _working_size(width: int, height: int, max_resolution: int) -> tuple[tuple[int, int], float]:
    long, short = max(width, height), min(width, height)
    long_out = min(long, max_resolution) // GRID * GRID
    scale = long_out / long
    short_out = int(short * long_out / long + 1e-9) // GRID * GRID
    taller = short_out + GRID
    # One grid cell more on the short side means a larger scale and a crop of the long side.
    larger_scale = taller / short
    lost = 1 - short_out / (short * scale)
    lost_if_taller = 1 - long_out / (long * larger_scale)
    fits = larger_scale <= 1 and taller <= long_out and long * larger_scale - long_out <= GRID
    if fits and lost_if_taller < lost:
        short_out, scale = taller, larger_scale
    if short_out < GRID:
        needed = -(-GRID * long // short)
        raise InputError(
            f"the picture is {width}x{height} px: at max_resolution {max_resolution} its short side would be "
            f"below {GRID} px; crop it, or set max_resolution to at least {-(-needed // GRID) * GRID}"
        )
    return ((long_out, short_out) if width >= height else (short_out, long_out)), scale


def _resample(
    rgb: NDArray[np.uint8], size: tuple[int, int], scale: float, crop_x: float, crop_y: float
) -> NDArray[np.uint8]:
    """Crop and scale in one step, so that a crop by a fraction of a pixel stays exactly centred."""
    if scale == 1.0:
        left, top = int(crop_x), int(crop_y)
        return np.ascontiguousarray(rgb[top : top + size[1], left : left + size[0]])
    height, width = rgb.shape[:2]
    off_x, off_y = crop_x / scale, crop_y / scale
    box = (off_x, off_y, width - off_x, height - off_y)
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS, box=box))


def _note(width: int, height: int, size: tuple[int, int], scale: float, crop_x: float, crop_y: float) -> str:
    text = f"fitted from {width}x{height} to {size[0]}x{size[1]} px (scaled by {scale:.4g}"
    if max(crop_x, crop_y) >= 0.05:
        text += f", then cropped by {crop_x:.3g} px left and right, {crop_y:.3g} px top and bottom"
    return text + ")"
