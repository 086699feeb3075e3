"""Mountains, a meadow, a forest, a lake, a beach."""

from __future__ import annotations

import math

import numpy as np
from mathutils import Vector, noise

from . import light, things
from .build import ball, box, group, lathe, prism, put, rod, rough, rounder, sheet, skin, tube
from .materials import fabric, leaf, metal, plain, slope, spotted, stripes, water, wood


def _fractal(x, y, size, octaves=7, ridged=False, offset=0.0):
    """(...) heights in about -1..1 from Perlin noise, the largest hills `size` metres across."""
    out = np.empty(x.size)
    points = zip((x / size).ravel(), (y / size).ravel(), strict=True)
    for i, (a, b) in enumerate(points):
        at = Vector((a, b, offset))
        out[i] = (
            noise.ridged_multi_fractal(at, 1.0, 2.1, octaves, 1.0, 2.0)
            if ridged
            else noise.fractal(at, 0.9, 2.1, octaves)
        )
    return out.reshape(x.shape)


def _rock(material, seed, size=1.0):
    with group("rock") as made:
        stone = box((size, 0.8 * size, 0.6 * size), (0, 0, -0.12 * size), material, 0)
        stone.rotation_euler = (0.2, 0.1, seed)
        rounder(stone, 4)
        rough(stone, 0.5 * size, 0.45 * size)
        rough(stone, 0.1 * size, 0.1 * size)
    return made


def _scatter(rng, count, xs, ys, height, fits):
    """Up to `count` places (x, y, z) on the ground of which `fits` is true."""
    found = []
    for _ in range(40 * count):
        x, y = rng.uniform(*xs), rng.uniform(*ys)
        z = float(height(np.array(x), np.array(y)))
        if fits(x, y, z):
            found.append((x, y, z))
        if len(found) == count:
            break
    return found


def build_mountains(rng):
    def height(x, y):
        far = np.clip((y + 650) / 1800, 0, 1) ** 1.3
        valley = 1 - 0.75 * np.exp(-(((x - 0.1 * y) / 260) ** 2))
        return (
            40
            + far * valley * 620 * np.clip(_fractal(x, y, 1300, 8, True, 4) - 0.35, 0, None)
            + 16 * _fractal(x, y, 160)
        )

    land = slope("#4b5c2c", "#6d675f", "#eef1f5", 430, 520, 0.018)
    sheet(lambda u, v: _lifted((u - 0.5) * (1400 + 6200 * v), -960 + 5200 * v**1.5, height), (230, 230), land)
    lake = water("#1b4a55", 0.05, 0.4)
    box((9000, 8000, 0.1), (0, 2000, 38), lake, 0)
    fir = [things.fir(14, things.dark_bark(), leaf("#16301c", "#33522a"), i) for i in range(2)]
    wooded = _scatter(
        rng,
        420,
        (-420, 420),
        (-840, 500),
        height,
        lambda x, y, z: 41 < z < 230 and noise.noise(Vector((x / 90, y / 90, 1))) > -0.05,
    )
    for i, (x, y, z) in enumerate(wooded):
        put(fir[i % 2], (x, y, z - 0.3), rng.uniform(0, 360), rng.uniform(0.6, 1.4))
    boulder = _rock(spotted("#6f6a62", "#93908a", 0.6, 0.95), 2, 9)
    for x, y in ((-22, -820), (15, -832), (34, -800), (-46, -770)):
        put(boulder, (x, y, float(height(np.array(x), np.array(y))) - 1), 70 * x, rng.uniform(0.5, 1))
    light.daylight(27, 118, 0.55, 0.45, seed=4)


def _lifted(x, y, height):
    x, y = np.broadcast_arrays(x, y)
    return x, y, height(x, y)


