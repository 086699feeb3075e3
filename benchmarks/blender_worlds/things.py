"""Things that stand in more than one scene. Each is a group: `put` it where it is wanted. Feet at the origin."""

from __future__ import annotations

import math

import numpy as np

from .build import (
    ball,
    box,
    cushion,
    group,
    lathe,
    mesh,
    prism,
    rod,
    rounder,
    sheet,
    skin,
    triangles,
    tube,
    tubes,
)
from .materials import fabric, glass, glow, leaf, metal, pane, plain, spotted, wood


def chair(seat, frame):
    """Four thin legs, a curved back of slats; looks along -y."""
    with group("chair") as made:
        for x in (-0.19, 0.19):
            rod((x * 1.1, -0.2, 0), (x, -0.18, 0.45), 0.016, frame)
            tube([(x * 1.1, 0.24, 0), (x, 0.2, 0.45), (x, 0.23, 0.75), (x, 0.3, 0.95)], 0.016, frame)
        cushion((0.44, 0.44, 0.06), (0, 0, 0.44), seat)
        for i in range(4):
            z = 0.6 + 0.1 * i
            rod((-0.19, 0.21 + 0.028 * i, z), (0.19, 0.21 + 0.028 * i, z), 0.011, frame)
    return made


def office_chair(cloth, frame):
    with group("office chair") as made:
        for i in range(5):
            a = i * 2 * math.pi / 5
            x, y = 0.3 * math.cos(a), 0.3 * math.sin(a)
            rod((0, 0, 0.12), (x, y, 0.08), 0.02, frame)
            ball(0.032, (x, y, 0.034), frame)
        rod((0, 0, 0.1), (0, 0, 0.45), 0.025, frame)
        cushion((0.5, 0.48, 0.09), (0, 0, 0.45), cloth)
        cushion((0.46, 0.08, 0.55), (0, 0.25, 0.6), cloth, (-8, 0, 0))
        for x in (-0.27, 0.27):
            tube([(x, -0.1, 0.5), (x * 1.1, -0.1, 0.7), (x * 1.1, 0.15, 0.7), (x, 0.2, 0.52)], 0.018, frame)
    return made


def table(size, top, frame, thickness=0.03):
    x, y, z = size
    with group("table") as made:
        box((x, y, thickness), (0, 0, z - thickness), top, 0.01)
        for sx in (-1, 1):
            for sy in (-1, 1):
                at = (sx * (x / 2 - 0.08), sy * (y / 2 - 0.08))
                rod((at[0] + 0.03 * sx, at[1] + 0.03 * sy, 0), (*at, z - thickness), 0.022, frame)
    return made


def sofa(width, cloth, pillow, rng):
    with group("sofa") as made:
        box((width, 0.85, 0.2), (0, 0, 0.12), cloth, 0.04)
        seats = max(2, round(width / 0.8))
        step = (width - 0.4) / seats
        for i in range(seats):
            x = (i + 0.5) * step - (width - 0.4) / 2
            cushion((step * 0.98, 0.7, 0.2), (x, -0.06, 0.3), cloth)
            cushion((step * 0.95, 0.2, 0.5), (x, 0.3, 0.42), cloth, (-12, 0, 0))
        for side in (-1, 1):
            cushion((0.22, 0.85, 0.5), (side * (width / 2 - 0.1), 0, 0.12), cloth)
            for y in (-0.35, 0.35):
                rod((side * (width / 2 - 0.1), y, 0), (side * (width / 2 - 0.1), y, 0.13), 0.02, pillow)
        for i in range(2):
            x = (i - 0.5) * (width - 0.7)
            cushion((0.42, 0.14, 0.42), (x, 0.08, 0.5), pillow, (-25, rng.uniform(-12, 12), 0), 0.45)
    return made


def floor_lamp(shade_colour="#f3dcae", strength=6.0):
    with group("lamp") as made:
        dark = metal("#3a3835", 0.4)
        lathe([(0.001, 0), (0.14, 0), (0.14, 0.015), (0.02, 0.03), (0.012, 0.05)], (0, 0, 0), dark)
        rod((0, 0, 0.03), (0, 0, 1.4), 0.012, dark)
        lathe([(0.22, 1.3), (0.14, 1.6)], (0, 0, 0), glow(shade_colour, strength))
    return made


