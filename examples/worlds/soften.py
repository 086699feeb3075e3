"""The same world out of focus: every texture without its finest detail.

A picture is a sampled signal. Where a texture varies within two pixels, even a perfect geometric warp of the
picture cannot give the right colours from a second viewpoint, so it measures the resampling and not the
scene.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from .shapes import Convex, Shape
from .textures import Texture, softened
from .world import World

FOCAL = 460.0
"""Focal length in pixels of the worlds' standard view, 512x384."""

_NEAREST = 3.0
"""Metres: the textures of what is nearer are as fine as they would be here."""


def soften(world: World, sigma_m: float) -> World:
    """Blur all textures of a world with a Gaussian of `sigma_m` metres; shapes, light and sky stay."""
    blur = cache(lambda texture: softened(texture, sigma_m))
    return replace(world, shapes=tuple(_with_textures(shape, blur) for shape in world.shapes))


def band_limited(shapes: Sequence[Shape], focal: float) -> tuple[Shape, ...]:
    """Textures no finer than what a camera at the origin with `focal` pixels tells apart at their distance.

    What a surface looks like is still its own: the same from every camera.
    """
    blur = cache(softened)
    return tuple(_limited(shape, focal, blur) for shape in shapes)


def _limited(shape: Shape, focal: float, blur: Callable[[Texture, float], Texture]) -> Shape:
    def at(distance: float, texture: Texture) -> Texture:
        steps = round(2 * np.log2(max(distance, _NEAREST)))  # few distinct blurs: shapes share their textures
        return blur(texture, float(2 ** (steps / 2)) / focal)

    if isinstance(shape, Convex) and shape.inside:
        distances = np.abs(shape.offsets + shape.world_normals @ shape.center)
        return replace(
            shape, textures=tuple(at(*face) for face in zip(distances, shape.textures, strict=True))
        )
    bounds = shape.bounds()
    if bounds is None:
        return shape
    distance = float(np.linalg.norm(bounds, axis=1).min())
    return _with_textures(shape, lambda texture: at(distance, texture))


def _with_textures(shape: Shape, change: Callable[[Texture], Texture]) -> Shape:
    if isinstance(shape, Convex):
        return replace(shape, textures=tuple(change(texture) for texture in shape.textures))
    return replace(shape, texture=change(shape.texture))
