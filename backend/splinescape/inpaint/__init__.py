"""Inpainting engines: fill the masked pixels of a picture."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.view import View


class Inpainter(Protocol):
    """Anything with this method is an inpainting engine."""

    def inpaint(
        self, rgb_hw3: NDArray[np.uint8], mask_hw: NDArray[np.bool_], *, view: View, seed: int
    ) -> NDArray[np.uint8]:
        """Return (H, W, 3) uint8 with the True pixels of `mask_hw` filled.

        Pixels where the mask is False may come back changed: the pipeline pastes the known ones over them.
        """
        ...
