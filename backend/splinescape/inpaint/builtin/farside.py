"""What a hole between a near and a far surface should show: the far one.

A hole opens at a depth edge when the camera moves. From each known pixel at its rim we look across the hole.
Inverse depth of a plane is linear in the picture, so both rims can be continued to meet: if they cross on the
way, the surfaces touch there (wall and floor) and both may go on; if one stays in front of the other over the
whole width, it hides it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from splinescape.inpaint.builtin.levels import nearest
from splinescape.inpaint.builtin.pushpull import push_pull
from splinescape.jit import njit, run_chunks

IN_FRONT = 1.05
"""How many times nearer one side must be to hide the other."""
MAJORITY = 0.4
"""Share of the sight lines that must find something farther."""
DIRECTIONS = 16
SLOPE_REACH = 6
"""Pixels behind the rim over which its slope is measured."""
SAME_SURFACE = 1.04
"""Largest ratio of inverse depth between neighbours on one surface."""
NEAREST_POWER = 8.0
SKY = 0.05
"""Inverse depth, against the scene's median, that stands for infinitely far."""


@dataclass(frozen=True, eq=False)
class Layering:
    """Depth of what is seen and of what the holes should show.

    Attributes:
        log_inverse: (H, W) float32 log of inverse camera z at known pixels; rises towards the camera.
        wanted: (H, W) float32 the same for the surface that holes continue; at known pixels that hide it too.
        limit: (H, W) float32 log inverse depth that holes must not come nearer than, from the nearest of the
            surfaces that meet there. At known pixels as `wanted`.
        hiding: (H, W) bool, known pixels in front of what the hole nearest to them shows.
    """

    log_inverse: NDArray[np.float32]
    wanted: NDArray[np.float32]
    limit: NDArray[np.float32]
    hiding: NDArray[np.bool_]


def find_layers(depth_hw: NDArray[np.float32], hole: NDArray[np.bool_]) -> Layering:
    """Tell near from far around the holes.

    Args:
        depth_hw: (H, W) float32 camera z, +inf for sky; ignored inside `hole`.
        hole: (H, W) bool, some True and some False.
    """
    known = ~hole
    inverse = _inverse_depth(depth_hw, known)
    usable = inverse[inverse > 0]
    sky = np.float32(SKY * np.median(usable) if usable.size else 1)
    log_inverse = np.log(inverse + sky)

    rim = known & ndimage.binary_dilation(hole, np.ones((3, 3), bool))
    hiding_rim = _hiding_rim(inverse, known, rim)
    rows, columns = nearest(rim)
    beside = nearest(hole)
    wanted, limit = _continue(log_inverse, rim & ~hiding_rim)
    hiding = known & hiding_rim[rows, columns] & (log_inverse > wanted[beside] + np.log(IN_FRONT))
    outside = known & ~hiding
    return Layering(
        log_inverse,
        np.where(outside, log_inverse, wanted[beside]),
        np.where(outside, log_inverse, limit[beside]),
        hiding,
    )