def build_meadow(rng):
    def height(x, y):
        return (
            0.9 * np.sin(x / 17) * np.sin(y / 23 + 1)
            + 0.012 * np.clip(y, 0, 400) * (1 + np.sin(x / 60))
            + 0.1 * _fractal(x, y, 6, 4)
        )

    soil = spotted("#56642c", "#8b8a45", 0.6, 0.95, 0.35, 0.65)
    sheet(lambda u, v: _lifted((u - 0.5) * (60 + 900 * v), -16 + 620 * v**2, height), (150, 150), soil)
    random = np.random.default_rng(14)
    x, y = random.uniform(-13, 13, 300_000), -13.5 + 36 * random.uniform(0, 1, 300_000) ** 1.5
    off_path = np.abs(x - 0.25 * (y + 12) - 0.4 - 0.25 * np.sin(y)) > random.uniform(0.35, 0.6, len(x))
    x, y = x[off_path], y[off_path]
    foot = np.stack([x, y, height(x, y) - 0.03], 1)
    things.blades(foot, 0.42, leaf("#54701f", "#a8a24c"), random)
    straw = spotted("#c9a55a", "#a8833f", 14, 0.95, bump=0.03)
    for x, y, t in ((4.5, 7, 20), (-6, 13, -30), (11, 22, 65), (-2, 33, 10), (20, 46, 30)):
        lathe(
            [(0.001, -0.6), (0.72, -0.6), (0.76, -0.5), (0.76, 0.5), (0.72, 0.6), (0.001, 0.6)],
            (x, y, float(height(np.array(x), np.array(y))) + 0.72),
            straw,
            (90, 0, t),
        )
    pole = wood("#6a5a48", "#94826b")
    last = None
    for i in range(14):
        x, y = -4.2 - 0.35 * i, -6 + 3.2 * i
        z = float(height(np.array(x), np.array(y)))
        rod((x, y, z - 0.2), (x + 0.03, y, z + 1.15), 0.055, pole)
        if last:
            for h in (0.45, 0.95):
                rod((last[0], last[1], last[2] + h), (x, y, z + h), 0.03, pole)
        last = (x, y, z)
    oak = things.tree(10, 1.1, things.dark_bark(), leaf("#2f5a1c", "#7f9c3e"), 21, 12000, 0.22)
    for x, y, s in (
        (8, 30, 1.0),
        (-18, 48, 1.2),
        (34, 70, 1.3),
        (-45, 95, 1.4),
        (60, 120, 1.3),
        (16, 140, 1.5),
        (-12, 170, 1.4),
    ):
        put(oak, (x, y, float(height(np.array(x), np.array(y))) - 0.2), 37 * x, s)
    barn = things.house(
        (12, 8, 4),
        wood("#5a2a20", "#8a4030", (8, 8, 1)),
        metal("#83888c", 0.5),
        plain("#e8e4da"),
        rng,
        1,
        3.0,
    )
    put(barn, (-14, 62, float(height(np.array(-14.0), np.array(62.0))) - 0.3), 12)
    cow = [((-0.6, 0, 1.15), 0.33), ((0.5, 0, 1.15), 0.36), ((0.95, 0, 1.35), 0.2), ((1.3, 0, 1.3), 0.15)]
    cow_bones, hide = [(0, 1), (1, 2), (2, 3)], spotted("#2a211c", "#e6e0d6", 1.6, 0.8, 0.47, 0.5, 0.002)
    for root, x, y in ((0, -0.62, 0.2), (0, -0.6, -0.2), (1, 0.5, 0.22), (1, 0.5, -0.22)):
        cow += [((x, y, 0.6), 0.1), ((x, y, 0.0), 0.07)]
        cow_bones += [(root, len(cow) - 2), (len(cow) - 2, len(cow) - 1)]
    for x, y, t in ((7.5, 13, 30), (1.5, 19, 190), (13, 28, 80)):
        skin(cow, cow_bones, hide, (x, y, float(height(np.array(x), np.array(y)))), t)
    light.daylight(33, 250, 0.65, 0.4, seed=11)


