"""A world made of analytic shapes, and the camera that looks at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .light import BakeQuality, Lighting, bake
from .lightmap import LightMap
from .noise import Array, dot
from .shapes import MISS, Shape

_RAYS_PER_BAND = 48_000


@dataclass(frozen=True, eq=False)
class WorldImage:
    """A rendered view.

    Attributes:
        rgb: (H, W, 3) uint8, box-filtered over the pixel.
        depth: (H, W) float32 camera z at the pixel centres, +inf for sky.
        confidence: (H, W) float32, 1 where there is a surface, 0 for sky.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    confidence: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class World:
    """Shapes, their light, and a sky: colours (3, N) of unit directions (3, N)."""

    shapes: tuple[Shape, ...]
    lightmaps: tuple[LightMap, ...]
    sky: Callable[[Array], Array]

    @staticmethod
    def lit(
        shapes: Sequence[Shape],
        lighting: Lighting,
        sky: Callable[[Array], Array],
        quality: BakeQuality | None = None,
    ) -> World:
        """Bake the light on the shapes."""
        return World(tuple(shapes), bake(shapes, lighting, quality or BakeQuality()), sky)

    def render(
        self,
        cam_T_world: NDArray[np.floating],
        K_33: NDArray[np.floating],
        width: int,
        height: int,
        supersample: int = 3,
    ) -> WorldImage:
        """Look at the world.

        Args:
            cam_T_world: (4, 4) rigid view matrix, world points into the OpenCV camera.
            K_33: (3, 3) intrinsics in pixels, pixel centres at +0.5.
            width, height: pixels.
            supersample: colour rays per pixel along each axis.
        """
        camera = _Camera.of(cam_T_world, K_33, width, height)
        rgb = _in_bands(
            camera, supersample, lambda top, bottom: self._color_band(camera, top, bottom, supersample)
        )
        depth = self.render_depth(cam_T_world, K_33, width, height)
        return WorldImage(rgb, depth, np.isfinite(depth).astype(np.float32))

    def render_depth(
        self, cam_T_world: NDArray[np.floating], K_33: NDArray[np.floating], width: int, height: int
    ) -> NDArray[np.float32]:
        """(H, W) float32 camera z at the pixel centres, +inf for sky. Arguments as `render`."""
        camera = _Camera.of(cam_T_world, K_33, width, height)

        def depth_band(top: int, bottom: int) -> Array:
            return self._first_hits(camera, camera.directions(top, bottom, 1), top, 1)[0]

        return _in_bands(camera, 1, depth_band)

    def _color_band(self, camera: _Camera, top: int, bottom: int, supersample: int) -> NDArray[np.uint8]:
        dirs = camera.directions(top, bottom, supersample)
        color = self._color(camera, dirs, *self._first_hits(camera, dirs, top, supersample))
        fine = color.reshape(3, bottom - top, supersample, camera.width, supersample)
        mean = np.moveaxis(fine.mean((2, 4)), 0, -1)
        return np.round(np.clip(mean, 0, 1) * 255).astype(np.uint8)

    def _first_hits(
        self, camera: _Camera, dirs: Array, top: int, supersample: int
    ) -> tuple[Array, NDArray[np.int16], NDArray[np.int16]]:
        """Depth, shape (-1: sky) and face of the first hit of each ray of a band, each (rows, columns)."""
        depth = np.full(dirs.shape[1:], MISS)
        owner = np.full(dirs.shape[1:], -1, np.int16)
        faces = np.zeros(dirs.shape[1:], np.int16)
        for i, shape in enumerate(self.shapes):
            window = camera.window(shape.bounds(), top, supersample, *dirs.shape[1:])
            if window is None:
                continue
            inner = dirs[(slice(None), *window)]
            t, face = shape.hit(camera.position, inner.reshape(3, -1))
            t, face = t.reshape(inner.shape[1:]), face.reshape(inner.shape[1:])
            closer = t < depth[window]
            depth[window][closer] = t[closer]
            owner[window][closer] = i
            faces[window][closer] = face[closer]
        return depth, owner, faces

    def _color(
        self, camera: _Camera, dirs: Array, depth: Array, owner: NDArray[np.int16], faces: NDArray[np.int16]
    ) -> Array:
        color = np.empty((3, owner.size), np.float32)
        flat = dirs.reshape(3, -1)
        for i in np.unique(owner):
            at = np.flatnonzero(owner.ravel() == i)
            ray = flat[:, at]
            if i < 0:
                color[:, at] = self.sky(ray / np.sqrt(dot(ray, ray)))
                continue
            points = camera.position + ray * depth.ravel()[at]
            color[:, at] = self._surface_color(int(i), points, faces.ravel()[at])
        return color

    def _surface_color(self, i: int, points: Array, face: NDArray[np.int16]) -> Array:
        shape = self.shapes[i]
        surface = shape.surface(points, face)
        return shape.albedo(surface, face) * self.lightmaps[i](surface.uv, face)


@dataclass(frozen=True, eq=False)
class _Camera:
    position: Array
    world_R_cam: Array
    cam_T_world: NDArray[np.float64]
    K_33: NDArray[np.float64]
    width: int
    height: int

    @staticmethod
    def of(cam_T_world: NDArray[np.floating], K_33: NDArray[np.floating], width: int, height: int) -> _Camera:
        view = np.asarray(cam_T_world, np.float64)
        world_R_cam = view[:3, :3].T
        position = -world_R_cam @ view[:3, 3]
        return _Camera(
            position.astype(np.float32)[:, None],
            world_R_cam.astype(np.float32),
            view,
            np.asarray(K_33, np.float64),
            width,
            height,
        )

    def directions(self, top: int, bottom: int, supersample: int) -> Array:
        """(3, rows, columns) world directions with camera z = 1 through the samples of rows top:bottom."""
        u = (np.arange(self.width * supersample) + 0.5) / supersample
        v = top + (np.arange((bottom - top) * supersample) + 0.5) / supersample
        inverse = np.linalg.inv(self.K_33)
        pixels = np.stack([*np.meshgrid(u, v), np.ones((len(v), len(u)))])
        rays = (inverse @ pixels.reshape(3, -1)).astype(np.float32)
        return (self.world_R_cam @ rays).reshape(3, len(v), len(u))

    def window(
        self, bounds: Array | None, top: int, supersample: int, rows: int, columns: int
    ) -> tuple[slice, slice] | None:
        """The part of a band that can see inside `bounds`, or None."""
        whole = (slice(0, rows), slice(0, columns))
        if bounds is None:
            return whole
        in_camera = bounds @ self.cam_T_world[:3, :3].T + self.cam_T_world[:3, 3]
        if (in_camera[:, 2] < 1e-3).all():
            return None
        if (in_camera[:, 2] < 1e-3).any():
            return whole
        pixels = in_camera @ self.K_33.T
        xy = pixels[:, :2] / pixels[:, 2:]
        low = np.floor((xy.min(0) - (0, top)) * supersample).astype(int) - 1
        high = np.ceil((xy.max(0) - (0, top)) * supersample).astype(int) + 1
        y = slice(max(low[1], 0), min(high[1], rows))
        x = slice(max(low[0], 0), min(high[0], columns))
        return (y, x) if y.start < y.stop and x.start < x.stop else None


def _in_bands(camera: _Camera, supersample: int, render: Callable[[int, int], NDArray]) -> NDArray:
    """Render bands of rows that fit the processor's cache, on all cores, and join them."""
    rows = max(1, _RAYS_PER_BAND // (camera.width * supersample**2))
    tops = range(0, camera.height, rows)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(lambda top: render(top, min(top + rows, camera.height)), tops)))
