"""Streets, a courtyard, blocks from above, a square. The street runs along y, away from the camera."""

from __future__ import annotations

import math

import numpy as np

from . import light, things
from .build import box, group, lathe, prism, put, rod, row, sheet, text, tube
from .materials import brick, fabric, leaf, metal, pane, plain, spotted, stripes, water, wood

_WALLS = ("#c9a27a", "#d8cfbd", "#a8563c", "#8fa3a8", "#d9b65c", "#b98a86")
_PAINTS = ("#8f1d1d", "#e6e6e2", "#27476e", "#3c4044", "#b9b12a", "#2f5a48")


def _houses(rng, count, floors=(2, 3)):
    roofs = [
        brick("#7d3a28", "#8f4a33", "#4a2218", (0.22, 0.3), False, 0.5, 0.8),
        brick("#4a4d52", "#565a60", "#2b2d30", (0.3, 0.25), False, 0.5, 0.7),
    ]
    made = []
    for i in range(count):
        wall = (
            brick("#8d4a36", "#a35c44", "#b8aea0")
            if i % 3 == 2
            else spotted(_WALLS[i % 6], "#b9ab98", 3, 0.9, 0.45, 0.85, 0.006)
        )
        frame = plain(("#e9e6dc", "#3f5a4a", "#5a3a26")[i % 3], 0.5)
        tall = rng.choice(floors)
        size = (rng.uniform(7, 10), rng.uniform(8, 10), 2.9 * tall)
        made.append((things.house(size, wall, roofs[i % 2], frame, rng, tall, 1.8), size[0]))
    return made


def _line(rng, houses, x, turn, start, end):
    """Houses side by side along y, their fronts at x."""
    y = start
    while y < end:
        house, wide = rng.choice(houses)
        put(house, (x, y + wide / 2, 0), turn)
        y += wide + rng.choice((0.0, 0.0, 1.5))


def _road(width, paint=True):
    asphalt = spotted("#3a3a3b", "#4b4a48", 5, 0.85, bump=0.004)
    slabs = brick("#9a968e", "#8c8880", "#5f5c56", (0.5, 0.5), False, 0.5, 0.85)
    box((400, 700, 0.2), (0, 300, -0.32), spotted("#5d6b3a", "#7b7448", 0.5), 0)
    box((width, 700, 0.1), (0, 300, -0.1), asphalt, 0)
    for side in (-1, 1):
        box((3.4, 700, 0.12), (side * (width / 2 + 1.7), 300, -0.0), slabs, 0)
        box((0.16, 700, 0.14), (side * (width / 2 + 0.06), 300, -0.0), plain("#a9a59c", 0.85), 0.02)
    if not paint:
        return
    white = plain("#e3e1d8", 0.7, 0, 0.15, 8)
    row(box((0.14, 2.2, 0.004), (0, -20, 0.001), white, 0), 60, (0, 5, 0))
    row(box((0.45, 3.2, 0.004), (-width / 2 + 0.6, -4.5, 0.002), white, 0), int(width / 0.95), (0.95, 0, 0))
    for side in (-1, 1):
        box((0.1, 300, 0.003), (side * (width / 2 - 0.4), 130, 0.001), white, 0)


def _wires(x, y0, y1, z):
    for k in range(3):
        at = [
            (x + 0.25 * k, y0 + t * (y1 - y0), z - 0.6 * math.sin(math.pi * t)) for t in np.linspace(0, 1, 9)
        ]
        tube(at, 0.012, plain("#141414"))


