"""Multi-scale completion: alternate between matching patches and letting them vote, from coarse to fine.

Wexler, Shechtman, Irani 2007, "Space-time completion of video", with the search of Barnes et al. 2009.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from splinescape.inpaint.builtin.levels import (
    Level,
    distance_into,
    nearest,
    patch_maximum,
    patch_sources,
    patch_targets,
)
from splinescape.inpaint.builtin.onion import grow
from splinescape.inpaint.builtin.patches import CHANNELS, SIDE
from splinescape.inpaint.builtin.search import BLOCK, search
from splinescape.inpaint.builtin.unique import uniqueness
from splinescape.inpaint.builtin.vote import vote
from splinescape.jit import run_chunks

ROW_PRIOR = 0.6
COLUMN_PRIOR = 0.25
DEPTH_PRIOR = 0.2

GUESS = 0.3
REGROW = 2
HIDING_PRICE = 0.5
CROWDING = 0.003
CROWDING_LIMIT = 4.0
UNIQUE = 0.5
UNIQUE_LIMIT = 0.03
FALLOFF = 1.2


@dataclass(eq=False)
class Matches:
    """Which source patch each target patch looks like: flat anchors at one level."""

    step: int
    targets: NDArray[np.int32]
    target_id: NDArray[np.int32]
    match: NDArray[np.int32]
    cost: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Completion:
    """The finest level's result: flat hole pixels, their colours, and the offset each is best copied from."""

    pixels: NDArray[np.int32]
    colours: NDArray[np.float32]
    offsets: NDArray[np.int32]


def complete(levels: list[Level], seed: int) -> Completion:
    """Fill the holes of every level in place, coarsest first. `levels` is finest first; each has some source patch."""
    matches = None
    rarity = _rarity(levels[-1])
    for index in range(len(levels) - 1, -1, -1):
        level = levels[index]
        step = 2 if index == 0 and len(levels) > 1 else 1
        rounds = (2, 3, 5, 8)[min(index, 3)]
        scene = _Scene(level, step, seed + 7919 * index, _enlarge(rarity, level.hole.shape))
        if matches is None:
            matches = scene.start(scene.grow(0))
        else:
            matches = scene.start(_finer_offsets(matches, levels[index + 1], level))
            if index == REGROW:
                scene.vote(matches)
                matches = scene.start(scene.grow(GUESS))
        scene.vote(matches)
        for n in range(rounds):
            scene.search(matches, n)
            result = scene.vote(matches)
    return result


