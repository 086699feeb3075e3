"""Things close by: a laid table, bicycles at a fence, toys, people in a gallery."""

from __future__ import annotations

import math

import numpy as np

from . import light, things
from .build import ball, blob, box, cushion, group, lathe, prism, put, rod, sheet, text, tube
from .materials import brick, carpet, fabric, glass, glow, leaf, marble, metal, plain, spotted, stripes, wood


def _room(x, y, h, floor, wall, ceiling=None):
    box((2 * x, 2 * y, 0.1), (0, 0, -0.1), floor, 0)
    box((2 * x, 2 * y, 0.1), (0, 0, h), ceiling or wall, 0)
    for s in (-1, 1):
        box((0.1, 2 * y, h), (s * x, 0, 0), wall, 0)
        box((2 * x, 0.1, h), (0, s * y, 0), wall, 0)


def build_laid_table(rng):
    _room(
        2.6, 3.2, 2.6, wood("#4a2f1c", "#7a5636", (1, 9, 9), planks=0.12), plain("#4f6b5c", 0.9, 0, 0.04, 4)
    )
    put(things.table((1.5, 1.0, 0.74), things.oak(), things.oak()), (0, 0, 0))

    def cloth(u, v):
        x, y = (u - 0.5) * 1.9, (v - 0.5) * 1.4
        over = np.maximum(np.clip(np.abs(x) - 0.76, 0, None), np.clip(np.abs(y) - 0.51, 0, None))
        z = 0.745 - 1.2 * over + 0.002 * np.sin(31 * u + 9 * v) + 0.03 * np.sin(40 * (u + v)) * (over > 0.02)
        return (
            np.clip(x, -0.77, 0.77) + 0.2 * over * np.sign(x),
            np.clip(y, -0.52, 0.52) + 0.2 * over * np.sign(y),
            z,
        )

    sheet(cloth, (120, 100), fabric("#e9e4d6", "#c8d4da", 220, checks=16), thickness=0.002)
    china, rim, steel = plain("#f2f0ea", 0.08, 0, 0.01), plain("#2a5a8a", 0.1), metal("#d0d2d4", 0.12)
    with group("cover") as cover:
        lathe(
            [
                (0.001, 0.004),
                (0.08, 0.004),
                (0.13, 0.02),
                (0.135, 0.022),
                (0.13, 0.026),
                (0.08, 0.01),
                (0.001, 0.009),
            ],
            (0, 0, 0),
            china,
        )
        tube(
            [(0.132 * math.cos(a), 0.132 * math.sin(a), 0.0245) for a in np.linspace(0, 6.283, 49)[:-1]],
            0.002,
            rim,
            True,
            True,
        )
        lathe(
            [(0.001, 0.012), (0.06, 0.014), (0.085, 0.05), (0.08, 0.05), (0.055, 0.02), (0.001, 0.018)],
            (0, 0, 0),
            china,
        )
        for x, w in ((-0.17, 0.012), (0.165, 0.009), (0.195, 0.014)):
            box((0.008, 0.12, 0.004), (x, -0.04, 0.002), steel, 0.001)
            cushion((2 * w, 0.07, 0.008), (x, 0.055, 0.002), steel)
        lathe(
            [
                (0.03, 0),
                (0.032, 0.002),
                (0.004, 0.008),
                (0.004, 0.08),
                (0.03, 0.11),
                (0.036, 0.15),
                (0.03, 0.19),
                (0.028, 0.19),
                (0.034, 0.15),
                (0.001, 0.088),
            ],
            (0.14, 0.19, 0.002),
            glass(),
        )
    for x, y, t in ((-0.42, -0.28, 0), (0.38, -0.28, 0), (-0.4, 0.32, 180), (0.4, 0.32, 180)):
        put(cover, (x, y, 0.747), t + rng.uniform(-4, 4))
    lathe(
        [(0.001, 0), (0.09, 0), (0.17, 0.08), (0.165, 0.085), (0.085, 0.01), (0.001, 0.01)],
        (0, 0.05, 0.748),
        plain("#b8652c", 0.2),
    )
    fruit = [("#c8261e", 0.042), ("#d9921e", 0.04), ("#8fae2f", 0.043), ("#d4b42a", 0.038)]
    for i in range(9):
        colour, r = fruit[i % 4]
        a, d, z = i * 2.4, 0.085 if i < 6 else 0.03, 0.8 if i < 6 else 0.855
        ball(
            r,
            (d * math.cos(a), 0.05 + d * math.sin(a), z + 0.01),
            spotted(colour, "#d8862c", 20, 0.35, 0.55, 0.8, 0.0005),
            0.93,
        )
    for i in range(4):
        tube(
            [(0.02 * i, 0.1, 0.86), (0.06 + 0.02 * i, 0.16, 0.885), (0.14 + 0.012 * i, 0.17, 0.85)],
            0.017,
            plain("#e0c030", 0.45),
        )
    lathe(
        [(0.001, 0), (0.037, 0), (0.038, 0.19), (0.016, 0.24), (0.014, 0.31), (0.001, 0.31)],
        (-0.12, 0.3, 0.748),
        plain("#1c3a22", 0.05, 0, 0.02),
    )
    box((0.058, 0.004, 0.08), (-0.12, 0.262, 0.81), plain("#e9e0c8"), 0)
    for x in (0.16, 0.26):
        lathe(
            [(0.04, 0), (0.03, 0.01), (0.008, 0.03), (0.008, 0.12), (0.018, 0.13), (0.012, 0.13)],
            (x, 0.28, 0.748),
            metal("#c8a050", 0.2),
        )
        rod((x, 0.28, 0.87), (x, 0.28, 1.02), 0.01, plain("#f0ead8"))
        ball(0.007, (x, 0.28, 1.04), glow("#ffc870", 60), 2.2)
        light.bulb((x, 0.28, 1.05), "#ffb860", 2.5, 0.01)
    cushion((0.26, 0.12, 0.1), (-0.02, -0.2, 0.76), spotted("#9c5f26", "#d8a765", 26), 24, 0.45)
    box((0.32, 0.2, 0.018), (-0.02, -0.2, 0.747), things.oak(), 0.005, 24)
    things.vase(plain("#35608a", 0.1), 0.17, (0.56, 0.05, 0.748))
    random = np.random.default_rng(1)
    places = random.normal((0.56, 0.05, 1.0), 0.05, (60, 3))
    for p in places[::6]:
        tube([(0.56, 0.05, 0.86), tuple(p)], 0.002, plain("#4a6a2a"), straight=True)
    things.leaves_at(places, 0.06, leaf("#3f6a2a", "#8fa850"), random, 0.0)
    chair = things.chair(fabric("#7a3a30", "#8f4a3e"), things.oak())
    for x, y, t in ((-0.4, 0.85, 4), (0.42, 0.9, -8), (-1.1, 0, 90), (1.15, 0.1, -85)):
        put(chair, (x, y, 0), t)
    put(things.shelf(1.4, 1.6, 0.3, things.oak(), rng), (-0.9, 2.95, 0))
    put(things.pot_plant(1.2, 7), (1.6, 2.6, 0))
    light.panel((-2.4, -0.2, 1.7), (0, 0, 0.8), (1.3, 1.4), "#e6efff", 60)
    light.panel((0.3, 0, 2.5), (0, 0, 0.7), (0.9, 0.9), "#ffe6c4", 25)
    light.dim("#808890", 0.1)


