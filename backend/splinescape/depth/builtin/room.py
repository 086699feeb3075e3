"""The box of a room around the camera: floor, ceiling, back wall and side walls, fitted to a picture."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from splinescape.depth.builtin.imaging import Image, Map, blurred, dot, resized
from splinescape.depth.builtin.lines import agreement, axes_of_lines, lengths, straight_lines

_USUAL = np.array([2.0, 2.0, 5.0, 1.0])
"""Metres from the camera to the left, right, back wall and ceiling."""
_EDGE_FIELD_SIDE = 200
_LEFT, _RIGHT, _UP, _DOWN, _AHEAD = range(5)


@dataclass(frozen=True, eq=False)
class Grid:
    """Rooms to be tried: every combination of these distances to the walls, in metres.

    Attributes:
        tolerance: how far off an edge may be, in 1/200 of the picture's longer side.
    """

    left: Map
    right: Map
    ahead: Map
    up: Map
    tolerance: float

    @property
    def boxes(self) -> Map:
        """(B, 4) left, right, ahead, up."""
        return np.array(list(product(self.left, self.right, self.ahead, self.up)))


_sides = np.geomspace(0.9, 4.5, 10)
_COARSE = Grid(_sides, _sides, np.geomspace(2.2, 9.0, 14), np.geomspace(0.7, 1.4, 6), 2.5)
_FINER = [(np.geomspace(0.9, 1.11, 5), 1.5), (np.geomspace(0.96, 1.04, 5), 1.0)]


@dataclass(frozen=True, eq=False)
class Room:
    """A box around the camera.

    Attributes:
        axes: (3, 3) rows: the room's right, down and forward in the camera frame.
        left, right, up, down, ahead: metres from the camera to each wall.
    """

    axes: Map
    left: float
    right: float
    up: float
    down: float
    ahead: float

    def inverse_depth(self, rays: Map) -> Map:
        """(H, W) 1/z of the inside of the box along `rays` (H, W, 3) with z = 1."""
        x, y, z = (dot(rays, axis) for axis in self.axes)
        # The first wall that a ray meets has the largest inverse depth.
        walls = [y / self.down, -y / self.up, z / self.ahead, -x / self.left, x / self.right]
        return np.asarray(np.max(walls, axis=0))


def fit_room(rgb: Image, K_33: Map, down: Map, floor: float) -> Room:
    """The room that explains a picture best: its edges, the directions of its lines and its colours.

    Args:
        rgb: (H, W, 3) float32 in [0, 1].
        K_33: (3, 3) intrinsics of that image.
        down: (3,) gravity in the camera frame.
        floor: metres from the camera down to the floor.
    """
    lines = straight_lines(rgb)
    axes = axes_of_lines(lines, K_33, down)
    left, right, ahead, up = _best(_COARSE, rgb, lines, K_33, axes, floor)
    for steps, tolerance in _FINER:
        around = Grid(left * steps, right * steps, ahead * steps, up * steps, tolerance)
        left, right, ahead, up = _best(around, rgb, lines, K_33, axes, floor)
    return Room(axes, left, right, up, floor, ahead)


def _best(grid: Grid, rgb: Image, lines: Map, K_33: Map, axes: Map, floor: float) -> list[float]:
    boxes = grid.boxes
    score = _edges_found(grid, lines, rgb.shape, K_33, axes, floor)
    score += _lines_on_fitting_walls(boxes, lines, K_33, axes, floor)
    score += _colours_told_apart(boxes, rgb, K_33, axes, floor)
    score -= 0.05 * np.abs(np.log(boxes / _USUAL)).sum(1)
    best: list[float] = boxes[int(np.argmax(score))].tolist()
    return best


def _lines_on_fitting_walls(boxes: Map, lines: Map, K_33: Map, axes: Map, floor: float) -> Map:
    """Share of line length (B,) on a wall that has lines of that direction.

    No line on a side wall runs to the right, none on the back wall forward, none on floor or ceiling down
    (orientation maps, Lee, Hebert and Kanade 2009).
    """
    steps = np.array([0.1, 0.5, 0.9])[:, None, None]
    points = (lines[:, :2] * (1 - steps) + lines[:, 2:] * steps).reshape(-1, 2)
    right, down, forward = np.tile(agreement(lines, K_33, axes) * lengths(lines), 3)
    wall = _walls_hit(boxes, points, K_33, axes, floor)
    fits = np.where(wall <= _RIGHT, down + forward, right + forward)
    fits = np.where(wall == _AHEAD, right + down, fits)
    # In front of the floor stands furniture.
    fits += np.where(wall == _DOWN, 0.7 * down, 0.0)
    return fits.sum(1) / (float((right + down + forward).sum()) + 1e-9)


def _colours_told_apart(boxes: Map, rgb: Image, K_33: Map, axes: Map, floor: float) -> Map:
    """Share of the picture's colour variance (B,) that walls of one colour each explain."""
    height, width = rgb.shape[:2]
    colours = resized(rgb, 12, 9).reshape(-1, 3)
    colours = colours - colours.mean(0)
    v, u = np.mgrid[0.5:9, 0.5:12]
    points = np.stack([u.ravel() * width / 12, v.ravel() * height / 9], -1)
    wall = _walls_hit(boxes, points, K_33, axes, floor)
    explained = np.zeros(len(boxes))
    for one in range(5):
        here = (wall == one).astype(np.float32)
        # einsum adds in one order; a threaded matrix product would not.
        sums = np.einsum("bn,nc->bc", here, colours)
        explained += (sums**2).sum(1) / np.maximum(here.sum(1), 1)
    return explained / (float((colours**2).sum()) + 1e-9)


