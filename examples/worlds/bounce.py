"""Light that goes on from surface to surface, gathered with rays."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial

import numpy as np

from .lightmap import LightMap, Texels, fill_all
from .noise import Array
from .occluder import ShapeTree, tangents
from .shapes import Shape


def bounced(
    texels: Sequence[Texels],
    direct: Sequence[LightMap],
    tree: ShapeTree,
    bounces: int,
    rays: int,
    pool: Executor,
) -> list[LightMap]:
    """What reaches every texel by way of other surfaces; all maps hold linear light.

    Args:
        texels: of every shape; direct: the light that reaches them straight.
        tree: the shapes, in the same order.
        bounces: how often light goes on.
        rays: per texel; each texel has its own set, and the result is smoothed.
    """
    colors = [_mean_color(shape, t) for shape, t in zip(tree.shapes, texels, strict=True)]
    extra = [t.filled(np.zeros_like(t.points)) for t in texels]
    for _ in range(bounces):
        glow = [
            t.filled((d.texels + e.texels).T * color)
            for t, d, e, color in zip(texels, direct, extra, colors, strict=True)
        ]
        gather = partial(_gathered, tree=tree, glow=glow, rays=rays)
        extra = [m.softened(3) for m in fill_all(texels, gather, pool)]
    return extra


def _mean_color(shape: Shape, texels: Texels) -> Array:
    """(3, 1) linear colour of a shape."""
    surface = shape.surface(texels.points, texels.face)
    return (shape.albedo(surface, texels.face) ** 2.2).mean(1, keepdims=True)


def _gathered(points: Array, normals: Array, tree: ShapeTree, glow: Sequence[LightMap], rays: int) -> Array:
    """(3, N) mean glow that cosine-weighted rays from the points meet; nothing where they meet nothing."""
    tangent, other = tangents(normals)
    spin = np.random.default_rng(points.shape[1]).uniform(0, 2 * np.pi, points.shape[1])
    total = np.zeros_like(points)
    for i in range(rays):
        radius, angle = np.sqrt((i + 0.5) / rays), i * np.pi * (3 - np.sqrt(5)) + spin
        x, y, z = radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)
        way = (x * tangent + y * other + z * normals).astype(np.float32)
        total += _glow_along(points, way, tree, glow)
    return total / rays


def _glow_along(points: Array, way: Array, tree: ShapeTree, glow: Sequence[LightMap]) -> Array:
    nearest, owner = tree.nearest(points, way, np.inf)
    seen = np.zeros_like(points)
    order = np.argsort(owner, kind="stable")
    numbers, starts = np.unique(owner[order], return_index=True)
    for i, at in zip(numbers, np.split(order, starts[1:]), strict=True):
        if i < 0:
            continue
        shape = tree.shapes[i]
        _, face = shape.hit(points[:, at], way[:, at])
        surface = shape.surface(points[:, at] + way[:, at] * nearest[at], face)
        seen[:, at] = glow[i](surface.uv, face)
    return seen