def build_street(rng):
    _road(8)
    houses = _houses(rng, 5)
    _line(rng, houses, -7.4, 90, -18, 110)
    _line(rng, houses, 7.4, -90, -16, 110)
    cars = [things.car(plain(c, 0.2, 0.3, 0.03, **{"Coat Weight": 1.0}), i) for i, c in enumerate(_PAINTS)]
    for i, y in enumerate((-6.5, 0.5, 7.5, 19, 31, 44)):
        put(cars[i % 6], (-3.0, y, 0), 90)
    for i, y in enumerate((4, 11.5, 24, 36)):
        put(cars[(i + 3) % 6], (3.0, y, 0), -90)
    put(cars[0], (1.4, 27, 0), -90)
    plane = things.tree(8, 0.9, things.dark_bark(), leaf("#35651f", "#86a845"), 3, 12000, 0.16)
    post = things.lamp_post(5.5)
    for i in range(8):
        put(plane, (5.0, -3 + 13 * i, 0), 70 * i, rng.uniform(0.7, 0.95))
        put(post, (-4.5, -7 + 15 * i, 0), -90)
    for i, (x, y, t) in enumerate(
        ((5.9, -5.2, 10), (-5.6, -2, 170), (-6.1, 9, 200), (0.4, 13, 95), (6, 16, 0))
    ):
        put(
            things.person(
                ("#c68e6c", "#7d5138")[i % 2],
                "#2a1d15",
                ("#b83a34", "#2f5a8a", "#e0d8c4")[i % 3],
                "#2b3140",
                rng.uniform(-1, 1),
                i,
            ),
            (x, y, 0.1),
            t,
        )
    for y, colour in ((-6.8, "#b81c1c"), (8, "#1d4f9c")):
        rod((4.3, y, 0.1), (4.3, y, 2.5), 0.03, metal())
        lathe(
            [(0.001, 0), (0.3, 0), (0.3, 0.02), (0.001, 0.02)],
            (4.3, y - 0.04, 2.4),
            plain(colour, 0.4),
            (90, 0, 0),
        )
        box((0.36, 0.01, 0.1), (4.3, y - 0.08, 2.35), plain("#f0f0ee"), 0)
    lathe(
        [(0.001, 0), (0.24, 0), (0.26, 0.85), (0.2, 0.95), (0.001, 0.95)],
        (4.9, -8.6, 0.1),
        plain("#2b5038", 0.5),
    )
    _wires(-5.2, -20, 30, 7.5)
    light.daylight(42, 235, 0.5, 0.25, seed=1)


def build_street_at_sunset(rng):
    _road(7)
    houses = _houses(rng, 4, (1, 2, 3))
    _line(rng, houses, -7.0, 90, -2, 90)
    _line(rng, houses, 7.0, -90, -20, 90)
    red = things.car(plain("#a3161c", 0.15, 0.2, 0.02, **{"Coat Weight": 1.0}), 1)
    blue = things.car(plain("#1d3f74", 0.15, 0.3, 0.02, **{"Coat Weight": 1.0}), 2)
    white = things.car(plain("#dcdad2", 0.2, 0.1, 0.02, **{"Coat Weight": 1.0}), 0)
    for made, x, y, t in (
        (red, -1.9, -3.1, -90),
        (blue, -2.5, 4.5, -90),
        (white, 2.6, 6, 90),
        (blue, 2.6, 16, 90),
    ):
        put(made, (x, y, 0), t)
    put(white, (-2.6, 14, 0), -90)
    for i in range(5):
        put(things.lamp_post(5), (4.1, -4 + 12 * i, 0.1), 90)
    bare = things.tree(7, 0.8, things.dark_bark(), leaf("#8a4a14", "#c98a2a"), 8, 2200, 0.13)
    for i in range(4):
        put(bare, (-5.0, 3 + 14 * i, 0), 90 * i)
    put(things.bicycle(plain("#2f8a6a", 0.3)), (-5.5, -3.5, 0.12), 80)
    put(things.person("#a9714f", "#1a1411", "#d8a02c", "#333a4a", 0.9, 1), (0.9, 1.5, 0), 20)
    for y in (-5.6, -4.4):
        lathe(
            [(0.18, 0), (0.17, 0.04), (0.05, 0.5), (0.001, 0.5)],
            (0.2, y, 0),
            stripes("#e05a1a", "#f0efe8", 2.2, "Z"),
        )
    puddle = water("#20262b", 3, 0.002)
    lathe([(0.001, 0.004), (1.0, 0.003)], (-3.0, -5.3, 0), puddle).scale = (0.7, 1.4, 1)
    for i in range(5):
        light.bulb((3.3, -4 + 12 * i, 4.9), "#ffd08a", 25, 0.15)
    light.daylight(4.5, 20, 0.75, 0.75, 2.2, 5)


