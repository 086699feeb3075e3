"""Shapes that a ray can hit: convex polyhedra (boxes, roofs, the ground), rooms, ellipsoids and cones.

All arrays are structures of rows: points and directions are (3, N) float32. A direction has camera z = 1, so
    that
the ray parameter is the camera z depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .noise import Array
from .textures import Texture

MISS = np.float32(np.inf)


@dataclass(frozen=True, eq=False)
class Surface:
    """What a ray found: local points (3, N), face coordinates (2, N) in metres, world normals (3, N)."""

    p: Array
    uv: Array
    normal: Array


@dataclass(frozen=True, eq=False)
class Convex:
    """The points where `normals @ x <= offsets` in the local frame; seen from inside if `inside`.

    Attributes:
        normals: (P, 3) outward unit normals.
        offsets: (P,) metres.
        world_R_local: (3, 3); center: (3,) origin of the local frame in the world.
        textures: one for all faces, or one per face.
        inside: a room: its inner walls are what rays hit.
    """

    normals: Array
    offsets: Array
    center: Array
    world_R_local: Array
    textures: tuple[Texture, ...]
    inside: bool = False

    def __post_init__(self) -> None:
        helper = np.where(np.abs(self.normals[:, 1:2]) > 0.9, [[0, 0, 1]], [[0, -1, 0]])
        u = np.cross(helper, self.normals)
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        v = np.cross(self.normals, u)
        flip = np.where(v[:, 1:2] < -1e-6, -1, 1)  # v runs down a wall, as image rows do
        object.__setattr__(self, "tangents", np.stack([u, v * flip], 1).astype(np.float32))

    def bounds(self) -> Array | None:
        """(V, 3) world points whose hull holds the shape; None when it is endless or surrounds the camera."""
        if self.inside:
            return None
        vertices = self.vertices()
        return None if vertices is None else vertices @ self.world_R_local.T + self.center

    def vertices(self) -> Array | None:
        """(V, 3) corners in the local frame; None for an endless shape."""
        found = []
        for triple in combinations(range(len(self.offsets)), 3):
            matrix = self.normals[list(triple)].astype(np.float64)
            if abs(np.linalg.det(matrix)) > 1e-6:
                x = np.linalg.solve(matrix, self.offsets[list(triple)].astype(np.float64))
                if (self.normals @ x <= self.offsets + 1e-5).all():
                    found.append(x)
        return np.array(found, np.float32) if len(found) >= 4 else None

    def hit(self, origin: Array, dirs: Array) -> tuple[Array, Array]:
        """Depth (N,) of the first hit, +inf for a miss, and the face (N,)."""
        normals = self.normals @ self.world_R_local.T
        slope = normals @ dirs
        gap = self.offsets - normals @ (origin - self.center)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = gap[:, None] / slope
        leave = np.where(slope > 0, t, MISS)
        if self.inside:
            face = leave.argmin(0)
            return np.take_along_axis(leave, face[None], 0)[0], face
        blocked = (slope == 0) & (gap[:, None] < 0)
        enter = np.where(slope < 0, t, -MISS)
        enter[blocked] = MISS
        face = enter.argmax(0)
        first = np.take_along_axis(enter, face[None], 0)[0]
        return np.where((first > 1e-4) & (first < leave.min(0)), first, MISS), face

    def surface(self, points: Array, face: Array) -> Surface:
        """Local and face coordinates and normals of world points (3, N) on the faces (N,)."""
        local = self.world_R_local.T @ (points - self.center[:, None])
        tangents = self.tangents[face]  # type: ignore[attr-defined]
        uv = np.einsum("nij,jn->in", tangents, local)
        normal = (self.world_R_local @ self.normals[face].T) * (-1 if self.inside else 1)
        return Surface(local, uv, normal)

    def albedo(self, surface: Surface, face: Array) -> Array:
        """(3, N) colours."""
        if len(self.textures) == 1:
            return self.textures[0](surface.p, surface.uv)
        color = np.empty_like(surface.p)
        for i, texture in enumerate(self.textures):
            at = np.flatnonzero(face == i)
            color[:, at] = texture(surface.p[:, at], surface.uv[:, at])
        return color


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """Centre and three radii along the world's axes; a sphere when they agree."""

    center: Array
    radii: Array
    texture: Texture

    def bounds(self) -> Array:
        """(8, 3) corners of the axis-aligned box around it."""
        return self.center + _corners() * self.radii

    def hit(self, origin: Array, dirs: Array) -> tuple[Array, Array]:
        """As `Convex.hit`; the only face is 0."""
        o = (origin - self.center) / self.radii
        d = dirs / self.radii[:, None]
        a = np.einsum("in,in->n", d, d)
        b = o @ d
        c = o @ o - 1
        root = b * b - a * c
        with np.errstate(invalid="ignore"):
            t = (-b - np.sqrt(root)) / a
        hit = (root > 0) & (t > 1e-4)
        return np.where(hit, t, MISS), np.zeros(len(t), np.int64)

    def surface(self, points: Array, face: Array) -> Surface:
        """As `Convex.surface`."""
        del face
        local = points - self.center[:, None]
        normal = local / (self.radii**2)[:, None]
        normal /= np.sqrt((normal**2).sum(0))
        return Surface(local, local[[0, 2]], normal)

    def albedo(self, surface: Surface, face: Array) -> Array:
        """As `Convex.albedo`."""
        del face
        return self.texture(surface.p, surface.uv)