def build_bicycles_at_fence(rng):
    box(
        (300, 300, 0.2),
        (0, 100, -0.2),
        brick("#97908a", "#88817b", "#5a5550", (0.22, 0.11), False, 0.5, 0.85),
        0,
    )
    box((300, 200, 0.04), (0, 101.2, 0), spotted("#4c6a2a", "#7d8f45", 2, 0.95), 0)
    put(things.fence(9, 1.15, wood("#c8c2b4", "#e6e1d4", (6, 6, 1), rough=0.7)), (0, 1.0, 0))
    for x, y, t, c in (
        (-0.5, 0.35, 6, "#b8322c"),
        (1.1, 0.55, 170, "#2f6f8c"),
        (2.9, 0.4, -4, "#d8a62c"),
        (-2.8, 0.5, 3, "#3f6a3a"),
    ):
        put(things.bicycle(plain(c, 0.25, 0.3)), (x, y, 0), (-5, 0, t))
    iron = metal("#3a4046", 0.4)
    for x in (-1.5, 0.3, 2.0):
        tube(
            [
                (x, 0.0, 0),
                (x, 0.0, 0.8),
                (x + 0.1, 0, 0.9),
                (x + 0.7, 0, 0.9),
                (x + 0.8, 0, 0.8),
                (x + 0.8, 0, 0),
            ],
            0.022,
            iron,
        )
    bush = things.tree(2.2, 1.3, things.dark_bark(), leaf("#345a22", "#7d9c44"), 13, 8000, 0.07)
    for x in (-4.4, -2.2, 0.5, 2.4, 4.6):
        put(bush, (x, 2.6 + 0.3 * math.sin(3 * x), -0.5), 50 * x, rng.uniform(0.8, 1.1))
    big = things.tree(8, 1.0, things.dark_bark(), leaf("#3a661f", "#8aa648"), 17, 10000, 0.18)
    for x, y in ((-5, 9), (3.5, 12), (10, 16), (-12, 18)):
        put(big, (x, y, 0), 40 * x)
    house = things.house(
        (11, 8, 5.6),
        brick("#9c5a42", "#b06a50", "#c2b8aa"),
        brick("#3f444a", "#4c5158", "#2a2d30", (0.3, 0.25), False),
        plain("#efece4"),
        rng,
    )
    put(house, (-3.5, 19, 0), 8)
    lathe(
        [(0.001, 0), (0.19, 0), (0.21, 0.25), (0.2, 0.3), (0.001, 0.28)],
        (-1.7, -0.9, 0),
        plain("#b3613c", 0.8),
    )
    random = np.random.default_rng(8)
    blooms = random.normal((-1.7, -0.9, 0.42), (0.12, 0.12, 0.08), (90, 3))
    things.leaves_at(blooms, 0.09, leaf("#3f6a2a", "#6f9440"), random, 0.0)
    for p in blooms[::5]:
        ball(0.025, (p[0], p[1], p[2] + 0.05), plain(("#d8365a", "#f0e8e0")[int(p[0] * 100) % 2], 0.6))
    blob(
        [((0, 0, 0.24), 0.12), ((0.2, 0, 0.25), 0.11), ((0.33, 0, 0.36), 0.075), ((0.41, 0, 0.33), 0.045)],
        (0.9, -1.0, 0),
        spotted("#b8824a", "#e6d8c0", 8, 0.8),
        200,
        "dog",
    )
    for x, y in ((0.03, 0.06), (0.03, -0.06), (0.2, 0.06), (0.2, -0.06)):
        a = math.radians(200)
        at = (0.9 + x * math.cos(a) - y * math.sin(a), -1.0 + x * math.sin(a) + y * math.cos(a))
        rod((*at, 0), (*at, 0.22), 0.028, plain("#b8824a"))
    rod((1.9, -0.3, 0), (1.9, -0.3, 2.4), 0.03, iron)
    box((0.45, 0.02, 0.45), (1.9, -0.33, 1.85), plain("#1f57a8", 0.4), 0.01)
    text("P", 0.4, (1.9, -0.345, 1.93), (90, 0, 0), plain("#f4f4f0"))
    light.daylight(48, 205, 0.35, 0.2, seed=17)