def build_forest_path(rng):
    def height(x, y):
        path = np.exp(-(((x - 0.9 * np.sin(y / 7)) / 1.1) ** 2))
        return 0.35 * _fractal(x, y, 9, 5) * (1 - path) - 0.15 * path + 0.02 * x * x / (1 + 0.1 * np.abs(x))

    soil = spotted("#4a3a22", "#5f6b2c", 1.5, 0.95, 0.4, 0.6, 0.04)
    sheet(lambda u, v: _lifted((u - 0.5) * 90, -14 + 100 * v**1.4, height), (160, 160), soil)
    trunk = spotted("#3a2d20", "#6b5a44", 9, 0.95, bump=0.05)
    beech = [
        things.tree(15 + 2 * i, 0.75, trunk, leaf("#3f7a1e", "#a8c04a"), 30 + i, 9000, 0.26) for i in range(2)
    ]
    fir = things.fir(11, trunk, leaf("#1c3a1c", "#45662e"), 3)
    free = _scatter(
        rng,
        95,
        (-26, 26),
        (-8, 70),
        height,
        lambda x, y, _z: abs(x - 0.9 * math.sin(y / 7)) > 1.7 and (abs(x) > 2.5 or y > -4),
    )
    for i, (x, y, z) in enumerate(free):
        made = fir if i % 5 == 4 else beech[i % 2]
        put(made, (x, y, z - 0.15), rng.uniform(0, 360), rng.uniform(0.7, 1.2))
    random = np.random.default_rng(6)
    with group("fern") as fern:
        places = []
        for i in range(11):
            a = i * 2 * math.pi / 11 + random.uniform(-0.2, 0.2)
            for t in np.linspace(0.1, 1, 14):
                r, z = 0.6 * t, 0.5 * math.sin(2.3 * t)
                places += [
                    (
                        r * math.cos(a) + s * 0.05 * (1.1 - t) * math.sin(a),
                        r * math.sin(a) - s * 0.05 * (1.1 - t) * math.cos(a),
                        z,
                    )
                    for s in (-1, 1)
                ]
        things.leaves_at(np.array(places), 0.14, leaf("#3a6a1c", "#86a838"), random, 0.1, 0.25)
    blades = things.grass(1.6, 500, 0.3, leaf("#4a6a20", "#8a9a40"), 5)
    for _ in range(150):
        x, y = rng.uniform(-7, 7), rng.uniform(-8, 14)
        if abs(x - 0.9 * math.sin(y / 7)) > 0.8:
            put(
                fern if rng.random() < 0.45 else blades,
                (x, y, float(height(np.array(x), np.array(y)))),
                rng.uniform(0, 360),
                rng.uniform(0.6, 1.2),
            )
    moss = _rock(spotted("#5a6a2c", "#77736a", 3, 0.95), 3)
    for x, y in ((-2.1, -5.2), (1.9, -3.4), (-2.4, 1.5), (2.6, 4)):
        put(moss, (x, y, float(height(np.array(x), np.array(y)))), 80 * x, rng.uniform(0.5, 1.1))
    log = tube([(1.4, -1.0, 0.25), (2.8, -0.4, 0.32), (4.6, 0.3, 0.4)], 0.2, trunk)
    log.data.bevel_resolution = 6
    things.leaves_at(
        random.uniform((-5, -9, 0), (5, 8, 0.02), (3500, 3)),
        0.07,
        leaf("#7a4a1c", "#b8863a"),
        random,
    )
    light.daylight(44, 62, 0.35, 0.2, 5, 3)


