"""Bringing the network's maps back to the size of the picture, with steps that stay steps."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]

_STEP = 0.06
"""Difference of log depth within 3 x 3 pixels from which on they are not one surface."""
_NEAR, _ALIKE = 0.8, 0.08
"""Standard deviations of the weights: distance in small pixels, distance of colours in [0, 1]."""
_BAND = 1 << 22
"""Pixels that are worked on at once."""


def smooth(values: Map, width: int, height: int) -> Map:
    """(h, w) or (h, w, C) to `height` x `width`, bilinear."""
    if values.shape[:2] == (height, width):
        return values
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def along_edges(values: Map, small_rgb: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> Map:
    """Bring (h, w) log depth to the size of `rgb` (H, W, 3): bilinear on surfaces, one of the sides at steps.

    At a step each pixel takes the side of that of the nine nearest small pixels which is closest in place and colour
    (joint bilateral weights, Kopf et al. 2007), and the weighted mean of those on the same side, so nothing lies
    between two surfaces.

    Args:
        values: (h, w) logarithms of depth; a large number for sky.
        small_rgb: (h, w, 3) the picture in their size.
        rgb: (H, W, 3).
    """
    height, width = rgb.shape[:2]
    if values.shape == (height, width):
        return values
    out = smooth(values, width, height)
    kernel = np.ones((3, 3), np.uint8)
    stepped = cv2.dilate(values, kernel) - cv2.erode(values, kernel) > _STEP
    h, w = values.shape
    y, x = (np.arange(height) + 0.5) * h / height - 0.5, (np.arange(width) + 0.5) * w / width - 0.5
    row, column = np.rint(y).astype(np.intp).clip(0, h - 1), np.rint(x).astype(np.intp).clip(0, w - 1)
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        v, u = np.nonzero(stepped[row[top : top + rows]][:, column])
        v += top
        at = y[v].astype(np.float32), x[u].astype(np.float32)
        out[v, u] = _sided(values, small_rgb, rgb[v, u], at, (row[v], column[u]))
    return out


def _sided(
    values: Map,
    small_rgb: NDArray[np.uint8],
    colour: NDArray[np.uint8],
    at: tuple[Map, Map],
    nearest: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> Map:
    """(M,) values for M pixels of `colour` (M, 3) at rows and columns `at` of the small maps."""
    h, w = values.shape
    found = np.empty((9, len(colour)), np.float32)
    weight = np.empty((9, len(colour)), np.float32)
    colour = colour.astype(np.float32)
    for i in range(9):
        row, column = (nearest[0] + i // 3 - 1).clip(0, h - 1), (nearest[1] + i % 3 - 1).clip(0, w - 1)
        distance = (at[0] - row) ** 2 + (at[1] - column) ** 2
        unlike = ((small_rgb[row, column] - colour) ** 2).sum(-1) / 255**2
        place = np.exp(distance / np.float32(-2 * _NEAR**2))
        weight[i] = place * (np.exp(unlike / np.float32(-2 * _ALIKE**2)) + np.float32(1e-6))
        found[i] = values[row, column]
    chosen = np.take_along_axis(found, weight.argmax(0)[None], 0)
    weight *= np.abs(found - chosen) < _STEP
    return np.asarray((weight * found).sum(0) / weight.sum(0), np.float32)
