"""A farm in a valley on a summer evening: the outdoor example picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from . import textures as tx
from .light import BakeQuality, Lighting, sun
from .noise import Array, sample_tile, smoothstep, spectral_noise
from .shapes import Shape, box, cone, ellipsoid, ground, roof, sphere
from .soften import band_limited
from .world import World

GROUND = 1.5
"""Height of the ground below the input camera, metres."""

_CLOUDS = spectral_noise((512, 512), 2, 48, 1.4, 207)


@lru_cache(maxsize=1)
def valley(focal: float = 920.0, quality: BakeQuality | None = None) -> World:
    """The valley; `focal` pixels is what its textures are made for. Baking takes about a minute."""
    lighting = Lighting(
        (sun((-0.86, -0.42, 0.05), (2.5, 2.0, 1.35), 0.02),), (0.32, 0.4, 0.56), (0.13, 0.14, 0.08), 1.4
    )
    shapes = (_meadow(), *_hills(), *_farm(), *_fence(), *_trees(), *_near_things())
    baking = quality or BakeQuality(0.08, most=380, light_grid=4, around=16)
    return World.lit(band_limited(shapes, focal), lighting, _sky, baking)


def _sky(dirs: Array) -> Array:
    """Warm at the horizon, blue above, with a layer of lit clouds."""
    up = np.maximum(-dirs[1], 0)
    t = up**0.55
    horizon, zenith = (np.array(c, np.float32)[:, None] for c in ((0.96, 0.87, 0.74), (0.2, 0.4, 0.7)))
    air = horizon * (1 - t) + zenith * t
    plane = dirs[[0, 2]] / (up + 0.2) * np.float32(0.13)
    value = sample_tile(_CLOUDS, plane[0] + 0.1, plane[1])
    cover = smoothstep(-0.2, 1.5, value) * smoothstep(0.02, 0.16, up)
    lit, dim = (np.array(c, np.float32)[:, None] for c in ((1.0, 0.95, 0.87), (0.78, 0.77, 0.8)))
    cloud = lit + (dim - lit) * smoothstep(0.9, 2.2, value)
    return air + (cloud - air) * (0.9 * cover)


@dataclass(frozen=True, eq=False)
class _Lane:
    """A gravel lane that winds away through the grass."""

    grass: tx.Meadow
    gravel: tx.Meadow

    def __call__(self, p: Array, uv: Array) -> Array:
        middle = 0.35 + 1.9 * np.sin(p[2] / 8.5) - 0.02 * p[2]
        ragged = self.grass(p, 2 * uv)[1] - 0.4
        side = np.abs(p[0] - middle) + 0.5 * ragged
        share = smoothstep(1.05, 0.7, side) * (1 - 0.75 * smoothstep(0.3, 0.05, side))
        return self.grass(p, uv) * (1 - share) + self.gravel(p, uv) * share


def _meadow() -> Shape:
    grass = tx.grass(201, (0.17, 0.27, 0.06), (0.6, 0.62, 0.24))
    gravel = tx.grass(209, (0.46, 0.39, 0.3), (0.8, 0.72, 0.6))
    return ground(GROUND, _Lane(grass, gravel), shadows=((-18.0, 0.0), (18.0, 40.0)))


def _hills() -> list[Shape]:
    near = tx.solid(211, 60.0, (0.2, 0.32, 0.14), (0.48, 0.53, 0.26), 4.0)
    far = tx.solid(212, 120.0, (0.34, 0.44, 0.36), (0.5, 0.56, 0.44), 9.0)
    blue = tx.solid(213, 260.0, (0.48, 0.56, 0.64), (0.6, 0.66, 0.7), 22.0)
    return [
        ellipsoid((-75, 10.0, 120), (80, 26, 45), near),
        ellipsoid((85, 12.0, 135), (85, 30, 40), near),
        ellipsoid((-40, 18.0, 240), (150, 52, 60), far),
        ellipsoid((150, 18.0, 260), (130, 60, 60), far),
        ellipsoid((40, 40.0, 620), (330, 150, 90), blue),
        ellipsoid((-330, 40.0, 640), (260, 175, 90), blue),
    ]


def _farm() -> list[Shape]:
    lime = tx.plaster(221, (0.92, 0.88, 0.78), 0.05)
    stone = tx.bricks(222, (0.66, 0.61, 0.53), (0.48, 0.42, 0.35), (0.74, 0.66, 0.55), (0.42, 0.2))
    boards = tx.planks(223, (0.34, 0.2, 0.13), (0.55, 0.36, 0.25), 0.18)
    tiles = tx.shingles(224, (0.5, 0.22, 0.14), (0.74, 0.4, 0.27))
    slate = tx.shingles(225, (0.3, 0.31, 0.34), (0.48, 0.49, 0.52))
    parts = _house((-4.6, 15.0), (5.0, 2.7, 7.5), 2.3, 24, lime, tiles)
    parts += _house((6.6, 21.0), (6.0, 3.4, 9.0), 2.8, -28, stone, slate)
    parts += _house((9.0, 12.5), (3.4, 2.4, 4.2), 1.6, -20, boards, tiles)
    parts += _house((-13.5, 31.0), (6.0, 3.0, 8.0), 2.6, 35, stone, tiles)
    parts.append(box((-4.1, GROUND - 4.7, 13.9), (0.5, 1.5, 0.5), stone, yaw=24))
    return parts


def _house(
    at: tuple[float, float], size: tuple[float, float, float], rise: float, yaw: float,
    wall: tx.Texture, top: tx.Texture,
) -> list[Shape]:  # fmt: skip
    """Walls, a roof with eaves, a door, and windows on the near gable and on the side towards the lane."""
    (x, z), (width, height, length) = at, size
    c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    frame = tx.plain((0.88, 0.86, 0.8))
    glass = tx.plaster(231, (0.2, 0.25, 0.31), 0.15, 1.0)
    shutter = tx.planks(232, (0.2, 0.33, 0.3), (0.3, 0.46, 0.41), 0.05)
    door = tx.planks(233, (0.3, 0.19, 0.11), (0.46, 0.31, 0.19), 0.1)
    facing = 1.0 if yaw > 0 else -1.0

    def put(u: float, v: float, w: float, d: float, h: float, depth: float, texture: tx.Texture) -> Shape:
        return box((x + c * u + s * d, GROUND - v, z - s * u + c * d), (w, h, depth), texture, yaw=yaw)

    def gable(u: float, v: float, w: float, h: float, texture: tx.Texture, out: float = 0.1) -> Shape:
        return put(u, v, w, -length / 2, h, out, texture)

    def side(d: float, v: float, w: float, h: float, texture: tx.Texture, out: float = 0.1) -> Shape:
        return put(facing * width / 2, v, out, d, h, w, texture)

    parts = [
        put(0, height / 2, width, 0, height, length, wall),
        roof(
            (x, GROUND - height - rise, z),
            (width + 0.8, rise * (1 + 0.8 / width), length + 0.7),
            top,
            yaw=yaw,
        ),
        gable(0.0, 1.02, 0.95, 2.04, door),
    ]
    for place, at_u in (
        (gable, -0.31 * width),
        (gable, 0.31 * width),
        (side, -0.3 * length),
        (side, 0.1 * length),
    ):
        parts += [place(at_u, 1.55, 0.85, 1.05, frame, 0.12), place(at_u, 1.55, 0.7, 0.9, glass, 0.14)]
        parts += [place(at_u + way * 0.62, 1.55, 0.36, 1.05, shutter, 0.11) for way in (-1, 1)]
    return parts


def _fence() -> list[Shape]:
    wood = tx.planks(241, (0.42, 0.34, 0.26), (0.66, 0.57, 0.46), 0.05)
    parts: list[Shape] = []
    places = [(2.1 + 0.1 * i, 4.2 + 1.5 * i) for i in range(9)]
    for (x, z), (next_x, next_z) in pairwise(places):
        yaw = np.degrees(np.arctan2(next_x - x, next_z - z))
        length = np.hypot(next_x - x, next_z - z)
        middle_x, middle_z = (x + next_x) / 2, (z + next_z) / 2
        parts += [
            box((middle_x, GROUND - h, middle_z), (0.04, 0.1, length), wood, yaw=yaw) for h in (0.45, 0.85)
        ]
    return parts + [box((x, GROUND - 0.52, z), (0.1, 1.04, 0.1), wood, yaw=5) for x, z in places]


def _trees() -> list[Shape]:
    greens = [
        tx.solid(251 + i, 1.1, dark, light, 0.07)
        for i, (dark, light) in enumerate(
            (
                ((0.1, 0.2, 0.04), (0.5, 0.56, 0.17)),
                ((0.13, 0.22, 0.07), (0.42, 0.52, 0.2)),
                ((0.2, 0.2, 0.05), (0.62, 0.54, 0.17)),
            )
        )
    ]
    needles = tx.solid(255, 1.0, (0.07, 0.16, 0.1), (0.27, 0.4, 0.2), 0.08)
    bark = tx.solid(256, 0.6, (0.2, 0.14, 0.09), (0.5, 0.38, 0.27), 0.04)
    parts: list[Shape] = []
    places = (
        (-3.3, 7.6, 0.95, 44), (3.9, 15.5, 1.1, 34), (-9.5, 13.5, 1.5, 34), (-8.2, 24.0, 1.7, 26),
        (2.2, 31.0, 1.7, 22), (13.5, 24.0, 2.0, 22), (-2.5, 42.0, 2.0, 16), (17.0, 36.0, 2.6, 16),
        (-19.0, 38.0, 2.8, 16),
    )  # fmt: skip
    for i, (x, z, r, balls) in enumerate(places):
        parts += _tree(x, z, r, balls, greens[i % 3], bark, seed=i)
    for x, z, h in (
        (-6.5, 36.0, 8.0),
        (5.2, 44.0, 9.0),
        (-15.0, 46.0, 11.0),
        (11.0, 50.0, 11.0),
        (13.0, 47.0, 8.0),
        (-11.0, 52.0, 10.0),
    ):
        parts.append(box((x, GROUND - 0.4, z), (0.3, 0.8, 0.3), bark))
        for k, (top, share) in enumerate(((0.0, 0.45), (0.24, 0.68), (0.48, 1.0))):
            low = 0.5 + 0.2 * k
            parts.append(cone((x, GROUND - h * (1 - top), z), h * (low - top), 0.24 * h * share, needles))
    return parts


def _tree(
    x: float, z: float, r: float, balls: int, leaves: tx.Texture, bark: tx.Texture, seed: int
) -> list[Shape]:
    """A trunk and a crown of many small balls of leaves around a large one."""
    rng = np.random.default_rng(300 + seed)
    middle = GROUND - 2.35 * r
    parts: list[Shape] = [
        box((x, GROUND - 0.95 * r, z), (0.17 * r, 1.9 * r, 0.17 * r), bark, yaw=25),
        ellipsoid((x, middle, z), (0.8 * r, 0.85 * r, 0.8 * r), leaves),
    ]
    for i in range(balls):
        height = 1 - 1.75 * (i + 0.5) / balls
        ring, angle = np.sqrt(max(1 - height**2, 0)), 2.4 * i + rng.uniform(-0.4, 0.4)
        out = r * rng.uniform(0.72, 0.98)
        size = r * rng.uniform(0.2, 0.36)
        center = (
            x + out * ring * np.cos(angle),
            middle - 1.05 * out * height,
            z + out * ring * np.sin(angle),
        )
        parts.append(ellipsoid(center, (size, 0.8 * size, size), leaves))
    return parts


def _near_things() -> list[Shape]:
    oak = tx.planks(261, (0.36, 0.27, 0.18), (0.62, 0.5, 0.36), 0.09)
    stone = tx.solid(262, 0.7, (0.38, 0.36, 0.32), (0.72, 0.69, 0.62), 0.05)
    hay = tx.solid(263, 0.5, (0.56, 0.42, 0.16), (0.9, 0.77, 0.42), 0.04)
    wool, head = (
        tx.solid(264, 0.3, (0.72, 0.68, 0.58), (0.96, 0.93, 0.86), 0.05),
        tx.plain((0.16, 0.13, 0.12)),
    )
    parts: list[Shape] = [
        box((-1.75, GROUND - 0.44, 4.3), (1.5, 0.06, 0.42), oak, yaw=16),
        box((-2.33, GROUND - 0.21, 4.47), (0.1, 0.42, 0.36), oak, yaw=16),
        box((-1.17, GROUND - 0.21, 4.13), (0.1, 0.42, 0.36), oak, yaw=16),
        ellipsoid((1.5, GROUND - 0.08, 3.6), (0.42, 0.3, 0.34), stone),
        ellipsoid((1.95, GROUND - 0.05, 3.95), (0.24, 0.2, 0.22), stone),
        ellipsoid((-0.95, GROUND - 0.04, 3.35), (0.2, 0.14, 0.17), stone),
        sphere((5.6, GROUND - 0.62, 10.0), 0.7, hay),
        sphere((6.9, GROUND - 0.62, 10.8), 0.7, hay),
    ]  # fmt: skip
    for x, z, way in ((4.2, 9.0, 1), (5.2, 13.2, -1), (-1.9, 19.5, 1), (3.3, 12.0, 1)):
        parts.append(ellipsoid((x, GROUND - 0.5, z), (0.42, 0.27, 0.24), wool))
        parts.append(ellipsoid((x + 0.46 * way, GROUND - 0.62, z), (0.15, 0.11, 0.1), head))
        parts += [
            box((x + dx, GROUND - 0.15, z + dz), (0.05, 0.3, 0.05), head)
            for dx in (-0.22, 0.22)
            for dz in (-0.1, 0.1)
        ]
    return parts
