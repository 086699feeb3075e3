"""Depth engines: one picture in, metric or relative camera-z depth, confidence and intrinsics out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.view import View


@dataclass(frozen=True, eq=False)
class DepthPrediction:
    """What a depth engine returns for an (H, W) picture.

    Attributes:
        depth: (H, W) float32 camera z in scene units, +inf for sky and unknown.
        confidence: (H, W) float32 in [0, 1], 0 where depth is +inf.
        K_33: (3, 3) float32 intrinsics in pixels; equals the given K_33 when one was given.
        normals: (H, W, 3) float32 unit normals in the camera frame facing the camera, or None.
    """

    depth: NDArray[np.float32]
    confidence: NDArray[np.float32]
    K_33: NDArray[np.float32]
    normals: NDArray[np.float32] | None = None


class DepthEstimator(Protocol):
    """Anything with this method is a depth engine; `name` and `quality` are optional labels."""

    def predict(
        self, rgb_hw3: NDArray[np.uint8], *, K_33: NDArray[np.float32] | None, view: View
    ) -> DepthPrediction:
        """Predict depth for `rgb_hw3` (H, W, 3). A given `K_33` must be honoured as the field of view."""
        ...