def build_toys_on_carpet(rng):
    _room(2.5, 3, 2.5, wood("#8a6238", "#b98c58", (1, 9, 9), planks=0.1), plain("#e3b23c", 0.9, 0, 0.03, 4))
    sheet(
        lambda u, v: (
            (u - 0.5) * 2.2,
            (v - 0.5) * 1.8 + 0.2,
            0.012 + 0.004 * np.sin(21 * u) * np.sin(17 * v),
        ),
        (50, 40),
        carpet("#2f5f7a", "#d9cfb4", 4.0),
    )
    paint = [plain(c, 0.35) for c in ("#c8342a", "#2f6fb0", "#e0b52c", "#3f8f4a", "#e8e2d4")]
    for i in range(4):
        box((0.07, 0.07, 0.07), (-0.25 + 0.004 * i, 0.15, 0.016 + 0.07 * i), paint[i], 0.006, 13 * i)
    for x, y, t, i in ((-0.36, 0.02, 20, 2), (-0.16, 0.0, 50, 0), (0.32, 0.32, 10, 1), (0.06, 0.5, 35, 3)):
        box((0.07, 0.07, 0.07), (x, y, 0.016), paint[i], 0.006, t)
    prism(
        [(-0.07, 0), (0.07, 0), (0.07, 0.05), (0.035, 0.05), (0.0, 0.015), (-0.035, 0.05), (-0.07, 0.05)],
        0.05,
        (0.33, 0.33, 0.087),
        paint[4],
        25,
        0.003,
    )
    bear = plain("#8f5f34", 0.95, 0, 0.25, 120)
    blob(
        [((0, 0, 0.12), 0.1), ((0, -0.01, 0.27), 0.08), ((0, -0.08, 0.25), 0.035)],
        (0.02, 0.72, 0.016),
        bear,
        5,
        "bear",
    )
    for s in (-1, 1):
        ball(0.03, (0.02 + s * 0.065, 0.73, 0.36), bear)
        cushion((0.07, 0.19, 0.07), (0.02 + s * 0.09, 0.6, 0.02), bear, s * 20, 0.45)
        cushion((0.06, 0.06, 0.16), (0.02 + s * 0.05, 0.69, 0.17), bear, (25, s * 60, 0), 0.45)
        ball(0.01, (0.02 + s * 0.03, 0.645, 0.31), plain("#101010", 0.1))
    ball(0.011, (0.02, 0.6, 0.275), plain("#1a1210", 0.3))
    put(things.car(plain("#1f7a4a", 0.12), 1), (0.3, -0.05, 0.016), 215, 0.075)
    put(things.car(plain("#c9302c", 0.12), 2), (-0.05, -0.2, 0.016), 165, 0.06)
    for i in range(6):
        a = i * 1.047
        for k in range(3):
            rod(
                (0.62 + 0.1 * math.cos(a) * (k + 1) / 3, 0.7 + 0.1 * math.sin(a) * (k + 1) / 3, 0.03),
                (
                    0.62 + 0.1 * math.cos(a + 0.4) * (k + 1) / 3,
                    0.7 + 0.1 * math.sin(a + 0.4) * (k + 1) / 3,
                    0.3,
                ),
                0.004,
                paint[k],
            )
    ball(0.11, (-0.55, 0.75, 0.126), stripes("#e8e4da", "#c8342a", 6.0))
    engine, black = plain("#2a4fa0", 0.2), plain("#1a1a1c", 0.4)
    with group("train") as train:
        box((0.2, 0.09, 0.03), (0, 0, 0.03), black, 0.005)
        lathe([(0.001, 0), (0.038, 0), (0.038, 0.12), (0.001, 0.12)], (-0.01, 0, 0.1), engine, (0, 90, 0))
        box((0.07, 0.09, 0.11), (-0.06, 0, 0.06), paint[0], 0.005)
        lathe([(0.012, 0), (0.012, 0.05), (0.02, 0.06)], (0.08, 0, 0.13), black)
        for x in (-0.07, 0, 0.07):
            for s in (-1, 1):
                lathe(
                    [(0.001, 0), (0.028, 0), (0.028, 0.012), (0.001, 0.012)],
                    (x, s * 0.05, 0.03),
                    paint[2],
                    (90, 0, 0),
                    20,
                )
    put(train, (-0.6, 0.25, 0.014), 30)
    for t in range(14):
        box((0.02, 0.12, 0.006), (-1.0 + 0.09 * t, -0.02 + 0.052 * t, 0.012), things.oak(), 0.001, 30)
    box((0.3, 0.22, 0.012), (0.55, 0.15, 0.016), stripes("#e6d8b0", "#b8502c", 9), 0.002, -20)
    put(things.sofa(1.9, fabric("#6b7f5a", "#7a8e68"), fabric("#d8c49a", "#e0cfa8"), rng), (-0.2, 1.9, 0))
    put(things.shelf(1.0, 1.1, 0.3, wood("#c9a878", "#dcc29a"), rng, 3, 0.6), (1.55, 2.4, 0))
    put(things.pot_plant(0.9, 2), (-1.7, 2.4, 0))
    light.panel((2.3, -0.6, 1.6), (0, 0.4, 0.2), (1.4, 1.4), "#eaf1ff", 70)
    light.panel((-0.5, 0, 2.4), (0, 0.5, 0), (1, 1), "#ffe9cc", 22)
    light.dim("#8a9098", 0.15)


