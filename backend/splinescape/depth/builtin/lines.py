"""Straight lines of a picture, and the three directions at right angles that most of them have."""

from __future__ import annotations

import math
from itertools import product

import cv2
import numpy as np

from splinescape.depth.builtin.imaging import Image, Map, luma, shrunk

_TURNS = np.radians(np.arange(-44, 45, 2.0))
_TILTS = np.radians(np.arange(-12, 13, 1.5))
_CLOSE = math.radians(2)


def straight_lines(rgb: Image) -> Map:
    """(N, 4) u0, v0, u1, v1 of segments over 1/25 of the diagonal (LSD, Grompone von Gioi et al. 2012)."""
    light = luma(shrunk(rgb, 512))
    found = cv2.createLineSegmentDetector().detect(np.clip(light * 255, 0, 255).astype(np.uint8))[0]
    lines = np.zeros((0, 4)) if found is None else np.asarray(found, np.float64).reshape(-1, 4)
    lines = lines[lengths(lines) > math.hypot(*light.shape) / 25]
    return lines * (max(rgb.shape) / max(light.shape))


def lengths(lines: Map) -> Map:
    """(N,) length of each line in pixels."""
    return np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1])


def axes_of_lines(lines: Map, K_33: Map, down: Map) -> Map:
    """The room axes for which most line length points at one of their three vanishing points.

    Args:
        lines: (N, 4) from `straight_lines`.
        K_33: (3, 3) intrinsics.
        down: (3,) gravity in the camera frame, believed to within 12 degrees of tilt.

    Returns:
        (3, 3) rows: right, down and forward in the camera frame.
    """
    best, best_score = room_axes(down, 0, 0), 0.0
    length = lengths(lines)
    for turn, tilt in product(_TURNS, _TILTS):
        axes = room_axes(down, turn, tilt)
        prior = 1 - 0.3 * (turn / _TURNS[-1]) ** 2 - 0.1 * (tilt / _TILTS[-1]) ** 2
        score = prior * float((agreement(lines, K_33, axes).max(0) * length).sum())
        if score > best_score:
            best, best_score = axes, score
    return best


def agreement(lines: Map, K_33: Map, axes: Map) -> Map:
    """(3, N) in [0, 1]: how well each line points at the vanishing points of right, down and forward."""
    start, end = lines[:, :2], lines[:, 2:]
    points = axes @ K_33.T
    # The direction from a line's middle to a vanishing point (x, y, w), which may be at infinity.
    toward = points[:, None, :2] - (start + end) / 2 * points[:, None, 2:]
    along = end - start
    sine = toward[..., 0] * along[:, 1] - toward[..., 1] * along[:, 0]
    sine /= np.hypot(toward[..., 0], toward[..., 1]) * lengths(lines) + 1e-9
    return np.exp(-((sine / _CLOSE) ** 2))


def room_axes(down: Map, turn: float, tilt: float) -> Map:
    """(3, 3) rows right, down, forward of a room turned about the vertical, then with its floor tilted."""
    forward = np.array([0.0, 0.0, 1.0]) - down * down[2]
    forward /= math.hypot(*forward) + 1e-12
    cos, sin = math.cos(tilt), math.sin(tilt)
    down, forward = cos * down + sin * forward, cos * forward - sin * down
    right = np.array(
        [
            down[1] * forward[2] - down[2] * forward[1],
            down[2] * forward[0] - down[0] * forward[2],
            down[0] * forward[1] - down[1] * forward[0],
        ]
    )
    cos, sin = math.cos(turn), math.sin(turn)
    return np.stack([cos * right - sin * forward, down, sin * right + cos * forward])
