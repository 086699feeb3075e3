"""Baked light with soft shadows: what falls on each surface point, whoever looks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .noise import Array, dot, smoothstep
from .shapes import Shape

Color = tuple[float, float, float]
Vector = tuple[float, float, float]

_GAMMA = 2.2


@dataclass(frozen=True)
class AreaLight:
    """A shining parallelogram: a window, a lamp, or (far away) the sun.

    Attributes:
        center: of the parallelogram; u, v: half its sides, metres.
        facing: the way it shines.
        color: how bright it is `reference` metres away.
    """

    center: Vector
    u: Vector
    v: Vector
    facing: Vector
    color: Color
    reference: float


def sun(direction: Vector, color: Color, spread: float = 0.03) -> AreaLight:
    """A sun in `direction`, `spread` radians wide in each way from its middle."""
    far = 1000.0
    way = np.array(direction) / np.linalg.norm(direction)
    u = np.cross(way, (0.0, 1.0, 0.0) if abs(way[1]) < 0.9 else (1.0, 0.0, 0.0))
    u *= far * spread / np.linalg.norm(u)
    return AreaLight(tuple(far * way), tuple(u), tuple(np.cross(way, u)), tuple(-way), color, far)


@dataclass(frozen=True)
class Lighting:
    """All light of a world.

    Attributes:
        lights: what casts shadows.
        above, below: colour of the light from all around, from the upper and the lower half.
        reach: metres within which surfaces keep the light from all around away from each other.
    """

    lights: tuple[AreaLight, ...]
    above: Color
    below: Color
    reach: float


@dataclass(frozen=True)
class BakeQuality:
    """Effort of baking.

    Attributes:
        texel: metres, near the camera; most: texels per side at most.
        light_grid: rays per light, squared; around: rays in all directions.
    """

    texel: float = 0.12
    most: int = 112
    light_grid: int = 3
    around: int = 12


@dataclass(frozen=True, eq=False)
class LightMap:
    """The light on one shape: factors for display colours, texels of all its faces in one list.

    Attributes:
        texels: (T, 3) factors.
        first: (F,) position of a face's first texel; width, height: (F,) its texels.
        low: (F, 2) face coordinates of its corner; per_unit: (F, 2) texels per unit.
    """

    texels: Array
    first: NDArray[np.int64]
    width: NDArray[np.int64]
    height: NDArray[np.int64]
    low: Array
    per_unit: Array

    def __call__(self, uv: Array, face: NDArray[np.integer]) -> Array:
        """(3, N) factors at face coordinates (2, N)."""
        width, height, first = self.width[face], self.height[face], self.first[face]
        x = np.clip((uv[0] - self.low[face, 0]) * self.per_unit[face, 0] - 0.5, 0, width - 1).astype(
            np.float32
        )
        y = np.clip((uv[1] - self.low[face, 1]) * self.per_unit[face, 1] - 0.5, 0, height - 1).astype(
            np.float32
        )
        left, top = x.astype(np.int64), y.astype(np.int64)
        fx, fy = (x - left)[:, None], (y - top)[:, None]
        step_x, step_y = np.where(left < width - 1, 1, 0), np.where(top < height - 1, width, 0)
        at = first + top * width + left
        upper = self.texels[at] * (1 - fx) + self.texels[at + step_x] * fx
        at += step_y
        lower = self.texels[at] * (1 - fx) + self.texels[at + step_x] * fx
        return (upper * (1 - fy) + lower * fy).T


def bake(shapes: Sequence[Shape], lighting: Lighting, quality: BakeQuality) -> tuple[LightMap, ...]:
    """Light maps of all shapes; the same for any number of threads."""
    occluders = [_Occluder.of(shape) for shape in shapes]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return tuple(pool.map(lambda shape: _bake_shape(shape, occluders, lighting, quality), shapes))


@dataclass(frozen=True, eq=False)
class _Occluder:
    """A shape with a ball around it, which most rays miss; an endless shape has none."""

    shape: Shape
    center: Array
    radius: float

    @staticmethod
    def of(shape: Shape) -> _Occluder:
        bounds = shape.bounds()
        if bounds is None:
            return _Occluder(shape, np.zeros((3, 1), np.float32), np.inf)
        center = bounds.mean(0)
        return _Occluder(shape, center[:, None], float(np.linalg.norm(bounds - center, axis=1).max()))

    def near(self, low: Array, high: Array) -> bool:
        """Whether the ball touches the box from `low` to `high` (3,)."""
        gap = np.maximum(np.maximum(low - self.center[:, 0], self.center[:, 0] - high), 0)
        return bool(np.linalg.norm(gap) <= self.radius)

    def hit(self, points: Array, way: Array, limit: float) -> Array:
        """(N,) where rays meet the shape, in lengths of `way`; what is beyond `limit` may be missed."""
        if np.isinf(self.radius):
            return self.shape.hit(points, way)[0]
        to_center = self.center - points
        along = np.clip(dot(to_center, way) / dot(way, way), 0, limit)
        aside = to_center - along * way
        at = np.flatnonzero(dot(aside, aside) < self.radius**2)
        found = np.full(points.shape[1], np.inf, np.float32)
        if len(at):
            found[at] = self.shape.hit(points[:, at], way[:, at])[0]
        return found


def _bake_shape(
    shape: Shape, occluders: Sequence[_Occluder], lighting: Lighting, quality: BakeQuality
) -> LightMap:
    charts = shape.charts()
    extent = charts[:, 1] - charts[:, 0]
    texel = quality.texel * max(1.0, _distance(shape) / 4) * shape.units_per_metre
    counts = np.clip(np.ceil(extent / texel), 2, quality.most).astype(np.int64)
    placed = []
    for face, (width, height) in enumerate(counts):
        x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
        uv = charts[face, 0][:, None] + np.stack([x.ravel(), y.ravel()]) * extent[face][:, None]
        placed.append(shape.from_uv(face, uv.astype(np.float32)))
    points, normals = (np.concatenate(part, axis=1).astype(np.float32) for part in zip(*placed, strict=True))
    light = _light_at(points + 2e-3 * normals, normals, occluders, lighting, quality)
    sizes = counts.prod(1)
    first = np.cumsum(sizes) - sizes
    faces = zip(np.split(light.T, first[1:]), counts, strict=True)
    soft = [_soften(part.reshape(height, width, 3)).reshape(-1, 3) for part, (width, height) in faces]
    texels = np.concatenate(soft) ** np.float32(1 / _GAMMA)
    low = charts[:, 0].astype(np.float32)
    return LightMap(texels, first, counts[:, 0], counts[:, 1], low, (counts / extent).astype(np.float32))


def _light_at(
    points: Array, normals: Array, occluders: Sequence[_Occluder], lighting: Lighting, quality: BakeQuality
) -> Array:
    """(3, N) linear light at points (3, N)."""
    total = _from_all_around(points, normals, occluders, lighting, quality.around)
    for light in lighting.lights:
        between = _between(points, light, occluders)
        total += _from_light(points, normals, between, light, quality.light_grid)
    return total


def _from_light(
    points: Array, normals: Array, occluders: Sequence[_Occluder], light: AreaLight, grid: int
) -> Array:
    center, u, v, facing = (
        np.array(a, np.float32)[:, None] for a in (light.center, light.u, light.v, light.facing)
    )
    strength = np.zeros(points.shape[1], np.float32)
    for a, b in np.ndindex(grid, grid):
        # Rows are shifted against each other, so that the edge of a shadow has more steps.
        x = (a + (b + 0.5) / grid) / grid * 2 - 1
        y = (b + (a + 0.5) / grid) / grid * 2 - 1
        way = center + u * np.float32(x) + v * np.float32(y) - points
        distance = np.sqrt(dot(way, way))
        cosine = dot(way, normals) / distance
        emitted = np.maximum(-dot(way, facing) / distance, 0)
        at = np.flatnonzero((cosine > 0) & (emitted > 0))
        seen = at[~_blocked(points[:, at], way[:, at], occluders)]
        strength[seen] += (cosine * emitted * (np.float32(light.reference) / distance) ** 2)[seen]
    return np.array(light.color, np.float32)[:, None] * strength / grid**2


def _between(points: Array, light: AreaLight, occluders: Sequence[_Occluder]) -> list[_Occluder]:
    """Those that may stand between the light and a ball around the points (3, N)."""
    low, high = points.min(1), points.max(1)
    start, radius = (low + high) / 2, np.linalg.norm(high - low) / 2
    way = np.array(light.center) - start
    wide = np.linalg.norm(light.u) + np.linalg.norm(light.v)
    found = []
    for occluder in occluders:
        to_center = occluder.center[:, 0] - start
        reach = radius + occluder.radius
        along = np.clip((to_center @ way + reach * np.linalg.norm(way)) / (way @ way), 0, 1)
        nearest = np.clip(to_center @ way / (way @ way), 0, 1)
        gap = np.linalg.norm(to_center - nearest * way)
        if not occluder.shape.surrounds and gap <= reach + along * wide:
            found.append(occluder)
    return found


def _blocked(points: Array, way: Array, occluders: Sequence[_Occluder]) -> NDArray[np.bool_]:
    """(N,) whether something stands between the points and points + way."""
    blocked = np.zeros(points.shape[1], bool)
    for occluder in occluders:
        at = np.flatnonzero(~blocked)
        if len(at):
            blocked[at] = occluder.hit(points[:, at], way[:, at], 1.0) < 1
    return blocked


def _from_all_around(
    points: Array, normals: Array, occluders: Sequence[_Occluder], lighting: Lighting, count: int
) -> Array:
    """Cosine-weighted light from above and below, kept away by what is nearer than the reach."""
    low, high = points.min(1) - lighting.reach, points.max(1) + lighting.reach
    near = [occluder for occluder in occluders if occluder.near(low, high)]
    above, below = (np.array(c, np.float32)[:, None] for c in (lighting.above, lighting.below))
    helper = np.where(np.abs(normals[1]) < 0.9, [[0.0], [1.0], [0.0]], [[1.0], [0.0], [0.0]])
    tangent = np.cross(helper, normals, axis=0)
    tangent = (tangent / np.sqrt(dot(tangent, tangent))).astype(np.float32)
    other = np.cross(normals, tangent, axis=0)
    total = np.zeros_like(points)
    for i in range(count):
        radius, angle = np.sqrt((i + 0.5) / count), i * np.pi * (3 - np.sqrt(5))  # a sunflower on the disc
        x, y, z = radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)
        way = np.float32(x) * tangent + np.float32(y) * other + np.float32(z) * normals
        nearest = np.full(points.shape[1], np.inf, np.float32)
        for occluder in near:
            np.minimum(nearest, occluder.hit(points, way, lighting.reach), out=nearest)
        upward = 0.5 - 0.5 * way[1]
        total += (above * upward + below * (1 - upward)) * smoothstep(0, lighting.reach, nearest)
    return total / count


def _distance(shape: Shape) -> float:
    """From the world's origin, where the camera stands, to the nearest corner of the shape's bounds."""
    bounds = shape.bounds()
    return 0.0 if bounds is None else float(np.linalg.norm(bounds, axis=1).min())


def _soften(light: Array) -> Array:
    """A 3x3 binomial blur, repeated borders: hides the steps of few shadow rays."""
    for axis in (0, 1):
        padded = np.pad(light, [(1, 1) if i == axis else (0, 0) for i in range(3)], mode="edge")
        n = light.shape[axis]
        before, middle, after = (padded.take(range(k, k + n), axis=axis) for k in range(3))
        light = 0.25 * before + 0.5 * middle + 0.25 * after
    return light