def build_people_in_gallery(rng):
    _room(
        5,
        5,
        3.6,
        wood("#7d6a50", "#a8947a", (1, 9, 9), planks=0.16),
        plain("#a83240", 0.9, 0, 0.03, 3),
        plain("#eeeeea", 0.9),
    )
    looks = [
        ("#d8a684", "#2a1d15", "#2c3e5c", "#8c8272"),
        ("#7a4e34", "#15100d", "#d8b03a", "#2a2d34"),
        ("#e0b494", "#8c5a2c", "#e6e2d8", "#5a6f8c"),
        ("#b07a58", "#4a4440", "#3f6f58", "#23262c"),
    ]
    spots = [
        (-0.9, -0.9, 200, 0.1),
        (0.75, 0.4, 170, -0.8),
        (1.9, 2.4, 120, 0.0),
        (-1.7, 2.6, 15, 0.9),
        (0.1, 3.6, 180, 0.0),
        (2.9, 0.2, 260, 0.3),
    ]
    for i, (x, y, turn, pose) in enumerate(spots):
        put(things.person(*looks[i % 4], pose, i), (x, y, 0), turn, rng.uniform(0.92, 1.06))
    rim, stone = metal("#b8944a", 0.3), marble("#e4e0d8", "#8a8580")
    canvas = [
        spotted(a, b, s, 0.6, 0.4, 0.6)
        for a, b, s in (
            ("#1f3f6a", "#e0a23a", 2),
            ("#6a1f2a", "#e8dcc4", 5),
            ("#20402a", "#c8d08a", 3),
            ("#e6e0d0", "#1a1a1a", 1.5),
        )
    ]
    for i, (x, w, h) in enumerate(((-3.6, 1.2, 1.5), (-1.5, 1.6, 1.1), (0.9, 1.0, 1.4), (3.2, 1.8, 1.2))):
        box((w + 0.16, 0.06, h + 0.16), (x, 4.92, 1.0), rim, 0.02)
        box((w, 0.02, h), (x, 4.88, 1.08), canvas[i], 0)
        light.panel((x, 3.8, 3.4), (x, 4.9, 1.6), (0.4, 0.2), "#fff0d8", 16)
    for i, y in enumerate((-1.5, 1.5)):
        box((0.06, 1.5, 1.5), (4.9, y, 0.9), rim, 0.02)
        box((0.02, 1.34, 1.34), (4.86, y, 0.98), canvas[3 - i], 0)
    box((0.5, 0.5, 1.0), (-0.5, 1.5, 0), plain("#f0efea"), 0.006)
    blob(
        [((0, 0, 0.2), 0.2), ((0.07, 0, 0.42), 0.17), ((-0.06, 0.02, 0.62), 0.16), ((0.04, 0, 0.8), 0.14)],
        (-0.5, 1.5, 1.0),
        stone,
        0,
        "sculpture",
    )
    box((0.6, 0.6, 0.8), (3.4, 3.2, 0), plain("#f0efea"), 0.006)
    things.vase(plain("#1f5a66", 0.08), 0.6, (3.4, 3.2, 0.8))
    box((0.66, 0.66, 0.9), (3.4, 3.2, 0.8), glass(), 0)
    box((1.6, 0.5, 0.08), (0.7, 1.9, 0.4), plain("#2a2320", 0.5), 0.02)
    for x in (0.1, 1.3):
        box((0.06, 0.44, 0.4), (x, 1.9, 0), metal("#2a2a2c", 0.4), 0.005)
    for x in (-2.6, -1.2, 0.2, 1.6):
        lathe(
            [(0.001, 0), (0.16, 0), (0.16, 0.015), (0.02, 0.03), (0.02, 0.9), (0.03, 0.95), (0.001, 0.97)],
            (x, 4.1, 0),
            metal("#c8b070", 0.2),
        )
    for x in (-2.6, -1.2, 0.2):
        tube(
            [(x, 4.1, 0.9), (x + 0.35, 4.1, 0.68), (x + 1.05, 4.1, 0.68), (x + 1.4, 4.1, 0.9)],
            0.018,
            fabric("#7a1f2c", "#8c2a38"),
        )
    put(things.pot_plant(1.7, 6, "#dcd8ce"), (-4.2, 4.2, 0))
    for y in (-1.5, 1.0, 3.5):
        light.panel((0, y, 3.5), (0, y, 0), (3, 0.4), "#fff6ea", 60)
        box((3, 0.3, 0.04), (0, y, 3.55), glow("#fff8ee", 5), 0)
    light.dim("#8a9098", 0.12)
