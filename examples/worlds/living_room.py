"""A living room in the afternoon sun: the indoor example picture."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from . import textures as tx
from .light import AreaLight, BakeQuality, Lighting, sun
from .noise import Array
from .shapes import Shape, box, cone, ellipsoid, sphere
from .soften import band_limited
from .world import World

FLOOR, CEILING = 1.5, -1.35
"""Heights of floor and ceiling, metres below the input camera."""

_LEFT, _RIGHT, _BACK, _REAR = -3.0, 3.1, 6.3, -2.0
_WINDOW = ((-0.9, 0.65), (1.5, 4.3))
"""The window in the left wall: heights and depths, metres."""


@lru_cache(maxsize=1)
def living_room(focal: float = 920.0, quality: BakeQuality | None = None) -> World:
    """The room; `focal` pixels is what its textures are made for. Baking takes about a minute."""
    (top, bottom), (near, far) = _WINDOW
    sky = AreaLight(
        center=(_LEFT - 0.3, (top + bottom) / 2, (near + far) / 2),
        u=(0, 0, (far - near) / 2),
        v=(0, (bottom - top) / 2, 0),
        facing=(1, 0, 0),
        color=(2.6, 2.9, 3.3),
        reference=2.0,
    )
    lamp = AreaLight((1.75, 0.02, 5.55), (0.12, 0, 0), (0, 0, 0.12), (0, 1, 0), (0.9, 0.62, 0.32), 1.2)
    lights = (sun((-0.83, -0.5, -0.02), (5.2, 4.4, 3.3), 0.012), sky, lamp)
    room = (*_walls(), *_window(), *_beams())
    furniture = (*_bookcase(), *_sideboard(), *_sofa(), *_table(), *_lamp(), *_near_things())
    lighting = Lighting(lights, (0.05,) * 3, (0.045,) * 3, 0.8)
    baking = quality or BakeQuality(0.045, most=160, light_grid=4, around=12, bounces=3, bounce_rays=64)
    return World.lit(band_limited((*room, *furniture), focal), lighting, _outside, baking)


def _outside(dirs: Array) -> Array:
    """A bright sky."""
    t = np.clip(0.5 - dirs[1], 0, 1)
    pale, blue = (np.array(color, np.float32)[:, None] for color in ((0.98, 0.98, 0.97), (0.75, 0.87, 0.99)))
    return pale * (1 - t) + blue * t


def _walls() -> list[Shape]:
    sage = tx.plaster(101, (0.6, 0.67, 0.58), 0.03)
    cream = tx.plaster(102, (0.88, 0.84, 0.75), 0.03)
    white = tx.plaster(103, (0.93, 0.92, 0.89), 0.02)
    oak = tx.planks(104, (0.45, 0.3, 0.18), (0.74, 0.55, 0.36), 0.14)
    skirting = tx.plain((0.9, 0.89, 0.85))
    length, middle = _BACK - _REAR, (_BACK + _REAR) / 2
    width, height = _RIGHT - _LEFT, FLOOR - CEILING
    center_y = (FLOOR + CEILING) / 2
    (top, bottom), (near, far) = _WINDOW

    def left_wall(y0: float, y1: float, z0: float, z1: float) -> Shape:
        return box(
            (_LEFT - 0.125, (y0 + y1) / 2, (z0 + z1) / 2), (0.25, y1 - y0, z1 - z0), cream, hidden=(1,)
        )

    across, deep = (width + 0.6, height, 0.2), (0.2, height, length)
    return [
        _panel((0, FLOOR + 0.1, middle), (width + 0.6, 0.2, length + 0.6), oak, face=3),
        _panel((0, CEILING - 0.1, middle), (width + 0.6, 0.2, length + 0.6), white, face=2),
        _panel((0.05, center_y, _BACK + 0.1), across, sage, face=5),
        _panel((0.05, center_y, _REAR - 0.1), across, cream, face=4),
        _panel((_RIGHT + 0.1, center_y, middle), deep, cream, face=1),
        left_wall(CEILING, FLOOR, _REAR, near),
        left_wall(CEILING, FLOOR, far, _BACK),
        left_wall(CEILING, top, near, far),
        left_wall(bottom, FLOOR, near, far),
        _panel((0.05, FLOOR - 0.06, _BACK - 0.01), (width, 0.12, 0.02), skirting, face=5),
        _panel((_RIGHT - 0.01, FLOOR - 0.06, middle), (0.02, 0.12, length), skirting, face=1),
        _panel((_LEFT + 0.01, FLOOR - 0.06, middle), (0.02, 0.12, length), skirting, face=0),
    ]


def _panel(
    center: tuple[float, float, float], size: tuple[float, float, float], texture: tx.Texture, face: int
) -> Shape:
    """A box of which only one face is ever seen."""
    return box(center, size, texture, hidden=tuple(i for i in range(6) if i != face))


def _window() -> list[Shape]:
    paint = tx.plain((0.93, 0.93, 0.9))
    (top, bottom), (near, far) = _WINDOW
    x, y, z = _LEFT - 0.1, (top + bottom) / 2, (near + far) / 2
    bars = [box((x, y, at), (0.06, bottom - top, 0.05), paint) for at in np.linspace(near, far, 4)]
    bars += [box((x, at, z), (0.06, 0.05, far - near), paint) for at in (top + 0.02, y - 0.2, bottom - 0.02)]
    return [*bars, box((_LEFT + 0.06, bottom + 0.02, z), (0.3, 0.04, far - near + 0.2), paint)]


def _beams() -> list[Shape]:
    wood = tx.planks(111, (0.3, 0.19, 0.11), (0.46, 0.31, 0.19), 0.2)
    return [box((0.05, CEILING + 0.08, z), (6.1, 0.16, 0.18), wood) for z in (0.7, 2.5, 4.3, 6.1)]


def _bookcase() -> list[Shape]:
    wood = tx.planks(121, (0.33, 0.2, 0.12), (0.5, 0.33, 0.2), 0.3)
    x0, x1, top, depth = -2.75, -0.95, FLOOR - 2.1, 0.34
    z = _BACK - depth / 2
    shelves = np.linspace(top + 0.02, FLOOR - 0.1, 6)
    parts = [box(((x0 + x1) / 2, y, z), (x1 - x0, 0.035, depth), wood) for y in shelves]
    parts += [box((x, (top + FLOOR) / 2, z), (0.04, FLOOR - top, depth), wood) for x in (x0, x1)]
    parts.append(box(((x0 + x1) / 2, (top + FLOOR) / 2, _BACK - 0.01), (x1 - x0, FLOOR - top, 0.02), wood))
    rng = np.random.default_rng(5)
    palette = [
        (0.55, 0.17, 0.14), (0.16, 0.27, 0.38), (0.72, 0.6, 0.38), (0.2, 0.36, 0.28),
        (0.82, 0.78, 0.68), (0.4, 0.22, 0.33), (0.75, 0.42, 0.2), (0.25, 0.24, 0.26),
    ]  # fmt: skip
    covers = [tx.plaster(130 + i, color, 0.08, 0.8) for i, color in enumerate(palette)]
    for shelf in shelves[1:]:
        x = x0 + 0.05
        while x < x1 - 0.1:
            thick, tall, deep = rng.uniform(0.028, 0.06), rng.uniform(0.2, 0.31), rng.uniform(0.2, 0.27)
            if rng.random() < 0.12:
                x += rng.uniform(0.06, 0.2)
            if x + thick > x1 - 0.04:
                break
            cover = covers[rng.integers(len(covers))]
            parts.append(
                box(
                    (x + thick / 2, shelf - 0.018 - tall / 2, _BACK - 0.05 - deep / 2),
                    (thick - 0.003, tall, deep),
                    cover,
                )
            )
            x += thick
    return parts


def _sideboard() -> list[Shape]:
    wood = tx.planks(141, (0.5, 0.34, 0.2), (0.68, 0.5, 0.32), 0.11)
    art = tx.painting(
        142,
        (1.5, 1.0),
        ((0.86, 0.8, 0.68), (0.2, 0.32, 0.4), (0.8, 0.42, 0.24), (0.93, 0.86, 0.66), (0.32, 0.48, 0.46)),
    )
    small = tx.painting(143, (0.45, 0.6), ((0.3, 0.36, 0.44), (0.62, 0.34, 0.26), (0.9, 0.8, 0.6)))
    x, top = 0.55, FLOOR - 0.78
    legs = [
        box((x + dx, FLOOR - 0.08, 6.05 + dz), (0.05, 0.16, 0.05), wood)
        for dx in (-0.75, 0.75)
        for dz in (-0.15, 0.15)
    ]
    doors = [
        box(
            (x + dx, FLOOR - 0.46, 5.835),
            (0.5, 0.52, 0.02),
            tx.planks(144 + i, (0.53, 0.36, 0.22), (0.7, 0.52, 0.34), 0.11),
        )
        for i, dx in enumerate((-0.54, 0.0, 0.54))
    ]
    vase = tx.solid(147, 0.4, (0.2, 0.4, 0.45), (0.55, 0.72, 0.7))
    return [
        *legs, *doors,
        box((x, FLOOR - 0.47, 6.06), (1.72, 0.62, 0.44), wood),
        box((0.45, -0.32, _BACK - 0.02), (1.5, 1.0, 0.05), art),
        box((2.3, -0.25, _BACK - 0.02), (0.45, 0.6, 0.04), small),
        ellipsoid((x - 0.55, top - 0.17, 6.05), (0.12, 0.18, 0.12), vase),
        sphere((x - 0.1, top - 0.09, 6.0), 0.09, tx.solid(148, 0.3, (0.7, 0.55, 0.3), (0.9, 0.78, 0.5))),
        box((x + 0.45, top - 0.03, 6.05), (0.34, 0.06, 0.25), tx.plain((0.5, 0.2, 0.17)), yaw=12),
        box((x + 0.46, top - 0.085, 6.05), (0.3, 0.05, 0.22), tx.plain((0.8, 0.74, 0.6)), yaw=-8),
    ]  # fmt: skip


def _sofa() -> list[Shape]:
    linen = tx.cloth(151, ((0.42, 0.5, 0.56), (0.45, 0.53, 0.59)), 0.03)
    red = tx.cloth(152, ((0.72, 0.36, 0.22), (0.78, 0.45, 0.28), (0.72, 0.36, 0.22), (0.85, 0.7, 0.5)), 0.03)
    mustard = tx.solid(153, 0.2, (0.74, 0.56, 0.2), (0.86, 0.68, 0.3))
    x, z = 2.3, 3.75
    seats = [box((x - 0.06, FLOOR - 0.39, z + dz), (0.86, 0.2, 0.98), linen) for dz in (-0.5, 0.5)]
    backs = [box((x + 0.43, FLOOR - 0.62, z + dz), (0.24, 0.46, 0.98), linen) for dz in (-0.5, 0.5)]
    arms = [box((x, FLOOR - 0.34, z + dz), (1.1, 0.6, 0.2), linen) for dz in (-1.1, 1.1)]
    return [
        *seats, *backs, *arms,
        box((x, FLOOR - 0.17, z), (1.06, 0.24, 2.2), linen),
        box((x + 0.52, FLOOR - 0.45, z), (0.14, 0.86, 2.3), linen),
        ellipsoid((x + 0.2, FLOOR - 0.7, z + 0.72), (0.11, 0.23, 0.24), red),
        ellipsoid((x + 0.2, FLOOR - 0.69, z + 0.3), (0.1, 0.2, 0.21), mustard),
        ellipsoid((x + 0.2, FLOOR - 0.7, z - 0.75), (0.11, 0.22, 0.23), mustard),
    ]  # fmt: skip


def _table() -> list[Shape]:
    wood = tx.planks(161, (0.34, 0.21, 0.12), (0.52, 0.35, 0.21), 0.2)
    rug = tx.cloth(
        162,
        (
            (0.66, 0.3, 0.22),
            (0.84, 0.75, 0.6),
            (0.3, 0.35, 0.42),
            (0.84, 0.75, 0.6),
            (0.72, 0.5, 0.3),
            (0.84, 0.75, 0.6),
        ),
        0.12,
    )
    bowl = tx.solid(163, 0.5, (0.82, 0.8, 0.76), (0.95, 0.93, 0.9))
    x, z, top = 0.45, 3.7, FLOOR - 0.42
    legs = [
        box((x + dx, FLOOR - 0.2, z + dz), (0.055, 0.4, 0.055), wood)
        for dx in (-0.52, 0.52)
        for dz in (-0.26, 0.26)
    ]
    places = ((-0.02, 0.03), (0.07, -0.04), (-0.09, -0.05), (0.05, 0.08))
    reds, yellows = (0.78, 0.85, 0.5, 0.8), (0.3, 0.6, 0.6, 0.42)
    skins = [
        tx.solid(164 + i, 0.2, (0.8 * r, 0.8 * y, 0.14), (r, y, 0.19))
        for i, (r, y) in enumerate(zip(reds, yellows, strict=True))
    ]
    fruit = list(zip(places, skins, strict=True))
    return [
        box((x - 0.1, FLOOR - 0.006, z), (2.7, 0.012, 1.9), rug, yaw=4),
        *legs,
        box((x, top, z), (1.2, 0.045, 0.66), wood),
        box((x, FLOOR - 0.13, z), (1.06, 0.03, 0.54), wood),
        ellipsoid((x + 0.22, top - 0.06, z + 0.02), (0.19, 0.055, 0.19), bowl),
        *(sphere((x + 0.22 + dx, top - 0.13, z + 0.02 + dz), 0.055, skin) for (dx, dz), skin in fruit),
        box((x - 0.3, top - 0.04, z - 0.05), (0.3, 0.035, 0.22), tx.plain((0.2, 0.3, 0.36)), yaw=20),
        box((x - 0.29, top - 0.072, z - 0.04), (0.26, 0.03, 0.19), tx.plain((0.86, 0.8, 0.68)), yaw=34),
    ]  # fmt: skip


def _lamp() -> list[Shape]:
    metal = tx.plain((0.2, 0.18, 0.16))
    shade = tx.solid(171, 0.6, (0.9, 0.78, 0.55), (0.99, 0.9, 0.7))
    return [
        box((1.75, FLOOR - 0.02, 5.55), (0.3, 0.04, 0.3), metal),
        box((1.75, FLOOR - 0.8, 5.55), (0.03, 1.6, 0.03), metal),
        cone((1.75, -0.42, 5.55), 0.42, 0.27, shade),
    ]


def _near_things() -> list[Shape]:
    wool = tx.cloth(181, ((0.8, 0.74, 0.64), (0.72, 0.64, 0.53)), 0.05)
    clay = tx.solid(182, 0.5, (0.6, 0.33, 0.22), (0.76, 0.47, 0.33))
    leaf = tx.solid(183, 0.3, (0.1, 0.25, 0.1), (0.35, 0.52, 0.22))
    soil = tx.plain((0.16, 0.11, 0.08))
    parts: list[Shape] = [box((-1.1, FLOOR - 0.21, 3.0), (0.66, 0.4, 0.66), wool, yaw=24)]
    parts.append(box((-1.08, FLOOR - 0.435, 3.0), (0.32, 0.035, 0.24), tx.plain((0.62, 0.22, 0.18)), yaw=50))
    parts += _plant((-2.25, 4.75), 0.26, 0.95, 44, clay, soil, leaf, seed=3)
    parts += _plant((1.28, 2.75), 0.17, 0.62, 36, clay, soil, leaf, seed=8)
    return parts


def _plant(
    at: tuple[float, float], radius: float, height: float, leaves: int,
    pot: tx.Texture, soil: tx.Texture, leaf: tx.Texture, seed: int,
) -> list[Shape]:  # fmt: skip
    """A pot and a bush of oval leaves."""
    x, z = at
    rng = np.random.default_rng(seed)
    parts: list[Shape] = [
        box((x, FLOOR - radius, z), (1.5 * radius, 2 * radius, 1.5 * radius), pot, yaw=30),
        box((x, FLOOR - 2 * radius - 0.01, z), (1.4 * radius, 0.02, 1.4 * radius), soil, yaw=30),
    ]
    stem = tx.plain((0.3, 0.24, 0.14))
    parts.append(box((x, FLOOR - 2 * radius - height / 2, z), (0.02, height, 0.02), stem))
    for i in range(leaves):
        angle, up = 2.4 * i, (i + 0.5) / leaves
        out = radius * (0.1 + 1.1 * np.sin(np.pi * (0.15 + 0.8 * up)))
        center = (x + out * np.cos(angle), FLOOR - 2 * radius - 0.05 - height * up, z + out * np.sin(angle))
        size = radius * rng.uniform(0.34, 0.52)
        parts.append(ellipsoid(center, (size, 0.55 * size, 0.8 * size), leaf))
    return parts