def shelf(width, height, depth, board, rng, levels=5, full=0.85):
    """Boards with books, some leaning, and a few vases."""
    covers = [
        plain(c, 0.6) for c in ("#7a2e26", "#24425e", "#c2a878", "#2d4d37", "#d8d0c0", "#3a2a3f", "#b5651d")
    ]
    china = plain("#d9d4c8", 0.2)
    with group("shelf") as made:
        for x in (-width / 2, width / 2):
            box((0.025, depth, height), (x, 0, 0), board, 0.003)
        box((width, 0.012, height), (0, depth / 2, 0), board, 0.002)
        for i in range(levels + 1):
            z = i * (height - 0.025) / levels
            box((width, depth, 0.025), (0, 0, z), board, 0.003)
            x = -width / 2 + 0.03
            while i < levels and x < width / 2 - 0.08:
                if rng.random() > full:
                    if rng.random() < 0.5:
                        vase(china, rng.uniform(0.12, 0.2), at=(x + 0.08, 0, z + 0.025))
                    x += 0.18
                    continue
                thick, tall = rng.uniform(0.015, 0.05), rng.uniform(0.17, 0.27)
                lean = rng.choice([0, 0, 0, 0, 9])
                size = (thick, depth * rng.uniform(0.6, 0.8), tall)
                box(size, (x + thick / 2, 0, z + 0.025), rng.choice(covers), 0.003, (0, lean, 0))
                x += thick + 0.003 + (0.04 if lean else 0)
    return made


def vase(material, height=0.3, at=(0, 0, 0)):
    h = height
    profile = [(0.001, 0), (0.2 * h, 0), (0.32 * h, 0.3 * h), (0.3 * h, 0.5 * h), (0.13 * h, 0.8 * h)]
    profile += [(0.18 * h, h), (0.16 * h, h), (0.11 * h, 0.8 * h), (0.25 * h, 0.45 * h), (0.001, 0.1 * h)]
    return lathe(profile, at, material)


def leaves_at(places, size, material, random, hang=0.4, slim=0.45):
    """(N, 3) places get a folded leaf each, in any direction; one mesh."""
    n = len(places)
    along = random.normal((0, 0, -hang), 1.0, (n, 3))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along, random.normal(size=(n, 3)))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    lift = np.cross(along, across)
    s = size * random.uniform(0.6, 1.3, (n, 1))
    tip, middle = places + along * s, places + along * s * 0.45
    left = middle + across * s * slim + lift * s * 0.15
    right = middle - across * s * slim + lift * s * 0.15
    return triangles(np.stack([places, left, tip, right], 1), material)


def tree(height, spread, bark, foliage, seed, leaves=9000, leaf_size=0.13):
    """Branches that fork four times; leaves around the thin ones."""
    random = np.random.default_rng(seed)
    paths, ends = [], []

    def grow(start, direction, length, radius, level):
        bend = direction + random.normal(scale=0.12, size=3)
        middle = start + direction * length * 0.5
        end = middle + bend / np.linalg.norm(bend) * length * 0.5
        paths.append(([start, middle, end], radius, radius * 0.62))
        if level >= 3:
            ends.extend([start * (1 - t) + end * t for t in (0.3, 0.6, 0.85, 1.0)])
        if level == 4:
            return
        for _ in range(4 if level < 2 else 3):
            turn = bend + random.normal(scale=0.62 * spread, size=3) + (0, 0, 0.12)
            start_at = middle * 0.35 + end * 0.65 if random.random() < 0.4 else end
            grow(
                start_at,
                turn / np.linalg.norm(turn),
                length * random.uniform(0.6, 0.76),
                radius * 0.58,
                level + 1,
            )

    grow(np.zeros(3), np.array([0, 0, 1.0]), height * 0.34, height * 0.024, 0)
    with group("tree") as made:
        tubes(paths, bark)
        middles = np.array(ends)[random.integers(0, len(ends), leaves)]
        places = middles + random.normal(scale=0.032 * height, size=(leaves, 3))
        leaves_at(places, leaf_size, foliage, random)
    return made


