"""Rooms. x to the right, y away from the camera; the floor's middle is the origin."""

from __future__ import annotations

import math

import numpy as np

from . import light, things
from .build import ball, box, cushion, group, lathe, prism, put, rod, sheet, text, tube
from .materials import (
    blind,
    brick,
    carpet,
    fabric,
    glass,
    glow,
    leaf,
    marble,
    metal,
    mirror,
    plain,
    spotted,
    stripes,
    wood,
)


def _shell(size, floor, wall, ceiling, opening=None, skirting=None, far=None):
    """Floor, ceiling and four walls; `opening` (x, z, width, height) is a hole in the far wall."""
    x, y, h = size
    box((x, y, 0.1), (0, 0, -0.1), floor, 0)
    box((x, y, 0.1), (0, 0, h), ceiling, 0)
    for side in (-1, 1):
        box((0.1, y + 0.2, h), (side * (x / 2 + 0.05), 0, 0), wall, 0)
        if skirting:
            box((0.02, y, 0.09), (side * (x / 2 - 0.01), 0, 0), skirting, 0.004)
    box((x, 0.1, h), (0, -y / 2 - 0.05, 0), wall, 0)
    if skirting:
        box((x, 0.02, 0.09), (0, y / 2 - 0.01, 0), skirting, 0.004)
    far = far or wall
    if not opening:
        box((x, 0.1, h), (0, y / 2 + 0.05, 0), far, 0)
        return
    ox, oz, ow, oh = opening
    left, right = ox - ow / 2 + x / 2, x / 2 - ox - ow / 2
    box((left, 0.2, h), (-x / 2 + left / 2, y / 2 + 0.1, 0), far, 0)
    box((right, 0.2, h), (x / 2 - right / 2, y / 2 + 0.1, 0), far, 0)
    box((ow, 0.2, oz), (ox, y / 2 + 0.1, 0), far, 0)
    box((ow, 0.2, h - oz - oh), (ox, y / 2 + 0.1, oz + oh), far, 0)


def _frame(width, height, at, turn, rim, canvas):
    """A picture on a wall."""
    with group("frame") as made:
        box((width, 0.02, height), (0, 0, 0), canvas, 0)
        for x in (-width / 2, width / 2):
            box((0.04, 0.04, height + 0.04), (x, -0.01, -0.02), rim, 0.006)
        for z in (-0.02, height - 0.02):
            box((width, 0.04, 0.04), (0, -0.01, z), rim, 0.006)
    put(made, at, turn)


def build_living_room(rng):
    white, oak = plain("#e9e4d8", 0.9, 0, 0.04, 3), things.oak()
    _shell(
        (6.4, 6, 2.6),
        wood("#6b4526", "#a87c4f", (1, 9, 9), planks=0.14),
        spotted("#c7bda6", "#cfc6b0", 40, 0.9, bump=0.004),
        white,
        skirting=white,
    )
    sofa = things.sofa(2.3, fabric("#48606b", "#55707c"), fabric("#c98b3a", "#d9a45a", checks=12), rng)
    put(sofa, (-0.9, 2.2, 0))
    armchair = things.sofa(1.0, fabric("#8a4a37", "#9c5a45"), plain("#d8cdb8"), rng)
    put(armchair, (-2.5, 0.4, 0), 80)
    sheet(
        lambda u, v: ((u - 0.5) * 2.8, (v - 0.5) * 2.0, 0.012 + 0.006 * np.sin(9 * u) * np.sin(7 * v)),
        (40, 30),
        carpet("#7d2f2b", "#d9c9a4", 3.0),
        (-0.7, 0.7, 0),
    )
    put(things.table((1.1, 0.6, 0.42), glass(), metal("#2b2b2b", 0.4), 0.015), (-0.8, 0.75, 0))
    things.vase(plain("#2f6f78", 0.1), 0.22, (-1.1, 0.8, 0.42))
    for i in range(3):
        box(
            (0.24, 0.17, 0.03),
            (-0.55, 0.7, 0.42 + 0.03 * i),
            plain(("#aa3b2e", "#e8e1d0", "#27496d")[i]),
            0.003,
            17 * i,
        )
    put(things.shelf(1.5, 2.1, 0.32, oak, rng), (1.7, 2.8, 0))
    box((0.42, 1.8, 0.45), (2.95, -0.2, 0.12), oak, 0.01)
    box((0.04, 1.25, 0.72), (3.0, -0.1, 0.62), plain("#0b0c0e", 0.08), 0.01)
    put(things.floor_lamp(), (0.55, 2.6, 0))
    put(things.pot_plant(1.3, 4), (-2.75, 2.5, 0))
    put(things.pot_plant(0.5, 9, "#e8e2d6"), (2.95, 0.95, 0.57))
    _frame(0.9, 0.6, (-0.9, 2.97, 1.45), 0, oak, spotted("#26405c", "#d99a4a", 3, 0.7, 0.3, 0.7))
    _frame(0.35, 0.5, (-1.9, 2.97, 1.5), 0, metal("#1f1f1f", 0.5), spotted("#e6ded0", "#6b2f3a", 5, 0.7))
    linen = fabric("#d9d2c4", "#e4ddd0", 90)
    for y in (0.0, 1.7):
        things.curtain(0.9, 2.35, 7, linen, (-3.05, y, 0.08), 90)
    rod((-3.05, -0.6, 2.45), (-3.05, 2.3, 2.45), 0.014, oak)
    box((0.03, 1.0, 1.6), (-3.16, 0.85, 0.7), blind("#efe4cc", "#a8977a", 60, 1.6), 0)
    for y in (0.32, 1.38):
        box((0.06, 0.06, 1.72), (-3.15, y, 0.64), white, 0.006)
    for z in (0.64, 2.3):
        box((0.08, 1.12, 0.06), (-3.15, 0.85, z), white, 0.006)
    light.panel((-2.9, 0.85, 1.6), (0, 0.5, 0.6), (1.2, 1.6), "#e8f0ff", 90)
    light.bulb((0.55, 2.6, 1.45), "#ffd39a", 30, 0.1)
    light.panel((0, -1, 2.5), (0, 0, 0), (2, 2), "#fff3e0", 40)
    light.dim("#606872", 0.2)