def build_courtyard(_rng):
    stone, sand = spotted("#b9ab90", "#9c8d72", 4, 0.9), spotted("#d8c59c", "#c2a877", 2, 0.9)
    flags = brick("#a09480", "#b3a78f", "#6b6353", (0.8, 0.5), False, 0.5, 0.7, 0.02)
    box((600, 600, 0.2), (0, 0, -0.2), flags, 0)
    tiles = stripes("#9c4a2a", "#6d2f1b", 1.5, "X")
    with group("wing") as wing:
        box((18, 5, 3.4), (0, 4.2, 3.4), sand, 0.03)
        box((18, 2.0, 3.4), (0, 5.7, 0), sand, 0)
        box((18.6, 0.5, 0.25), (0, 1.75, 3.3), stone, 0.04)
        for i in range(7):
            x = -9 + 3.0 * i
            lathe(
                [(0.32, 0), (0.32, 0.2), (0.22, 0.3), (0.19, 2.2), (0.3, 2.4), (0.3, 2.5)], (x, 2, 0), stone
            )
            if i == 6:
                continue
            arc = [
                (x + 1.5 + 1.3 * math.cos(a), 2.4 + 0.95 * math.sin(a)) for a in np.linspace(math.pi, 0, 13)
            ]
            prism([(x, 2.4), *arc, (x + 3, 2.4), (x + 3, 3.42), (x, 3.42)], 0.5, (0, 2, 0), sand)
            with group("opening") as opening:
                things.window(0, 0, 0.95, 1.5, plain("#4f6a4c", 0.5), pane(), stone)
                for s in (-0.78, 0.78):
                    box((0.5, 0.05, 1.5), (s, -0.03, 0), stripes("#4f6a4c", "#3c5239", 7, "Z"), 0.01)
            put(opening, (x + 1.5, 1.7, 4.5))
            box((1.1, 0.1, 2.2), (x + 1.5, 4.68, 0), things.oak(), 0.02)
        prism([(1.2, 6.7), (4.4, 8.6), (7.0, 6.7)], 18.8, (0, 0, 0), tiles, 90)
    put(wing, (0, 6, 0))
    put(wing, (-8, -2, 0), 90)
    put(wing, (8, -2, 0), -90)
    marble_, pool = spotted("#c9c6bd", "#a5a298", 6, 0.5), water("#1d4a4a", 6, 0.02)
    lathe([(1.9, 0), (1.95, 0.5), (2.05, 0.6), (1.75, 0.6), (1.7, 0.1)], (-0.4, 1, 0), marble_)
    lathe([(0.001, 0.42), (1.72, 0.42)], (-0.4, 1, 0), pool)
    lathe(
        [
            (0.35, 0),
            (0.16, 0.5),
            (0.14, 1.3),
            (0.8, 1.6),
            (0.85, 1.68),
            (0.1, 1.6),
            (0.12, 2.1),
            (0.4, 2.2),
            (0.001, 2.3),
        ],
        (-0.4, 1, 0),
        marble_,
    )
    olive = things.tree(4.2, 1.1, things.dark_bark(), leaf("#5f7048", "#93a070"), 11, 7000, 0.1)
    for x, y in ((3.4, 3.5), (-4.6, 3.8), (-4.2, -2.6)):
        lathe(
            [(0.001, 0), (0.4, 0), (0.6, 0.8), (0.62, 0.9), (0.55, 0.9), (0.5, 0.75), (0.001, 0.75)],
            (x, y, 0),
            plain("#b5653c", 0.8),
        )
        put(olive, (x, y, 0.6), 60 * x, 0.8)
    put(things.bench(things.oak(), metal("#22262a", 0.5)), (2.4, 0.4, 0), -70)
    put(things.table((0.8, 0.8, 0.74), plain("#2e4a42"), metal("#22262a", 0.5)), (2.3, -3.0, 0))
    for x, y, t in ((1.5, -3.1, 80), (3.1, -2.9, -95)):
        put(things.chair(plain("#2e4a42"), metal("#22262a", 0.5)), (x, y, 0), t)
    put(things.person("#b98360", "#3a2a1c", "#e6e0d0", "#7a5a3a", 0.3, 3), (-2.4, -1.6, 0), 40)
    rope = [(-7 + 14.5 * t, -3 + 5.5 * t, 6.2 - 3.7 * t * (1 - t)) for t in np.linspace(0, 1, 51)]
    tube(rope, 0.01, plain("#202020"), straight=True)
    for i in range(7):
        at = rope[5 + 6 * i]
        colour = fabric(("#d8d4c8", "#b8433a", "#3a6a8f")[i % 3], "#e8e4da")
        sheet(lambda u, v: ((u - 0.5) * 0.7, 0.05 * np.sin(9 * u) * v, -v * 0.9), (14, 8), colour, at, 21)
    light.daylight(58, 215, 0.2, 0.1, seed=9)


