"""Fast smooth fill of unknown pixels through an image pyramid."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def push_pull(values_hwc: NDArray[np.float32], known_hw: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fill unknown pixels with smooth averages of the known ones around them.

    Halves the picture until every pixel is known, then goes back up (Gortler et al. 1996, "The Lumigraph").

    Args:
        values_hwc: (H, W, C) float32; what stands in unknown pixels is ignored.
        known_hw: (H, W) True where `values_hwc` counts; all False gives zeros.
    """
    weight = known_hw.astype(np.float32)
    if known_hw.all() or not known_hw.any():
        return values_hwc * weight[..., None]
    height, width = known_hw.shape
    even = ((0, height % 2), (0, width % 2))
    sums: NDArray[np.float32] = np.pad(values_hwc * weight[..., None], (*even, (0, 0)))
    weights = np.pad(weight, even)
    sums = sums[::2, ::2] + sums[1::2, ::2] + sums[::2, 1::2] + sums[1::2, 1::2]
    weights = weights[::2, ::2] + weights[1::2, ::2] + weights[::2, 1::2] + weights[1::2, 1::2]
    sums /= np.maximum(weights, 1)[..., None]
    half = push_pull(sums, weights > 0)
    size = (2 * half.shape[1], 2 * half.shape[0])
    smooth = cv2.resize(half, size, interpolation=cv2.INTER_LINEAR).reshape(size[1], size[0], -1)
    return np.where(known_hw[..., None], values_hwc, smooth[:height, :width])
