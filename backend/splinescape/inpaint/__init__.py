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

        A method may take more keywords, and is given those that it names:
            depth_hw: (H, W) float32, rendered depth of the known pixels; None for the border.
            on_step: `Callable[[int, int], None] | None`, to be called with the steps that are done and those there
                are.
            cancel: `threading.Event | None`; once it is set, raise `splinescape.errors.CancelledError` soon.
        """
        ...
