"""First guess at the coarsest level: whole patches copied along the strongest structures first.

Criminisi et al. 2004, "Region filling and object removal by exemplar-based image inpainting", with an
exhaustive search around; the levels where this runs have only a few thousand hole pixels.
"""

from __future__ import annotations

import numpy as np

from splinescape.inpaint.builtin.patches import CHANNELS, SIDE, load_patch, patch_distance
from splinescape.inpaint.builtin.search import prior_cost
from splinescape.jit import njit

REACH = 64
"""How far from its target a source may lie, in pixels of the level."""


@njit(error_model="numpy")
def _luma(image, pixel):  # type: ignore[no-untyped-def]
    at = pixel * CHANNELS
    return image[at] + image[at + 1] + image[at + 2]


@njit(error_model="numpy")
def _slope(image, state, pixel, stride):  # type: ignore[no-untyped-def]
    """Central or one-sided difference over known pixels."""
    ahead = state[pixel + stride] > 0
    behind = state[pixel - stride] > 0
    if ahead and behind:
        return (_luma(image, pixel + stride) - _luma(image, pixel - stride)) / 2
    if ahead:
        return _luma(image, pixel + stride) - _luma(image, pixel)
    if behind:
        return _luma(image, pixel) - _luma(image, pixel - stride)
    return np.float32(0)


@njit(error_model="numpy")
def _structure(image, state, width, anchor):  # type: ignore[no-untyped-def]
    """Strongest gradient among the known pixels of a patch."""
    height = state.shape[0] // width
    best = np.float32(0)
    for dy in range(SIDE):
        y = anchor // width + dy
        if y < 1 or y >= height - 1:
            continue
        for dx in range(SIDE):
            x = anchor % width + dx
            pixel = y * width + x
            if x < 1 or x >= width - 1 or state[pixel] <= 0:
                continue
            gx = _slope(image, state, pixel, 1)
            gy = _slope(image, state, pixel, width)
            best = max(best, gx * gx + gy * gy)
    return np.sqrt(best)


@njit(error_model="numpy")
def grow(image, width, state, hole, allowed, offered, wanted, crowding, crowd_step, guess, offset):  # type: ignore[no-untyped-def]
    """Fill hole (H*W bool) in place in image (H*W*4); offset (H*W) gets where each pixel is copied from.

    state (H*W) float32 is the confidence: 1 known, 0 hole and ignored pixels; it grows as the hole fills.
    allowed, offered, wanted, crowding: as for `search`; each copy adds `crowd_step` (H*W) around its source.
    guess: weight of hole pixels that are not filled yet, for what the image holds there already.
    """
    height = state.shape[0] // width
    values = np.empty(SIDE * SIDE * CHANNELS, np.float32)
    weights = np.empty(SIDE * SIDE * CHANNELS, np.float32)
    left = np.flatnonzero(hole)
    half = SIDE // 2
    priority = np.full(state.shape[0], -1, np.float32)
    while left.size:
        best = np.float32(-1)
        anchor = np.int64(-1)
        for p in left:
            y = p // width
            x = p - y * width
            a = min(max(y - half, 0), height - SIDE) * width + min(max(x - half, 0), width - SIDE)
            if priority[a] < 0:
                confidence = load_patch(image, state, width, a, values, weights) / (SIDE * SIDE)
                priority[a] = confidence * (np.float32(0.1) + _structure(image, state, width, a))
            if priority[a] > best:
                best = priority[a]
                anchor = a
        confidence = load_patch(image, state, width, anchor, values, weights) / (SIDE * SIDE)
        k = 0
        for dy in range(SIDE):
            for dx in range(SIDE):
                p = anchor + dy * width + dx
                weights[k : k + CHANNELS] = 1 if state[p] > 0 else guess if hole[p] else 0
                k += CHANNELS
        total = max(weights.sum() / CHANNELS, 1)
        ay = anchor // width
        ax = anchor - ay * width
        source = np.int64(-1)
        reach = REACH
        while source < 0:
            nearest = np.float32(1e30)
            for y in range(max(ay - reach, 0), min(ay + reach + 1, height)):
                for x in range(max(ax - reach, 0), min(ax + reach + 1, width)):
                    s = y * width + x
                    if not allowed[s]:
                        continue
                    prior = prior_cost(offered, s, wanted, anchor, crowding)
                    if prior >= nearest:
                        continue
                    limit = (nearest - prior) * total
                    d = prior + patch_distance(image, width, s, values, weights, limit) / total
                    if d < nearest:
                        nearest = d
                        source = s
            reach *= 2
        for dy in range(SIDE):
            for dx in range(SIDE):
                p = anchor + dy * width + dx
                if hole[p] and state[p] <= 0:
                    for c in range(CHANNELS):
                        image[p * CHANNELS + c] = image[(source + dy * width + dx) * CHANNELS + c]
                    state[p] = max(confidence * np.float32(0.95), np.float32(1e-3))
                    offset[p] = source - anchor
        sy = source // width
        sx = source - sy * width
        for y in range(max(sy - 2, 0), min(sy + 3, height)):
            for x in range(max(sx - 2, 0), min(sx + 3, width)):
                crowding[y * width + x] += crowd_step[y * width + x]
        for y in range(max(ay - 2 * SIDE, 0), min(ay + 2 * SIDE, height)):
            for x in range(max(ax - 2 * SIDE, 0), min(ax + 2 * SIDE, width)):
                priority[y * width + x] = -1
        left = left[state[left] <= 0]
