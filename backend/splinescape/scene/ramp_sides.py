"""Which of its two sides a pixel on a ramp belongs to.

Three things speak for a side: how close the pixel's depth is to it, how close its colour is to the colours of that side
nearby, and what pixels beside it with a similar colour were given. The nearest colours of a side count, not their mean,
so a textured surface keeps its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import njit, run_chunks
from splinescape.scene.ramp_scan import Ramps

_BY_DEPTH = 4.0
_BY_COLOR_MOST = 4.0
_BY_NEIGHBOR = 0.4
_COLOR_NOISE = 195.0
"""Squared distance of 8-bit colours below which they are the same: 0.003 of white squared."""

_NEVER = 1 << 20
"""More than the squared distance of any two colours."""

_ROUNDS = 2
_RADIUS = 6
_OWN = 0.25
_PIXELS = 256
"""Ramp pixels that are worth a thread."""


def choose_sides(
    w_hw: NDArray[np.float32], ramps: Ramps, rgb_hw3: NDArray[np.uint8] | None, pixel: float
) -> NDArray[np.float32]:
    """Give every pixel on a ramp the inverse depth of one of its two sides.

    Args:
        w_hw: (H, W) inverse depth, 0 for sky. ramps: from `find_ramps`. pixel: as there.
        rgb_hw3: the picture; None: depth alone decides.

    Returns:
        (H, W) inverse depth, the same off the ramps.
    """
    at = np.flatnonzero(ramps.length > 0)
    near, far, share = (a.reshape(-1)[at] for a in (ramps.near, ramps.far, ramps.share))
    lean = _BY_DEPTH * (0.5 - share)
    rgb = np.zeros((0, 0, 3), np.uint8) if rgb_hw3 is None else np.ascontiguousarray(rgb_hw3)
    if rgb.size:
        stride = max(1, int(pixel))
        run_chunks(_add_colors, len(at), at, w_hw, tuple(ramps), rgb, stride, lean, smallest=_PIXELS)
    side, chosen = w_hw.copy(), np.where(lean > 0, near, far)
    side.reshape(-1)[at] = chosen
    for _ in range(_ROUNDS):
        run_chunks(_vote, len(at), at, side, near, far, rgb, lean, chosen, smallest=_PIXELS)
        side.reshape(-1)[at] = chosen
    return side


@njit
def _distance(rgb, y, x, v, u):  # type: ignore[no-untyped-def]
    """Squared distance of two pixels' colours."""
    total = 0.0
    for c in range(3):
        difference = float(rgb[y, x, c]) - float(rgb[v, u, c])
        total += difference * difference
    return total


@njit
def _add_colors(start, stop, at, w, ramps, rgb, stride, lean):  # type: ignore[no-untyped-def]
    """Add to `lean` how much closer the colour is to the near side's (positive) or the far side's."""
    length, nears, fars, _ = ramps
    for m in range(start, stop):
        y, x = at[m] // w.shape[1], at[m] % w.shape[1]
        if nears[y, x] <= fars[y, x]:
            continue
        radius = min(int(length[y, x]), _RADIUS * stride)
        near, far = _nearest_colors(w, length, nears[y, x], fars[y, x], rgb, y, x, radius, stride)
        if near >= 0 and far >= 0:
            excess = (far - near) / (_COLOR_NOISE + min(far, near))
            lean[m] += max(-_BY_COLOR_MOST, min(_BY_COLOR_MOST, excess))


@njit
def _nearest_colors(w, length, w_near, w_far, rgb, y, x, radius, stride):  # type: ignore[no-untyped-def]
    """Mean squared distance to the three most similar pixels of each side that are on no ramp, -1 without three."""
    # A pixel belongs to a side when its log inverse depth is within _OWN of the jump.
    margin = (w_near / w_far) ** _OWN
    near_low, near_high = w_near / margin, w_near * margin
    far_low, far_high = w_far / margin, w_far * margin
    red, green, blue = np.int32(rgb[y, x, 0]), np.int32(rgb[y, x, 1]), np.int32(rgb[y, x, 2])
    n1, n2, n3 = _NEVER, _NEVER, _NEVER
    f1, f2, f3 = _NEVER, _NEVER, _NEVER
    for yy in range(max(0, y - radius), min(w.shape[0], y + radius + 1), stride):
        for xx in range(max(0, x - radius), min(w.shape[1], x + radius + 1), stride):
            here = w[yy, xx]
            is_near = near_low < here < near_high
            if length[yy, xx] > 0 or (not is_near and not far_low < here < far_high):
                continue
            r, g, b = rgb[yy, xx, 0] - red, rgb[yy, xx, 1] - green, rgb[yy, xx, 2] - blue
            d = r * r + g * g + b * b
            if is_near and d < n3:
                n1, n2, n3 = min(n1, d), min(max(n1, d), n2), max(n2, d)
            elif not is_near and d < f3:
                f1, f2, f3 = min(f1, d), min(max(f1, d), f2), max(f2, d)
    return (n1 + n2 + n3) / 3 if n3 < _NEVER else -1.0, (f1 + f2 + f3) / 3 if f3 < _NEVER else -1.0


@njit
def _vote(start, stop, at, side, nears, fars, rgb, lean, chosen):  # type: ignore[no-untyped-def]
    """Inverse depth of each ramp pixel after its eight neighbours have had their say, all at once."""
    h, n = side.shape
    for m in range(start, stop):
        y, x = at[m] // n, at[m] % n
        near, far = nears[m], fars[m]
        middle = np.sqrt(near * far)
        total = float(lean[m])
        for yy in range(max(0, y - 1), min(h, y + 2)):
            for xx in range(max(0, x - 1), min(n, x + 2)):
                if side[yy, xx] <= 0 or (yy == y and xx == x):
                    continue
                weight = _BY_NEIGHBOR
                if rgb.shape[0] > 0:
                    weight /= 1 + _distance(rgb, y, x, yy, xx) / (4 * _COLOR_NOISE)
                total += weight if side[yy, xx] > middle else -weight
        chosen[m] = near if total > 0 else far