def build_kitchen(rng):
    oak, steel = wood("#a9814f", "#caa571"), metal("#c2c4c6", 0.22)
    front, stone = plain("#2f5d50", 0.35, 0, 0.05), marble("#e8e6e1", "#8d8a88")
    tiles = brick("#eef0ee", "#e2e6e4", "#b9b4aa", (0.2, 0.1), rough=0.12, gap=0.006)
    _shell(
        (5, 5, 2.6),
        brick("#c9b299", "#b79e84", "#7d7366", (0.45, 0.45), False, 0, 0.3, 0.008),
        plain("#f0d9a8", 0.9, 0, 0.04, 4),
        plain("#f2f0ea", 0.9),
        far=tiles,
    )
    with group("cupboard") as low:
        box((0.6, 0.58, 0.1), (0, 0.03, 0), plain("#222222"))
        box((0.6, 0.6, 0.76), (0, 0, 0.1), front, 0.004)
        box((0.56, 0.02, 0.7), (0, -0.31, 0.13), front, 0.006)
        box((0.48, 0.012, 0.56), (0, -0.325, 0.2), front, 0.01)
        rod((-0.1, -0.35, 0.74), (0.1, -0.35, 0.74), 0.007, steel)
    for i in range(7):
        put(low, (-2.1 + 0.61 * i, 2.2, 0))
    for i in range(4):
        put(low, (2.2, 1.55 - 0.61 * i, 0), -90)
    box((4.6, 0.66, 0.04), (-0.1, 2.18, 0.86), stone, 0.006)
    box((0.66, 2.6, 0.04), (2.18, 0.6, 0.86), stone, 0.006)
    for i in (0, 1, 5, 6):
        put(low, (-2.1 + 0.61 * i, 2.34, 1.4), 0, (1, 0.55, 0.9))
    prism(
        [(-0.45, 0), (0.45, 0), (0.16, 0.35), (0.12, 1.0), (-0.12, 1.0), (-0.16, 0.35)],
        0.45,
        (-0.27, 2.2, 1.55),
        steel,
        0,
        0.004,
    )
    box((0.58, 0.5, 0.01), (-0.27, 2.15, 0.9), plain("#0c0c0d", 0.08), 0.002)
    lathe(
        [(0.001, 0), (0.11, 0), (0.12, 0.02), (0.09, 0.13), (0.04, 0.17), (0.001, 0.18)],
        (-0.42, 2.2, 0.91),
        plain("#a52019", 0.12),
    )
    tube([(-0.51, 2.2, 0.98), (-0.6, 2.18, 1.06), (-0.62, 2.18, 1.08)], 0.014, plain("#a52019", 0.12))
    tube(
        [(-0.5, 2.2, 1.05), (-0.48, 2.2, 1.16), (-0.36, 2.2, 1.16), (-0.34, 2.2, 1.05)],
        0.01,
        plain("#161616"),
    )
    lathe(
        [(0.001, 0), (0.1, 0), (0.11, 0.14), (0.105, 0.14), (0.1, 0.01), (0.001, 0.01)],
        (-0.12, 2.12, 0.91),
        steel,
    )
    tube([(1.0, 2.4, 0.9), (1.0, 2.4, 1.2), (1.0, 2.25, 1.28), (1.0, 2.15, 1.18)], 0.014, steel)
    box((0.5, 0.4, 0.015), (1.0, 2.15, 0.895), plain("#3c3f40", 0.3, 1.0), 0.003)
    for i, c in enumerate(("#d8b13c", "#b4472f", "#e7e2d4")):
        lathe(
            [(0.001, 0), (0.05, 0), (0.11, 0.09), (0.1, 0.09), (0.04, 0.01)],
            (1.95 + 0.1 * i, 1.2 - 0.5 * i, 0.9),
            plain(c, 0.2),
        )
    for i in range(6):
        a = i * 1.05
        ball(
            0.042,
            (1.95 + 0.05 * math.cos(a), 1.2 + 0.05 * math.sin(a), 0.97),
            plain(rng.choice(("#d46a1e", "#9bbf3b")), 0.3),
        )
    for i in range(4):
        things.vase(glass("#cfe3c0"), 0.26 - 0.03 * i, (-1.9 + 0.17 * i, 2.3, 0.9))
    put(things.table((1.5, 0.85, 0.9), oak, metal("#2a2a2a", 0.5), 0.05), (-0.35, 0.25, 0))
    with group("stool") as stool:
        lathe([(0.001, 0.64), (0.17, 0.64), (0.18, 0.67), (0.001, 0.68)], (0, 0, 0), oak)
        for i in range(4):
            a = i * math.pi / 2 + 0.78
            rod(
                (0.2 * math.cos(a), 0.2 * math.sin(a), 0),
                (0.12 * math.cos(a), 0.12 * math.sin(a), 0.65),
                0.011,
                metal("#2a2a2a", 0.5),
            )
        tube(
            [(0.17 * math.cos(a), 0.17 * math.sin(a), 0.22) for a in np.linspace(0, 6.283, 17)[:-1]],
            0.007,
            steel,
            True,
            True,
        )
    for x in (-0.8, -0.1):
        put(stool, (x, -0.45, 0), 20 * x)
    box((0.4, 0.26, 0.02), (-0.2, 0.2, 0.9), oak, 0.005, 15)
    cushion((0.3, 0.13, 0.12), (-0.2, 0.22, 0.92), spotted("#a96a2c", "#d9a765", 20), 20, 0.45)
    for x in (-0.75, 0.05):
        rod((x, 0.25, 2.6), (x, 0.25, 1.95), 0.004, plain("#111111"))
        lathe(
            [(0.02, 0.2), (0.06, 0.17), (0.17, 0.0), (0.165, 0.0), (0.05, 0.16)],
            (x, 0.25, 1.75),
            plain("#cf7d28", 0.3),
        )
        ball(0.035, (x, 0.25, 1.8), glow("#ffdf9f", 30))
        light.bulb((x, 0.25, 1.72), "#ffd9a0", 14)
    light.panel((-2.4, -0.6, 1.7), (0, 0.6, 0.8), (1.4, 1.4), "#e6efff", 80)
    light.panel((0.6, -1.2, 2.5), (0.3, 0.5, 0), (2.2, 1.5), "#fff0dc", 30)
    light.dim("#707880", 0.2)


