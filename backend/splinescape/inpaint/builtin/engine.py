"""The builtin inpainting engine."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import takewhile

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from splinescape.camera.view import View
from splinescape.errors import InputError
from splinescape.inpaint.builtin.blend import blend
from splinescape.inpaint.builtin.complete import complete
from splinescape.inpaint.builtin.farside import find_layers
from splinescape.inpaint.builtin.levels import Level, build_levels, distance_into, patch_sources
from splinescape.inpaint.builtin.patches import SIDE
from splinescape.inpaint.builtin.places import find_rarity
from splinescape.inpaint.builtin.pushpull import push_pull

NEUTRAL = 128
SPECK = 2.0
"""Holes whose pixels all lie within this many pixels of a known one are simply closed."""
MARGIN = 96
"""Pixels around the holes' bounding box that are searched at least."""
DEEPEST = 3
"""Halvings of the coarsest level."""


class BuiltinInpainter:
    """Continues the picture's own texture and structure into its holes; needs no weights and no GPU."""

    def inpaint(
        self,
        rgb_hw3: NDArray[np.uint8],
        mask_hw: NDArray[np.bool_],
        *,
        view: View,  # noqa: ARG002
        seed: int,
        depth_hw: NDArray[np.float32] | None = None,
    ) -> NDArray[np.uint8]:
        """Fill the True pixels of `mask_hw`; the other pixels come back as they were.

        Args:
            rgb_hw3: (H, W, 3) uint8 picture; what stands in masked pixels is ignored.
            mask_hw: (H, W) bool, True where a pixel is to be filled. All True gives a neutral grey.
            view: the camera of the picture; not used, the depth says what matters here.
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
        rgb = rgb_hw3.astype(np.float32) / np.float32(255)
        scene = _scene(rgb, mask_hw, depth_hw)
        filled = _fill_specks(scene)
        if filled.hole.any():
            part = _around(filled.hole)
            filled.image[part] = _fill(_crop(filled, part), seed)
        out = np.rint(filled.image[..., :3].clip(0, 1) * 255).astype(np.uint8)
        return np.where(mask_hw[..., None], out, rgb_hw3)


def _scene(rgb: NDArray[np.float32], hole: NDArray[np.bool_], depth_hw: NDArray[np.float32] | None) -> Level:
    known = ~hole
    image = np.concatenate([rgb * known[..., None], _texture(rgb, known)[..., None]], axis=-1)
    if depth_hw is None:
        flat = np.zeros(hole.shape, np.float32)
        return Level(image, known, known, hole, flat, flat, flat)
    layers = find_layers(depth_hw, hole)
    context = known & ~layers.hiding
    return Level(image, known, context, hole, layers.log_inverse, layers.wanted, layers.limit)


def _fill_specks(scene: Level) -> Level:
    """Close holes that are too thin to show any structure; texture synthesis would only slow down on them."""
    labels, count = ndimage.label(scene.hole, np.ones((3, 3), bool))
    into = distance_into(scene.hole, scene.context)
    depth = ndimage.maximum(into, labels, np.arange(count + 1))
    specks = scene.hole & (np.asarray(depth)[labels] <= SPECK)
    if not specks.any() or not scene.context.any():
        return scene
    image = np.where(specks[..., None], push_pull(scene.image, scene.context), scene.image)
    return replace(
        scene,
        image=image,
        known=scene.known | specks,
        context=scene.context | specks,
        hole=scene.hole & ~specks,
        nearness=np.where(specks, scene.wanted, scene.nearness),
    )


def _around(hole: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The part of the picture that holes of this extent are filled from."""
    spans = []
    for axis in (0, 1):
        there = np.flatnonzero(hole.any(axis=1 - axis))
        low, high = int(there[0]), int(there[-1]) + 1
        margin = max(MARGIN, high - low)
        spans.append(slice(max(low - margin, 0), min(high + margin, hole.shape[axis])))
    return spans[0], spans[1]


def _fill(scene: Level, seed: int) -> NDArray[np.float32]:
    """(H, W, 4) the scene's picture with its hole filled."""
    height, width = scene.hole.shape
    count = _level_count(scene)
    unit = 2**DEEPEST
    finest = _pad(scene, (-height % unit, -width % unit))
    levels = build_levels(finest, DEEPEST + 1)
    usable = list(takewhile(lambda level: patch_sources(level.known).any(), levels[:count]))
    if not usable:
        known = scene.context if scene.context.any() else scene.known
        return push_pull(scene.image, known)
    rarity = find_rarity(levels) if count > 1 else np.zeros(finest.hole.shape, np.float32)
    copied_from = complete(usable, rarity, seed)
    colours = np.ascontiguousarray(finest.image[..., :3])
    finest.image[..., :3] = blend(colours, finest.context, finest.hole, copied_from)
    return finest.image[:height, :width]


def _level_count(scene: Level) -> int:
    """Levels so that the coarsest sees across the hole and has little to grow, yet enough to copy from."""
    across = np.log2(max(distance_into(scene.hole, scene.context).max() / 10, 1))
    much = np.log2(max(scene.hole.sum() / 10000, 1)) / 2
    room = np.log2(max(min(scene.hole.shape) / (3 * SIDE), 1))
    return 1 + int(min(np.ceil(max(across, much)), np.floor(room), DEEPEST))


def _crop(scene: Level, part: tuple[slice, slice]) -> Level:
    return Level(*(np.ascontiguousarray(getattr(scene, field.name)[part]) for field in fields(scene)))


def _pad(scene: Level, extra: tuple[int, int]) -> Level:
    """Add rows below and columns to the right that are neither known nor hole."""
    sides = ((0, extra[0]), (0, extra[1]))
    return Level(
        np.pad(scene.image, (*sides, (0, 0))),
        np.pad(scene.known, sides),
        np.pad(scene.context, sides),
        np.pad(scene.hole, sides),
        np.pad(scene.nearness, sides, mode="edge"),
        np.pad(scene.wanted, sides, mode="edge"),
        np.pad(scene.limit, sides, mode="edge"),
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
