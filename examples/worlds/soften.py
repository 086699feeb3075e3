"""The same world out of focus: every texture without its finest detail.

A picture is a sampled signal. Where a texture varies within two pixels, even a perfect geometric warp of the picture
cannot give the right colours from a second viewpoint, so it measures the resampling and not the scene. Softened worlds
leave room for errors of the scene itself to show.
"""

from __future__ import annotations

from dataclasses import replace

from scipy.ndimage import gaussian_filter

from .shapes import Convex, Shape
from .textures import Bands, Meadow, Solid, Texture, Tile
from .world import World


def soften(world: World, sigma_m: float) -> World:
    """Blur all textures of a world with a Gaussian of `sigma_m` metres; shapes, light and sky stay."""
    return replace(world, shapes=tuple(_soft_shape(shape, sigma_m) for shape in world.shapes))


def _soft_shape(shape: Shape, sigma: float) -> Shape:
    if isinstance(shape, Convex):
        return replace(shape, textures=tuple(_soft(t, sigma) for t in shape.textures))
    return replace(shape, texture=_soft(shape.texture, sigma))


def _soft(texture: Texture, sigma: float) -> Texture:
    if isinstance(texture, Tile):
        height, width = texture.image.shape[:2]
        spread = (sigma / texture.size[1] * height, sigma / texture.size[0] * width, 0)
        return replace(texture, image=gaussian_filter(texture.image, spread, mode="wrap"))
    if isinstance(texture, Solid):
        spread_solid = sigma / texture.period * texture.noise.shape[0]
        return replace(texture, noise=gaussian_filter(texture.noise, spread_solid, mode="wrap"))
    if isinstance(texture, Meadow):
        noises = tuple(
            gaussian_filter(noise, sigma / period * noise.shape[0], mode="wrap")
            for noise, period in zip(texture.noises, texture.periods, strict=True)
        )
        return replace(texture, noises=noises)
    if isinstance(texture, Bands):
        return replace(texture, sharpness=min(texture.sharpness, 1 / sigma))
    return texture
