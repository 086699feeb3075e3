"""Which part of a picture is certainly sky, by its colours, for networks that do not say it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

_SQUARE = np.ones((3, 3), np.uint8)


def find_sky(rgb: Image) -> Mask:
    """A hard, conservative mask of the sky, made to miss a sky rather than to see one in a room.

    Sky is a smooth region that hangs from the top of the picture, starts bluish or white, is partly bluish
    or mostly white and far brighter than what it borders, is neither green nor dark, and ends well above the
    bottom.

    Args:
        rgb: (H, W, 3) float32 in [0, 1].

    Returns:
        (H, W) bool.
    """
    small = _shrunk(rgb, 256)
    region = _hanging_region(small)
    if not region.any() or not _plausible(small, region):
        return np.zeros(rgb.shape[:2], bool)
    return _sharpened(rgb, region)


def _hanging_region(rgb: Image) -> Mask:
    """Smooth pixels of possible sky colour, connected to a bluish or white stretch of the top rows."""
    soft = _blurred(rgb, 0.8)
    red, green, blue = np.moveaxis(soft, -1, 0)
    light, spread = _luma(soft), soft.max(-1) - soft.min(-1)
    across, down = _gradient(soft)
    smooth = np.hypot(across, down).max(-1) < 0.05
    bluish = (blue - red > 0.02) & (blue >= green - 0.01)
    white = _white(soft)
    sunset = (light > 0.45) & (green <= red + 0.02)
    possible = smooth & (light > 0.12) & (bluish | white | sunset | (spread < 0.08))
    count, labels = cv2.connectedComponents(possible.astype(np.uint8), connectivity=4)
    top = max(1, rgb.shape[0] // 40)
    seeds = labels[:top][(bluish | white)[:top] & possible[:top]]
    # A stray pixel at the top does not make its whole component a sky.
    enough = np.bincount(seeds, minlength=count) >= max(2, top * rgb.shape[1] // 30)
    return enough[labels]


def _plausible(rgb: Image, region: Mask) -> bool:
    """Large enough, ending above the bottom, and either partly bluish or white and far brighter than below.

    A grey or warm region with one bright corner is a ceiling by a window, however dark the beam below it.
    """
    height = rgb.shape[0]
    lowest = np.flatnonzero(region.any(1))[-1]
    if region.mean() < 0.02 or lowest > 0.85 * height:
        return False
    colours = rgb[region]
    if np.mean(colours[:, 2] - colours[:, 0] > 0.02) > 0.25:
        return True
    light = _luma(rgb)
    below = np.roll(region, height // 16, axis=0) & ~region
    mostly_white = np.mean(_white(rgb)[region]) > 0.6
    return bool(mostly_white and below.any() and np.median(light[region]) > np.median(light[below]) + 0.3)


def _white(rgb: Image) -> Mask:
    return np.asarray((_luma(rgb) > 0.85) & (rgb.max(-1) - rgb.min(-1) < 0.06), bool)


def _sharpened(rgb: Image, region: Mask) -> Mask:
    """The region at full size, its rim decided by which side's local colour a pixel is closer to."""
    height, width = rgb.shape[:2]
    closed = cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_CLOSE, _SQUARE)
    full = cv2.resize(closed, (width, height), interpolation=cv2.INTER_NEAREST)
    reach = 3 * -(-height // region.shape[0])
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    sure, possible = cv2.erode(full, _SQUARE) > 0, cv2.dilate(full, disc) > 0
    to_sky = _distance_to_local_mean(rgb, sure, 4.0 * reach)
    to_rest = _distance_to_local_mean(rgb, ~possible, 4.0 * reach)
    sky = sure | (possible & (to_sky < to_rest))
    # Only what hangs together with the sure part; no specks inside, which would float in front of the sky.
    count, labels = cv2.connectedComponents(sky.astype(np.uint8), connectivity=4)
    sky &= (np.bincount(labels[sure], minlength=count) > 0)[labels]
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~sky).astype(np.uint8), connectivity=4)
    specks = stats[:, cv2.CC_STAT_AREA] < 0.005 * sky.size
    specks[np.unique(labels[-1])] = False
    return np.asarray(sky | specks[labels], bool)


def _distance_to_local_mean(rgb: Image, mask: Mask, sigma: float) -> Image:
    weight = _blurred(mask.astype(np.float32), sigma)
    mean = _blurred(rgb * mask[..., None], sigma) / np.maximum(weight, 1e-6)[..., None]
    distance = np.sqrt(((rgb - mean) ** 2).sum(-1))
    return np.where(weight > 1e-4, distance, np.float32(np.inf))


def _luma(rgb: Image) -> Image:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)


def _gradient(image: Image) -> tuple[Image, Image]:
    """Differences per pixel to the right and downwards (Sobel)."""
    across, down = cv2.Sobel(image, -1, 1, 0, scale=0.125), cv2.Sobel(image, -1, 0, 1, scale=0.125)
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def _blurred(image: Image, sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)


def _shrunk(image: Image, longest: int) -> Image:
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if size[0] < width else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.float32)