class _Scene:
    """One level prepared for the kernels."""

    def __init__(self, level: Level, step: int, seed: int, rarity: NDArray[np.float32]) -> None:
        self.level = level
        self.step = step
        self.seed = seed
        self.height, self.width = level.hole.shape
        self.image = level.image.reshape(-1)
        self.allowed = patch_sources(level.known).reshape(-1)
        self.offered, self.wanted = _places(level)
        self.noticed = _noticed(level.image).reshape(-1)
        hiding = (level.known & ~level.context).astype(np.float32)
        self.rarity = UNIQUE * self.noticed * rarity.reshape(-1)
        self.rarity += HIDING_PRICE * patch_maximum(hiding, 0).reshape(-1)
        self.into = distance_into(level.hole, level.context)
        falloff = np.maximum(FALLOFF**-self.into, 0.02)
        self.weight = np.where(level.hole, falloff, level.context).astype(np.float32).reshape(-1)
        self.pixels = np.flatnonzero(level.hole).astype(np.int32)
        self.targets = patch_targets(level.hole, step)
        self.target_id = np.full(self.height * self.width, -1, np.int32)
        self.target_id[self.targets] = np.arange(self.targets.size, dtype=np.int32)
        self.window = _window()

    def grow(self, guess: float) -> NDArray[np.int64]:
        offset = np.zeros(self.image.size // CHANNELS, np.int64)
        state = self.level.context.astype(np.float32).reshape(-1)
        crowding = self.rarity.copy()
        hole = self.level.hole.reshape(-1)
        grow(
            self.image,
            self.width,
            state,
            hole,
            self.allowed,
            self.offered,
            self.wanted,
            crowding,
            np.float32(CROWDING) * self.noticed,
            np.float32(guess),
            offset,
        )
        return offset

    def start(self, offset: NDArray[np.int64]) -> Matches:
        """Matches from a copy offset per pixel, repaired where they are not allowed."""
        middle = self.targets + (SIDE // 2) * (self.width + 1)
        match = self.targets + offset[middle]
        bad = (match < 0) | (match >= self.allowed.size) | (offset[middle] == 0)
        bad |= ~self.allowed[np.where(bad, 0, match)]
        match[bad] = self._nearest_source(self.targets[bad])
        cost = np.zeros(match.size, np.float32)
        return Matches(self.step, self.targets, self.target_id, match.astype(np.int32), cost)

    def _nearest_source(self, targets: NDArray[np.int32]) -> NDArray[np.intp]:
        rows, columns = nearest(self.allowed.reshape(self.height, self.width))
        return (rows * self.width + columns).reshape(-1)[targets]

    def search(self, matches: Matches, n: int) -> None:
        old = matches.match.copy()
        blocks = -(-matches.targets.size // BLOCK)
        crowding = self._crowding(old)
        radius = max(self.height, self.width) if n == 0 and self.step == 1 else 16
        seed = np.uint64((self.seed * 1000003 + n) & (2**64 - 1))
        run_chunks(
            search,
            blocks,
            self.image,
            self.weight,
            self.width,
            matches.targets,
            matches.target_id,
            self.step,
            self.allowed,
            self.offered,
            self.wanted,
            crowding,
            old,
            matches.match,
            matches.cost,
            n % 2 == 0,
            radius,
            seed,
        )

    def _crowding(self, match: NDArray[np.int32]) -> NDArray[np.float32]:
        """How much more often than its fair share each source patch is used, times a price."""
        used = np.bincount(match, minlength=self.allowed.size).astype(np.float32)
        fair = max(match.size / max(self.allowed.sum(), 1), 1e-6)
        near = cv2.boxFilter(used.reshape(self.height, self.width), -1, (SIDE, SIDE)).reshape(-1) / fair
        return self.rarity + np.float32(CROWDING) * self.noticed * np.clip(
            near - 1, 0, CROWDING_LIMIT
        ).astype(np.float32)

    def vote(self, matches: Matches) -> Completion:
        middle = np.minimum(matches.targets + (SIDE // 2) * (self.width + 1), self.into.size - 1)
        trust = FALLOFF ** -self.into.reshape(-1)[middle]
        if matches.cost.any():
            spread = np.percentile(matches.cost, 75)
            trust = trust * np.exp(-matches.cost / (2 * max(spread, 1e-6)))
        colours = np.empty((self.pixels.size, CHANNELS), np.float32)
        offsets = np.empty(self.pixels.size, np.int32)
        run_chunks(
            vote,
            self.pixels.size,
            self.image,
            self.width,
            self.pixels,
            matches.targets,
            matches.target_id,
            self.step,
            matches.match,
            np.maximum(trust, 1e-12).astype(np.float32),
            self.window,
            colours,
            offsets,
        )
        self.image.reshape(-1, CHANNELS)[self.pixels] = colours
        return Completion(self.pixels, colours, offsets)


def _rarity(level: Level) -> NDArray[np.float32]:
    """(H, W) `uniqueness` of the source patch at each anchor of the coarsest level."""
    sources = np.flatnonzero(patch_sources(level.known)).astype(np.int32)
    out = np.zeros(level.hole.shape, np.float32)
    found = np.empty(sources.size, np.float32)
    ones = np.ones(out.size, np.float32)
    limit = np.float32(UNIQUE_LIMIT)
    width = out.shape[1]
    run_chunks(uniqueness, sources.size, level.image.reshape(-1), ones, width, sources, limit, found)
    out.reshape(-1)[sources] = found
    return out


def _noticed(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W) in [0, 1] per patch anchor: how easily a repetition of it is seen; a plain wall's never is."""
    mean = cv2.blur(image[..., :3], (SIDE, SIDE), anchor=(0, 0))
    square = cv2.blur(image[..., :3] ** 2, (SIDE, SIDE), anchor=(0, 0))
    variance = np.maximum(square - mean**2, 0).sum(axis=-1)
    return (variance / (variance + 0.003)).astype(np.float32)


def _enlarge(values: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    factor = shape[0] // values.shape[0]
    return np.repeat(np.repeat(values, factor, axis=0), factor, axis=1)


def _window() -> NDArray[np.float32]:
    away = np.arange(SIDE) - (SIDE - 1) / 2
    bell = np.exp(-(away**2) / (2 * (SIDE / 4) ** 2))
    return np.outer(bell, bell).astype(np.float32)


def _places(level: Level) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(H*W, 4) what each source patch offers and what each target wants, see `prior_cost`.

    Hole pixels want the place of their nearest context, so that sky comes from the sky's rows and floor from the
    floor's, and the depth of the surface that they continue.
    """
    height, width = level.hole.shape
    scale = np.float32(1 / max(height, width))
    context = level.context if level.context.any() else level.known
    here = np.indices((height, width), dtype=np.float32)
    places = []
    offered = (here, level.nearness, level.nearness)
    wanted = (nearest(context), level.wanted, level.limit)
    for (rows, columns), nearness, limit in (offered, wanted):
        maps = [
            ROW_PRIOR * scale * cv2.blur(np.float32(rows), (5, 5)),
            COLUMN_PRIOR * scale * cv2.blur(np.float32(columns), (5, 5)),
            DEPTH_PRIOR * nearness,
            patch_maximum(limit, float(limit.min())),
        ]
        place = np.stack(maps, axis=-1)
        half = SIDE // 2
        place[: height - half, : width - half, :3] = place[half:, half:, :3]
        places.append(place.reshape(-1, 4))
    return places[0], places[1]


def _finer_offsets(matches: Matches, coarse: Level, fine: Level) -> NDArray[np.int64]:
    """Copy offsets per pixel of the finer level: the parent's match, twice as far."""
    coarse_width = coarse.hole.shape[1]
    width = fine.hole.shape[1]
    shift = np.zeros(coarse.hole.size, np.int64)
    rows, columns = np.divmod(matches.match.astype(np.int64), coarse_width)
    target_rows, target_columns = np.divmod(matches.targets.astype(np.int64), coarse_width)
    middle = matches.targets + (SIDE // 2) * (coarse_width + 1)
    shift[middle] = 2 * (rows - target_rows) * width + 2 * (columns - target_columns)
    return np.repeat(np.repeat(shift.reshape(coarse.hole.shape), 2, axis=0), 2, axis=1).reshape(-1)
