"""Colour bleeding at occlusion edges.

A camera averages over a pixel, so a background pixel beside a silhouette carries some of the foreground's
colour. Lifted as it is, it becomes a ghost outline that stays on the background when the camera moves. Its
splat therefore takes the colour of clean background next to it and keeps it; the foreground's own splats,
whose footprint reaches over the silhouette, learn the mixture that the picture shows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import njit
from splinescape.scene.edges import JUMP

_ROUNDS = 3
_FARTHER = np.float32(1 - JUMP)
_AS_FAR = np.float32(1 + JUMP)
_HALF = np.float32(0.5)


def far_rims(w_hw: NDArray[np.float32], edges_hw: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels on the far side of an occlusion edge that touch, also diagonally, the near side.

    Args:
        w_hw: (H, W) inverse depth, 0 for sky. edges_hw: (H, W) bool, its occlusion edges.

    Returns:
        (H, W) bool.
    """
    rims = np.zeros(w_hw.shape, bool)
    _mark_farther(w_hw, np.flatnonzero(edges_hw), rims)
    return rims


@njit
def _mark_farther(w, edges, rims):  # type: ignore[no-untyped-def]
    """Mark the neighbours that lie farther than those of the flat pixels `edges` (M,) that are on the near side."""
    h, n = w.shape
    for at in edges:
        v, u = at // n, at % n
        nearest = farthest = w[v, u]
        for y in range(max(v - 1, 0), min(v + 2, h)):
            for x in range(max(u - 1, 0), min(u + 2, n)):
                nearest, farthest = max(nearest, w[y, x]), min(farthest, w[y, x])
        if w[v, u] < _HALF * (nearest + farthest):
            continue
        for y in range(max(v - 1, 0), min(v + 2, h)):
            for x in range(max(u - 1, 0), min(u + 2, n)):
                if w[y, x] < _FARTHER * w[v, u]:
                    rims[y, x] = True


def beside_rims(w_hw: NDArray[np.float32], rims_hw: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rims and the pixels of the same surface that touch them: left free, these would train to make up for the rim.

    Args:
        w_hw: (H, W) inverse depth. rims_hw: (H, W) bool, from `far_rims`.
    """
    beside = rims_hw.copy()
    _mark_beside(w_hw, np.flatnonzero(rims_hw), beside)
    return beside


@njit
def _mark_beside(w, rims, beside):  # type: ignore[no-untyped-def]
    """Mark the neighbours of the flat pixels `rims` (M,) that lie no nearer."""
    h, n = w.shape
    for at in rims:
        v, u = at // n, at % n
        for y in range(max(v - 1, 0), min(v + 2, h)):
            for x in range(max(u - 1, 0), min(u + 2, n)):
                if w[y, x] <= _AS_FAR * w[v, u]:
                    beside[y, x] = True


def clean_rims(
    rgb_hw3: NDArray[np.float32], w_hw: NDArray[np.float32], rims_hw: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Give rim pixels the mean colour of clean neighbours on their own or a farther surface.

    Args:
        rgb_hw3: (H, W, 3) colours. w_hw: (H, W) inverse depth. rims_hw: (H, W) bool, the pixels to clean.

    Returns:
        (H, W, 3), the same array without rims; a rim pixel that no clean pixel can reach within three steps keeps its
        colour.
    """
    at = np.flatnonzero(rims_hw)
    if at.size == 0:
        return rgb_hw3
    out, dirty = rgb_hw3.copy(), rims_hw.copy()
    for _ in range(_ROUNDS):
        at = at[~_take_mean_around(out, w_hw, dirty, at)]
    return out


@njit
def _take_mean_around(rgb, w, dirty, at):  # type: ignore[no-untyped-def]
    """Give the dirty flat pixels `at` (M,) the mean colour of their clean neighbours; (M,) bool, which have any."""
    h, n = w.shape
    found, means = np.zeros(len(at), np.bool_), np.empty((len(at), 3), np.float32)
    for m in range(len(at)):
        v, u = at[m] // n, at[m] % n
        red = green = blue = count = np.float32(0)
        for dv in range(-1, 2):
            for du in range(-1, 2):
                y, x = min(max(v + dv, 0), h - 1), min(max(u + du, 0), n - 1)
                if not dirty[y, x] and w[y, x] <= _AS_FAR * w[v, u]:
                    red, green, blue = red + rgb[y, x, 0], green + rgb[y, x, 1], blue + rgb[y, x, 2]
                    count += np.float32(1)
        if count > 0:
            found[m] = True
            means[m, 0], means[m, 1], means[m, 2] = red / count, green / count, blue / count
    for m in range(len(at)):
        if found[m]:
            v, u = at[m] // n, at[m] % n
            for c in range(3):
                rgb[v, u, c] = means[m, c]
            dirty[v, u] = False
    return found
