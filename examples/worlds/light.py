"""Baked light with soft shadows: what falls on each surface point, whoever looks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from .bounce import bounced
from .lightmap import LightMap, Texels, fill_all
from .noise import Array, dot, smoothstep
from .occluder import ShapeTree, tangents
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
        bounces: how often light goes on from surface to surface; bounce_rays: how many rays look for it.
    """

    texel: float = 0.12
    most: int = 112
    light_grid: int = 3
    around: int = 12
    bounces: int = 0
    bounce_rays: int = 96


def bake(shapes: Sequence[Shape], lighting: Lighting, quality: BakeQuality) -> tuple[LightMap, ...]:
    """Light maps of all shapes as factors for display colours; the same for any number of threads."""
    tree = ShapeTree.of(shapes)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        texels = [Texels.of(shape, quality.texel, quality.most) for shape in shapes]
        direct = partial(_light_at, tree=tree, lighting=lighting, quality=quality)
        maps = [m.softened(1) for m in fill_all(texels, direct, pool)]
        if quality.bounces:
            coarse = [Texels.of(shape, 4 * quality.texel, quality.most) for shape in shapes]
            extra = bounced(
                coarse, fill_all(coarse, direct, pool), tree, quality.bounces, quality.bounce_rays, pool
            )
            maps = [
                replace(m, texels=m.texels + e(t.uv, t.face).T)
                for m, e, t in zip(maps, extra, texels, strict=True)
            ]
    return tuple(replace(m, texels=m.texels ** np.float32(1 / _GAMMA)) for m in maps)


def _light_at(
    points: Array, normals: Array, tree: ShapeTree, lighting: Lighting, quality: BakeQuality
) -> Array:
    """(3, N) linear light at points (3, N)."""
    total = _from_all_around(points, normals, tree, lighting, quality.around)
    for light in lighting.lights:
        total += _from_light(points, normals, tree, light, quality.light_grid)
    return total


def _from_light(points: Array, normals: Array, tree: ShapeTree, light: AreaLight, grid: int) -> Array:
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
        seen = at[~tree.blocked(points[:, at], way[:, at])]
        strength[seen] += (cosine * emitted * (np.float32(light.reference) / distance) ** 2)[seen]
    return np.array(light.color, np.float32)[:, None] * strength / grid**2


def _from_all_around(points: Array, normals: Array, tree: ShapeTree, lighting: Lighting, count: int) -> Array:
    """Cosine-weighted light from above and below, kept away by what is nearer than the reach."""
    above, below = (np.array(c, np.float32)[:, None] for c in (lighting.above, lighting.below))
    tangent, other = tangents(normals)
    total = np.zeros_like(points)
    for i in range(count):
        radius, angle = np.sqrt((i + 0.5) / count), i * np.pi * (3 - np.sqrt(5))  # a sunflower on the disc
        x, y, z = radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)
        way = np.float32(x) * tangent + np.float32(y) * other + np.float32(z) * normals
        nearest, _ = tree.nearest(points, way, lighting.reach)
        upward = 0.5 - 0.5 * way[1]
        total += (above * upward + below * (1 - upward)) * smoothstep(0, lighting.reach, nearest)
    return total / count
