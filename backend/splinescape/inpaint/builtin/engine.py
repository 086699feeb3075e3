"""The builtin inpainting engine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.view import View
from splinescape.errors import InputError
from splinescape.inpaint.builtin.pushpull import push_pull

NEUTRAL = 128


class BuiltinInpainter:
    """Continues the picture's own texture and structure into its holes; needs no weights and no GPU."""

    def inpaint(
        self,
        rgb_hw3: NDArray[np.uint8],
        mask_hw: NDArray[np.bool_],
        *,
        view: View,  # noqa: ARG002
        seed: int,  # noqa: ARG002
        depth_hw: NDArray[np.float32] | None = None,  # noqa: ARG002
    ) -> NDArray[np.uint8]:
        """Fill the True pixels of `mask_hw`; the other pixels come back as they were.

        Args:
            rgb_hw3: (H, W, 3) uint8 picture; what stands in masked pixels is ignored.
            mask_hw: (H, W) bool, True where a pixel is to be filled. All True gives a neutral grey.
            view: the camera of the picture.
            seed: every random choice comes from it; same input and seed, same bytes.
            depth_hw: (H, W) float32 camera z of the known pixels, +inf for sky; what stands in masked pixels is
                ignored. With it, a hole between a near and a far surface continues the far one.

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
        filled = push_pull(rgb_hw3.astype(np.float32), ~mask_hw)
        return np.where(mask_hw[..., None], np.rint(filled).astype(np.uint8), rgb_hw3)


def _check(
    rgb_hw3: NDArray[np.uint8], mask_hw: NDArray[np.bool_], depth_hw: NDArray[np.float32] | None
) -> None:
    if rgb_hw3.ndim != 3 or rgb_hw3.shape[2] != 3 or rgb_hw3.dtype != np.uint8 or rgb_hw3.size == 0:
        raise InputError(
            f"the picture to inpaint must be (H, W, 3) uint8, not {rgb_hw3.shape} {rgb_hw3.dtype}; convert it"
        )
    if mask_hw.shape != rgb_hw3.shape[:2] or mask_hw.dtype != np.bool_:
        raise InputError(
            f"the inpaint mask must be {rgb_hw3.shape[:2]} bool like its picture, not {mask_hw.shape} {mask_hw.dtype}"
        )
    if depth_hw is not None and depth_hw.shape != mask_hw.shape:
        raise InputError(f"the inpaint depth must be {mask_hw.shape} like its picture, not {depth_hw.shape}")