def build_blocks_from_above(rng):
    road = spotted("#4a4a4b", "#555453", 0.8, 0.9, bump=0.004)
    box((900, 900, 0.2), (0, 200, -0.25), road, 0)
    white = plain("#dedcd4", 0.7)
    flat = [
        spotted(a, b, 0.6, 0.9)
        for a, b in (("#8c8a86", "#6f6d6a"), ("#b9a58c", "#a08c73"), ("#73584a", "#866a5a"))
    ]
    red = stripes("#9c4f35", "#7d3c28", 1.1, "X")
    fronts = [
        brick(a, "#2d343a", b, (2.4, 3.0), True, 0, 0.5, 0.55)
        for a, b in (("#343c42", "#c4bba8"), ("#2a3136", "#a8664c"), ("#39434a", "#dcd8ce"))
    ]
    lawn, plane = (
        spotted("#4c6a2e", "#6a8440", 0.7),
        things.tree(9, 1.0, things.dark_bark(), leaf("#2f571f", "#6c9440"), 2, 6000, 0.34),
    )
    cars = [things.car(plain(c, 0.25), i) for i, c in enumerate(_PAINTS)]
    for bx in range(-3, 5):
        for by in range(-2, 8):
            x, y = bx * 48 - 10, by * 42 - 25
            box((36, 30, 0.25), (x, y, -0.05), spotted("#9b978e", "#86827a", 1.0), 0)
            if (bx, by) in ((0, 0), (2, 3), (-2, 5)):
                box((33, 27, 0.1), (x, y, 0.2), lawn, 0)
                for _ in range(16):
                    put(
                        plane,
                        (x + rng.uniform(-15, 15), y + rng.uniform(-12, 12), 0.2),
                        rng.uniform(0, 360),
                        rng.uniform(0.6, 1.2),
                    )
                lathe([(0.001, 0.36), (5, 0.35)], (x + 3, y, 0), water("#27505a", 0.8, 0.02))
                continue
            for i in range(3):
                for j in range(2):
                    w, d, h = rng.uniform(9, 11.6), rng.uniform(10, 13), rng.choice((6, 9, 12, 15, 24))
                    at = (x + (i - 1) * 11.8, y + (j - 0.5) * 14.5)
                    box((w, d, h), (*at, 0.1), rng.choice(fronts), 0)
                    if h < 12 and rng.random() < 0.7:
                        prism(
                            [(-d / 2 - 0.4, h), (0, h + 0.35 * d), (d / 2 + 0.4, h)],
                            w + 0.6,
                            (*at, 0.1),
                            red,
                            90,
                        )
                        continue
                    box((w + 0.3, d + 0.3, 0.5), (*at, h), flat[rng.randrange(3)], 0)
                    for _ in range(rng.randrange(2, 5)):
                        size = (rng.uniform(0.8, 2.4), rng.uniform(0.8, 2.4), rng.uniform(0.6, 2))
                        box(
                            size,
                            (at[0] + rng.uniform(-3, 3), at[1] + rng.uniform(-3, 3), h + 0.5),
                            metal("#a8aaac", 0.5),
                            0.03,
                        )
            for k in range(-2, 3):
                put(plane, (x + 7.5 * k, y - 14.2, 0), 50 * k + bx, rng.uniform(0.4, 0.6))
            for _ in range(3):
                put(rng.choice(cars), (x + rng.uniform(-17, 17), y - 18.5, -0.05), rng.choice((0, 180)))
                put(rng.choice(cars), (x + 21.5, y + rng.uniform(-14, 14), -0.05), 90)
        row(box((0.2, 3, 0.02), (bx * 48 + 14, -120, -0.05), white, 0), 70, (0, 6, 0))
    for by in range(-2, 8):
        row(box((3, 0.2, 0.02), (-190, by * 42 - 46, -0.05), white, 0), 70, (6, 0, 0))
    light.daylight(35, 140, 0.3, seed=2)


