"""Where a camera path cannot be filmed, as far as the scene that exists tells. Needs numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_OPAQUE = 0.3
_TOUCH = 0.02
"""Splats nearer than this, times the scene's size, mean that the camera is inside something."""
_FEWEST_TOUCHED = 3
_COLUMNS, _ROWS = 16, 12
_FEWEST_COVERED = 0.4
_FARTHEST = 1.0
"""A camera further from the input camera than this, times the distance of the scene's middle, sees inventions only."""


@dataclass(frozen=True)
class Problem:
    """One place of the path.

    Attributes:
        template: sentence with `{place}`, to be translated before the place is put in.
        start, end: fractions of the path.
    """

    template: str
    start: float
    end: float

    @property
    def place(self) -> str:
        """In per cent."""
        first, last = round(100 * self.start), round(100 * self.end)
        return f"{first} %" if first == last else f"{first}–{last} %"

    def text(self) -> str:
        """The sentence in English."""
        return self.template.format(place=self.place)


THROUGH = "At {place} the camera passes through the scene"
EMPTY = "At {place} the view is mostly empty"
FAR = "At {place} the camera is far from where the picture was taken"


@dataclass(frozen=True, eq=False)
class Findings:
    """What is wrong along a path: `bad` (n,) says which cameras cannot stand there."""

    bad: Mask
    problems: tuple[Problem, ...] = ()


def check(
    views: Array, window: tuple[float, float, float, float], positions: Array, opacities: Array, size: float
) -> Findings:
    """Compare the cameras of a path with the splats of a scene.

    Args:
        views: (n, 4, 4) cam_T_world along the path, densely enough that nothing fits between two of them.
        window: left, right, bottom, top of the picture one unit in front of the camera, upwards positive.
        positions: (m, 3) splats in the scene's world. opacities: (m,).
        size: of the scene.
    """
    places = -np.einsum("nji,nj->ni", views[:, :3, :3], views[:, :3, 3])
    solid = positions[(opacities > _OPAQUE) & np.isfinite(positions).all(axis=1)]
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    reach = max(_TOUCH * size, 0.6 * float(steps.max(initial=0)))
    touched = touches(places, solid, reach)
    empty = (covered(views, window, solid) < _FEWEST_COVERED) & ~touched
    ahead = solid[solid[:, 2] > 0, 2]
    far = np.linalg.norm(places, axis=1) > _FARTHEST * (np.median(ahead) if len(ahead) else np.inf)
    problems = [
        Problem(template, start, end)
        for template, found in ((THROUGH, touched), (EMPTY, empty), (FAR, far))
        for start, end in stretches(found)
    ]
    return Findings(touched | empty | far, tuple(sorted(problems, key=lambda each: each.start)))


def touches(places: Array, solid: Array, reach: float) -> Mask:
    """(n,) whether at least a few splats (m, 3) are within `reach` of each place (n, 3)."""
    low, high = places.min(axis=0) - reach, places.max(axis=0) + reach
    near = solid[((solid >= low) & (solid <= high)).all(axis=1)]
    counts = np.zeros(len(places), int)
    for part in np.array_split(near, max(1, len(near) * len(places) // 1_000_000)):
        squares = (places**2).sum(1)[:, None] - 2 * places @ part.T + (part**2).sum(1)
        counts += (squares < reach**2).sum(axis=1)
    return counts >= _FEWEST_TOUCHED


def covered(views: Array, window: tuple[float, float, float, float], solid: Array, every: int = 6) -> Array:
    """(n,) share of each view, in coarse cells, in which there is any splat (m, 3); looked up at every sixth view."""
    chosen = np.unique(np.r_[0 : len(views) : every, len(views) - 1])
    left, right, bottom, top = window
    shares = np.empty(len(chosen))
    for i, view in enumerate(views[chosen]):
        seen = solid @ view[:3, :3].T + view[:3, 3]
        seen = seen[seen[:, 2] > 1e-6]
        columns = np.floor((seen[:, 0] / seen[:, 2] - left) / (right - left) * _COLUMNS)
        rows = np.floor((seen[:, 1] / seen[:, 2] + top) / (top - bottom) * _ROWS)
        inside = (columns >= 0) & (columns < _COLUMNS) & (rows >= 0) & (rows < _ROWS)
        cells = np.zeros(_COLUMNS * _ROWS, bool)
        cells[(rows[inside] * _COLUMNS + columns[inside]).astype(int)] = True
        shares[i] = cells.mean()
    return np.interp(np.arange(len(views)), chosen, shares)


def stretches(found: Mask) -> list[tuple[float, float]]:
    """Runs of true values as (start, end) fractions of the path."""
    edges = np.flatnonzero(np.diff(np.r_[False, found, False].astype(int)))
    last = max(1, len(found) - 1)
    return [(int(a) / last, (int(b) - 1) / last) for a, b in edges.reshape(-1, 2)]
