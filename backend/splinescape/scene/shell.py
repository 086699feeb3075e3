"""The far shell: a sphere around the scene on which sky and unknown depth are painted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FAR_FACTOR = 30.0
"""Shell radius over the distance of the farthest surfaces of the first view."""

INSIDE = 0.9
"""Surfaces of later views are kept within this share of the shell radius."""


def shell_radius(depth_hw: NDArray[np.float32]) -> float:
    """Radius in scene units that puts the shell far behind everything in the first view.

    Args:
        depth_hw: (H, W) camera z of the first view, +inf for sky.

    Returns:
        `FAR_FACTOR` times the 99.5th percentile of the finite depth, 100 when there is none.
    """
    finite = depth_hw[np.isfinite(depth_hw) & (depth_hw > 0)]
    if finite.size == 0:
        return 100.0
    return float(max(FAR_FACTOR * np.percentile(finite, 99.5), 1.01 / INSIDE * finite.max()))


def keep_inside(depth_hw: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    """Pull surfaces back in front of the shell: finite depth is clamped to `INSIDE * radius`, +inf stays."""
    out = np.array(depth_hw, np.float32, order="C")
    out.reshape(-1)[np.flatnonzero((out > INSIDE * radius) & (out < np.inf))] = INSIDE * radius
    return out
