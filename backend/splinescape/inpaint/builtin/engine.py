"""The builtin inpainting engine."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from splinescape.camera.view import View
from splinescape.errors import InputError
from splinescape.inpaint.builtin.blend import blend
from splinescape.inpaint.builtin.complete import complete
from splinescape.inpaint.builtin.farside import Layering, find_layers
from splinescape.inpaint.builtin.levels import Level, build_levels, distance_into
from splinescape.inpaint.builtin.patches import SIDE
from splinescape.inpaint.builtin.pushpull import push_pull

NEUTRAL = 128


class BuiltinInpainter:
    """Continues the picture's own texture and structure into its holes; needs no weights and no GPU."""

    def inpaint(
        self,
        rgb_hw3: NDArray[np.uint8],
        mask_hw: NDArray[np.bool_],
        *,
        view: View,
        seed: int,
        depth_hw: NDArray[np.float32] | None = None,
    ) -> NDArray[np.uint8]:
        """Fill the True pixels of `mask_hw`; the other pixels come back as they were.

        Args:
            rgb_hw3: (H, W, 3) uint8 picture; what stands in masked pixels is ignored.
            mask_hw: (H, W) bool, True where a pixel is to be filled. All True gives a neutral grey.
            view: the camera of the picture.
            seed: every random choice comes from it; same input and seed, same bytes.
            depth_hw: (H, W) float32 camera z of the known pixels, +inf for sky; what stands in masked pixels
                is ignored. With it, a hole between a near and a far surface continues the far one.

        Returns:
            (H, W, 3) uint8, a new array.

        Raises:
            InputError: shapes or types do not fit together.
        """
        _check(rgb_hw3, mask_hw, depth_hw)
        if not mask_hw.any():
            return rgb_hw3.copy()
        if mask_hw.all():
            return np.full_like(rgb_hw3, NEUTRAL)
        layers = None if depth_hw is None else find_layers(depth_hw, mask_hw)
        filled = _fill(rgb_hw3.astype(np.float32) / 255, mask_hw, layers, seed)
        return np.where(mask_hw[..., None], np.rint(filled.clip(0, 1) * 255).astype(np.uint8), rgb_hw3)


def _fill(
    rgb: NDArray[np.float32], hole: NDArray[np.bool_], layers: Layering | None, seed: int
) -> NDArray[np.float32]:
    height, width = hole.shape
    context = ~hole if layers is None else ~(hole | layers.hiding)
    reach = distance_into(hole, context).max()
    count = _level_count(hole.shape, reach)
    unit = 2 ** max(count - 1, 1)
    finest = _pad(_finest(rgb, hole, context, layers), (-height % unit, -width % unit))
    levels = build_levels(finest, count)
    if not levels:
        return push_pull(rgb, context if context.any() else ~hole)
    result = complete(levels, seed)
    copied_from = np.arange(finest.hole.size)
    copied_from[result.pixels] += result.offsets
    colours = np.ascontiguousarray(finest.image[..., :3])
    blended = blend(colours, finest.context, finest.hole, copied_from.reshape(finest.hole.shape))
    return blended[:height, :width]


def _level_count(shape: tuple[int, ...], reach: float) -> int:
    """Levels so that the coarsest sees across the hole, yet keeps enough of the picture to copy from."""
    across = np.ceil(np.log2(max(reach, 1) / 10))
    room = np.floor(np.log2(max(min(shape) / (3 * SIDE), 1)))
    return 1 + int(np.clip(across, 0, min(room, 3)))


def _finest(
    rgb: NDArray[np.float32], hole: NDArray[np.bool_], context: NDArray[np.bool_], layers: Layering | None
) -> Level:
    known = ~hole
    image = np.concatenate([rgb * known[..., None], _texture(rgb, known)[..., None]], axis=-1)
    if layers is None:
        flat = np.zeros(hole.shape, np.float32)
        return Level(image, known, context, hole, flat, flat, flat)
    return Level(image, known, context, hole, layers.log_inverse, layers.wanted, layers.limit)


def _pad(level: Level, extra: tuple[int, int]) -> Level:
    """Add rows below and columns to the right that are neither known nor hole."""
    sides = ((0, extra[0]), (0, extra[1]))
    return Level(
        np.pad(level.image, (*sides, (0, 0))),
        np.pad(level.known, sides),
        np.pad(level.context, sides),
        np.pad(level.hole, sides),
        np.pad(level.nearness, sides, mode="edge"),
        np.pad(level.wanted, sides, mode="edge"),
        np.pad(level.limit, sides, mode="edge"),
    )


def _texture(rgb: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(H, W) strength of fine texture, so that coarse levels still know what is rough and what is smooth."""
    grey = push_pull(rgb, known).mean(axis=-1)
    detail = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.5)) * known
    total = cv2.GaussianBlur(detail, (0, 0), 2.0)
    share = cv2.GaussianBlur(known.astype(np.float32), (0, 0), 2.0)
    return (3 * total / np.maximum(share, 1e-3)).astype(np.float32)


def _check(
    rgb_hw3: NDArray[np.uint8], mask_hw: NDArray[np.bool_], depth_hw: NDArray[np.float32] | None
) -> None:
    shape = rgb_hw3.shape[:2]
    if rgb_hw3.ndim != 3 or rgb_hw3.shape[2] != 3 or rgb_hw3.dtype != np.uint8 or rgb_hw3.size == 0:
        raise InputError(
            f"the picture to inpaint must be (H, W, 3) uint8, not {rgb_hw3.shape} {rgb_hw3.dtype}; convert it"
        )
    if mask_hw.shape != shape or mask_hw.dtype != np.bool_:
        raise InputError(
            f"the inpaint mask must be {shape} bool, as its picture, not {mask_hw.shape} {mask_hw.dtype}"
        )
    if depth_hw is not None and depth_hw.shape != shape:
        raise InputError(f"the inpaint depth must be {shape}, as its picture, not {depth_hw.shape}")
