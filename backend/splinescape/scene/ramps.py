"""Turning the soft ramps that a depth network draws over occlusion edges into clean steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.scene.edges import inverse_depth
from splinescape.scene.ramp_scan import find_ramps
from splinescape.scene.ramp_sides import choose_sides

_NETWORK_SIDE = 672
"""Longer side in pixels of what depth networks work on; the ramps of larger pictures are wider in proportion."""

_PASSES = 2
"""At a corner a ramp's own side is a ramp of the other direction, which the first pass repairs."""


def snap_ramps(
    depth_hw: NDArray[np.float32], rgb_hw3: NDArray[np.uint8] | None = None
) -> NDArray[np.float32]:
    """Put every pixel of a ramp on one of the two surfaces that the ramp connects.

    Such a pixel lies on neither: lifted, it would float between them. It takes the depth of the surface whose colours
    it has, continued to its place; without a picture, of the one it is closer to. Ramps of up to about six pixels (ten
    with their faint ends) are repaired, wider ones in pictures over 672 pixels. Planes at any slant, creases and steps
    that are clean already stay as they are, to the bit. Sky stays sky and what is not sky does not become it.

    Args:
        depth_hw: (H, W) camera z, +inf for sky.
        rgb_hw3: (H, W, 3) the picture that the depth belongs to, or None.

    Returns:
        (H, W) float32; the same array when there is nothing to repair.
    """
    w = inverse_depth(depth_hw)
    pixel = max(1.0, max(w.shape, default=0) / _NETWORK_SIDE)
    snapped = w
    for _ in range(_PASSES):
        ramps = find_ramps(snapped, pixel)
        if not ramps.length.any():
            break
        snapped = choose_sides(snapped, ramps, rgb_hw3, pixel)
    changed = np.flatnonzero(snapped != w) if snapped is not w else np.zeros(0, np.intp)
    if changed.size == 0:
        return depth_hw
    out = depth_hw.copy()
    out.reshape(-1)[changed] = np.minimum(1 / snapped.reshape(-1)[changed], np.finfo(np.float32).max)
    return out