def fir(height, bark, needles, seed):
    """Whorls of drooping fans."""
    random = np.random.default_rng(seed)
    cards = []
    with group("fir") as made:
        tubes([([(0, 0, 0), (0, 0, height)], 0.02 * height, 0.002 * height)], bark)
        levels = int(8 + 2 * height)
        for i in range(levels):
            z = height * (0.14 + 0.85 * i / levels)
            reach = 0.24 * height * (1 - i / levels) ** 0.9 + 0.1
            for _ in range(12):
                a, level = random.uniform(0, 2 * math.pi), z + random.uniform(-0.5, 0.5) * height / levels
                out = np.array([math.cos(a), math.sin(a), 0])
                side = np.array([-math.sin(a), math.cos(a), 0])
                r = reach * random.uniform(0.7, 1.1)
                for t in np.linspace(0.05, 1, 9):
                    middle = out * r * t + (0, 0, level - 0.28 * r * t * t)
                    w = 0.3 * r * (1.1 - t) + 0.04
                    for s in (-1, 1):
                        hang = random.uniform(-0.2, 1.1) * w
                        tip = middle + side * s * w + out * 0.12 * r - (0, 0, hang)
                        foot = middle + out * 0.09 * r - (0, 0, 0.05 * r)
                        cards.append([middle, foot, tip, tip - out * 0.07 * r + (0, 0, 0.04 * r)])
        triangles(np.array(cards), needles)
    return made


def grass(area, count, height, material, seed):
    """Blades on a square of `area` metres around the origin."""
    random = np.random.default_rng(seed)
    foot = np.concatenate([random.uniform(-area / 2, area / 2, (count, 2)), np.zeros((count, 1))], 1)
    with group("grass") as made:
        blades(foot, height, material, random)
    return made


def blades(foot, height, material, random):
    """A bent blade of grass on each of the (N, 3) places, about `height` tall."""
    count = len(foot)
    side = random.normal(size=(count, 3)) * (1, 1, 0)
    side *= 0.008 / np.linalg.norm(side, axis=1, keepdims=True)
    tall = height * random.uniform(0.5, 1.3, (count, 1))
    middle = foot + random.normal(scale=0.1, size=(count, 3)) * (1, 1, 0) * tall + (0, 0, 0.6) * tall
    tip = middle + random.normal(scale=0.25, size=(count, 3)) * (1, 1, 0) * tall + (0, 0, 0.4) * tall
    triangles(np.stack([foot - side, foot + side, middle + 0.7 * side, middle - 0.7 * side], 1), material)
    triangles(np.stack([middle - 0.7 * side, middle + 0.7 * side, tip], 1), material)


def pot_plant(height, seed, pot="#b5603c"):
    random = np.random.default_rng(seed)
    with group("plant") as made:
        r = 0.16 * height
        profile = [
            (0.001, 0),
            (0.7 * r, 0),
            (r, 0.25 * height),
            (0.9 * r, 0.25 * height),
            (0.85 * r, 0.22 * height),
        ]
        lathe([*profile, (0.001, 0.22 * height)], (0, 0, 0), plain(pot, 0.7))
        paths, places = [], []
        for i in range(16):
            a, out = i * 2.4, random.uniform(0.1, 0.4) * height
            end = np.array([math.cos(a) * out, math.sin(a) * out, height * random.uniform(0.6, 1)])
            start = np.array([0, 0, 0.2 * height])
            middle = (start + end) / 2 + (0, 0, 0.1 * height)
            paths.append(([start, middle, end], 0.006 * height, 0.003 * height))
            places += [middle * (1 - t) + end * t for t in np.linspace(0, 1, 7)]
        tubes(paths, plain("#4c5a2a"))
        leaves_at(np.array(places), 0.16 * height, leaf("#2f5a22", "#6f9440"), random, 0.1)
    return made


def car(paint, seed=0):
    """A small car along x, front at +x: one lofted body with glass, wheels with rims, lamps, plates, mirrors."""
    tall = 1.42 + 0.14 * (seed % 3)
    dark, chrome, rubber = plain("#141414", 0.6), metal("#cfd2d6", 0.15), plain("#181818", 0.85)
    with group("car") as made:
        _car_body(paint, pane(), tall)
        for x in (-1.28, 1.3):
            lathe([(0.37, -0.87), (0.37, 0.87)], (x, 0, 0.36), dark, (90, 0, 0))
            for side in (-1, 1):
                wheel(0.31, 0.2, (x, side * 0.8, 0.31), rubber, chrome)
        for side in (-1, 1):
            ball(0.1, (1.9, side * 0.58, 0.68), glass("#f4f4ee"), 0.7)
            box((0.04, 0.26, 0.12), (-2.07, side * 0.6, 0.74), plain("#a01616", 0.15), 0.01)
            cushion((0.1, 0.18, 0.12), (0.52, side * 0.92, 0.92), paint)
        box((0.03, 0.5, 0.11), (2.1, 0, 0.42), plain("#e8e8e0", 0.5), 0.004)
        box((0.03, 0.9, 0.1), (2.09, 0, 0.56), dark, 0.01)
        box((0.03, 0.5, 0.11), (-2.1, 0, 0.6), plain("#e8e8e0", 0.5), 0.004)
    return made


