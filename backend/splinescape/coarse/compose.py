"""Putting an expanded view together: what the scene shows where it is known, the guess elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from splinescape.jit import njit, run_chunks
from splinescape.raster import Rendering
from splinescape.scene.edges import occlusion_edges

_ROWS = 32
"""Rows of a picture that are worth a thread."""

_WHITE = np.float32(255)
_INF = np.float32(np.inf)
_ZERO, _ONE = np.float32(0), np.float32(1)
_FAR = np.float32(1e9)
_CUT_OFF = np.float32(0.1)


@dataclass(frozen=True, eq=False)
class Shown:
    """What a scene shows from a view.

    Attributes:
        rgb: (H, W, 3) float32 in [0, 1], divided by the coverage. rgb_u8: the same in 8 bits.
        depth: (H, W) float32 camera z, +inf where there is no surface.
    """

    rgb: NDArray[np.float32]
    rgb_u8: NDArray[np.uint8]
    depth: NDArray[np.float32]


def as_shown(rendering: Rendering, least_alpha: float, farthest: float) -> Shown:
    """Turn a rendering into a picture.

    Args:
        rendering: on the processor. least_alpha: what the coverage counts at least.
        farthest: depth from which on a surface is the shell.
    """
    rgb, alpha, depth = (
        np.ascontiguousarray(t.numpy()) for t in (rendering.rgb, rendering.alpha, rendering.depth)
    )
    out = Shown(
        np.empty(rgb.shape, np.float32), np.empty(rgb.shape, np.uint8), np.empty(depth.shape, np.float32)
    )
    limits = np.float32(least_alpha), np.float32(farthest)
    run_chunks(_show, len(rgb), rgb, alpha, depth, *limits, out.rgb, out.rgb_u8, out.depth, smallest=_ROWS)
    return out


@njit(error_model="numpy")
def _show(start, stop, rgb, alpha, depth, least, farthest, out, out_u8, out_depth):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        for j in range(rgb.shape[1]):
            cover = max(alpha[i, j], least)
            for c in range(3):
                value = min(max(rgb[i, j, c] / cover, _ZERO), _ONE)
                out[i, j, c] = value
                out_u8[i, j, c] = np.uint8(np.rint(value * _WHITE))
            z = depth[i, j]
            out_depth[i, j] = z if _ZERO < z < farthest else _INF


def paste(filled: NDArray[Any], mask_hw: NDArray[np.bool_], onto: NDArray[Any]) -> None:
    """Write the masked pixels of `filled` onto a picture, both (H, W, 3) uint8 or both float32."""
    cv2.copyTo(np.ascontiguousarray(filled), np.ascontiguousarray(mask_hw).view(np.uint8), onto)


def floating(depth_hw: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Single pixels cut off from every neighbour by an occlusion edge; lifted, they would hang in the air."""
    out = np.zeros(depth_hw.shape, bool)
    _mark_floating(np.ascontiguousarray(depth_hw), np.flatnonzero(occlusion_edges(depth_hw)), out)
    return out


@njit
def _mark_floating(depth, pixels, out):  # type: ignore[no-untyped-def]
    """Mark those of the flat `pixels` (M,) whose depth is not the median of the 3x3 around them."""
    h, w = depth.shape
    around = np.empty(9, np.float32)
    for at in pixels:
        v, u = at // w, at % w
        for k in range(9):
            z = depth[min(max(v + k // 3 - 1, 0), h - 1), min(max(u + k % 3 - 1, 0), w - 1)]
            around[k] = z if np.isfinite(z) else _FAR
        here = around[4]
        middle = _middle_of_nine(around)
        out[v, u] = abs(here - middle) > _CUT_OFF * min(here, middle)


@njit
def _middle_of_nine(numbers):  # type: ignore[no-untyped-def]
    """Their median; by counting, because compiling a sort takes a second."""
    for a in numbers:
        below = same = 0
        for b in numbers:
            below += b < a
            same += b == a
        if below <= 4 < below + same:
            return a
    return numbers[4]