def _walls_hit(boxes: Map, points: Map, K_33: Map, axes: Map, floor: float) -> NDArray[np.uint8]:
    """(B, N) the wall of each box that is seen at `points` (N, 2)."""
    u, v = points.T
    rays = np.stack([(u - K_33[0, 2]) / K_33[0, 0], (v - K_33[1, 2]) / K_33[1, 1], np.ones_like(u)], -1)
    x, y, z = (dot(rays, axis) for axis in axes)
    left, right, ahead, up = (column[:, None] for column in boxes.T)
    aside = np.where(x < 0, -x / left, x / right)
    level = np.where(y < 0, -y / up, y / floor)
    wall = np.where(level > aside, np.where(y < 0, _UP, _DOWN), np.where(x < 0, _LEFT, _RIGHT))
    return np.where(z / ahead > np.maximum(aside, level), _AHEAD, wall).astype(np.uint8)


def _edges_found(grid: Grid, lines: Map, shape: tuple[int, ...], K_33: Map, axes: Map, floor: float) -> Map:
    """Share of the visible edges of each room (B,) that the picture has as straight lines."""
    scale = _EDGE_FIELD_SIDE / max(shape)
    height, width = max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
    field = _edge_field(lines * scale, height, width, grid.tolerance)
    K_33 = np.array([[scale], [scale], [1.0]]) * K_33
    hits_left, length_left = _half_room(field, K_33, axes, floor, -grid.left, grid)
    hits_right, length_right = _half_room(field, K_33, axes, floor, grid.right, grid)
    hits, length = hits_left[:, None] + hits_right, length_left[:, None] + length_right
    # Rooms with hardly an edge in view must not win by one lucky line.
    return (hits / (length + 0.5 * (height + width))).ravel()


def _edge_field(lines: Map, height: int, width: int, sigma: float) -> Image:
    """Unit normals of the lines, fading with distance (H, W, 2)."""
    across, down = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    for u0, v0, u1, v1 in np.round(lines * 16).astype(int).tolist():
        length = np.hypot(u1 - u0, v1 - v0) + 1e-9
        sign = 1 if (v0 - v1, u1 - u0) >= (0, 0) else -1
        for channel, normal in ((across, v0 - v1), (down, u1 - u0)):
            cv2.line(channel, (u0, v0), (u1, v1), sign * normal / length, 1, cv2.LINE_8, 4)
    field = 2.5 * sigma * blurred(np.stack([across, down], -1), sigma)
    # Many lines side by side, as on floorboards, are no more than one.
    strength = np.sqrt((field**2).sum(-1, keepdims=True))
    return field / np.maximum(strength, 1)


def _half_room(field: Image, K_33: Map, axes: Map, floor: float, sides: Map, grid: Grid) -> tuple[Map, Map]:
    """Strength along, and length of, the visible edges on one side (sides, backs, ceilings)."""
    x, back, up = np.meshgrid(sides, grid.ahead, grid.up, indexing="ij")
    down, zero = np.full_like(x, floor), np.zeros_like(x)
    edges = [
        ((x, down, zero), (x, down, back)),
        ((x, -up, zero), (x, -up, back)),
        ((x, -up, back), (x, down, back)),
        ((zero, down, back), (x, down, back)),
        ((zero, -up, back), (x, -up, back)),
    ]
    hits, length = np.zeros_like(x), np.zeros_like(x)
    for start, end in edges:
        strength, size = _along(field, K_33, _in_camera(start, axes), _in_camera(end, axes))
        hits += strength
        length += size
    return hits, length


def _in_camera(point: tuple[Map, Map, Map], axes: Map) -> Map:
    x, y, z = (coordinate[..., None] for coordinate in point)
    return np.asarray(x * axes[0] + y * axes[1] + z * axes[2])


def _along(field: Image, K_33: Map, start: Map, end: Map) -> tuple[Map, Map]:
    """Edge strength across, and visible length in pixels of, the images of lines (..., 3) to (..., 3)."""
    height, width = field.shape[:2]
    start, end = _in_front(start, end), _in_front(end, start)
    steps = np.linspace(0, 1, 17).reshape(-1, *[1] * start.ndim)
    image = (1 - steps) * start / start[..., 2:] + steps * end / end[..., 2:]
    u, v = image[..., 0] * K_33[0, 0] + K_33[0, 2], image[..., 1] * K_33[1, 1] + K_33[1, 2]
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    du, dv = (u[-1] - u[0]) / 16, (v[-1] - v[0]) / 16
    sample = field[np.where(inside, v, 0).astype(int), np.where(inside, u, 0).astype(int)]
    # A line's normal times its length per step.
    across = np.abs(sample[..., 0] * dv - sample[..., 1] * du) * inside
    return across.sum(0), inside.sum(0) * np.hypot(du, dv)


def _in_front(point: Map, other: Map) -> Map:
    """`point`, moved towards `other` until it is 0.1 m in front of the camera."""
    nearest = 0.1
    gap = np.maximum(other[..., 2:] - point[..., 2:], 1e-9)
    share = np.maximum(nearest - point[..., 2:], 0) / gap
    moved = point + np.minimum(share, 1) * (other - point)
    moved[..., 2] = np.maximum(moved[..., 2], nearest)
    return moved
