"""Pasting what a model painted into a hole so that the hole's rim does not show."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from splinescape.align.harmonic import fill_harmonic

_BAND = 32
"""Pixels inside the hole over which the colours are led over."""
_SMOOTH = 2.5
"""Sigma in pixels of the smoothing of the difference: what is led inwards is light and tint, never texture."""


def paste(
    rgb_hw3: NDArray[np.uint8], mask_hw: NDArray[np.bool_], painted_hw3: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Put the painted pixels into the hole, their colours led over to the known ones inside its rim.

    A model gives back the known pixels too, in slightly other colours. How far they are off along the rim is taken
    off inside: a membrane (the harmonic function of Perez et al. 2003, "Poisson image editing") that is this
    difference on the rim and nothing `_BAND` pixels further in.

    Args:
        rgb_hw3: (H, W, 3) uint8, read where the mask is False.
        mask_hw: (H, W) True in the hole.
        painted_hw3: (H, W, 3) uint8, what the model made of the whole picture.

    Returns:
        (H, W, 3) uint8, equal to `rgb_hw3` wherever the mask is False.
    """
    if mask_hw.all():
        return painted_hw3.copy()
    offset = _offset(rgb_hw3, mask_hw, painted_hw3)
    inside = np.clip(np.rint(painted_hw3[mask_hw] + offset[mask_hw]), 0, 255)
    result = rgb_hw3.copy()
    result[mask_hw] = inside.astype(np.uint8)
    return result


def _offset(
    rgb_hw3: NDArray[np.uint8], mask_hw: NDArray[np.bool_], painted_hw3: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """(H, W, 3) float32 to add to the painted colours; right inside the hole only."""
    known = np.logical_not(mask_hw)
    weight = known.astype(np.float32)
    difference = (rgb_hw3.astype(np.float32) - painted_hw3) * weight[..., None]
    total = cv2.GaussianBlur(difference, (0, 0), _SMOOTH)
    share = cv2.GaussianBlur(weight, (0, 0), _SMOOTH)
    smooth = total / np.maximum(share, 1e-6)[..., None]
    depth = cv2.distanceTransform(mask_hw.astype(np.uint8), cv2.DIST_L2, 5)
    far = depth > _BAND
    fixed = known | far
    smooth[far] = 0
    channels = [fill_harmonic(np.ascontiguousarray(smooth[..., c]), fixed) for c in range(3)]
    return np.stack(channels, -1)
