"""A room with a table, shelves, boxes and balls: much that hides behind something else."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from . import textures as tx
from .light import AreaLight, Lighting
from .noise import Array
from .shapes import Shape, box, sphere
from .soften import FOCAL, band_limited
from .world import World

FLOOR = 1.5
"""Height of the floor below the input camera, metres (y points down)."""


@lru_cache(maxsize=1)
def indoor() -> World:
    """A room 6.4 m wide and 10 m long; the input camera stands at the origin and looks along its length."""
    window = AreaLight((-3.1, -0.3, 2.0), (0, 0, 1.0), (0, 0.7, 0), (1, 0, 0), (4.2, 4.0, 3.6), 2.0)
    lamp = AreaLight((0.4, -1.25, 3.4), (0.35, 0, 0), (0, 0, 0.35), (0, 1, 0), (1.9, 1.6, 1.2), 2.2)
    lighting = Lighting((window, lamp), above=(0.2, 0.2, 0.21), below=(0.32, 0.28, 0.24), reach=1.0)
    shapes = (_room(), *_pictures(), *_table(), *_sideboard(), *_things())
    return World.lit(band_limited(shapes, FOCAL), lighting, _dark)


def _dark(dirs: Array) -> Array:
    return np.zeros_like(dirs)


def _room() -> Shape:
    wall = tx.plaster(1, (0.80, 0.76, 0.66))
    side = tx.plaster(3, (0.62, 0.70, 0.72))
    bricks = tx.bricks(5, (0.72, 0.69, 0.64), (0.52, 0.27, 0.2), (0.72, 0.42, 0.32))
    floor = tx.planks(7, (0.38, 0.23, 0.13), (0.72, 0.5, 0.31))
    ceiling = tx.plaster(9, (0.9, 0.9, 0.88), 0.03)
    height = 2.8
    return box(
        (0, FLOOR - height / 2, 2.5),
        (6.4, height, 8.0),
        side,
        wall,
        floor,
        ceiling,
        bricks,
        wall,
        inside=True,
    )


def _pictures() -> list[Shape]:
    first = tx.painting(
        11, (1.3, 0.9), ((0.86, 0.72, 0.5), (0.16, 0.3, 0.42), (0.8, 0.3, 0.2), (0.95, 0.85, 0.55))
    )
    second = tx.painting(
        12, (0.7, 0.95), ((0.2, 0.26, 0.33), (0.5, 0.2, 0.2), (0.9, 0.75, 0.4), (0.4, 0.6, 0.6))
    )
    third = tx.painting(
        13, (1.5, 1.0), ((0.7, 0.8, 0.86), (0.3, 0.42, 0.24), (0.95, 0.9, 0.8), (0.8, 0.5, 0.3))
    )
    return [
        box((-0.9, -0.25, 6.47), (1.3, 0.9, 0.06), first),
        box((1.35, -0.2, 6.47), (0.7, 0.95, 0.06), second),
        box((3.17, -0.2, 4.3), (0.06, 1.0, 1.5), third),
        box((-3.17, -0.2, 4.6), (0.06, 1.0, 1.5), third),
    ]


def _table() -> list[Shape]:
    wood = tx.planks(21, (0.34, 0.18, 0.1), (0.55, 0.33, 0.19), 0.1)
    x, z, top = -0.75, 3.6, FLOOR - 0.75
    legs = [
        box((x + dx, top + 0.4, z + dz), (0.07, 0.71, 0.07), wood)
        for dx in (-0.68, 0.68)
        for dz in (-0.38, 0.38)
    ]
    cloth = tx.cloth(23, ((0.8, 0.77, 0.7), (0.35, 0.45, 0.5), (0.8, 0.77, 0.7), (0.7, 0.35, 0.25)), 0.09)
    things = [
        box((x, top + 0.025, z), (1.5, 0.05, 0.9), wood),
        box((x - 0.15, top - 0.004, z), (0.5, 0.008, 0.9), cloth),
        sphere((x - 0.5, top - 0.16, z + 0.1), 0.16, tx.solid(25, 0.5, (0.1, 0.28, 0.35), (0.5, 0.75, 0.75))),
        sphere((x + 0.1, top - 0.1, z - 0.2), 0.095, tx.solid(26, 0.3, (0.75, 0.3, 0.05), (0.95, 0.6, 0.2))),
        box(
            (x + 0.48, top - 0.13, z + 0.12),
            (0.2, 0.26, 0.2),
            tx.checker((0.86, 0.82, 0.7), (0.2, 0.3, 0.45), 0.05),
            yaw=28,
        ),
    ]
    return legs + things


def _sideboard() -> list[Shape]:
    wood = tx.planks(31, (0.5, 0.35, 0.2), (0.75, 0.58, 0.38), 0.12)
    books = tx.cloth(
        33, ((0.6, 0.2, 0.15), (0.2, 0.3, 0.4), (0.75, 0.65, 0.4), (0.25, 0.4, 0.3), (0.4, 0.25, 0.35)), 0.06
    )
    return [
        box((2.72, FLOOR - 0.45, 4.4), (0.9, 0.9, 1.7), wood),
        box((2.75, FLOOR - 1.06, 4.7), (0.3, 0.32, 0.9), books),
        sphere((2.62, FLOOR - 1.11, 3.95), 0.21, tx.Bands(12, (0.9, 0.88, 0.8), (0.75, 0.25, 0.2))),
    ]


def _things() -> list[Shape]:
    crate = tx.planks(41, (0.5, 0.36, 0.22), (0.78, 0.6, 0.4), 0.07)
    rug = tx.cloth(43, ((0.55, 0.2, 0.18), (0.75, 0.62, 0.45), (0.25, 0.25, 0.35), (0.75, 0.62, 0.45)), 0.14)
    tiles = tx.checker((0.88, 0.86, 0.8), (0.22, 0.36, 0.34), 0.09, 45)
    return [
        box((0.9, FLOOR - 0.006, 3.2), (1.7, 0.012, 2.2), rug, yaw=8),
        box((1.15, FLOOR - 0.3, 2.75), (0.56, 0.6, 0.56), crate, yaw=24),
        sphere((1.1, FLOOR - 0.82, 2.75), 0.22, tx.Bands(8, (0.93, 0.9, 0.82), (0.2, 0.42, 0.6))),
        box((1.55, FLOOR - 0.55, 5.2), (0.6, 1.1, 0.6), tiles, yaw=-18),
        sphere((0.35, FLOOR - 0.25, 4.4), 0.25, tx.solid(47, 0.6, (0.25, 0.12, 0.3), (0.75, 0.6, 0.75))),
        box(
            (-2.55, FLOOR - 0.9, 5.3),
            (0.8, 1.8, 0.8),
            tx.planks(49, (0.2, 0.26, 0.3), (0.36, 0.45, 0.5), 0.2),
            yaw=10,
        ),
    ]
