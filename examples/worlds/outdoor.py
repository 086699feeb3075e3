"""A village green under a clouded sky: houses, trees and hills, and an endless distance."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from . import textures as tx
from .light import Lighting, sun
from .noise import Array, sample_tile, smoothstep, spectral_noise
from .shapes import Shape, box, cone, ellipsoid, ground, roof, sphere
from .soften import FOCAL, band_limited
from .world import World

GROUND = 1.5
"""Height of the ground below the input camera, metres (y points down)."""

_CLOUDS = spectral_noise((512, 512), 2, 40, 1.5, 71)


@lru_cache(maxsize=1)
def outdoor() -> World:
    """A meadow with houses and trees from 3 m to the horizon; sky above it."""
    light = sun((-0.78, -0.62, -0.3), (1.75, 1.55, 1.2))
    lighting = Lighting((light,), above=(0.36, 0.44, 0.58), below=(0.13, 0.14, 0.08), reach=1.6)
    near = (*_fence(), *_trees(), *_things())
    shapes = (_meadow(), *_hills(), *_houses(), *near)
    return World.lit(band_limited(shapes, FOCAL), lighting, _sky)


def _sky(dirs: Array) -> Array:
    """Blue above, pale at the horizon, with a flat layer of soft clouds."""
    up = np.maximum(-dirs[1], 0)
    t = up**0.6
    horizon, zenith = (np.array(c, np.float32)[:, None] for c in ((0.84, 0.88, 0.91), (0.24, 0.45, 0.75)))
    blue = horizon * (1 - t) + zenith * t
    plane = dirs[[0, 2]] / (up + 0.22) * np.float32(0.16)
    clouds = smoothstep(-0.3, 1.6, sample_tile(_CLOUDS, plane[0], plane[1])) * smoothstep(0.0, 0.12, up)
    return blue + (np.float32(0.97) - blue) * (0.85 * clouds)


def _meadow() -> Shape:
    grass = tx.meadow(51, (0.16, 0.25, 0.07), (0.55, 0.6, 0.26))
    return ground(GROUND, grass, shadows=((-16.0, 0.0), (16.0, 34.0)))


def _hills() -> list[Shape]:
    wood = tx.solid(61, 40.0, (0.16, 0.26, 0.14), (0.38, 0.46, 0.27), 3.5)
    haze = tx.solid(62, 80.0, (0.42, 0.52, 0.55), (0.54, 0.62, 0.6), 7.0)
    return [
        ellipsoid((-55, 9.5, 110), (70, 20, 30), wood),
        ellipsoid((70, 10, 130), (80, 24, 35), wood),
        ellipsoid((10, 20, 230), (190, 46, 40), haze),
    ]


def _houses() -> list[Shape]:
    plaster = tx.plaster(63, (0.86, 0.8, 0.68), 0.06)
    stone = tx.bricks(64, (0.6, 0.57, 0.52), (0.45, 0.4, 0.35), (0.68, 0.62, 0.54), (0.5, 0.25))
    brick = tx.bricks(65, (0.7, 0.66, 0.6), (0.5, 0.25, 0.19), (0.7, 0.4, 0.3))
    red = tx.shingles(66, (0.48, 0.2, 0.14), (0.7, 0.36, 0.25))
    slate = tx.shingles(67, (0.25, 0.28, 0.32), (0.42, 0.45, 0.5))
    parts = _house((-6.4, 14.0), (5.5, 3.0, 7.0), 2.2, 20, plaster, red)
    parts += _house((5.6, 11.5), (4.6, 2.8, 5.0), 1.9, -26, brick, slate)
    parts += _house((3.4, 30.0), (8.0, 3.6, 7.0), 2.6, 12, stone, red)
    return parts


def _house(
    at: tuple[float, float],
    size: tuple[float, float, float],
    rise: float,
    yaw: float,
    wall: tx.Texture,
    top: tx.Texture,
) -> list[Shape]:
    """Walls, a gable roof with eaves, a door and two windows on the near gable."""
    (x, z), (width, height, length) = at, size
    c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))

    def on_gable(u: float, v: float, w: float, h: float, texture: tx.Texture) -> Shape:
        gx, gz = u, -length / 2
        return box((x + c * gx + s * gz, GROUND - v, z - s * gx + c * gz), (w, h, 0.1), texture, yaw=yaw)

    glass = tx.painting(68, (0.9, 1.0), ((0.3, 0.38, 0.45), (0.2, 0.26, 0.32), (0.5, 0.6, 0.68)))
    door = tx.planks(69, (0.2, 0.28, 0.24), (0.34, 0.42, 0.36), 0.14)
    return [
        box((x, GROUND - height / 2, z), (width, height, length), wall, yaw=yaw),
        roof(
            (x, GROUND - height - rise, z),
            (width + 0.9, rise * (1 + 0.9 / width), length + 0.8),
            top,
            yaw=yaw,
        ),
        on_gable(0.0, 1.02, 1.0, 2.04, door),
        on_gable(-width * 0.32, 1.6, 0.9, 1.0, glass),
        on_gable(width * 0.32, 1.6, 0.9, 1.0, glass),
    ]


def _fence() -> list[Shape]:
    wood = tx.planks(72, (0.46, 0.38, 0.29), (0.66, 0.57, 0.46), 0.05)
    posts = [box((x, GROUND - 0.5, 6.2), (0.1, 1.0, 0.1), wood) for x in np.arange(-3.6, 0.1, 0.9)]
    rails = [box((-1.8, GROUND - h, 6.12), (3.8, 0.1, 0.04), wood) for h in (0.42, 0.82)]
    return posts + rails


def _trees() -> list[Shape]:
    leaves = tx.solid(73, 1.6, (0.13, 0.24, 0.07), (0.45, 0.55, 0.2), 0.12)
    needles = tx.solid(74, 1.4, (0.08, 0.18, 0.12), (0.26, 0.4, 0.22), 0.12)
    bark = tx.solid(75, 0.8, (0.22, 0.15, 0.1), (0.5, 0.38, 0.27))
    parts: list[Shape] = []
    for x, z, r in (
        (2.3, 8.2, 0.8),
        (-3.6, 9.6, 1.1),
        (10.5, 22.0, 2.2),
        (-13.0, 26.0, 3.0),
        (-1.5, 38.0, 2.4),
    ):
        parts += _tree(x, z, r, leaves, bark)
    for x, z, h in ((-1.6, 19.0, 4.6), (13.0, 33.0, 8.0), (-8.0, 36.0, 9.0), (9.0, 44.0, 9.0)):
        parts.append(box((x, GROUND - 0.5, z), (0.3, 1.0, 0.3), bark))
        parts.append(cone((x, GROUND - h, z), h - 0.7, 0.24 * h, needles))
    return parts


def _tree(x: float, z: float, r: float, leaves: tx.Texture, bark: tx.Texture) -> list[Shape]:
    """A trunk and a crown of seven balls of leaves, `r` metres wide in each way."""
    trunk = box((x, GROUND - 0.9 * r, z), (0.2 * r, 1.8 * r, 0.2 * r), bark, yaw=20)
    crown = [ellipsoid((x, GROUND - 2.35 * r, z), (0.72 * r, 0.66 * r, 0.72 * r), leaves)]
    for i in range(6):
        angle = i * np.pi / 3 + 4 * x
        high = 2.1 + 0.42 * (i % 3)
        size = (0.5 - 0.06 * (i % 3)) * r
        out = (0.55 - 0.12 * (i % 3)) * r
        at = (x + out * np.cos(angle), GROUND - high * r, z + out * np.sin(angle))
        crown.append(ellipsoid(at, (size, 0.86 * size, size), leaves))
    return [trunk, *crown]


def _things() -> list[Shape]:
    crate = tx.planks(76, (0.5, 0.36, 0.22), (0.78, 0.6, 0.4), 0.08)
    stone = tx.solid(77, 1.0, (0.4, 0.39, 0.36), (0.68, 0.66, 0.6))
    return [
        box((0.9, GROUND - 0.35, 3.6), (0.7, 0.7, 0.7), crate, yaw=32),
        sphere((1.75, GROUND - 0.3, 4.1), 0.32, tx.Bands(8, (0.9, 0.87, 0.8), (0.75, 0.22, 0.18))),
        ellipsoid((-1.5, GROUND - 0.1, 4.2), (0.55, 0.4, 0.45), stone),
    ]
