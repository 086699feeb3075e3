"""Light maps: what falls on every face of a shape, as small images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .noise import Array
from .shapes import Shape

_PART = 8192


@dataclass(frozen=True, eq=False)
class LightMap:
    """The light on one shape: texels of all its faces in one list.

    Attributes:
        texels: (T, 3) linear light, or factors for display colours.
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
        """(3, N) values at face coordinates (2, N), bilinear."""
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

    def softened(self, times: int) -> LightMap:
        """Every face blurred with a 3x3 binomial, borders repeated: hides the steps of few rays."""
        blurred = []
        for texels, width, height in zip(
            np.split(self.texels, self.first[1:]), self.width, self.height, strict=True
        ):
            image = texels.reshape(height, width, 3)
            for _ in range(times):
                image = _blur(image)
            blurred.append(image.reshape(-1, 3))
        return replace(self, texels=np.concatenate(blurred))


@dataclass(frozen=True, eq=False)
class Texels:
    """The middles of the texels of a map to be filled.

    Attributes:
        empty: the map.
        uv: (2, T) face coordinates; face: (T,) faces.
        points: (3, T) in the world, 2 mm off the surface; normals: (3, T).
    """

    empty: LightMap
    uv: Array
    face: NDArray[np.int64]
    points: Array
    normals: Array

    @staticmethod
    def of(shape: Shape, texel: float, most: int) -> Texels:
        """Texels of `texel` metres, larger with the distance beyond 4 m, at most `most` per side."""
        charts = shape.charts()
        extent = charts[:, 1] - charts[:, 0]
        bounds = shape.bounds()
        away = 0.0 if bounds is None else float(np.linalg.norm(bounds, axis=1).min())
        size = texel * max(1.0, away / 4) * shape.units_per_metre
        counts = np.clip(np.ceil(extent / size), 2, most).astype(np.int64)
        counts[list(shape.hidden)] = 2
        placed = []
        for face, (width, height) in enumerate(counts):
            x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
            share = np.stack([x.ravel(), y.ravel()])
            uv = (charts[face, 0][:, None] + share * extent[face][:, None]).astype(np.float32)
            placed.append((uv, *shape.from_uv(face, uv)))
        uv, points, normals = (
            np.concatenate(part, axis=1).astype(np.float32) for part in zip(*placed, strict=True)
        )
        sizes = counts.prod(1)
        empty = LightMap(
            np.zeros((sizes.sum(), 3), np.float32),
            np.cumsum(sizes) - sizes,
            counts[:, 0],
            counts[:, 1],
            charts[:, 0].astype(np.float32),
            (counts / extent).astype(np.float32),
        )
        faces = np.repeat(np.arange(len(counts)), sizes)
        return Texels(empty, uv, faces, points + np.float32(2e-3) * normals, normals)

    def filled(self, light: Array) -> LightMap:
        """The map with light (3, T)."""
        return replace(self.empty, texels=np.ascontiguousarray(light.T, np.float32))


def fill_all(
    texels: Sequence[Texels], light: Callable[[Array, Array], Array], pool: Executor
) -> list[LightMap]:
    """Fill the maps of many shapes with `light` of (points, normals), (3, N) each, in large equal parts."""
    points = np.concatenate([t.points for t in texels], axis=1)
    normals = np.concatenate([t.normals for t in texels], axis=1)
    cuts = range(_PART, points.shape[1], _PART)
    parts = pool.map(light, np.split(points, cuts, axis=1), np.split(normals, cuts, axis=1))
    ends = np.cumsum([t.points.shape[1] for t in texels])[:-1]
    lights = np.split(np.concatenate(list(parts), axis=1), ends, axis=1)
    return [t.filled(own) for t, own in zip(texels, lights, strict=True)]


def _blur(image: Array) -> Array:
    for axis in (0, 1):
        padded = np.pad(image, [(1, 1) if i == axis else (0, 0) for i in range(3)], mode="edge")
        n = image.shape[axis]
        before, middle, after = (padded.take(range(k, k + n), axis=axis) for k in range(3))
        image = 0.25 * before + 0.5 * middle + 0.25 * after
    return image
