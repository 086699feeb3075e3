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
_MOST_PLACES, _ONE_PLACE = 3, 0.04
_MOST_CELLS, _PER_CELL = 12, 5
_MOST_PROJECTED, _EVERY = 6_000, 12
_FEWEST_COVERED = 0.4
_FARTHEST = 1.0
"""A camera further from the input camera than this, times the distance of the scene's middle, sees inventions only."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, wherever it is.

    Attributes:
        template: sentence with `{place}`, to be translated before the place is put in.
        stretches: (start, end) fractions of the path, in order.
    """

    template: str
    stretches: tuple[tuple[float, float], ...]

    @property
    def place(self) -> str:
        """In per cent: "12 %", or "5–9 %, 40–62 %"; the first few."""
        places = [_per_cent(*each) for each in self.stretches[:_MOST_PLACES]]
        return ", ".join(places) + (" …" if len(self.stretches) > _MOST_PLACES else "")

    def text(self) -> str:
        """The sentence in English."""
        return self.template.format(place=self.place)


def _per_cent(start: float, end: float) -> str:
    first, last = round(100 * start), round(100 * end)
    return f"{first} %" if first == last else f"{first}–{last} %"


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
    empty = covered(views, window, solid) < _FEWEST_COVERED
    ahead = solid[solid[:, 2] > 0, 2]
    far = np.linalg.norm(places, axis=1) > _FARTHEST * (np.median(ahead) if len(ahead) else np.inf)
    problems = tuple(
        Problem(template, stretches(found))
        for template, found in ((THROUGH, touched), (EMPTY, empty), (FAR, far))
        if found.any()
    )
    return Findings(touched | empty | far, problems)


def touches(places: Array, solid: Array, reach: float) -> Mask:
    """(n,) whether at least a few splats (m, 3) are within `reach` of each place (n, 3)."""
    low, high = places.min(axis=0) - reach, places.max(axis=0) + reach
    near = solid[((solid >= low) & (solid <= high)).all(axis=1)]
    counts = np.zeros(len(places), int)
    for part in np.array_split(near, max(1, len(near) * len(places) // 1_000_000)):
        squares = (places**2).sum(1)[:, None] - 2 * places @ part.T + (part**2).sum(1)
        counts += (squares < reach**2).sum(axis=1)
    return counts >= _FEWEST_TOUCHED


def covered(views: Array, window: tuple[float, float, float, float], solid: Array) -> Array:
    """(n,) share of each view in which there is anything, roughly; looked up at some of the views.

    Args:
        views: (n, 4, 4) cam_T_world. window: as in `check`. solid: (m, 3), of which some are looked at.
    """
    some = solid[:: max(1, len(solid) // _MOST_PROJECTED)]
    chosen = np.unique(np.r_[0 : len(views) : _EVERY, len(views) - 1])
    shares = [_cells_hit(some @ view[:3, :3].T + view[:3, 3], window) for view in views[chosen]]
    return np.interp(np.arange(len(views)), chosen, shares)


def _cells_hit(points: Array, window: tuple[float, float, float, float]) -> float:
    """Share of a picture's cells that camera-frame points (m, 3) fall into; the cells fit how many points there are.

    Where the camera is close to something, few points are in its picture, although there is nothing empty in it.
    """
    left, right, bottom, top = window
    x, y, z = points[points[:, 2] > 1e-6].T
    across, down = (x / z - left) / (right - left), (y / z + top) / (top - bottom)
    inside = (across >= 0) & (across < 1) & (down >= 0) & (down < 1)
    count = int(inside.sum())
    if count < _PER_CELL:
        return count / _PER_CELL
    side = min(_MOST_CELLS, int((count / _PER_CELL) ** 0.5))
    cells = np.zeros((side, side), bool)
    cells[(down[inside] * side).astype(int), (across[inside] * side).astype(int)] = True
    return float(cells.mean())


def stretches(found: Mask) -> tuple[tuple[float, float], ...]:
    """Runs of true values as (start, end) fractions of the path; what lies closely together is one."""
    edges = np.flatnonzero(np.diff(np.r_[False, found, False].astype(int))).reshape(-1, 2)
    last = max(1, len(found) - 1)
    runs: list[tuple[float, float]] = []
    for a, b in edges.tolist():
        start, end = a / last, (b - 1) / last
        if runs and start - runs[-1][1] < _ONE_PLACE:
            start = runs.pop()[0]
        runs.append((start, end))
    return tuple(runs)
