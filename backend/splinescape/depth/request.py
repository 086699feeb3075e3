"""What a depth engine may be asked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.errors import InputError


def check_request(rgb_hw3: NDArray[np.uint8], K_33: NDArray[np.float32] | None) -> None:
    """Refuse what no depth can be predicted for.

    Raises:
        InputError: not a (H, W, 3) uint8 picture with pixels, or intrinsics without positive finite focal lengths.
    """
    if rgb_hw3.ndim != 3 or rgb_hw3.shape[2] != 3 or rgb_hw3.dtype != np.uint8 or not rgb_hw3.size:
        raise InputError(f"depth needs a (H, W, 3) uint8 picture, not {rgb_hw3.shape} {rgb_hw3.dtype}")
    if K_33 is None:
        return
    K = np.asarray(K_33)
    if K.shape != (3, 3) or not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
        raise InputError(f"the intrinsics {K.tolist()} are no camera")
