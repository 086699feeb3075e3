"""PatchMatch: for each target patch, a source patch that looks alike.

Barnes et al. 2009, "PatchMatch: a randomized correspondence algorithm for structural image editing". Targets
are cut into blocks of fixed size; inside a block candidates propagate in scan order, across blocks they come
from the previous pass. So blocks can run on any number of threads with the same result.
"""

from __future__ import annotations

import numpy as np

from splinescape.inpaint.builtin.patches import CHANNELS, SIDE, inner, load_patch, patch_distance
from splinescape.jit import njit

BLOCK = 1024

LONELY = np.float32(0.006)
"""What it costs to disagree with all four neighbours about where to copy from."""
DEPTH_CAP = np.float32(0.02)
FRONT_SLACK = np.float32(0.12)
FRONT_PRICE = np.float32(1)
"""A patch with a pixel this much nearer, in log depth, than the hole's surface is as good as ruled out."""
_MANY = np.float32(1e30)


@inner
def random_int(seed, key, bound):  # type: ignore[no-untyped-def]
    """A number in [0, bound) from a counter-based generator (splitmix64 finaliser)."""
    z = seed + np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.int64(z >> np.uint64(33)) % bound


@inner
def prior_cost(offered, source, wanted, target, crowding):  # type: ignore[no-untyped-def]
    """Cost of a source that has nothing to do with its looks: place, depth, and how often it is used already.

    offered, wanted (H*W, 4): scaled row, column and depth, and log inverse depth of the patch's nearest
    pixel.
    """
    dy = offered[source, 0] - wanted[target, 0]
    dx = offered[source, 1] - wanted[target, 1]
    dz = offered[source, 2] - wanted[target, 2]
    in_front = max(offered[source, 3] - wanted[target, 3] - FRONT_SLACK, np.float32(0))
    depth = min(dz * dz, DEPTH_CAP)
    return dy * dy + dx * dx + depth + crowding[source] + FRONT_PRICE * in_front


@inner
def _implied(t, j, width, targets, here, allowed):  # type: ignore[no-untyped-def]
    """Where target `t` copies from if it goes on with the match `here` of target j, or -1."""
    shift = np.int64(t) - targets[j]
    s = here + shift
    column = here % width + t % width - targets[j] % width
    if s < 0 or s >= allowed.shape[0] or column < 0 or column >= width or not allowed[s]:
        return np.int64(-1)
    return s


@inner
def _source_cost(image, width, s, values, weights, total, t, offered, wanted, crowding, around, limit):  # type: ignore[no-untyped-def]
    """Cost of copying patch `s` to target `t`; some number above `limit` if it is not below."""
    alone = np.float32(0)
    for k in range(4):
        if around[k] != s:
            alone += LONELY / 4
    prior = alone + prior_cost(offered, s, wanted, t, crowding)
    if prior >= limit:
        return prior
    return prior + patch_distance(image, width, s, values, weights, (limit - prior) * total) / total


@njit(error_model="numpy")
def search(  # type: ignore[no-untyped-def]
    first,
    last,
    image,
    weight,
    width,
    targets,
    target_id,
    step,
    allowed,
    offered,
    wanted,
    crowding,
    old_match,
    match,
    cost,
    forward,
    radius,
    seed,
):
    """Improve `match` for the target blocks [first, last).

    image (H*W*4), weight (H*W): flat level; targets (N,): flat anchors on a grid of `step`; target_id (H*W):
    index of the target at an anchor or -1; allowed (H*W): anchors of source patches; offered, wanted (H*W,
    4), crowding (H*W): see `prior_cost`; old_match (N,): the previous pass; match, cost (N,): written.
    """
    height = allowed.shape[0] // width
    values = np.empty(SIDE * SIDE * CHANNELS, np.float32)
    weights = np.empty(SIDE * SIDE * CHANNELS, np.float32)
    around = np.empty(4, np.int64)
    for block in range(first, last):
        low = block * BLOCK
        high = min(low + BLOCK, targets.shape[0])
        for k in range(high - low):
            i = low + k if forward else high - 1 - k
            t = np.int64(targets[i])
            total = max(load_patch(image, weight, width, t, values, weights), np.float32(1e-6))
            for n in range(4):
                ny = t // width + step * ((n == 0) - (n == 1))
                nx = t % width + step * ((n == 2) - (n == 3))
                around[n] = -1
                if ny >= 0 and nx >= 0 and ny < height and nx < width:
                    j = target_id[ny * width + nx]
                    if j >= 0:
                        here = np.int64(match[j] if low <= j < high else old_match[j])
                        around[n] = _implied(t, j, width, targets, here, allowed)
            best_s = np.int64(old_match[i])
            best = _source_cost(
                image, width, best_s, values, weights, total, t, offered, wanted, crowding, around, _MANY
            )
            for n in range(4):
                s = around[n]
                if s >= 0 and s != best_s:
                    c = _source_cost(
                        image, width, s, values, weights, total, t, offered, wanted, crowding, around, best
                    )
                    if c < best:
                        best = c
                        best_s = s
            r = radius
            tries = 0
            while r >= 1:
                key = t * 64 + 2 * tries
                sy = best_s // width + random_int(seed, key, 2 * r + 1) - r
                sx = best_s % width + random_int(seed, key + 1, 2 * r + 1) - r
                tries += 1
                r //= 2
                if sy < 0 or sx < 0 or sy >= height or sx >= width:
                    continue
                s = sy * width + sx
                if allowed[s]:
                    c = _source_cost(
                        image, width, s, values, weights, total, t, offered, wanted, crowding, around, best
                    )
                    if c < best:
                        best = c
                        best_s = s
            match[i] = best_s
            cost[i] = best
