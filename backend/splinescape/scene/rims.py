"""Colour bleeding at occlusion edges.

A camera averages over a pixel, so a background pixel beside a silhouette carries some of the foreground's
colour. Lifted as it is, it becomes a ghost outline that stays on the background when the camera moves. Its
splat therefore takes the colour of clean background next to it and keeps it; the foreground's own splats,
whose footprint reaches over the silhouette, learn the mixture that the picture shows.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from splinescape.scene.edges import JUMP, inverse_depth, occlusion_edges

_KERNEL = np.ones((3, 3), np.uint8)
_ROUNDS = 3


def far_rims(depth_hw: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels on the far side of an occlusion edge that touch, also diagonally, the near side.

    Args:
        depth_hw: (H, W) camera z, +inf for sky.

    Returns:
        (H, W) bool.
    """
    w = inverse_depth(depth_hw)
    edges = occlusion_edges(depth_hw)
    middle = 0.5 * (cv2.dilate(w, _KERNEL) + cv2.erode(w, _KERNEL))
    near = np.where(edges & (w >= middle), w, 0).astype(np.float32)
    return w < (1 - JUMP) * cv2.dilate(near, _KERNEL)


def beside_rims(depth_hw: NDArray[np.float32], rims_hw: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rims and the pixels of the same surface that touch them: left free, these would train to make up for the rim.

    Args:
        depth_hw: (H, W) camera z. rims_hw: (H, W) bool, from `far_rims`.
    """
    w = inverse_depth(depth_hw)
    nearest_rim = cv2.dilate(np.where(rims_hw, w, -1).astype(np.float32), _KERNEL)
    return rims_hw | ((nearest_rim >= 0) & (w <= (1 + JUMP) * nearest_rim))


def clean_rims(
    rgb_hw3: NDArray[np.float32], depth_hw: NDArray[np.float32], rims_hw: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Give rim pixels the mean colour of clean neighbours on their own or a farther surface.

    Args:
        rgb_hw3: (H, W, 3) colours. depth_hw: (H, W) camera z. rims_hw: (H, W) bool, from `far_rims`.

    Returns:
        (H, W, 3); a rim pixel that no clean pixel can reach within three steps keeps its colour.
    """
    out = rgb_hw3.copy()
    w = inverse_depth(depth_hw)
    dirty = rims_hw.copy()
    for _ in range(_ROUNDS):
        v, u = np.nonzero(dirty)
        if v.size == 0:
            break
        total = np.zeros((v.size, 3), np.float32)
        count = np.zeros(v.size, np.float32)
        for dv in (-1, 0, 1):
            for du in (-1, 0, 1):
                y, x = np.clip(v + dv, 0, w.shape[0] - 1), np.clip(u + du, 0, w.shape[1] - 1)
                usable = ~dirty[y, x] & (w[y, x] <= (1 + JUMP) * w[v, u])
                total += np.where(usable[:, None], out[y, x], 0)
                count += usable
        found = count > 0
        out[v[found], u[found]] = total[found] / count[found, None]
        dirty[v[found], u[found]] = False
    return out