def _car_body(paint, window, tall):
    outline = [
        (-2.1, 0.25),
        (-2.12, 0.6),
        (-2.02, 0.9),
        (-1.75, tall - 0.3),
        (-1.35, tall - 0.03),
        (-0.6, tall),
    ]
    outline += [
        (0.1, tall - 0.06),
        (0.55, tall - 0.3),
        (0.95, 0.95),
        (1.6, 0.86),
        (2.03, 0.72),
        (2.12, 0.45),
        (2.05, 0.22),
    ]
    across = np.linspace(-1, 1, 7)

    def wide(z):
        return 0.84 * (1 - 0.24 * max(0.0, (z - 0.85) / 0.65)) * (0.97 if z < 0.4 else 1)

    points = [(x, c * wide(z), z + 0.03 * (1 - c * c)) for x, z in outline for c in across]
    n, k = len(outline), len(across)
    faces = [
        (i * k + j, (i + 1) * k + j, (i + 1) * k + j + 1, i * k + j + 1)
        for i in range(n - 1)
        for j in range(k - 1)
    ]
    low = len(points)
    points += [(x, side * wide(0.25), 0.24) for side in (-1, 1) for x, _ in outline]
    for side, c in ((0, 0), (1, k - 1)):
        for i in range(n - 1):
            quad = (i * k + c, (i + 1) * k + c, low + side * n + i + 1, low + side * n + i)
            faces.append(quad if side == 1 else tuple(reversed(quad)))
    body = mesh(points, faces, paint)
    body.data.materials.append(window)
    for i in (3, 6, 7):  # behind and in front of the roof
        for j in range(1, k - 2):
            body.data.polygons[i * (k - 1) + j].material_index = 1
    rounder(body, 1)
    for side in (-1, 1):
        front = [(0.02, tall - 0.14), (0.45, tall - 0.34), (0.78, 0.97), (-0.32, 0.97), (-0.32, tall - 0.11)]
        rear = [(-0.38, tall - 0.11), (-0.38, 0.97), (-1.55, 0.97), (-1.5, tall - 0.28), (-1.2, tall - 0.13)]
        for panel in (front, rear):
            mesh([(x, side * (wide(z) + 0.006), z) for x, z in panel], [tuple(range(5))], window)


def wheel(radius, width, at, rubber, chrome):
    r, w = radius, width / 2
    tyre = [(0.7 * r, -w), (0.93 * r, -w), (r, -0.7 * w), (r, 0.7 * w), (0.93 * r, w), (0.7 * r, w)]
    lathe(tyre, at, rubber, (90, 0, 0))
    side = 1 if at[1] > 0 else -1
    lathe(
        [(0.001, 0), (0.7 * r, 0)], (at[0], at[1] + side * 0.5 * w, at[2]), plain("#2a2a2c", 0.5), (90, 0, 0)
    )
    for i in range(5):
        a = i * 2 * math.pi / 5
        end = (at[0] + 0.68 * r * math.cos(a), at[1] + side * 0.75 * w, at[2] + 0.68 * r * math.sin(a))
        rod((at[0], at[1] + side * 0.85 * w, at[2]), end, 0.09 * r, chrome)
    ring = [
        (at[0] + 0.69 * r * math.cos(a), at[1] + side * w, at[2] + 0.69 * r * math.sin(a))
        for a in np.linspace(0, 2 * math.pi, 25)[:-1]
    ]
    tube(ring, 0.05 * r, chrome, closed=True, straight=True)


