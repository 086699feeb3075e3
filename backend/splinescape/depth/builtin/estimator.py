"""The built-in depth engine."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from splinescape.camera.view import View
from splinescape.depth import DepthPrediction
from splinescape.depth.builtin.imaging import Image, luma, resized, shrunk
from splinescape.depth.builtin.layout import lay_out
from splinescape.depth.builtin.sky import find_sky
from splinescape.depth.builtin.things import raise_things
from splinescape.errors import InputError
from splinescape.picture.focal import centred_intrinsics

NEAREST, FARTHEST = 1.0, 80.0
DEFAULT_FOV = math.radians(70)
"""Of the longer side when nobody knows: a 35 mm lens has 54 degrees, a phone 70; a border adds to it."""
_WORKING_SIDE = 336
_CONFIDENCE = np.float32(0.3)


class BuiltinDepth:
    """Guesses depth from what most pictures have in common: sky, ground or room, things that stand on it.

    Needs no weights and is deterministic.
    """

    name = "builtin"
    quality = "preview quality"

    def predict(
        self, rgb_hw3: NDArray[np.uint8], *, K_33: NDArray[np.float32] | None, view: View
    ) -> DepthPrediction:
        """Guess the depth of `rgb_hw3` (H, W, 3) uint8 in metres, as if the input camera were at eye level.

        `view.cam_T_world` tells where up is and how far this camera has moved. Without `K_33`, the longer
        side is taken to span 70 degrees.

        Raises:
            InputError: `rgb_hw3` is not (H, W, 3) uint8.
        """
        if rgb_hw3.ndim != 3 or rgb_hw3.shape[2] != 3 or rgb_hw3.dtype != np.uint8:
            raise InputError(f"depth needs a (H, W, 3) uint8 picture, not {rgb_hw3.shape} {rgb_hw3.dtype}")
        height, width = rgb_hw3.shape[:2]
        if K_33 is None:
            K_33 = centred_intrinsics(max(width, height) / (2 * math.tan(DEFAULT_FOV / 2)), width, height)
        rgb = rgb_hw3.astype(np.float32) / np.float32(255)
        sky = find_sky(rgb)
        small = shrunk(rgb, _WORKING_SIDE)
        small_sky = resized(sky.astype(np.float32), small.shape[1], small.shape[0]) > 0.5
        layout = lay_out(rgb, small_sky, np.asarray(K_33, np.float64), view)
        inverse = raise_things(small, small_sky, layout).astype(np.float32)
        inverse = np.clip(_upsampled(inverse, small, rgb), 1 / FARTHEST, 1 / NEAREST)
        depth = np.where(sky, np.float32(np.inf), 1 / inverse)
        return DepthPrediction(depth, np.where(sky, 0, _CONFIDENCE), np.asarray(K_33, np.float32))


def _upsampled(values: Image, small: Image, full: Image) -> Image:
    """Bring (h, w) values to the size of `full`, along its edges (guided filter, He, Sun and Tang 2013)."""
    guide = luma(small)
    mean, mean_values = _box(guide), _box(values)
    gain = (_box(guide * values) - mean * mean_values) / (
        _box(guide * guide) - mean * mean + np.float32(1e-3)
    )
    offset = mean_values - gain * mean
    height, width = full.shape[:2]
    return resized(_box(gain), width, height) * luma(full) + resized(_box(offset), width, height)


def _box(values: NDArray[np.floating]) -> Image:
    return np.asarray(cv2.blur(values, (9, 9)), np.float32)