def build_bedroom_at_night(rng):
    navy, oak = plain("#22345a", 0.85, 0, 0.05, 5), wood("#3e2413", "#6e4526")
    _shell(
        (5, 5, 2.5),
        carpet("#5f5b57", "#6d6964"),
        navy,
        plain("#8a8f9c", 0.9),
        far=plain("#7c2230", 0.85, 0, 0.05, 6),
        skirting=plain("#cbc7bc"),
    )
    sheet_cloth, blanket = fabric("#d8d4cc", "#e6e2da", 120), fabric("#2b6a6c", "#d8a13e", 90, checks=6)
    box((1.9, 2.1, 0.28), (-0.6, 1.35, 0.08), oak, 0.02)
    box((2.0, 0.09, 1.1), (-0.6, 2.44, 0), oak, 0.04)
    cushion((1.8, 2.0, 0.28), (-0.6, 1.35, 0.3), sheet_cloth)

    def draped(u, v):
        x = (u - 0.5) * 2.5
        over = np.clip(np.abs(x) - 0.93, 0, None)
        z = 0.62 - over * 1.25 + 0.018 * np.sin(11 * u + 4 * v) + 0.014 * np.sin(23 * v + 7 * u)
        return np.clip(x, -0.97, 0.97) + 0.04 * np.sin(26 * v) * (over > 0), v * 1.35, z

    sheet(draped, (90, 60), blanket, (-0.6, 0.27, 0), thickness=0.02)
    for x in (-1.05, -0.15):
        cushion((0.68, 0.42, 0.16), (x, 2.08, 0.56), sheet_cloth, (18, 0, rng.uniform(-8, 8)), 0.45)
    for x in (-1.95, 0.75):
        box((0.45, 0.4, 0.5), (x, 2.2, 0), oak, 0.01)
        box((0.39, 0.02, 0.18), (x, 1.995, 0.27), oak, 0.01)
        ball(0.016, (x, 1.97, 0.36), metal("#c8a860"))
    lathe(
        [(0.001, 0), (0.07, 0), (0.075, 0.02), (0.03, 0.09), (0.05, 0.16), (0.015, 0.24)],
        (0.75, 2.2, 0.5),
        plain("#c2b49a", 0.2),
    )
    lathe([(0.16, 0.22), (0.1, 0.42)], (0.75, 2.2, 0.5), glow("#ffcf8a", 9))
    light.bulb((0.75, 2.2, 0.84), "#ffbf73", 45, 0.06)
    for i in range(3):
        box(
            (0.15, 0.21, 0.03),
            (-1.93, 2.15, 0.5 + 0.03 * i),
            plain(("#375a3f", "#b08d57", "#8a2f2f")[i]),
            0.003,
            9 * i,
        )
    box((0.6, 1.9, 2.15), (2.2, 1.3, 0), plain("#d6d0c3", 0.5), 0.01)
    for y in (0.85, 1.75):
        box((0.02, 0.9, 2.0), (1.89, y, 0.08), plain("#dcd7cb", 0.45), 0.006)
        rod(
            (1.86, y + (0.36 if y < 1 else -0.36), 1.0),
            (1.86, y + (0.36 if y < 1 else -0.36), 1.2),
            0.008,
            metal(),
        )
    put(things.chair(fabric("#8b8f45", "#a0a45a"), oak), (-2.0, -0.2, 0), 130)
    cushion((0.5, 0.34, 0.07), (-2.0, -0.2, 0.5), fabric("#9c3d4e", "#b0505f"), 25, 0.4)
    _frame(
        0.55,
        0.75,
        (-0.6, 2.47, 1.35),
        0,
        metal("#b8934a", 0.3),
        spotted("#1b2436", "#e0d2a0", 4, 0.6, 0.5, 0.6),
    )
    sheet(
        lambda u, v: ((u - 0.5) * 1.5, (v - 0.5) * 0.9, 0.02 + 0.01 * np.sin(14 * u + 3 * v)),
        (40, 24),
        carpet("#c9b68e", "#8a7650", 5),
        (0.95, -0.1, 0),
    )
    for i in range(2):
        cushion(
            (0.1, 0.26, 0.08), (0.9 + 0.14 * i, -0.15 + 0.05 * i, 0.03), fabric("#d06a86", "#e08aa0"), 14 * i
        )
    box((0.03, 1.3, 1.2), (-2.49, 0.9, 0.95), plain("#0a1020", 0.05), 0)
    for y in (0.25, 0.9, 1.55):
        box((0.06, 0.05, 1.2), (-2.46, y, 0.95), plain("#d8d8d4"), 0.004)
    things.curtain(0.5, 2.1, 5, fabric("#8a5a2c", "#9c6a38"), (-2.4, 0.0, 0.1), 90)
    light.panel((0.5, -2.2, 2.2), (0, 1, 0.4), (0.8, 0.8), "#6f86b5", 6)
    light.dim("#1a2238", 0.15)


