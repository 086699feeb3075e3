"""Occlusion edges in a depth map, found the same way at every scale, distance and slant.

Inverse depth w = 1/z is an affine function of the pixel position on any plane, however slanted. A jump between two
neighbours is therefore an occlusion exactly when neither side's own slope explains it; floors and slanted walls have
none, and a crease (a box corner) has none because one side explains it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

JUMP = 0.05
"""Unexplained change of inverse depth between neighbours, relative to the nearer one, that counts as an edge."""

_RAMP_RADIUS = 2


def inverse_depth(depth_hw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1/z as (H, W) float32; 0 for +inf, NaN and anything not in front of the camera."""
    good = np.isfinite(depth_hw) & (depth_hw > 0)
    return np.divide(1.0, depth_hw, out=np.zeros(depth_hw.shape, np.float32), where=good)


def _unexplained_jump(w: NDArray[np.float32], axis: int, step: int) -> NDArray[np.float32]:
    """Part of w[i + step] - w[i] that neither side's slope explains, relative to the nearer; one shorter by `step`."""
    w = np.moveaxis(w, axis, 0)
    n = w.shape[0] - step
    jump = w[step:] - w[:-step]
    left = np.zeros_like(jump)
    right = np.zeros_like(jump)
    left[step:] = jump[:-step] if n > step else 0
    right[:-step] = jump[step:] if n > step else 0
    # Where a side has no pixels of its own (image border) its slope is unknown: take the other side's.
    if n > 2 * step:
        left[:step] = right[:step]
        right[-step:] = left[-step:]
    excess = np.minimum(np.abs(jump - left), np.abs(jump - right))
    nearer = np.maximum(np.maximum(w[step:], w[:-step]), 1e-12)
    return np.moveaxis(np.minimum(excess, np.abs(jump)) / nearer, 0, axis)


def occlusion_edges(depth_hw: NDArray[np.float32], jump: float = JUMP) -> NDArray[np.bool_]:
    """Mark the pixels on both sides of every occlusion edge.

    Args:
        depth_hw: (H, W) camera z, +inf for sky (a finite pixel beside sky is an edge).
        jump: relative change of inverse depth that counts.

    Returns:
        (H, W) bool.
    """
    w = inverse_depth(depth_hw)
    edges = np.zeros(w.shape, bool)
    if w.shape[1] > 1:
        hit = _unexplained_jump(w, 1, 1) > jump
        edges[:, 1:] |= hit
        edges[:, :-1] |= hit
    if w.shape[0] > 1:
        hit = _unexplained_jump(w, 0, 1) > jump
        edges[1:] |= hit
        edges[:-1] |= hit
    return edges


def _window_extreme(w: NDArray[np.float32], radius: int, largest: bool) -> NDArray[np.float32]:
    import cv2

    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return np.asarray((cv2.dilate if largest else cv2.erode)(w, kernel), np.float32)


def snap_ramps(depth_hw: NDArray[np.float32], jump: float = JUMP) -> NDArray[np.float32]:
    """Turn the soft ramps that a network draws over an occlusion edge into a clean step.

    A pixel of a ramp lies on neither surface: lifted, it would float between them. Each such pixel takes the depth
    of the nearer or the farther surface in its 5x5 surroundings, whichever it is closer to in inverse depth.
    A step that is clean already, a slanted plane and a crease stay as they are.

    Args:
        depth_hw: (H, W) camera z, +inf for sky; sky stays sky.
        jump: as in `occlusion_edges`.

    Returns:
        (H, W) float32.
    """
    w = inverse_depth(depth_hw)
    on_ramp = _mixed(w, jump) & (w > 0)
    if not on_ramp.any():
        return depth_hw
    near = _window_extreme(w, _RAMP_RADIUS, largest=True)
    far = _window_extreme(np.where(w > 0, w, np.inf).astype(np.float32), _RAMP_RADIUS, largest=False)
    snapped = np.where(near - w < w - far, near, far)
    out = depth_hw.copy()
    out[on_ramp] = 1.0 / snapped[on_ramp]
    return out


def _mixed(w: NDArray[np.float32], jump: float) -> NDArray[np.bool_]:
    """Pixels between two surfaces: an unexplained jump on both sides of the pixel, in the same direction."""
    mixed = np.zeros(w.shape, bool)
    for axis in (0, 1):
        a = np.moveaxis(w, axis, 0)
        if a.shape[0] < 7:
            continue
        m = np.moveaxis(mixed, axis, 0)
        before, here, after = a[2:-4], a[3:-3], a[4:-2]
        outer_before = a[2:-4] - a[1:-5]
        outer_after = a[5:-1] - a[4:-2]
        rise, fall = here - before, after - here
        nearer = np.maximum(np.maximum(before, after), 1e-12)
        same_way = np.sign(rise) == np.sign(fall)
        whole = (after - before) / 2
        explained = np.minimum(np.abs(whole - outer_before), np.abs(whole - outer_after))
        m[3:-3] |= (
            same_way
            & (explained > jump / 2 * nearer)
            & (np.minimum(abs(rise), abs(fall)) > jump / 4 * nearer)
        )
    return mixed
