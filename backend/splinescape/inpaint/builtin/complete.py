"""Multi-scale completion: alternate between matching patches and letting them vote, from coarse to fine.

Wexler, Shechtman, Irani 2007, "Space-time completion of video", with the search of Barnes et al. 2009.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinescape.inpaint.builtin.levels import Level, distance_into, nearest, patch_sources, patch_targets
from splinescape.inpaint.builtin.onion import grow
from splinescape.inpaint.builtin.patches import CHANNELS, SIDE
from splinescape.inpaint.builtin.places import (
    COPY_PRICE,
    crowding_price,
    noticeable,
    offers_and_wishes,
    standing_price,
)
from splinescape.inpaint.builtin.search import BLOCK, search
from splinescape.inpaint.builtin.vote import vote
from splinescape.jit import run_chunks

ROUNDS = (3, 4, 5, 8)
"""Searches and votes per level, finest first."""
REGROW = 2
"""The level that grows a second time, guided by the coarser result: exact at edges, yet quick."""
GUIDANCE = 0.3
"""Weight there of a pixel that only the coarser level has guessed."""
FALLOFF = 1.2
"""Per pixel of depth into the hole, how much less a pixel or patch is trusted."""


@dataclass(eq=False)
class Matches:
    """Which source patch each target patch looks like: flat anchors at one level."""

    targets: NDArray[np.int32]
    match: NDArray[np.int32]
    cost: NDArray[np.float32]


def complete(levels: list[Level], rarity: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    """Fill the holes of every level in place, coarsest first.

    Args:
        levels: finest first; each has some source patch.
        rarity: (H, W) float32 at the finest level, see `places.find_rarity`.
        seed: for the random part of the search.

    Returns:
        (H, W) int64, for each pixel of the finest level the flat index of the pixel it is a copy of; known
        pixels and those that no patch reaches are their own.
    """
    matches = None
    for index in range(len(levels) - 1, -1, -1):
        level = levels[index]
        sparse = 2 if index == 0 and len(levels) > 1 else 1
        solver = _Solver(level, sparse, rarity[:: 2**index, :: 2**index], seed + 7919 * index)
        if matches is None:
            matches = solver.start(solver.grow(0))
        else:
            matches = solver.start(_finer_offsets(matches, levels[index + 1], level))
            if index == REGROW:
                solver.vote(matches)
                matches = solver.start(solver.grow(GUIDANCE))
        offsets = solver.vote(matches)
        for n in range(ROUNDS[min(index, len(ROUNDS) - 1)]):
            solver.search(matches, n)
            offsets = solver.vote(matches)
    return (np.arange(offsets.size) + offsets).reshape(levels[0].hole.shape)


class _Solver:
    """One level prepared for the kernels."""

    def __init__(self, level: Level, step: int, rarity: NDArray[np.float32], seed: int) -> None:
        self.level = level
        self.step = step
        self.seed = seed
        self.width = level.hole.shape[1]
        self.image = level.image.reshape(-1)
        self.allowed = patch_sources(level.known).reshape(-1)
        self.offered, self.wanted = offers_and_wishes(level)
        self.noticed = noticeable(level.image)
        self.price = standing_price(level, self.noticed, rarity)
        self.into = distance_into(level.hole, level.context).reshape(-1)
        falloff = np.maximum(FALLOFF**-self.into, 0.02)
        hole = level.hole.reshape(-1)
        self.weight = np.where(hole, falloff, level.context.reshape(-1)).astype(np.float32)
        self.pixels = np.flatnonzero(hole).astype(np.int32)
        self.targets = patch_targets(level.hole, step)
        self.target_id = np.full(hole.size, -1, np.int32)
        self.target_id[self.targets] = np.arange(self.targets.size, dtype=np.int32)
        self.middles = self.targets + (SIDE // 2) * (self.width + 1)

    def grow(self, guidance: float) -> NDArray[np.int64]:
        """Copy offset per pixel after growing the picture into the hole."""
        offset = np.zeros(self.allowed.size, np.int64)
        grow(
            self.image,
            self.width,
            self.level.context.astype(np.float32).reshape(-1),
            self.level.hole.reshape(-1),
            self.pixels.astype(np.int64),
            self.allowed,
            self.offered,
            self.wanted,
            self.price.copy(),
            np.float32(COPY_PRICE) * self.noticed.reshape(-1),
            np.float32(guidance),
            offset,
        )
        return offset

    def start(self, offset: NDArray[np.int64]) -> Matches:
        """Matches from a copy offset per pixel; the nearest source where that is none."""
        match = self.targets + offset[self.middles]
        bad = (match < 0) | (match >= self.allowed.size) | (offset[self.middles] == 0)
        bad |= ~self.allowed[np.where(bad, 0, match)]
        rows, columns = nearest(self.allowed.reshape(self.level.hole.shape))
        match[bad] = (rows * self.width + columns).reshape(-1)[self.targets[bad]]
        return Matches(self.targets, match.astype(np.int32), np.zeros(match.size, np.float32))

    def search(self, matches: Matches, n: int) -> None:
        old = matches.match.copy()
        run_chunks(
            search,
            -(-matches.targets.size // BLOCK),
            self.image,
            self.weight,
            self.width,
            matches.targets,
            self.target_id,
            self.step,
            self.allowed,
            self.offered,
            self.wanted,
            self.price + crowding_price(old, self.allowed, self.noticed),
            old,
            matches.match,
            matches.cost,
            n % 2 == 0,
            max(self.level.hole.shape) if n == 0 and self.step == 1 else 16,
            np.uint64((self.seed * 1000003 + n) % 2**64),
        )

    def vote(self, matches: Matches) -> NDArray[np.int64]:
        """Write the hole's pixels; (H*W,) the offset that each is copied from, 0 outside the hole."""
        trust = FALLOFF ** -self.into[self.middles]
        spread = float(np.percentile(matches.cost, 75))
        if spread > 0:
            trust *= np.exp(-matches.cost / (2 * spread))
        colours = np.empty((self.pixels.size, CHANNELS), np.float32)
        offsets = np.empty(self.pixels.size, np.int64)
        run_chunks(
            vote,
            self.pixels.size,
            self.image,
            self.width,
            self.pixels,
            matches.targets,
            self.target_id,
            self.step,
            matches.match,
            np.maximum(trust, 1e-12).astype(np.float32),
            _window(),
            colours,
            offsets,
        )
        self.image.reshape(-1, CHANNELS)[self.pixels] = colours
        everywhere = np.zeros(self.allowed.size, np.int64)
        everywhere[self.pixels] = offsets
        return everywhere


def _window() -> NDArray[np.float32]:
    """(SIDE, SIDE) weight of a patch's pixels in the vote, largest in its middle."""
    away = np.arange(SIDE) - (SIDE - 1) / 2
    bell = np.exp(-(away**2) / (2 * (SIDE / 4) ** 2))
    return np.outer(bell, bell).astype(np.float32)


def _finer_offsets(matches: Matches, coarse: Level, fine: Level) -> NDArray[np.int64]:
    """Copy offsets per pixel of the finer level: the parent's match, twice as far."""
    coarse_width = coarse.hole.shape[1]
    rows, columns = np.divmod(matches.match.astype(np.int64), coarse_width)
    target_rows, target_columns = np.divmod(matches.targets.astype(np.int64), coarse_width)
    middles = matches.targets + (SIDE // 2) * (coarse_width + 1)
    shift = np.zeros(coarse.hole.size, np.int64)
    shift[middles] = 2 * (rows - target_rows) * fine.hole.shape[1] + 2 * (columns - target_columns)
    return np.repeat(np.repeat(shift.reshape(coarse.hole.shape), 2, axis=0), 2, axis=1).reshape(-1)