def build_lake(rng):
    def height(x, y):
        shore = np.clip((y - 190) / 120, 0, 1) + np.clip((np.abs(x + 30) - 190) / 150, 0, 1) * np.clip(
            y / 100, 0, 1
        )
        return -3 + 80 * shore * np.clip(_fractal(x, y, 420, 7, True, 8) - 0.2, 0, None)

    sheet(
        lambda u, v: _lifted((u - 0.5) * (900 + 1200 * v), 60 + 1500 * v, height),
        (190, 190),
        slope("#3f5a2c", "#74695c", "#e9edf0", 165, 200, 0.04),
    )
    box((3000, 3000, 0.02), (0, 1000, -0.02), water("#0f2c35", 0.7, 0.05), 0)
    plank = wood("#6a5c4c", "#9a8b76", (10, 1, 10))
    for i in range(48):
        box((1.5, 0.17, 0.05), (-2.6 + rng.uniform(-0.02, 0.02), -9.5 + 0.2 * i, 0.72), plank, 0.008)
    for i in range(6):
        for x in (-3.3, -1.9):
            lathe(
                [(0.09, -1), (0.09, 1.15 if i % 2 else 0.8), (0.001, 1.17 if i % 2 else 0.82)],
                (x, -8.5 + 1.8 * i, 0),
                things.dark_bark(),
                0,
                14,
            )
    tube(
        [(-1.9, -6.7, 1.1), (-1.9, -5.0, 0.85), (-1.9, -3.1, 1.1), (-1.9, -1.4, 0.85), (-1.9, 0.5, 1.1)],
        0.02,
        plain("#c9b890", 0.9),
    )
    hull = plain("#b8362a", 0.35)

    def boat(u, v):
        a, t = (v - 0.5) * math.pi, 2 * u - 1
        wide = 0.75 * (1 - np.abs(t) ** 2.6)
        return 2.1 * t, wide * np.sin(a), 0.5 - (0.62 - 0.25 * t * t) * np.cos(a) ** 0.7 + 0.22 * t * t

    with group("boat") as made:
        sheet(boat, (36, 16), hull, thickness=0.03)
        for x in (-0.9, 0.2, 1.1):
            box((0.25, 1.15, 0.03), (x, 0, 0.36), plank, 0.006)
        for s in (-1, 1):
            rod((0.2, s * 0.3, 0.5), (-0.9, s * 1.7, 0.15), 0.02, plank)
            box((0.4, 0.14, 0.02), (-1.0, s * 1.85, 0.1), plank, 0.005, s * -60)
    put(made, (2.6, -1.5, 0), 35)
    put(made, (11, 14, 0), -20)
    put(things.person("#c99574", "#2a1d15", "#2f5f8f", "#8a8378", 0, 2), (-2.7, -3.2, 0.77), 160)
    reed = things.grass(2.0, 260, 1.5, leaf("#5a6f2c", "#a89a52"), 2)
    for x, y in ((5.6, -4.5), (7.2, -3.0), (-6.5, -1), (-8.2, 2), (8.6, -4.8), (-7.4, -3.4), (6.6, -6)):
        put(reed, (x, y, -0.1), 50 * x)
    stone = _rock(spotted("#6a6760", "#8f8b82", 2, 0.8), 5)
    for x, y, s in (
        (0.9, -5.8, 0.7),
        (1.9, -5.0, 1.0),
        (4.4, -6.0, 1.4),
        (0.4, -4.4, 0.5),
        (-5.0, -5.5, 1.3),
    ):
        put(stone, (x, y, 0), 70 * x, s)
    fir = things.fir(12, things.dark_bark(), leaf("#14301c", "#33562c"), 9)
    for x, y, z in _scatter(rng, 260, (-320, 320), (150, 420), height, lambda _x, _y, z: 0.5 < z < 90):
        put(fir, (x, y, z - 0.3), rng.uniform(0, 360), rng.uniform(0.7, 1.5))
    light.daylight(18, 245, 0.5, 0.35, 3.5, 14)


