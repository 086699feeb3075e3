"""A room of planes, boxes and spheres that all stand free: nothing is hidden that no picture could tell of.

The furnished rooms hold things that the input view cannot see at all, behind thin legs and under a table.
Whatever shows them from elsewhere sees through where they should be, and no method that looks for uncovered
pixels can know. This room leaves that out, so that what is measured is the pipeline.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from . import textures as tx
from .light import AreaLight, Lighting
from .noise import Array
from .shapes import box, sphere
from .soften import FOCAL, band_limited
from .world import World

_FLOOR = 1.5


@lru_cache(maxsize=1)
def plain_room() -> World:
    """A room 6.4 m wide and 8 m long with three boxes and two balls; the input camera stands at the origin."""
    lamp = AreaLight((0.4, -1.25, 3.4), (0.5, 0, 0), (0, 0, 0.5), (0, 1, 0), (1.9, 1.8, 1.6), 2.2)
    lighting = Lighting((lamp,), above=(0.36, 0.36, 0.37), below=(0.34, 0.32, 0.3), reach=1.0)
    wall, side = tx.plaster(1, (0.80, 0.76, 0.66), 0.1), tx.plaster(3, (0.62, 0.70, 0.72), 0.1)
    floor = tx.checker((0.7, 0.62, 0.5), (0.4, 0.32, 0.28), 0.5, 5)
    back = tx.plaster(7, (0.66, 0.45, 0.36), 0.12)
    ceiling = tx.plaster(9, (0.9, 0.9, 0.88), 0.05)
    room = box((0, 0.1, 2.5), (6.4, 2.8, 8.0), side, wall, floor, ceiling, back, wall, inside=True)
    things = (
        box((-1.9, _FLOOR - 0.8, 5.2), (0.9, 1.6, 0.8), tx.plaster(11, (0.35, 0.45, 0.55), 0.15), yaw=14),
        box(
            (1.5, _FLOOR - 0.5, 5.0),
            (0.8, 1.0, 0.8),
            tx.checker((0.8, 0.78, 0.7), (0.3, 0.45, 0.42), 0.25),
            yaw=-20,
        ),
        box((-0.5, _FLOOR - 0.25, 3.8), (0.7, 0.5, 0.6), tx.plaster(13, (0.7, 0.5, 0.3), 0.15), yaw=30),
        sphere((0.5, _FLOOR - 0.3, 4.4), 0.3, tx.solid(15, 0.9, (0.3, 0.15, 0.35), (0.7, 0.55, 0.7), 0.1)),
        sphere((2.1, _FLOOR - 0.35, 3.6), 0.35, tx.solid(17, 0.9, (0.15, 0.3, 0.4), (0.5, 0.7, 0.7), 0.1)),
    )
    return World.lit(band_limited((room, *things), FOCAL), lighting, _dark)


def _dark(dirs: Array) -> Array:
    return np.zeros_like(dirs)
