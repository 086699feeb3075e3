"""The built-in depth engine."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.view import View
from splinescape.depth import DepthPrediction
from splinescape.errors import InputError
from splinescape.picture.focal import centred_intrinsics

CAMERA_HEIGHT = 1.6
"""Metres from the ground to the camera of the input picture, a person's eye level."""
NEAREST, FARTHEST = 1.5, 80.0
DEFAULT_FOV = math.radians(60)
"""Field of view of the longer side when nobody knows better: a phone's main camera has 65 to 75, a 35 mm lens 54."""


class BuiltinDepth:
    """Guesses depth from what most pictures have in common; needs no weights, and is deterministic."""

    name = "builtin"
    quality = "preview quality"

    def predict(
        self, rgb_hw3: NDArray[np.uint8], *, K_33: NDArray[np.float32] | None, view: View
    ) -> DepthPrediction:
        """Guess the depth of `rgb_hw3` (H, W, 3) uint8 in metres.

        Raises:
            InputError: `rgb_hw3` is not (H, W, 3) uint8.
        """
        if rgb_hw3.ndim != 3 or rgb_hw3.shape[2] != 3 or rgb_hw3.dtype != np.uint8:
            raise InputError(f"depth needs a (H, W, 3) uint8 picture, not {rgb_hw3.shape} {rgb_hw3.dtype}")
        height, width = rgb_hw3.shape[:2]
        if K_33 is None:
            focal = max(width, height) / (2 * math.tan(DEFAULT_FOV / 2))
            K_33 = centred_intrinsics(focal, width, height)
        K_33 = K_33.astype(np.float32)
        world_T_cam = np.linalg.inv(np.asarray(view.cam_T_world, np.float64))
        v, u = np.mgrid[0.5:height, 0.5:width]
        rays = np.stack([(u - K_33[0, 2]) / K_33[0, 0], (v - K_33[1, 2]) / K_33[1, 1], np.ones_like(u)], -1)
        down = rays @ world_T_cam[1, :3]
        ground = np.divide(
            CAMERA_HEIGHT - world_T_cam[1, 3], down, out=np.full_like(down, FARTHEST), where=down > 1e-3
        )
        depth = np.clip(ground, NEAREST, FARTHEST).astype(np.float32)
        return DepthPrediction(depth, np.full_like(depth, 0.3), K_33)
