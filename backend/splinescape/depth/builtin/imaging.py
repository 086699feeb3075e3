"""Small image operations with fixed types, none of which depends on the number of threads."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Map = NDArray[np.float64]


def luma(rgb: Image) -> Image:
    """(H, W) brightness of (H, W, 3) RGB."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)


def gradient(image: Image) -> tuple[Image, Image]:
    """Differences per pixel to the right and downwards (Sobel), the shape of `image` each."""
    across, down = cv2.Sobel(image, -1, 1, 0, scale=0.125), cv2.Sobel(image, -1, 0, 1, scale=0.125)
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def blurred(image: Image, sigma: float) -> Image:
    """Gaussian blur."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)


def resized(image: Image, width: int, height: int) -> Image:
    """Area average when shrinking, linear when growing."""
    shrinks = width < image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.float32)


def shrunk(image: Image, longest: int) -> Image:
    """At most `longest` pixels on the longer side, same aspect ratio."""
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    return resized(image, max(1, round(width * scale)), max(1, round(height * scale)))


def pixel_rays(shape: tuple[int, ...], K_33: NDArray[np.floating]) -> Map:
    """(H, W, 3) camera-frame rays with z = 1 through the pixel centres."""
    v, u = np.mgrid[0.5 : shape[0], 0.5 : shape[1]]
    return np.stack([(u - K_33[0, 2]) / K_33[0, 0], (v - K_33[1, 2]) / K_33[1, 1], np.ones_like(u)], -1)


def dot(vectors: Map, vector: Map) -> Map:
    """Scalar product of the last axis with one vector; unlike @ always summed in the same order."""
    return vectors[..., 0] * vector[0] + vectors[..., 1] * vector[1] + vectors[..., 2] * vector[2]