def build_office(rng):
    grey, desk = metal("#8d9196", 0.4), plain("#d8cbb2", 0.4, 0, 0.05, 12)
    _shell(
        (7, 8, 2.9),
        carpet("#3f4a55", "#4b5763", 2.0),
        plain("#d9dcd8", 0.9, 0, 0.03, 4),
        brick("#e8e8e4", "#dddeda", "#9fa09c", (0.6, 0.6), False, 0, 0.9, 0.012),
        far=plain("#2f7f86", 0.85, 0, 0.04),
    )
    chair = things.office_chair(fabric("#20242a", "#2c3138"), plain("#17181a", 0.4))
    with group("place") as place:
        put(things.table((1.6, 0.8, 0.74), desk, grey), (0, 0, 0))
        box((0.6, 0.03, 0.36), (0, 0.18, 0.86), plain("#0d0f12", 0.1), 0.006)
        rod((0, 0.22, 0.74), (0, 0.22, 1.0), 0.018, grey)
        lathe([(0.001, 0), (0.12, 0), (0.12, 0.012), (0.001, 0.02)], (0, 0.22, 0.74), grey)
        box((0.44, 0.14, 0.018), (0, -0.15, 0.74), plain("#222426"), 0.004)
        cushion((0.06, 0.1, 0.035), (0.34, -0.15, 0.74), plain("#e0e0dc", 0.3))
        lathe(
            [(0.001, 0), (0.035, 0), (0.04, 0.09), (0.036, 0.09), (0.03, 0.01)],
            (-0.4, -0.1, 0.74),
            plain("#b33a2c", 0.2),
        )
        for i in range(3):
            box(
                (0.21, 0.3, 0.012), (-0.55 + 0.02 * i, 0.1, 0.74 + 0.012 * i), plain("#ece9e0", 0.8), 0, 8 * i
            )
        tube(
            [(0.2, 0.25, 0.74), (0.3, 0.42, 0.6), (0.35, 0.4, 0.2), (0.6, 0.4, 0.02)], 0.006, plain("#101010")
        )
    for x, y, t in ((-1.9, 1.9, 0), (0.2, 1.9, 0), (2.3, 1.9, 0), (-1.2, -0.5, 180), (1.4, -0.6, 180)):
        put(place, (x, y, 0), t + rng.uniform(-3, 3))
        side = 1 if t else -1
        put(chair, (x + rng.uniform(-0.2, 0.2), y + side * 0.75, 0), t + 180 + rng.uniform(-40, 40))
    for i in range(24):
        box((0.035, 2.6, 0.004), (-3.38, 0.6, 0.95 + 0.06 * i), plain("#c9ccc8", 0.5), 0, (0, 35, 0))
    box((0.02, 2.6, 1.5), (-3.47, 0.6, 0.92), glow("#e8f0fa", 4), 0)
    box((2.2, 0.03, 1.2), (-0.3, 3.95, 1.1), plain("#f4f5f5", 0.1, 0, 0.01), 0.01)
    for i in range(4):
        tube(
            [
                (-1.1 + 0.5 * i, 3.925, 1.4 + 0.2 * (i % 2)),
                (-0.9 + 0.5 * i, 3.925, 1.9),
                (-0.7 + 0.4 * i, 3.925, 1.5),
                (-0.6 + 0.5 * i, 3.925, 1.8),
            ],
            0.006,
            plain(("#c0302a", "#244f9c", "#1a1a1a", "#2a7a3a")[i]),
        )
    put(things.shelf(1.6, 1.9, 0.35, grey, rng), (2.4, 3.75, 0))
    put(things.pot_plant(1.4, 3, "#e0dcd2"), (-2.8, 3.4, 0))
    put(things.pot_plant(0.35, 8), (0.75, 2.1, 0.74))
    lathe(
        [(0.001, 0), (0.13, 0), (0.16, 0.34), (0.15, 0.34), (0.12, 0.01)],
        (-0.2, -0.2, 0),
        plain("#3a3d40", 0.5),
    )
    lathe([(0.15, 0), (0.16, 0.01), (0.155, 0.05), (0.15, 0.01)], (1.6, 3.92, 2.2), grey, (90, 0, 0))
    lathe([(0.001, 0), (0.15, 0)], (1.6, 3.93, 2.2), plain("#f0f0ea"), (90, 0, 0))
    for x in (-1.6, 1.6):
        for y in (-1.5, 2):
            box((0.3, 1.5, 0.05), (x, y, 2.84), plain("#dcdcdc"), 0.006)
            box((0.24, 1.44, 0.01), (x, y, 2.83), glow("#f6fbff", 7), 0)
            light.panel((x, y, 2.8), (x, y, 0), (0.24, 1.4), "#f2f8ff", 45)
    light.panel((-3.3, 0.6, 1.7), (0, 0.4, 0.8), (2.4, 1.4), "#eaf1ff", 80)
    light.dim("#808890", 0.15)