def bicycle(paint):
    """Along x, front at +x."""
    steel, rubber = metal("#b9bcc0", 0.3), plain("#151515", 0.8)
    with group("bicycle") as made:
        paths = []
        for x in (-0.52, 0.52):
            circle = [
                (x + 0.34 * math.cos(a), 0, 0.35 + 0.34 * math.sin(a))
                for a in np.linspace(0, 2 * math.pi, 41)[:-1]
            ]
            tube(circle, 0.018, rubber, closed=True, straight=True)
            for i in range(16):
                a = i * math.pi / 8
                paths.append(
                    ([(x, 0, 0.35), (x + 0.33 * math.cos(a), 0, 0.35 + 0.33 * math.sin(a))], 0.0025, 0.0025)
                )
            rod((x, -0.05, 0.35), (x, 0.05, 0.35), 0.022, steel)
        tubes(paths, steel)
        seat, head, crank = (-0.24, 0, 0.88), (0.36, 0, 0.86), (-0.08, 0, 0.32)
        for a, b in (
            (crank, seat),
            (crank, (0.38, 0, 0.76)),
            ((-0.2, 0, 0.8), head),
            (seat, (-0.52, 0.03, 0.35)),
        ):
            rod(a, b, 0.017, paint)
        rod(crank, (-0.52, 0.03, 0.35), 0.012, paint)
        tube([(0.34, 0, 0.98), head, (0.4, 0, 0.6), (0.52, 0.03, 0.35)], 0.015, paint)
        tube(
            [(0.2, -0.26, 1.0), (0.32, -0.2, 1.02), (0.34, 0, 1.0), (0.32, 0.2, 1.02), (0.2, 0.26, 1.0)],
            0.013,
            steel,
        )
        cushion((0.26, 0.15, 0.06), (-0.27, 0, 0.9), rubber)
        lathe(
            [(0.001, -0.006), (0.09, -0.006), (0.09, 0.006), (0.001, 0.006)],
            (-0.08, 0.05, 0.32),
            steel,
            (90, 0, 0),
        )
        rod((-0.08, 0.06, 0.32), (0.04, 0.08, 0.2), 0.011, steel)
        rod((-0.08, -0.06, 0.32), (-0.2, -0.08, 0.44), 0.011, steel)
        for p in ((0.04, 0.13, 0.18), (-0.2, -0.13, 0.42)):
            box((0.09, 0.09, 0.02), p, rubber, 0.004)
    return made


def person(skin_colour, hair, top, trousers, pose=0.0, seed=0):
    """A figure with skin, clothes and hair, 1.75 m, facing -y; `pose` swings arms and legs."""
    p = pose
    flesh, coat, legs = plain(skin_colour, 0.5), fabric(top, top, 90), fabric(trousers, trousers, 90)
    with group("person") as made:
        torso = [
            ((0, 0, 0.88), 0.155),
            ((0, 0, 1.15), 0.135),
            ((0, 0.01, 1.38), 0.15),
            ((0, 0.01, 1.5), 0.07),
        ]
        arms = []
        for s in (-1, 1):
            arms += [((s * 0.19, 0.02, 1.42), 0.065), ((s * 0.26, 0.02 + s * p * 0.14, 1.15), 0.05)]
            arms += [((s * 0.24, -0.12 + s * p * 0.33, 0.89), 0.045)]
        bones = [(0, 1), (1, 2), (2, 3), (2, 4), (4, 5), (5, 6), (2, 7), (7, 8), (8, 9)]
        skin(torso + arms, bones, coat, (0, 0, 0))
        lower, links = [((0, 0, 1.02), 0.13)], []
        for s in (-1, 1):
            i = len(lower)
            lower += [((s * 0.1, 0, 0.86), 0.105), ((s * 0.11, -0.05 - s * p * 0.2, 0.5), 0.07)]
            lower += [((s * 0.11, -s * p * 0.32 + 0.02, 0.1), 0.05)]
            links += [(0, i), (i, i + 1), (i + 1, i + 2)]
        skin(lower, links, legs, (0, 0, 0))
        for s in (-1, 1):
            cushion((0.1, 0.27, 0.1), (s * 0.11, -s * p * 0.32 - 0.05, 0), plain("#2b211c", 0.4))
            ball(0.045, (s * 0.24, -0.135 + s * p * 0.345, 0.86), flesh, 1.7)
        head = [((0, 0.01, 1.5), 0.055), ((0, 0.0, 1.58), 0.075), ((0, -0.01, 1.68), 0.095)]
        skin(head, [(0, 1), (1, 2)], flesh, (0, 0, 0))
        ball(0.016, (0, -0.115, 1.645), flesh, 1.4)
        crown = ball(0.112, (0, 0.025, 1.7), plain(hair, 0.5, 0, 0.3, 60))
        if seed % 2:
            cushion((0.2, 0.09, 0.3), (0, 0.085, 1.45), plain(hair, 0.5, 0, 0.3, 60))
        crown.scale = (0.95, 1.0, 0.98)
    return made


def lamp_post(height=4.5):
    iron = metal("#26302b", 0.5)
    with group("lamp post") as made:
        lathe([(0.001, 0), (0.16, 0), (0.14, 0.3), (0.07, 0.5), (0.055, height * 0.8)], (0, 0, 0), iron)
        tube(
            [(0, 0, height * 0.75), (0, 0, height), (0, 0.3, height + 0.25), (0, 0.8, height + 0.15)],
            0.035,
            iron,
        )
        lathe(
            [(0.03, 0.16), (0.2, 0.0), (0.19, -0.02), (0.001, -0.06)], (0, 0.8, height), plain("#e8e4d8", 0.2)
        )
    return made


