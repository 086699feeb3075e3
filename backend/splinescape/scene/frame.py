"""One RGB-D view of the scene, the unit that the pipeline trains on and checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.view import View


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture with depth, masks and camera.

    Attributes:
        rgb: (H, W, 3) float32 in [0, 1].
        depth: (H, W) float32 camera z, +inf for sky and unknown.
        confidence: (H, W) float32 in [0, 1], 0 where depth is +inf.
        inpaint: (H, W) bool, True = this frame is the source of this pixel: supervise it.
        inpaint_wo_edge: (H, W) bool, `inpaint` less occlusion edges: pixels that become splats.
        K_33: (3, 3) float64 intrinsics in pixels, pixel centres at +0.5.
        cam_T_world: (4, 4) float64 view matrix.
    """

    rgb: NDArray[np.float32]
    depth: NDArray[np.float32]
    confidence: NDArray[np.float32]
    inpaint: NDArray[np.bool_]
    inpaint_wo_edge: NDArray[np.bool_]
    K_33: NDArray[np.float64]
    cam_T_world: NDArray[np.float64]

    @property
    def height(self) -> int:
        """Image height in pixels."""
        return self.rgb.shape[0]

    @property
    def width(self) -> int:
        """Image width in pixels."""
        return self.rgb.shape[1]

    @property
    def view(self) -> View:
        """Size and camera without the pixels."""
        return View(self.width, self.height, self.K_33, self.cam_T_world)