def build_corridor(_rng):
    green, white = plain("#3f8f63", 0.6, 0, 0.04, 5), plain("#e9e6da", 0.85, 0, 0.03)
    _shell(
        (2.3, 24, 2.7),
        brick("#b9b7ad", "#a8a69c", "#8f8d84", (0.5, 0.5), False, 0, 0.12, 0.004),
        white,
        white,
    )
    box((0.02, 24, 1.1), (-1.14, 0, 0), green, 0)
    box((0.02, 24, 1.1), (1.14, 0, 0), green, 0)
    for side in (-1, 1):
        box((0.03, 24, 0.08), (side * 1.13, 0, 1.1), wood("#6d4a2a", "#8f6a40"), 0.006)
    door, frame = wood("#7a4f2a", "#a87747", (8, 8, 1)), plain("#4a4d52", 0.5)
    with group("door") as leaf_:
        box((0.06, 1.1, 2.15), (0, 0, 0), frame, 0.008)
        box((0.09, 0.9, 2.04), (0, 0, 0), door, 0.006)
        rod((0.07, -0.33, 1.02), (0.1, -0.33, 1.02), 0.01, metal())
        rod((0.1, -0.33, 1.02), (0.1, -0.22, 1.02), 0.009, metal())
        box((0.1, 0.2, 0.12), (0.0, 0.0, 1.6), plain("#f0f0ec"), 0.004)
    for i in range(5):
        put(leaf_, (-1.12, 0.8 + 2.3 * i, 0))
        put(leaf_, (1.12, 1.7 + 2.3 * i, 0), 180)
    for i in range(6):
        y = -0.5 + 2.1 * i
        box((0.6, 0.6, 0.03), (0, y, 2.68), glow("#fffbe8", 9 if i != 3 else 0.4), 0)
        light.panel((0, y, 2.66), (0, y, 0), (0.6, 0.6), "#fff6e0", 26 if i != 3 else 0.5)
    for i in range(3):
        put(things.chair(plain("#d06a2a", 0.4), metal("#55585c", 0.4)), (0.85, 2.9 + 0.55 * i, 0), -90)
    lathe(
        [(0.001, 0), (0.16, 0), (0.18, 0.5), (0.17, 0.52), (0.001, 0.52)],
        (-0.9, 3.0, 0),
        metal("#a8abad", 0.3),
    )
    put(things.pot_plant(1.2, 12), (-0.8, 5.4, 0))
    lathe(
        [(0.001, 0), (0.07, 0), (0.075, 0.4), (0.03, 0.5), (0.001, 0.5)],
        (1.05, 1.05, 0.8),
        plain("#b3161b", 0.25),
    )
    box((0.5, 0.9, 0.02), (-0.2, 6.3, 0.9), plain("#c9ccd0", 0.3, 0.5), 0.01)
    for x in (-0.4, 0.0):
        for y in (5.9, 6.7):
            rod((x, y, 0.08), (x, y, 0.9), 0.015, metal())
            ball(0.05, (x, y, 0.05), plain("#1a1a1a"))
    box((0.5, 0.9, 0.02), (-0.2, 6.3, 0.35), metal(), 0.01)
    cushion((0.34, 0.5, 0.2), (-0.2, 6.3, 0.92), fabric("#d9dde0", "#c8cdd2"))
    box((1.6, 0.06, 2.2), (0, 11.9, 0), plain("#5b6f86", 0.4), 0.01)
    box((0.5, 0.08, 0.7), (-0.4, 11.88, 1.2), glow("#dff0ff", 2.5), 0)
    text("EXIT", 0.22, (0, 11.85, 2.3), (90, 0, 0), glow("#38e06a", 3))
    for x in (-0.6, 0.6):
        tube(
            [(x * 0.2 + 0.8, -1, 2.6), (x * 0.2 + 0.8, 6, 2.6), (x * 0.2 + 0.8, 11.9, 2.6)],
            0.04,
            metal("#c0703a", 0.4),
        )
    light.dim("#90989f", 0.08)


