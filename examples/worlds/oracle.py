"""Perfect engines: a world that answers every view with its true colours and its true depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.view import View
from splinescape.depth import DepthPrediction

from .soften import FOCAL
from .world import World


def centred_intrinsics(width: int, height: int, focal: float = FOCAL) -> NDArray[np.float32]:
    """(3, 3) intrinsics whose principal point is the middle of the image."""
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float32)


@dataclass(frozen=True, eq=False)
class OracleInpainter:
    """An `Inpainter` that paints what is really there.

    A view without intrinsics is taken to have the focal length of `K_33` and a centred principal point: a
    border that is the same on both sides keeps both.
    """

    world: World
    K_33: NDArray[np.floating] | None = None

    def inpaint(
        self, rgb_hw3: NDArray[np.uint8], mask_hw: NDArray[np.bool_], *, view: View, seed: int
    ) -> NDArray[np.uint8]:
        """As `splinescape.inpaint.Inpainter.inpaint`."""
        del seed
        height, width = mask_hw.shape
        image = self.world.render(
            view.cam_T_world, _intrinsics(view, self.K_33, width, height), width, height
        )
        return np.where(mask_hw[..., None], image.rgb, rgb_hw3)


@dataclass(frozen=True, eq=False)
class OracleDepth:
    """A `DepthEstimator` that measures: sky is +inf with confidence 0. Intrinsics as `OracleInpainter`."""

    world: World
    K_33: NDArray[np.floating] | None = None

    def predict(
        self, rgb_hw3: NDArray[np.uint8], *, K_33: NDArray[np.float32] | None, view: View
    ) -> DepthPrediction:
        """As `splinescape.depth.DepthEstimator.predict`."""
        height, width = rgb_hw3.shape[:2]
        known = _intrinsics(view, self.K_33, width, height) if K_33 is None else np.asarray(K_33, np.float32)
        depth = self.world.render_depth(view.cam_T_world, known, width, height)
        return DepthPrediction(depth, np.isfinite(depth).astype(np.float32), known)


def _intrinsics(
    view: View, K_33: NDArray[np.floating] | None, width: int, height: int
) -> NDArray[np.float32]:
    if view.K_33 is not None:
        return np.asarray(view.K_33, np.float32)
    return centred_intrinsics(width, height, FOCAL if K_33 is None else float(K_33[0, 0]))