def _continue(
    log_inverse: NDArray[np.float32], far_rim: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Log inverse depth between the far rims: its mean, and a power mean close to the nearest of them."""
    powers = np.exp(NEAREST_POWER * (log_inverse - log_inverse.max()))
    filled = push_pull(np.stack([log_inverse, powers], axis=-1), far_rim)
    limit = np.log(np.maximum(filled[..., 1], 1e-30)) / NEAREST_POWER + log_inverse.max()
    return filled[..., 0], limit.astype(np.float32)


def _hiding_rim(
    inverse: NDArray[np.float32], known: NDArray[np.bool_], rim: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    pixels = np.flatnonzero(rim)
    angles = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    votes = np.zeros((*rim.shape, 2), np.float32)
    run_chunks(_look_across, pixels.size, inverse, known, pixels, np.cos(angles), np.sin(angles), votes)
    share = np.zeros(pixels.size, np.float32)
    run_chunks(_agree, pixels.size, inverse, pixels, votes, share)
    hiding = np.zeros_like(rim)
    hiding.reshape(-1)[pixels] = share > MAJORITY
    return hiding if (rim & ~hiding).any() else np.zeros_like(rim)


def _inverse_depth(depth_hw: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    usable = known & (depth_hw > 0) & np.isfinite(depth_hw)
    return np.where(usable, 1 / np.where(usable, depth_hw, 1), 0).astype(np.float32)


@njit(error_model="numpy")
def _slope_behind(inverse, known, y, x, dy, dx):  # type: ignore[no-untyped-def]
    """Change of inverse depth per step along (dy, dx), measured behind (y, x); 0 at an edge."""
    height, width = known.shape
    here = inverse[int(y), int(x)]
    last = here
    steps = 0
    for k in range(1, SLOPE_REACH + 1):
        by = int(np.floor(y - k * dy))
        bx = int(np.floor(x - k * dx))
        if by < 0 or bx < 0 or by >= height or bx >= width or not known[by, bx]:
            break
        value = inverse[by, bx]
        if value > last * SAME_SURFACE or last > value * SAME_SURFACE:
            break
        last = value
        steps = k
    return (here - last) / steps if steps > 1 else 0.0


@njit(error_model="numpy")
def _look_across(first, last, inverse, known, rim, cosines, sines, votes):  # type: ignore[no-untyped-def]
    """votes[y, x] = (sight lines from that rim pixel across the hole that end behind it, all sight lines).

    Short lines count more, those along the rim less; one that leaves the picture finds nothing and counts
    half.
    """
    height, width = known.shape
    for i in range(first, last):
        py = rim[i] // width
        px = rim[i] % width
        inward_y = 0.0
        inward_x = 0.0
        for qy in range(max(py - 3, 0), min(py + 4, height)):
            for qx in range(max(px - 3, 0), min(px + 4, width)):
                if not known[qy, qx]:
                    inward_y += qy - py
                    inward_x += qx - px
        norm = max(np.hypot(inward_y, inward_x), 1e-6)
        y = py + 0.5
        x = px + 0.5
        here = inverse[py, px]
        for k in range(cosines.size):
            dy = sines[k]
            dx = cosines[k]
            along = (dy * inward_y + dx * inward_x) / norm
            if along <= 0.2:
                continue
            n = 1
            qy = y + dy
            qx = x + dx
            while 0 <= qy < height and 0 <= qx < width and not known[int(qy), int(qx)]:
                n += 1
                qy += dy
                qx += dx
            if n == 1:
                continue
            weight = along * along / n
            if qy < 0 or qx < 0 or qy >= height or qx >= width:
                votes[py, px, 1] += weight / 2
                continue
            votes[py, px, 1] += weight
            there = inverse[int(qy), int(qx)]
            here_at_q = here + n * _slope_behind(inverse, known, y, x, dy, dx)
            there_at_p = there + n * _slope_behind(inverse, known, qy, qx, -dy, -dx)
            if here > there * IN_FRONT and here > there_at_p * IN_FRONT and here_at_q > there * IN_FRONT:
                votes[py, px, 0] += weight


@njit(error_model="numpy")
def _agree(first, last, inverse, rim, votes, share):  # type: ignore[no-untyped-def]
    """share[i] = part of the votes at rim[i] and near it on the same surface that found something behind."""
    height, width = inverse.shape
    for i in range(first, last):
        y = rim[i] // width
        x = rim[i] % width
        here = inverse[y, x]
        behind = 0.0
        total = 1e-9
        for qy in range(max(y - 4, 0), min(y + 5, height)):
            for qx in range(max(x - 4, 0), min(x + 5, width)):
                value = inverse[qy, qx]
                if value <= here * SAME_SURFACE and here <= value * SAME_SURFACE:
                    behind += votes[qy, qx, 0]
                    total += votes[qy, qx, 1]
        share[i] = behind / total