def build_bathroom(_rng):
    tiles = brick("#1f6fa8", "#2b83bd", "#e0e6e8", (0.15, 0.15), True, 0, 0.1, 0.006)
    floor = brick("#e9e9e4", "#2a2d30", "#9a9a96", (0.3, 0.3), False, 0.5, 0.2, 0.006)
    china, chrome = plain("#f4f3ef", 0.08, 0, 0.01), metal("#d8dadc", 0.08)
    _shell((3, 3.4, 2.5), floor, tiles, plain("#f2f2ee", 0.9))
    tub = cushion((0.78, 1.7, 0.58), (-1.08, 0.8, 0), china, 0, 0.22)
    tub.modifiers.remove(tub.modifiers[-1])
    box((0.6, 1.5, 0.02), (-1.08, 0.8, 0.575), plain("#9cc7d8", 0.05), 0.01)
    tube([(-1.08, 1.66, 0.95), (-1.08, 1.5, 0.97), (-1.08, 1.46, 0.86)], 0.018, chrome)
    things.curtain(0.9, 1.55, 9, stripes("#f2efe6", "#d2574a", 3.0), (-0.67, 1.2, 0.42), 90)
    rod((-0.67, -0.1, 1.98), (-0.67, 1.7, 1.98), 0.013, chrome)
    lathe([(0.1, 0), (0.07, 0.3), (0.09, 0.7), (0.14, 0.75)], (0.35, 1.45, 0), china)
    lathe(
        [(0.05, 0.74), (0.2, 0.76), (0.29, 0.87), (0.27, 0.88), (0.12, 0.8), (0.001, 0.78)],
        (0.35, 1.38, 0),
        china,
    )
    tube([(0.35, 1.62, 0.86), (0.35, 1.6, 1.02), (0.35, 1.5, 1.04), (0.35, 1.47, 0.96)], 0.015, chrome)
    box((0.8, 0.02, 0.95), (0.35, 1.68, 1.1), mirror(), 0)
    for x in (-0.41, 0.41):
        box((0.03, 0.04, 0.99), (0.35 + x, 1.67, 1.08), chrome, 0.005)
    box((0.7, 0.12, 0.02), (0.35, 1.63, 1.04), glass("#d8f0ee"), 0.003)
    for i, c in enumerate(("#d94f70", "#3a9a6a", "#e8e4da", "#c79a2e")):
        h = 0.1 + 0.03 * (i % 3)
        lathe(
            [(0.001, 0), (0.028, 0), (0.028, h), (0.012, h + 0.01), (0.012, h + 0.03), (0.001, h + 0.03)],
            (0.1 + 0.15 * i, 1.62, 1.06),
            plain(c, 0.2),
        )
    lathe([(0.12, 0), (0.11, 0.2), (0.19, 0.38), (0.2, 0.41), (0.001, 0.43)], (1.15, 0.95, 0), china)
    cushion((0.2, 0.44, 0.4), (1.38, 0.95, 0.42), china)
    box((0.02, 0.5, 0.75), (1.45, 0.05, 0.9), fabric("#e6b43c", "#f0c557", 120), 0.02)
    rod((1.44, -0.25, 1.66), (1.44, 0.35, 1.66), 0.01, chrome)
    sheet(
        lambda u, v: ((u - 0.5) * 0.9, (v - 0.5) * 0.6, 0.02 + 0.012 * np.sin(40 * u) * np.sin(30 * v)),
        (60, 40),
        carpet("#d9d4c8", "#e9e5dc"),
        (0.3, 0.65, 0),
    )
    lathe(
        [(0.001, 0), (0.16, 0), (0.2, 0.45), (0.19, 0.45), (0.15, 0.01)],
        (-0.3, 1.45, 0),
        stripes("#a37b45", "#c79f66", 9, "Z"),
    )
    things.vase(plain("#245a54", 0.1), 0.2, (1.38, 0.9, 0.83))
    box((0.5, 0.02, 0.5), (-1.0, 1.69, 1.7), glow("#e4f0f6", 5), 0)
    light.panel((0, 0, 2.45), (0, 0, 0), (1.2, 1.2), "#fff8ec", 45)
    light.bulb((0.35, 1.5, 2.25), "#fff0d0", 20, 0.15)
    light.dim("#9098a0", 0.1)


