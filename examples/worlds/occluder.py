"""Rays against many shapes: a tree of balls, most of which most rays miss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .noise import Array, dot
from .shapes import Shape


@dataclass(frozen=True, eq=False)
class _Ball:
    """A ball around two smaller ones, or around the shape with number `shape`."""

    center: Array
    radius: float
    children: tuple[_Ball, ...]
    shape: int


@dataclass(frozen=True, eq=False)
class ShapeTree:
    """Shapes that can be in the way of rays.

    Attributes:
        shapes: all of them; endless: the numbers of those without bounds; root: a tree of the others.
    """

    shapes: tuple[Shape, ...]
    endless: tuple[int, ...]
    root: _Ball | None

    @staticmethod
    def of(shapes: Sequence[Shape]) -> ShapeTree:
        """Put the shapes in a tree."""
        bounds = [shape.bounds() for shape in shapes]
        leaves = [_leaf(i, corners) for i, corners in enumerate(bounds) if corners is not None]
        endless = tuple(i for i, corners in enumerate(bounds) if corners is None)
        return ShapeTree(tuple(shapes), endless, _joined(leaves) if leaves else None)

    def nearest(self, points: Array, way: Array, limit: float) -> tuple[Array, NDArray[np.int64]]:
        """First hits of rays from points (3, N) along way (3, N).

        Returns:
            Lengths (N,) in units of `way`, +inf for none, and numbers of shapes (N,), -1 for none.
            What is farther than `limit` may be missed.
        """
        best = np.full(points.shape[1], np.inf, np.float32)
        owner = np.full(points.shape[1], -1, np.int64)
        stack = [(self.root, np.arange(points.shape[1]))] if self.root else []
        while stack:
            ball, at = stack.pop()
            at = at[_meets(ball, points[:, at], way[:, at], np.minimum(best[at], limit))]
            if not len(at):
                continue
            stack += [(child, at) for child in ball.children]
            if ball.shape >= 0:
                self._update(ball.shape, at, points, way, best, owner)
        for i in self.endless:
            self._update(i, np.arange(points.shape[1]), points, way, best, owner)
        return best, owner

    def blocked(self, points: Array, way: Array) -> NDArray[np.bool_]:
        """(N,) whether something stands between points (3, N) and points + way; not the room all around."""
        blocked = np.zeros(points.shape[1], bool)
        for i in self.endless:
            if not self.shapes[i].surrounds:
                blocked |= self.shapes[i].hit(points, way)[0] < 1
        stack = [(self.root, np.flatnonzero(~blocked))] if self.root else []
        while stack:
            ball, at = stack.pop()
            at = at[~blocked[at]]
            at = at[_meets(ball, points[:, at], way[:, at], np.float32(1))]
            if not len(at):
                continue
            stack += [(child, at) for child in ball.children]
            if ball.shape >= 0:
                blocked[at] = self.shapes[ball.shape].hit(points[:, at], way[:, at])[0] < 1
        return blocked

    def _update(
        self, i: int, at: NDArray[np.int64], points: Array, way: Array, best: Array, owner: NDArray[np.int64]
    ) -> None:
        t = self.shapes[i].hit(points[:, at], way[:, at])[0]
        closer = t < best[at]
        best[at[closer]], owner[at[closer]] = t[closer], i


def tangents(normals: Array) -> tuple[Array, Array]:
    """Two unit vectors (3, N) that stand on each other and on the unit normals (3, N)."""
    helper = np.where(np.abs(normals[1]) < 0.9, [[0.0], [1.0], [0.0]], [[1.0], [0.0], [0.0]])
    first = np.cross(helper, normals, axis=0)
    first = (first / np.sqrt(dot(first, first))).astype(np.float32)
    return first, np.cross(normals, first, axis=0)


def _leaf(i: int, corners: Array) -> _Ball:
    center = corners.mean(0)
    radius = float(np.linalg.norm(corners - center, axis=1).max())
    return _Ball(center[:, None].astype(np.float32), radius * 1.001, (), i)


def _joined(balls: list[_Ball]) -> _Ball:
    if len(balls) == 1:
        return balls[0]
    centers = np.concatenate([ball.center for ball in balls], axis=1)
    order = np.argsort(centers[np.ptp(centers, axis=1).argmax()], kind="stable")
    half = len(balls) // 2
    parts = tuple(_joined([balls[i] for i in side]) for side in (order[:half], order[half:]))
    center = (centers.min(1) + centers.max(1))[:, None] / 2
    radius = max(float(np.linalg.norm(ball.center - center)) + ball.radius for ball in balls)
    return _Ball(center.astype(np.float32), radius * 1.001, parts, -1)


def _meets(ball: _Ball, points: Array, way: Array, limit: Array | np.float32) -> NDArray[np.bool_]:
    to_center = ball.center - points
    along = np.clip(dot(to_center, way) / dot(way, way), 0, limit)
    aside = to_center - along * way
    return dot(aside, aside) < ball.radius**2
