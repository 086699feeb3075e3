"""The focal length that a camera wrote into EXIF, in pixels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

EXIF_IFD = 0x8769
_FOCAL_LENGTH = 0x920A
_PIXEL_X_DIMENSION, _PIXEL_Y_DIMENSION = 0xA002, 0xA003
_FOCAL_PLANE_X_RESOLUTION = 0xA20E
_FOCAL_PLANE_RESOLUTION_UNIT = 0xA210
_FOCAL_LENGTH_35MM = 0xA405
_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
_DIAGONAL_35MM = math.hypot(36.0, 24.0)
LIKELY_FOV = math.radians(70)
"""Of the longer side when nothing says it: a 35 mm lens has 54 degrees, a phone 70; a border adds to it."""


def centred_intrinsics(focal_px: float, width: int, height: int) -> NDArray[np.float32]:
    """Intrinsics (3, 3) float32 of a picture whose principal point is its centre, W/2 and H/2."""
    return np.array([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]], np.float32)


def exif_focal_px(exif: Image.Exif, width: int, height: int) -> float | None:
    """Focal length in pixels, the same in x and y, of a `width` x `height` picture, upright or not.

    FocalLengthIn35mmFilm compares diagonals (CIPA DCG-001), so it holds for any aspect ratio and either
    orientation: f_px = f_35 * sqrt(W^2 + H^2) / sqrt(36^2 + 24^2). Without it, FocalLength times
    FocalPlaneXResolution, rescaled by the longer side in case the file was resized after it was taken.

    Returns:
        None when EXIF does not say, or says something no ordinary lens has (a diagonal field of view outside
        1 to 160 degrees).
    """
    tags = exif.get_ifd(EXIF_IFD)
    diagonal = math.hypot(width, height)
    equivalent = _number(tags.get(_FOCAL_LENGTH_35MM))
    if equivalent:
        focal_px = equivalent * diagonal / _DIAGONAL_35MM
    else:
        per_unit = _number(tags.get(_FOCAL_PLANE_X_RESOLUTION))
        unit_mm = _MM_PER_UNIT.get(tags.get(_FOCAL_PLANE_RESOLUTION_UNIT, 2), 25.4)
        longest = max(width, height)
        taken = max(_number(tags.get(_PIXEL_X_DIMENSION)), _number(tags.get(_PIXEL_Y_DIMENSION))) or longest
        focal_px = _number(tags.get(_FOCAL_LENGTH)) * per_unit / unit_mm * longest / taken
    if focal_px <= 0:
        return None
    diagonal_fov = math.degrees(2 * math.atan(diagonal / (2 * focal_px)))
    return focal_px if 1 <= diagonal_fov <= 160 else None


def _number(value: object) -> float:
    """A positive finite number, or 0 for anything else that a broken file may hold."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0