def house(size, wall, roof, frame, rng, floors=2, bay=1.5, door=True):
    """Along x, its front at y = 0 looking along -y: gable roof, recessed windows with frames, sills, door, chimney."""
    x, y, eaves = size
    glazing, sill = pane(), plain("#d8d2c6", 0.7)
    with group("house") as made:
        box((x, y, eaves), (0, y / 2, 0), wall, 0.02)
        rise = 0.42 * y
        prism([(0, eaves), (y / 2, eaves + rise), (y, eaves)], x, (0, 0, 0), wall, 90)
        for low, high in (
            ((-0.35, eaves - 0.16), (y / 2, eaves + rise + 0.16)),
            ((y + 0.35, eaves - 0.16), (y / 2, eaves + rise + 0.16)),
        ):
            slab = [low, high, (high[0], high[1] + 0.14), (low[0], low[1] + 0.14)]
            prism([(a, b) for a, b in slab], x + 0.5, (0, 0, 0), roof, 90)
        count = max(2, int(x / bay))
        door_at = rng.randrange(count) if door else -1
        for floor in range(floors):
            z = 0.9 + floor * (eaves / floors)
            for i in range(count):
                at = (i + 0.5) * x / count - x / 2
                if floor == 0 and i == door_at:
                    box((1.0, 0.08, 2.1), (at, 0, 0), frame, 0.02)
                    box((1.2, 0.12, 0.12), (at, -0.02, 2.1), sill)
                    box((1.3, 0.6, 0.14), (at, -0.3, 0), sill)
                    continue
                window(at, z, 0.9, 1.25, frame, glazing, sill)
        box((0.6, 0.6, 1.4), (x * 0.3, y * 0.62, eaves + rise * 0.6), wall, 0.02)
        rod((-x / 2 + 0.12, -0.07, 0), (-x / 2 + 0.12, -0.07, eaves), 0.045, metal("#6e7274", 0.5))
    return made


def window(x, z, width, height, frame, glazing, sill):
    box((width, 0.05, height), (x, -0.005, z), glazing, 0)
    t = 0.07
    for dx in (-width / 2, 0, width / 2):
        box((t, 0.12, height), (x + dx, -0.03, z), frame, 0.006)
    for dz in (0, height * 0.62, height):
        box((width + t, 0.12, t), (x, -0.03, z + dz - t / 2), frame, 0.006)
    box((width + 0.3, 0.24, 0.07), (x, -0.08, z - 0.12), sill, 0.01)


def curtain(width, height, folds, material, at, turn=0.0):
    """Hangs in folds from `height` above `at`."""

    def shape(u, v):
        fold = np.sin(u * folds * 2 * math.pi + 0.6 * np.sin(5 * u))
        return (u - 0.5) * width, 0.06 * fold * (0.6 + 0.6 * (1 - v)), v * height

    return sheet(shape, (folds * 14, 10), material, at, turn)


def fence(length, height, material, gap=0.12):
    """Pickets along x with pointed tops and two rails."""
    with group("fence") as made:
        for i in range(int(length / gap)):
            w, h = 0.035, height
            outline = [(-w, 0), (w, 0), (w, h - 0.05), (0, h), (-w, h - 0.05)]
            prism(outline, 0.02, (i * gap - length / 2, 0, 0), material)
        for z in (0.25 * height, 0.75 * height):
            box((length, 0.03, 0.07), (0, 0.03, z), material, 0.005)
    return made


def bench(board, iron):
    with group("bench") as made:
        for x in (-0.7, 0.7):
            tube([(x, -0.25, 0), (x, -0.2, 0.42), (x, 0.2, 0.42), (x, 0.3, 0.85)], 0.025, iron)
            rod((x, 0.2, 0.42), (x, 0.3, 0), 0.025, iron)
        for i in range(4):
            box((1.6, 0.09, 0.03), (0, -0.17 + 0.11 * i, 0.43), board, 0.006)
        for i in range(3):
            box((1.6, 0.025, 0.09), (0, 0.24 + 0.035 * i, 0.52 + 0.12 * i), board, 0.006)
    return made


def oak():
    return wood("#5b3a1e", "#94683a")


def dark_bark():
    return spotted("#2b221a", "#5a4a38", 14, 0.95)
