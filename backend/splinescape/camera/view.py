"""A pinhole view: image size, intrinsics and where the camera stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class View:
    """What an engine may know about the image it is given.

    Attributes:
        width, height: image size in pixels.
        K_33: (3, 3) intrinsics in pixels, pixel centres at +0.5; None before they are known.
        cam_T_world: (4, 4) view matrix, world points into the OpenCV camera (x right, y down, z forward).
    """

    width: int
    height: int
    K_33: NDArray[np.floating] | None
    cam_T_world: NDArray[np.floating]
