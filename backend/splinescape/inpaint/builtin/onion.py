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
def _most_urgent(image, width, state, left, count, priority, values, weights):  # type: ignore[no-untyped-def]
    """Anchor of the patch around one of left[:count] with the most confidence times structure.

    Fills in missing (negative) entries of priority (H*W).
    """
    height = state.shape[0] // width
    half = SIDE // 2
    best = np.float32(-1)
    anchor = np.int64(0)
    for i in range(count):
        y = left[i] // width
        x = left[i] % width
        a = min(max(y - half, 0), height - SIDE) * width + min(max(x - half, 0), width - SIDE)
        if priority[a] < 0:
            confidence = load_patch(image, state, width, a, values, weights) / np.float32(SIDE * SIDE)
            priority[a] = confidence * (np.float32(0.1) + _structure(image, state, width, a))
        if priority[a] > best:
            best = priority[a]
            anchor = a
    return anchor


@njit(error_model="numpy")
def _best_source(image, width, anchor, values, weights, allowed, offered, wanted, crowding):  # type: ignore[no-untyped-def]
    """The cheapest source within REACH of the target, or farther where there is none."""
    height = allowed.shape[0] // width
    total = np.float32(0)
    for k in range(weights.shape[0]):
        total += weights[k] / np.float32(CHANNELS)
    total = max(total, np.float32(1))
    ay = anchor // width
    ax = anchor % width
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
                if prior < nearest:
                    limit = (nearest - prior) * total
                    d = prior + patch_distance(image, width, s, values, weights, limit) / total
                    if d < nearest:
                        nearest = d
                        source = s
        reach *= 2
    return source


@njit(error_model="numpy")
def grow(  # type: ignore[no-untyped-def]
    image, width, state, hole, left, allowed, offered, wanted, crowding, crowd_step, guess, offset
):
    """Fill hole (H*W bool) in place in image (H*W*4); offset (H*W) gets where each pixel is copied from.

    state (H*W) float32 is the confidence: 1 known, 0 hole and ignored pixels; it grows as the hole fills.
    left (M,) int64: the hole's pixels; used up. allowed, offered, wanted, crowding: as for `search`; each
    copy adds crowd_step (H*W) around its source. guess: weight of hole pixels that are not filled yet, for
    what the image holds there already.
    """
    height = state.shape[0] // width
    values = np.empty(SIDE * SIDE * CHANNELS, np.float32)
    weights = np.empty(SIDE * SIDE * CHANNELS, np.float32)
    priority = np.full(state.shape[0], -1, np.float32)
    count = left.shape[0]
    while count > 0:
        anchor = _most_urgent(image, width, state, left, count, priority, values, weights)
        confidence = load_patch(image, state, width, anchor, values, weights) / np.float32(SIDE * SIDE)
        for k in range(weights.shape[0]):
            p = anchor + k // CHANNELS // SIDE * width + k // CHANNELS % SIDE
            weights[k] = np.float32(1) if state[p] > 0 else guess if hole[p] else np.float32(0)
        source = _best_source(image, width, anchor, values, weights, allowed, offered, wanted, crowding)
        for k in range(SIDE * SIDE):
            shift = k // SIDE * width + k % SIDE
            p = anchor + shift
            if hole[p] and state[p] <= 0:
                for c in range(CHANNELS):
                    image[p * CHANNELS + c] = image[(source + shift) * CHANNELS + c]
                state[p] = max(confidence * np.float32(0.95), np.float32(1e-3))
                offset[p] = source - anchor
        _add_around(crowding, crowd_step, width, source)
        for y in range(max(anchor // width - 2 * SIDE, 0), min(anchor // width + 2 * SIDE, height)):
            for x in range(max(anchor % width - 2 * SIDE, 0), min(anchor % width + 2 * SIDE, width)):
                priority[y * width + x] = -1
        kept = 0
        for i in range(count):
            if state[left[i]] <= 0:
                left[kept] = left[i]
                kept += 1
        count = kept


@njit(error_model="numpy")
def _add_around(values, step, width, anchor):  # type: ignore[no-untyped-def]
    """values += step within two pixels of the anchor."""
    height = values.shape[0] // width
    for y in range(max(anchor // width - 2, 0), min(anchor // width + 3, height)):
        for x in range(max(anchor % width - 2, 0), min(anchor % width + 3, width)):
            values[y * width + x] += step[y * width + x]
