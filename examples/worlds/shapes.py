"""Shapes that a ray can hit: convex polyhedra (boxes, roofs, the ground), rooms, ellipsoids and cones.

All arrays are structures of rows: points and directions are (3, N) float32. A direction has camera z = 1, so
    that
the ray parameter is the camera z depth.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from .noise import Array, dot
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
        hidden: faces that nobody ever sees, and whose light need not be exact.
        shadows: corners in face coordinates of the part of an endless face whose light is baked.
    """

    normals: Array
    offsets: Array
    center: Array
    world_R_local: Array
    textures: tuple[Texture, ...]
    inside: bool = False
    hidden: tuple[int, ...] = ()
    shadows: tuple[tuple[float, float], tuple[float, float]] = ((-1.0, -1.0), (1.0, 1.0))
    tangents: Array = field(init=False)
    world_normals: Array = field(init=False)
    vertices: Array | None = field(init=False)

    def __post_init__(self) -> None:
        helper = np.where(np.abs(self.normals[:, 1:2]) > 0.9, [[0, 0, 1]], [[0, -1, 0]])
        u = np.cross(helper, self.normals)
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        v = np.cross(self.normals, u)
        flip = np.where(v[:, 1:2] < -1e-6, -1, 1)  # v runs down a wall, as image rows do
        object.__setattr__(self, "tangents", np.stack([u, v * flip], 1).astype(np.float32))
        object.__setattr__(self, "world_normals", self.normals @ self.world_R_local.T)
        object.__setattr__(self, "vertices", _vertices(self.normals, self.offsets))

    @property
    def surrounds(self) -> bool:
        """Whether it encloses the world, so that it casts no shadow into it."""
        return self.inside

    units_per_metre = 1.0

    def charts(self) -> Array:
        """(P, 2, 2) lowest and highest face coordinates of every face."""
        if self.vertices is None:
            return np.array([self.shadows], np.float32)
        found = []
        for normal, offset, tangents in zip(self.normals, self.offsets, self.tangents, strict=True):
            uv = self.vertices[np.abs(self.vertices @ normal - offset) < 1e-4] @ tangents.T
            found.append([uv.min(0), uv.max(0)])
        return np.array(found, np.float32)

    def from_uv(self, face: int, uv: Array) -> tuple[Array, Array]:
        """World points and normals (3, N) at face coordinates (2, N)."""
        local = self.normals[face][:, None] * self.offsets[face] + self.tangents[face].T @ uv
        normal = self.world_R_local @ self.normals[face][:, None] * (-1 if self.inside else 1)
        return self.world_R_local @ local + self.center[:, None], np.broadcast_to(normal, local.shape)

    def bounds(self) -> Array | None:
        """(V, 3) world points whose hull holds the shape; None when it is endless or surrounds the camera."""
        if self.inside or self.vertices is None:
            return None
        return self.vertices @ self.world_R_local.T + self.center

    def hit(self, origin: Array, dirs: Array) -> tuple[Array, Array]:
        """First hit of rays from `origin` (3, 1) or (3, N) along `dirs` (3, N).

        Returns:
            Lengths (N,) in units of `dirs`, +inf for a miss, and faces (N,).
        """
        slope = self.world_normals @ dirs
        gap = self.offsets[:, None] - self.world_normals @ (origin - self.center[:, None])
        with np.errstate(divide="ignore", invalid="ignore"):
            t = gap / slope
        leave = np.where(slope > 0, t, MISS)
        if self.inside:
            face = leave.argmin(0)
            return np.take_along_axis(leave, face[None], 0)[0], face
        enter = np.where(slope < 0, t, -MISS)
        enter[(slope == 0) & (gap < 0)] = MISS
        face = enter.argmax(0)
        first = np.take_along_axis(enter, face[None], 0)[0]
        return np.where((first > 0) & (first < leave.min(0)), first, MISS), face

    def surface(self, points: Array, face: Array) -> Surface:
        """Local and face coordinates and normals of world points (3, N) on the faces (N,)."""
        local = self.world_R_local.T @ (points - self.center[:, None])
        tangents = self.tangents[face]
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
    surrounds = False
    hidden = ()

    @property
    def units_per_metre(self) -> float:
        """Face coordinates are longitude and latitude of the normal."""
        return 1 / float(self.radii.mean())

    def charts(self) -> Array:
        """As `Convex.charts`."""
        return np.array([[[-np.pi, -np.pi / 2], [np.pi, np.pi / 2]]], np.float32)

    def from_uv(self, face: int, uv: Array) -> tuple[Array, Array]:
        """As `Convex.from_uv`."""
        del face
        ring = np.cos(uv[1])
        normal = np.stack([ring * np.sin(uv[0]), np.sin(uv[1]), -ring * np.cos(uv[0])])
        scaled = normal * self.radii[:, None]
        local = scaled * self.radii[:, None] / np.sqrt(dot(scaled, scaled))
        return local + self.center[:, None], normal

    def bounds(self) -> Array:
        """(8, 3) corners of the axis-aligned box around it."""
        return self.center + _corners() * self.radii

    def hit(self, origin: Array, dirs: Array) -> tuple[Array, Array]:
        """As `Convex.hit`; the only face is 0."""
        o = (origin - self.center[:, None]) / self.radii[:, None]
        d = dirs / self.radii[:, None]
        a = dot(d, d)
        b = dot(o, d)
        c = dot(o, o) - 1
        root = b * b - a * c
        with np.errstate(invalid="ignore"):
            t = (-b - np.sqrt(root)) / a
        hit = (root > 0) & (t > 0)
        return np.where(hit, t, MISS), np.zeros(len(t), np.int64)

    def surface(self, points: Array, face: Array) -> Surface:
        """As `Convex.surface`."""
        del face
        local = points - self.center[:, None]
        normal = local / (self.radii**2)[:, None]
        normal /= np.sqrt(dot(normal, normal))
        return Surface(
            local, np.stack([np.arctan2(normal[0], -normal[2]), np.arcsin(np.clip(normal[1], -1, 1))]), normal
        )

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
    surrounds = False
    hidden = ()
    units_per_metre = 1.0

    def charts(self) -> Array:
        """As `Convex.charts`; face coordinates are the longitude and the way down from the apex."""
        return np.array([[[-np.pi, 0], [np.pi, self.height]]], np.float32)

    def from_uv(self, face: int, uv: Array) -> tuple[Array, Array]:
        """As `Convex.from_uv`."""
        del face
        slope = self.radius / self.height
        around = np.stack([np.sin(uv[0]), np.zeros_like(uv[0]), -np.cos(uv[0])])
        points = self.apex[:, None] + around * uv[1] * slope + np.array([[0], [1], [0]]) * uv[1]
        return points, (around - np.array([[0], [slope], [0]])) / np.sqrt(1 + slope**2)

    def bounds(self) -> Array:
        """(8, 3) corners of the axis-aligned box around it."""
        half = np.array([self.radius, self.height / 2, self.radius], np.float32)
        return self.apex + np.array([0, self.height / 2, 0], np.float32) + _corners() * half

    def hit(self, origin: Array, dirs: Array) -> tuple[Array, Array]:
        """As `Convex.hit`; the only face is 0. Roots of x^2 + z^2 = (k y)^2 with y down from the apex."""
        o = origin - self.apex[:, None]
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
                good = (root > 0) & (t > 0) & (y > 0) & (y < self.height) & (t < best)
                best = np.where(good, t, best)
        return best, np.zeros(len(best), np.int64)

    def surface(self, points: Array, face: Array) -> Surface:
        """As `Convex.surface`."""
        del face
        local = points - self.apex[:, None]
        ring = np.maximum(np.hypot(local[0], local[2]), 1e-6)
        slope = np.float32(self.radius / self.height)
        normal = np.stack([local[0] / ring, np.full_like(ring, -slope), local[2] / ring])
        uv = np.stack([np.arctan2(local[0], -local[2]), local[1]])
        return Surface(local, uv, normal / np.sqrt(1 + slope**2))

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
    hidden: tuple[int, ...] = (),
) -> Convex:
    """A box of `size` metres, turned by `yaw` degrees about the vertical.

    One texture for all faces, or six in the order +x, -x, +y (bottom), -y (top), +z (far), -z (near).
    """
    half = np.repeat(np.array(size, np.float32) / 2, 2)
    return Convex(_AXES, half, np.array(center, np.float32), _yaw(yaw), textures, inside, hidden)


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


def ground(y: float, texture: Texture, shadows: tuple[tuple[float, float], tuple[float, float]]) -> Convex:
    """The endless half space below height `y` (y points down), with shadows from one (x, z) to the other."""
    normals = np.array([[0, -1, 0]], np.float32)
    offset, origin = np.array([-y], np.float32), np.zeros(3, np.float32)
    return Convex(normals, offset, origin, _yaw(0), (texture,), shadows=shadows)


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


def _vertices(normals: Array, offsets: Array) -> Array | None:
    """(V, 3) corners in the local frame; None for an endless shape."""
    found = []
    for triple in combinations(range(len(offsets)), 3):
        matrix = normals[list(triple)].astype(np.float64)
        if abs(np.linalg.det(matrix)) > 1e-6:
            x = np.linalg.solve(matrix, offsets[list(triple)].astype(np.float64))
            if (normals @ x <= offsets + 1e-5).all():
                found.append(x)
    return np.array(found, np.float32) if len(found) >= 4 else None


def _yaw(degrees: float) -> Array:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)


def _corners() -> Array:
    return np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T.astype(np.float32)
