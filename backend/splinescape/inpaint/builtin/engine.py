"""The builtin inpainting engine."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from splinescape.camera.view import View
from splinescape.errors import InputError
from splinescape.inpaint.builtin.complete import complete
from splinescape.inpaint.builtin.levels import build_levels, depth_into_hole, patch_sources
from splinescape.inpaint.builtin.patches import CHANNELS, SIDE
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
        filled = _fill(rgb_hw3.astype(np.float32) / 255, ~mask_hw, mask_hw, seed)
        return np.where(mask_hw[..., None], np.rint(filled.clip(0, 1) * 255).astype(np.uint8), rgb_hw3)


def _fill(rgb, known, hole, seed):
    height, width = hole.shape
    reach = depth_into_hole(hole, known).max()
    count = 1 + int(np.clip(np.ceil(np.log2(max(reach, 1) / 10)), 0, 3))
    while count > 1 and min(height, width) < 3 * SIDE * 2 ** (count - 1):
        count -= 1
    unit = 2 ** max(count - 1, 1)
    pad = ((0, -height % unit), (0, -width % unit))
    image = np.pad(np.concatenate([rgb, _texture(rgb, known)[..., None]], axis=-1), (*pad, (0, 0)))
    known_p = np.pad(known, pad)
    hole_p = np.pad(hole, pad)
    levels = build_levels(image, known_p, hole_p, np.zeros(hole_p.shape, np.float32), count)
    while levels and not patch_sources(levels[-1].known).any():
        levels.pop()
    if not levels:
        return push_pull(rgb, known)
    result = complete(levels, seed)
    out = image.reshape(-1, CHANNELS)[:, :3].copy()
    out[result.pixels] = result.colours[:, :3]
    return out.reshape(image.shape[0], image.shape[1], 3)[:height, :width]


def _texture(rgb, known):
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