@dataclass(frozen=True, eq=False)
class Cone:
    """An upright cone (a conifer): `apex` on top, `height` down, `radius` at the bottom, open below."""

    apex: Array
    height: float
    radius: float
    texture: Texture

    def bounds(self) -> Array:
        """(8, 3) corners of the axis-aligned box around it."""
        half = np.array([self.radius, self.height / 2, self.radius], np.float32)
        return self.apex + np.array([0, self.height / 2, 0], np.float32) + _corners() * half

    def hit(self, origin: Array, dirs: Array) -> tuple[Array, Array]:
        """As `Convex.hit`; the only face is 0. Roots of x^2 + z^2 = (k y)^2 with y down from the apex."""
        o = origin - self.apex
        k2 = np.float32((self.radius / self.height) ** 2)
        a = dirs[0] ** 2 + dirs[2] ** 2 - k2 * dirs[1] ** 2
        b = o[0] * dirs[0] + o[2] * dirs[2] - k2 * o[1] * dirs[1]
        c = o[0] ** 2 + o[2] ** 2 - k2 * o[1] ** 2
        root = b * b - a * c
        best = np.full(dirs.shape[1], MISS)
        with np.errstate(invalid="ignore", divide="ignore"):
            for sign in (-1, 1):
                t = (-b + sign * np.sqrt(root)) / a
                y = o[1] + t * dirs[1]
                good = (root > 0) & (t > 1e-4) & (y > 0) & (y < self.height) & (t < best)
                best = np.where(good, t, best)
        return best, np.zeros(len(best), np.int64)

    def surface(self, points: Array, face: Array) -> Surface:
        """As `Convex.surface`."""
        del face
        local = points - self.apex[:, None]
        ring = np.maximum(np.hypot(local[0], local[2]), 1e-6)
        slope = np.float32(self.radius / self.height)
        normal = np.stack([local[0] / ring, np.full_like(ring, -slope), local[2] / ring])
        return Surface(local, local[[0, 1]], normal / np.sqrt(1 + slope**2))

    def albedo(self, surface: Surface, face: Array) -> Array:
        """As `Convex.albedo`."""
        del face
        return self.texture(surface.p, surface.uv)


Shape = Convex | Ellipsoid | Cone

_AXES = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float32)


def box(
    center: tuple[float, float, float],
    size: tuple[float, float, float],
    *textures: Texture,
    yaw: float = 0.0,
    inside: bool = False,
) -> Convex:
    """A box of `size` metres, turned by `yaw` degrees about the vertical.

    One texture for all faces, or six in the order +x, -x, +y (bottom), -y (top), +z (far), -z (near).
    """
    half = np.repeat(np.array(size, np.float32) / 2, 2)
    return Convex(_AXES, half, np.array(center, np.float32), _yaw(yaw), textures, inside)


def roof(
    ridge_center: tuple[float, float, float],
    size: tuple[float, float, float],
    *textures: Texture,
    yaw: float = 0.0,
) -> Convex:
    """A gable roof of `size` = (across the ridge, height, along the ridge) hanging from its ridge's centre.

    Textures: one for all, or five in the order slope +x, slope -x, underside, gable +z, gable -z.
    """
    width, height, length = size
    slope = np.hypot(height, width / 2)
    nx, ny = height / slope, -(width / 2) / slope
    normals = np.array([[nx, ny, 0], [-nx, ny, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1]], np.float32)
    offsets = np.array([0, 0, height, length / 2, length / 2], np.float32)
    return Convex(normals, offsets, np.array(ridge_center, np.float32), _yaw(yaw), textures)


def ground(y: float, texture: Texture) -> Convex:
    """The endless half space below height `y` (y points down)."""
    normals = np.array([[0, -1, 0]], np.float32)
    return Convex(normals, np.array([-y], np.float32), np.zeros(3, np.float32), _yaw(0), (texture,))


def sphere(center: tuple[float, float, float], radius: float, texture: Texture) -> Ellipsoid:
    """A ball."""
    return ellipsoid(center, (radius, radius, radius), texture)


def ellipsoid(
    center: tuple[float, float, float], radii: tuple[float, float, float], texture: Texture
) -> Ellipsoid:
    """A ball stretched along the world's axes."""
    return Ellipsoid(np.array(center, np.float32), np.array(radii, np.float32), texture)


def cone(apex: tuple[float, float, float], height: float, radius: float, texture: Texture) -> Cone:
    """An upright cone below its apex."""
    return Cone(np.array(apex, np.float32), height, radius, texture)


def _yaw(degrees: float) -> Array:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)


def _corners() -> Array:
    return np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T.astype(np.float32)
