"""Which pose of the dense path is expanded next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from splinescape.config import SceneConfig


def candidates(count: int, chosen: Sequence[int], exclusion: int) -> NDArray[np.bool_]:
    """(count,) bool: dense poses that are neither chosen nor within `exclusion` of a chosen one."""
    free = np.ones(count, bool)
    for index in chosen:
        free[max(0, index - exclusion) : index + exclusion + 1] = False
    return free


def select_pose(ratios: NDArray[np.floating], chosen: Sequence[int], config: SceneConfig) -> int | None:
    """Return the index of the pose to expand, or None when there is none.

    Among the free poses with coarse_min_inpaint_ratio <= ratio <= coarse_max_inpaint_ratio the one that uncovers
    most; the first on a tie. With no such pose, fallback "closest" takes the pose nearest to that range which
    uncovers anything at all, and "none" takes nothing.

    Args:
        ratios: (P,) uncovered share of each dense pose. chosen: indices taken so far.
    """
    free = candidates(len(ratios), chosen, config.coarse_adjacent_exclusion)
    low, high = config.coarse_min_inpaint_ratio, config.coarse_max_inpaint_ratio
    in_range = free & (ratios >= low) & (ratios <= high) & (ratios > 0)
    if in_range.any():
        return int(np.argmax(np.where(in_range, ratios, -1)))
    usable = free & (ratios > 0)
    if config.coarse_fallback_mode == "none" or not usable.any():
        return None
    distance = np.maximum(low - ratios, ratios - high)
    return int(np.argmin(np.where(usable, distance, np.inf)))
