"""Splats are stored and blended as a screen shows them (sRGB); Blender's pictures hold linear light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def linear(srgb: Floats) -> Floats:
    """Linear light of sRGB values; those above 1 go on along the curve, those below 0 become 0."""
    low = np.maximum(srgb, np.float32(0))
    high = ((low + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(low <= np.float32(0.04045), low / np.float32(12.92), high).astype(np.float32)


def linear_premultiplied(rgba: Floats, *, transparent: bool) -> Floats:
    """(..., 4) linear light, premultiplied, of (..., 4) premultiplied sRGB values.

    Args:
        transparent: keep alpha; otherwise the picture lies on black, as the backend's does.
    """
    out = np.empty_like(rgba)
    if not transparent:
        out[..., :3] = linear(rgba[..., :3])
        out[..., 3] = 1
        return out
    alpha = rgba[..., 3:]
    straight = np.divide(rgba[..., :3], np.maximum(alpha, 1e-6), dtype=np.float32)
    out[..., :3] = linear(straight) * alpha
    out[..., 3:] = alpha
    return out