def build_beach_from_dune(rng):
    def height(x, y):
        dune = 8.6 * np.exp(-(((y + 36) / 13) ** 2)) + 2.5 * np.exp(
            -(((x + 22) / 12) ** 2 + ((y + 12) / 16) ** 2)
        )
        return dune + 1.1 - 0.045 * np.clip(y + 20, 0, None) + 0.25 * _fractal(x, y, 9, 5)

    sand = spotted("#d2b98c", "#bfa474", 1.2, 0.95, bump=0.03)
    sheet(lambda u, v: _lifted((u - 0.5) * (120 + 500 * v), -60 + 150 * v, height), (190, 190), sand)
    box((6000, 6000, 0.02), (0, 2990, -0.4), water("#1a5260", 0.25, 0.35), 0)
    foam = plain("#eef2f0", 0.8)
    for k in range(3):
        sheet(
            lambda u, v, k=k: (
                (u - 0.5) * 300,
                12.5 + 6 * k + 1.5 * np.sin(23 * u + k) + v * (0.8 + 0.5 * np.sin(61 * u)),
                -0.36 + 0.12 * k * np.sin(math.pi * v),
            ),
            (240, 4),
            foam,
        )
    with group("parasol") as parasol:
        rod((0, 0, -0.2), (0.1, 0, 2.2), 0.025, metal("#e8e8e4", 0.4))
        colours = ("#d8402e", "#f0ece0")
        for i in range(10):
            a0, a1 = i * math.pi / 5, (i + 1) * math.pi / 5
            sheet(
                lambda u, v, a0=a0, a1=a1: (
                    0.1 + 1.25 * v * np.cos(a0 + (a1 - a0) * u),
                    1.25 * v * np.sin(a0 + (a1 - a0) * u),
                    2.2 - 0.42 * v * v - 0.05 * v * np.sin(math.pi * u),
                ),
                (5, 8),
                plain(colours[i % 2], 0.8),
            )
    with group("lounger") as lounger:
        canvas, pole = stripes("#2f6f9c", "#eee8d8", 2.4, "Y"), wood("#8a6a44", "#b08e62")
        sheet(
            lambda u, v: (
                (v - 0.5) * 0.65,
                (u - 0.35) * 1.7,
                0.32 + 0.6 * np.clip(u - 0.6, 0, 1) * 1.6 - 0.06 * np.sin(math.pi * v),
            ),
            (20, 8),
            canvas,
        )
        for s in (-0.34, 0.34):
            rod((s, -0.6, 0.33), (s, 0.45, 0.33), 0.02, pole)
            rod((s, 0.4, 0.33), (s, 1.1, 0.75), 0.02, pole)
            for y in (-0.5, 0.5):
                rod((s, y, 0), (s, y * 0.8, 0.34), 0.02, pole)
    for i in range(13):
        x, y = -19 + 3.7 * i + rng.uniform(-1, 1), rng.uniform(-14, 2)
        z = float(height(np.array(x), np.array(y)))
        put(parasol, (x, y, z), (rng.uniform(-8, 8), 0, rng.uniform(0, 360)))
        put(lounger, (x + 1.1, y - 0.3, z), 180 + rng.uniform(-25, 25))
    swimmers = [
        things.person(
            ("#c99574", "#8a5a3e", "#e0b090")[i],
            "#3a2618",
            ("#c9302c", "#2a5a8c", "#e0b83a")[i],
            ("#c99574", "#2a5a8c", "#e8e4da")[i],
            0.7,
            i,
        )
        for i in range(3)
    ]
    for i in range(14):
        x, y = rng.uniform(-20, 26), rng.uniform(-16, 10)
        put(
            swimmers[i % 3],
            (x, y, float(height(np.array(x), np.array(y)))),
            rng.uniform(0, 360),
            rng.uniform(0.75, 1.05),
        )
    hut = wood("#5a8a8c", "#86b0ae", (9, 9, 1))
    box((3, 2.4, 2.4), (13, -17, 1.4), hut, 0.02)
    prism([(-1.5, 3.8), (0, 5.0), (1.5, 3.8)], 3.4, (13, -17, 0), plain("#c8c2b4"), 90)
    box((0.9, 0.06, 1.9), (12.4, -18.22, 1.4), plain("#e8e2d0"), 0.01)
    reed = things.grass(1.6, 420, 0.9, leaf("#8a8a4a", "#c2b87a"), 7)
    for _ in range(70):
        x, y = rng.uniform(-16, 16), rng.uniform(-33, -20)
        if abs(x - 0.3 * (y + 34)) > 1.4:
            put(reed, (x, y, float(height(np.array(x), np.array(y))) - 0.05), rng.uniform(0, 360))
    for i in range(26):
        rod(
            (-9 + 0.1 * i, -27 + 0.32 * i, 4),
            (
                -9 + 0.1 * i,
                -27 + 0.32 * i,
                float(height(np.array(-9 + 0.1 * i), np.array(-27 + 0.32 * i))) + 1.0,
            ),
            0.035,
            wood("#8a7a62", "#a89880"),
        )
    with group("yacht") as yacht:
        white = plain("#f0f0ec", 0.2)

        def hull(u, v):
            a, t = (v - 0.5) * math.pi, 2 * u - 1
            wide = 1.3 * np.sqrt(np.clip((1 - t) * (1.4 + t), 0, None)) / 1.2
            return 4.2 * t, wide * np.sin(a), 1.0 + 0.25 * t - 0.9 * np.cos(a)

        sheet(hull, (30, 14), white)
        box((7.6, 1.5, 0.1), (-0.3, 0, 0.85), white, 0.03)
        box((2.4, 1.1, 0.5), (-0.4, 0, 0.9), white, 0.1)
        rod((0, 0, 0), (0, 0, 10), 0.06, metal())
        sheet(
            lambda u, v: (-0.1 - 3.4 * u * (1 - v), 0.5 * np.sin(math.pi * u) * (1 - v), 1.2 + 8.5 * v),
            (10, 20),
            fabric("#f2f0ea", "#e6e2d8"),
        )
        sheet(
            lambda u, v: (0.2 + 2.6 * u * (1 - v), 0.4 * np.sin(math.pi * u) * (1 - v), 1.0 + 7.5 * v),
            (10, 20),
            fabric("#d8402e", "#c23a2a"),
        )
    for x, y, t in ((18, 75, 20), (-30, 140, 160), (60, 220, 10)):
        put(yacht, (x, y, -0.4), t)
    ball(0.35, (4, 3, 1.0), stripes("#f0d03a", "#2f6fb0", 3))
    light.daylight(36, 310, 0.75, 0.75, 3.5, 22)
