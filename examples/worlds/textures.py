"""Textures: functions of the surface point alone, so that a surface has one colour from every side.

A texture is called with `p` (3, N) local points in metres and `uv` (2, N) face coordinates in metres, and
returns (3, N) colours in [0, 1]. Detail is bounded in metres: nothing is finer than about two centimetres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from .noise import Array, sample_solid, sample_tile, smoothstep, spectral_noise

Texture = Callable[[Array, Array], Array]
Color = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Tile:
    """A periodic image: (H, W, 3) covers `size` = (width, height) metres, its corner at `origin`."""

    image: Array
    size: tuple[float, float]
    origin: tuple[float, float] = (0.0, 0.0)

    def __call__(self, p: Array, uv: Array) -> Array:
        del p
        u = (uv[0] - np.float32(self.origin[0])) / np.float32(self.size[0])
        v = (uv[1] - np.float32(self.origin[1])) / np.float32(self.size[1])
        return sample_tile(self.image, u, v)


@dataclass(frozen=True, eq=False)
class Solid:
    """Marble, leaves, stone: noise in space, `period` metres, from the colour `dark` to `light`."""

    noise: Array
    period: float
    dark: Color
    light: Color

    def __call__(self, p: Array, uv: Array) -> Array:
        del uv
        value = np.clip(0.5 + 0.28 * sample_solid(self.noise, p / np.float32(self.period)), 0, 1)
        return _mix(self.dark, self.light, value)


@dataclass(frozen=True)
class Bands:
    """A ball of `count` stripes in two colours with soft edges, around the local y axis."""

    count: int
    a: Color
    b: Color
    sharpness: float = 60.0

    def __call__(self, p: Array, uv: Array) -> Array:
        del uv
        longitude = np.arctan2(p[0], p[2])
        radius = np.hypot(p[0], p[2])
        wave = np.sin(longitude * np.float32(self.count / 2))
        # The edge is the same few millimetres wide everywhere, and dissolves at the poles.
        sharp = np.float32(self.sharpness) * radius
        return _mix(self.a, self.b, 0.5 + 0.5 * np.tanh(wave * sharp * np.float32(2 / self.count)))


@dataclass(frozen=True, eq=False)
class Meadow:
    """Ground in several scales of noise; each fades out where it would alias, seen from the origin."""

    noises: tuple[Array, ...]
    periods: tuple[float, ...]
    fades: tuple[tuple[float, float], ...]
    strengths: tuple[float, ...]
    dark: Color
    light: Color

    def __call__(self, p: Array, uv: Array) -> Array:
        distance = np.sqrt(p[0] ** 2 + p[2] ** 2)
        value = np.full(uv.shape[1], 0.5, np.float32)
        for noise, period, fade, strength in zip(
            self.noises, self.periods, self.fades, self.strengths, strict=True
        ):
            near = np.flatnonzero(distance < fade[1])
            scaled = uv[:, near] / np.float32(period)
            amount = np.float32(strength) * (1 - smoothstep(*fade, distance[near]))
            value[near] += amount * sample_tile(noise, scaled[0], scaled[1])
        return _mix(self.dark, self.light, np.clip(value, 0, 1))


def plain(color: Color) -> Texture:
    """One colour everywhere."""
    column = np.array(color, np.float32)[:, None]
    return lambda _p, uv: np.broadcast_to(column, (3, uv.shape[1]))


def planks(seed: int, dark: Color, light: Color, plank: float = 0.16) -> Tile:
    """A wooden floor: 16 planks per tile along u, with grain, tone and seams."""
    n, count = 512, 16
    x, y = _grid(n)
    rng = np.random.default_rng(seed)
    row = np.minimum((y * count).astype(int), count - 1)
    shift = rng.random(count).astype(np.float32)[row]
    along = (x + shift) % 1.0
    piece = row * 2 + (along > 0.5)
    tone = rng.normal(0, 0.13, 2 * count).astype(np.float32)[piece]
    grain = spectral_noise((n, n), 4, 150, 0.6, seed + 1, (1, 12))
    within = (y * count) % 1.0
    seam = np.minimum(within, 1 - within) * plank
    joint = np.minimum(np.abs(along - 0.5), np.minimum(along, 1 - along)) * plank * count
    gap = 1 - 0.55 * (1 - smoothstep(0.001, 0.007, np.minimum(seam, joint)))
    value = np.clip(0.5 + tone + 0.12 * grain, 0, 1)
    return Tile(_mix_image(dark, light, value) * gap[..., None], (plank * count, plank * count))


def bricks(
    seed: int, mortar: Color, dark: Color, light: Color, size: tuple[float, float] = (0.26, 0.09)
) -> Tile:
    """A brick wall in running bond, 8 by 16 bricks per tile."""
    n, columns, rows = 512, 8, 16
    x, y = _grid(n)
    row = np.minimum((y * rows).astype(int), rows - 1)
    shifted = (x * columns + 0.5 * (row % 2)) % columns
    column = shifted.astype(int) % columns
    du = np.minimum(shifted % 1.0, 1 - shifted % 1.0) * size[0]
    dv = np.minimum((y * rows) % 1.0, 1 - (y * rows) % 1.0) * size[1]
    tone = np.random.default_rng(seed).normal(0, 0.2, (rows, columns)).astype(np.float32)[row, column]
    rough = spectral_noise((n, n), 8, 130, 0.5, seed + 1)
    face = _mix_image(dark, light, np.clip(0.5 + tone + 0.13 * rough, 0, 1))
    inside = smoothstep(0.004, 0.014, np.minimum(du, dv))[..., None]
    joint = np.array(mortar, np.float32) * (1 + 0.06 * rough[..., None])
    return Tile(np.clip(joint * (1 - inside) + face * inside, 0, 1), (size[0] * columns, size[1] * rows))


def checker(a: Color, b: Color, cell: float, seed: int = 0) -> Tile:
    """A checkerboard with soft edges and slightly worn cells."""
    n = 512
    x, y = _grid(n)
    soft = 40 * cell
    wave = np.tanh(soft * np.sin(2 * np.pi * x)) * np.tanh(soft * np.sin(2 * np.pi * y))
    worn = 1 + 0.05 * spectral_noise((n, n), 2, 60, 0.8, seed)
    return Tile(np.clip(_mix_image(a, b, 0.5 + 0.5 * wave) * worn[..., None], 0, 1), (2 * cell, 2 * cell))


def plaster(seed: int, color: Color, contrast: float = 0.05, period: float = 3.0) -> Tile:
    """A painted wall: faint large and small unevenness."""
    n = 512
    value = 0.6 * spectral_noise((n, n), 1, 12, 1.0, seed) + 0.6 * spectral_noise(
        (n, n), 12, 90, 0.3, seed + 1
    )
    image = np.array(color, np.float32) * (1 + contrast * value[..., None])
    return Tile(np.clip(image, 0, 1), (period, period))


def shingles(seed: int, dark: Color, light: Color, size: tuple[float, float] = (0.3, 0.22)) -> Tile:
    """Roof tiles, each a little darker towards the one above it."""
    tile = bricks(seed, tuple(0.5 * c for c in dark), dark, light, size)  # type: ignore[arg-type]
    n = tile.image.shape[0]
    shade = 0.78 + 0.3 * ((np.arange(n) * 16 / n) % 1.0)
    return Tile(np.clip(tile.image * shade[:, None, None].astype(np.float32), 0, 1), tile.size)


def cloth(seed: int, colors: tuple[Color, ...], stripe: float) -> Tile:
    """Woven stripes in the given colours, with thread-like noise along and across."""
    n = 512
    x, y = _grid(n)
    count = len(colors)
    palette = np.array(colors, np.float32)
    position = x * count
    i = np.minimum(position.astype(int), count - 1)
    edge = smoothstep(0.92, 1.0, position - i)[..., None]
    image = palette[i] * (1 - edge) + palette[(i + 1) % count] * edge
    weave = 1 + 0.07 * spectral_noise((n, n), 20, 110, 0.0, seed) + 0.05 * np.sin(2 * np.pi * 24 * y)
    return Tile(np.clip(image * weave[..., None], 0, 1), (stripe * count, stripe * count))


def painting(seed: int, size: tuple[float, float], colors: tuple[Color, ...]) -> Tile:
    """A framed abstract picture that covers a face of `size` metres centred on the face."""
    n = 384
    x, y = _grid(n)
    rng = np.random.default_rng(seed)
    warp = 0.06 * spectral_noise((n, n), 1, 6, 1.5, seed)
    image = np.broadcast_to(np.array(colors[0], np.float32), (n, n, 3)).copy()
    horizon = smoothstep(-0.03, 0.03, y + warp - 0.62)[..., None]
    image = image * (1 - horizon) + np.array(colors[1], np.float32) * horizon
    for color in colors[2:]:
        cx, cy, r = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), rng.uniform(0.08, 0.24)
        distance = np.hypot((x - cx) * size[0], (y - cy) * size[1]) / max(size) + 0.4 * warp
        disc = (1 - smoothstep(r - 0.015, r + 0.015, distance))[..., None]
        image = image * (1 - disc) + np.array(color, np.float32) * disc
    image *= 1 + 0.06 * spectral_noise((n, n), 6, 80, 0.6, seed + 1)[..., None]
    border = np.minimum(np.minimum(x, 1 - x) * size[0], np.minimum(y, 1 - y) * size[1])
    mat = smoothstep(0.085, 0.095, border)[..., None]
    image = image * mat + np.array((0.9, 0.89, 0.85), np.float32) * (1 - mat)
    frame = smoothstep(0.035, 0.043, border)[..., None]
    image = image * frame + np.array((0.16, 0.11, 0.08), np.float32) * (1 - frame)
    return Tile(np.clip(image, 0, 1), size, (-size[0] / 2, -size[1] / 2))


def solid(seed: int, period: float, dark: Color, light: Color, finest: float = 0.05) -> Solid:
    """Solid noise whose details are not finer than `finest` metres."""
    size = 48
    return Solid(spectral_noise((size,) * 3, 1, min(period / finest, 12), 0.9, seed), period, dark, light)


def meadow(seed: int, dark: Color, light: Color) -> Meadow:
    """Grass from the blade clumps before the camera to the fields at the horizon."""
    bands = ((8, 55, 0.4), (4, 45, 0.6), (3, 30, 0.8), (2, 16, 1.0))
    noises = tuple(
        spectral_noise((256, 256), low, high, slope, seed + i) for i, (low, high, slope) in enumerate(bands)
    )
    return Meadow(
        noises,
        (3.0, 12.0, 100.0, 400.0),
        ((2.5, 5.5), (6.0, 14.0), (20.0, 60.0), (90.0, 250.0)),
        (0.13, 0.13, 0.11, 0.08),
        dark,
        light,
    )


def grass(seed: int, dark: Color, light: Color) -> Meadow:
    """As `meadow`, twice as fine and more vivid: for pictures of about a thousand pixels."""
    bands = ((8, 75, 0.2), (6, 90, 0.5), (4, 70, 0.7), (3, 60, 0.9))
    noises = tuple(
        spectral_noise((512, 512), low, high, slope, seed + i) for i, (low, high, slope) in enumerate(bands)
    )
    fades = ((3.5, 9.0), (9.0, 24.0), (24.0, 65.0), (70.0, 220.0))
    return Meadow(noises, (1.5, 6.0, 30.0, 200.0), fades, (0.17, 0.13, 0.1, 0.08), dark, light)


def softened(texture: Texture, sigma: float) -> Texture:
    """The texture less what is finer than a Gaussian of `sigma` metres."""
    if isinstance(texture, Tile):
        height, width = texture.image.shape[:2]
        spread = (sigma / texture.size[1] * height, sigma / texture.size[0] * width, 0)
        return replace(texture, image=gaussian_filter(texture.image, spread, mode="wrap", truncate=3.0))
    if isinstance(texture, Solid):
        samples = sigma / texture.period * texture.noise.shape[0]
        return replace(texture, noise=gaussian_filter(texture.noise, samples, mode="wrap", truncate=3.0))
    if isinstance(texture, Meadow):
        noises = tuple(
            gaussian_filter(noise, sigma / period * noise.shape[0], mode="wrap", truncate=3.0)
            for noise, period in zip(texture.noises, texture.periods, strict=True)
        )
        return replace(texture, noises=noises)
    if isinstance(texture, Bands):
        return replace(texture, sharpness=min(texture.sharpness, 1 / sigma))
    return texture


def _grid(n: int) -> tuple[Array, Array]:
    axis = ((np.arange(n) + 0.5) / n).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


def _mix(a: Color, b: Color, value: Array) -> Array:
    low, high = np.array(a, np.float32)[:, None], np.array(b, np.float32)[:, None]
    return low + (high - low) * value


def _mix_image(a: Color, b: Color, value: Array) -> Array:
    return np.moveaxis(_mix(a, b, value.ravel()).reshape(3, *value.shape), 0, -1)