def build_square_with_people(rng):
    cobbles = brick("#8d8578", "#9c9486", "#575046", (0.16, 0.11), False, 0.5, 0.8, 0.014)
    box((500, 500, 0.2), (0, 150, -0.2), cobbles, 0)
    houses = _houses(rng, 5, (2, 3, 4))
    x = -34
    for i in range(8):
        house, wide = houses[i % 5]
        put(house, (x + wide / 2, 17 + (i % 3) * 0.4, 0))
        x += wide
    _line(rng, houses, -15, 90, -6, 16)
    looks = [
        things.person(
            ("#d8a684", "#8a5a3e", "#5a3826", "#c69070")[i % 4],
            ("#1d1612", "#6b4a2a", "#b8b0a4", "#3a2418")[i % 4],
            ("#b8322e", "#31608c", "#e8e2d2", "#4a6a3c", "#d8a23a", "#5a3a6a")[i % 6],
            ("#262c38", "#5c5348", "#7a8288")[i % 3],
            (-1.0, 0.0, 0.8)[i % 3],
            i,
        )
        for i in range(6)
    ]
    spots = [
        (-1.9, -4.6, 30),
        (0.2, -2.9, 200),
        (0.9, -2.6, 150),
        (3.4, -1.0, 90),
        (-4.2, 1.0, 250),
        (1.5, 3.4, 10),
    ]
    spots += [(rng.uniform(-9, 9), rng.uniform(5, 14), rng.uniform(0, 360)) for _ in range(9)]
    for i, (px, py, turn) in enumerate(spots):
        put(looks[i % 6], (px, py, 0), turn, rng.uniform(0.92, 1.05))
    with group("stall") as stall:
        for sx in (-1.2, 1.2):
            for sy in (-0.8, 0.8):
                rod((sx, sy, 0), (sx, sy, 2.3), 0.025, metal("#e0e0dc", 0.4))
        cloth = stripes("#f0ece0", "#b8322e", 1.3)
        sheet(
            lambda u, v: (
                (u - 0.5) * 2.8,
                (v - 0.5) * 2.2,
                2.75 - 1.3 * np.abs(v - 0.5) + 0.03 * np.sin(20 * u),
            ),
            (40, 20),
            cloth,
        )
        sheet(
            lambda u, v: ((u - 0.5) * 2.8, -1.1 + 0 * u, 2.1 - v * (0.25 + 0.06 * np.sin(40 * u))),
            (60, 2),
            cloth,
        )
        box((2.4, 1.2, 0.8), (0, 0, 0), wood("#7a5a38", "#a37e52"), 0.01)
        for i in range(4):
            box((0.5, 0.5, 0.14), (-0.9 + 0.6 * i, -0.25, 0.8), wood("#9a7a50", "#b99668"), 0.01)
            fruit = plain(("#c8281e", "#e08a1e", "#7fa83a", "#e6c83c")[i], 0.4)
            for k in range(16):
                lathe(
                    [(0.001, -0.055), (0.045, -0.035), (0.06, 0), (0.045, 0.035), (0.001, 0.055)],
                    (-1.08 + 0.6 * i + 0.12 * (k % 4), -0.43 + 0.12 * (k // 4), 0.97),
                    fruit,
                    0,
                    12,
                )
    put(stall, (4.2, 1.8, 0), -15)
    put(stall, (7.6, 3.6, 0), -20)
    put(things.bicycle(plain("#c2342c", 0.3)), (-3.6, -4.1, 0), 35)
    put(things.bench(wood("#6b4a2a", "#8c6a42"), metal("#26292c", 0.5)), (-5.4, 0.2, 0), 60)
    put(things.lamp_post(4.4), (-3.0, 3.5, 0), 120)
    stone = spotted("#a9a498", "#8a8579", 5, 0.8)
    box((1.8, 1.8, 0.4), (-0.4, 8.2, 0), stone, 0.04)
    box((1.1, 1.1, 2.0), (-0.4, 8.2, 0.4), stone, 0.06)
    put(things.person("#5f7a6c", "#5f7a6c", "#5f7a6c", "#58736a", 0.5, 1), (-0.4, 8.2, 2.4), 20, 1.4)
    text("MARKET", 0.6, (-19, 16.85, 3.2), (90, 0, 0), plain("#6b1f1a"))
    pigeons = plain("#7d8088", 0.6)
    for _ in range(12):
        px, py = rng.uniform(-3, 3), rng.uniform(-4, 2)
        lathe(
            [(0.001, -0.13), (0.05, -0.04), (0.06, 0.03), (0.03, 0.09), (0.03, 0.12), (0.001, 0.15)],
            (px, py, 0.1),
            pigeons,
            (70, 0, rng.uniform(0, 360)),
            12,
        )
    light.daylight(28, 150, 0.85, 0.55, 2.5, 7)
