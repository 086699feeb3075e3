"""What the overlay draws: cameras as lines, and their colours. Needs numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

GREY = (0.72, 0.72, 0.72, 0.9)
RED = (1.0, 0.16, 0.12, 1.0)
ORANGE = (1.0, 0.62, 0.1, 1.0)
_KNOWN, _SOME, _MUCH = (0.2, 0.85, 0.45, 0.9), (0.95, 0.85, 0.2, 0.9), (0.65, 0.35, 1.0, 0.9)
_MUCH_UNCOVERED = 0.3
"""Share of a view at which the scale of colours ends."""

_EDGES = np.array(
    [(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4), (4, 1), (5, 6), (6, 7), (7, 5)], np.intp
)
LINES_PER_FRUSTUM = len(_EDGES)


def frustum_lines(poses: NDArray[np.float64], window: Sequence[float], size: float) -> Floats:
    """Cameras as separate lines.

    Args:
        poses: (n, 4, 4) `matrix_world`.
        window: left, right, bottom, top of the picture one unit in front of the camera.
        size: how far in front of the camera its picture is drawn.

    Returns:
        (n * 22, 3) float32: two ends for each of the 11 lines of a camera.
    """
    left, right, bottom, top = window
    middle, above = (left + right) / 2, top + 0.08 * (top - bottom)
    roof = 0.25 * (right - left)
    corners = size * np.array(
        [
            (0, 0, 0),
            (left, bottom, -1),
            (right, bottom, -1),
            (right, top, -1),
            (left, top, -1),
            (middle - roof, above, -1),
            (middle + roof, above, -1),
            (middle, above + 1.2 * roof, -1),
        ]
    )
    ends = corners[_EDGES.ravel()]
    placed = np.einsum("nij,mj->nmi", poses[:, :3, :3], ends) + poses[:, None, :3, 3]
    return np.ascontiguousarray(placed.reshape(-1, 3), np.float32)


def line_strip(points: NDArray[np.float64]) -> Floats:
    """((n - 1) * 2, 3) float32 a chain of points (n, 3) as separate lines."""
    return np.ascontiguousarray(np.stack([points[:-1], points[1:]], axis=1).reshape(-1, 3), np.float32)


def colours(uncovered: NDArray[np.float64] | None, bad: NDArray[np.bool_]) -> Floats:
    """(n, 4) colour of each camera.

    Args:
        uncovered: (n,) share of the view that had to be made up, None before there is a scene.
        bad: (n,) whether the camera cannot stand there.
    """
    made = np.tile(np.array(GREY, np.float32), (len(bad), 1))
    if uncovered is not None:
        stops = np.array([0.0, _MUCH_UNCOVERED / 2, _MUCH_UNCOVERED])
        scale = np.array([_KNOWN, _SOME, _MUCH])
        made = np.stack([np.interp(uncovered, stops, scale[:, i]) for i in range(4)], axis=1).astype(
            np.float32
        )
    made[bad] = RED
    return made


def uncovered_along(summary: Any, poses: int, at: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """How much the views along a path uncovered when the scene was made.

    Args:
        summary: the coarse summary: mappings with `frames` and `closing_frames`.
        poses: number of poses of the dense path that its indices count.
        at: (n,) fractions of the path.

    Returns:
        (n,) shares, straight between the frames that were expanded; None when the summary says nothing.
    """
    if not isinstance(summary, dict):
        return None
    known: dict[int, float] = {}
    for kind in ("closing_frames", "frames"):
        for frame in summary.get(kind) or ():
            try:
                known[int(frame["dense_pose_index"])] = float(frame["inpaint_ratio"])
            except (KeyError, TypeError, ValueError):
                continue
    if not known:
        return None
    known.setdefault(0, 0.0)  # the input camera sees what the picture shows
    where = np.array(sorted(known), np.float64)
    shares = np.array([known[int(index)] for index in where])
    return np.interp(at, where / max(1, poses - 1), shares)