def build_window_on_garden(_rng):
    orange, white = spotted("#d9661f", "#cf5d1b", 20, 0.9, bump=0.004), plain("#f1eee6", 0.5, 0, 0.02)
    _shell(
        (4.6, 4.6, 2.6),
        wood("#4a2c18", "#7d5533", (1, 9, 9), planks=0.11),
        orange,
        white,
        (-0.2, 0.85, 1.7, 1.35),
        white,
    )
    for x in (-1.05, -0.2, 0.65):
        box((0.06, 0.07, 1.35), (x, 2.36, 0.85), white, 0.006)
    for z in (0.85, 1.7, 2.14):
        box((1.7, 0.07, 0.06), (-0.2, 2.36, z), white, 0.006)
    box((1.9, 0.34, 0.04), (-0.2, 2.2, 0.81), white, 0.01)
    for x in (-1.25, 0.85):
        things.curtain(0.42, 2.2, 5, fabric("#f0ead8", "#e4dcc6", 100), (x, 2.2, 0.1))
    rod((-1.7, 2.2, 2.35), (1.3, 2.2, 2.35), 0.014, things.oak())
    put(things.table((1.5, 0.9, 0.75), things.oak(), things.oak()), (-0.3, 0.6, 0))
    chair = things.chair(fabric("#3a6b4a", "#4a7d5a"), things.oak())
    for x, y, t in ((-0.7, -0.15, 170), (0.3, -0.2, 200), (-0.3, 1.35, 5), (0.85, 0.7, -80)):
        put(chair, (x, y, 0), t)
    things.vase(glass("#a8d0e0"), 0.24, (-0.3, 0.6, 0.75))
    random = np.random.default_rng(4)
    stems = []
    for i in range(9):
        a = i * 2.1
        end = (-0.3 + 0.15 * math.cos(a), 0.6 + 0.15 * math.sin(a), 1.18 + 0.1 * random.random())
        tube(
            [(-0.3, 0.6, 0.8), (-0.3 + 0.03 * math.cos(a), 0.6 + 0.03 * math.sin(a), 1.0), end],
            0.003,
            plain("#3f6a2a"),
        )
        ball(0.035, end, plain(("#d8344c", "#f0c53a", "#f2f0ea")[i % 3], 0.6))
        stems += [np.array(end) - (0, 0, 0.05 * k) for k in range(1, 3)]
    things.leaves_at(np.array(stems), 0.09, leaf("#2f6a2a", "#5c9440"), random)
    lathe(
        [(0.001, 0), (0.07, 0), (0.14, 0.06), (0.13, 0.06), (0.06, 0.01)],
        (0.15, 0.5, 0.75),
        plain("#e8e2d0", 0.2),
    )
    for i in range(4):
        ball(
            0.04,
            (0.12 + 0.05 * (i % 2), 0.47 + 0.05 * (i // 2), 0.83),
            plain(("#b3261e", "#d98a1e")[i % 2], 0.3),
        )
    box((0.9, 0.4, 0.9), (1.75, 1.4, 0), plain("#e9e0cc", 0.5), 0.01, 90)
    put(things.pot_plant(0.6, 5), (1.75, 1.5, 0.9))
    _frame(0.6, 0.45, (1.6, 2.28, 1.5), 0, things.oak(), spotted("#3a5f7a", "#e8d8b0", 6, 0.6))
    put(things.floor_lamp(strength=1.0), (-1.9, 1.9, 0))
    _garden()
    light.panel((-0.2, 2.1, 1.6), (0, -0.5, 0.6), (1.6, 1.2), "#e8f2ff", 55)
    light.panel((0.5, -1.5, 2.4), (0, 0.5, 0.5), (1.5, 1.5), "#ffe8cc", 30)
    light.daylight(38, 200, 0.35, seed=3)


def _garden():
    lawn = spotted("#3f6a25", "#6d8f3a", 3)
    sheet(lambda u, v: ((u - 0.5) * 60, 2.6 + v * 60, -0.6 + 0.3 * np.sin(6 * u + 5 * v)), (40, 40), lawn)
    oak = things.tree(6, 1.0, things.dark_bark(), leaf("#2c5a1e", "#7fa645"), 5)
    for x, y, s in ((-4.5, 14, 1.0), (2.2, 17, 1.2), (7, 24, 1.4)):
        put(oak, (x, y, -0.6), 57 * x, s)
    put(things.fence(30, 1.2, plain("#e6e2d6", 0.6)), (0, 10, -0.5))
