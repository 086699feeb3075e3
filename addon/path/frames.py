"""Camera orientations along a path, upright and without flips. Needs numpy only.

Cameras are Blender's: they look along -Z with Y up; up in the world is +Z.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_UP = np.array([0.0, 0.0, 1.0])
_POLE = 0.02
"""Sine of the angle to the vertical below which the world's up says nothing and the last up is carried on."""


def oriented(positions: Array, directions: Array, tilts: Array, fallback_up: Array = _UP) -> Array:
    """(n, 4, 4) `matrix_world` of cameras that look along given directions.

    A camera is upright, as with Track To, as long as it does not look straight up or down. There it turns as little as
    possible, and when the path leads on over the top it stays continuous and comes out upside down.

    Args:
        positions: (n, 3). directions: (n, 3), not zero.
        tilts: (n,) radians of roll, clockwise about the viewing direction.
        fallback_up: (3,) up of a path that looks straight up or down from end to end.
    """
    forward = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return _matrices(positions, forward, _ups(forward, fallback_up), tilts)


def turned(positions: Array, rotations: Array, tilts: Array) -> Array:
    """(n, 4, 4) `matrix_world` of cameras with given rotations (n, 3, 3) and a roll of `tilts` (n,) radians."""
    return _matrices(positions, -rotations[..., 2], rotations[..., 1], tilts)


def slerp(rotations: Array, at: Array) -> Array:
    """(n, 3, 3) rotations at fractions `at` (n,) of a sequence of m equally spaced ones (m, 3, 3), m >= 1."""
    place = np.clip(at, 0, 1) * (len(rotations) - 1)
    low = np.minimum(place.astype(int), max(0, len(rotations) - 2))
    high = np.minimum(low + 1, len(rotations) - 1)
    steps = np.swapaxes(rotations[low], 1, 2) @ rotations[high]
    return rotations[low] @ _rotation(_rotation_vector(steps) * (place - low)[:, None])


def _matrices(positions: Array, forward: Array, up: Array, tilts: Array) -> Array:
    right = np.cross(forward, up)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    up = np.cross(right, forward)
    c, s = np.cos(tilts)[:, None], np.sin(tilts)[:, None]
    matrices = np.tile(np.eye(4), (len(positions), 1, 1))
    matrices[:, :3, 0] = c * right - s * up
    matrices[:, :3, 1] = c * up + s * right
    matrices[:, :3, 2] = -forward
    matrices[:, :3, 3] = positions
    return matrices


def _ups(forward: Array, fallback_up: Array) -> Array:
    upright = _UP - forward * forward[:, 2:]
    sine = np.linalg.norm(upright, axis=1)
    clear = np.flatnonzero(sine > _POLE)
    if len(clear) == 0:
        return _carried(forward, _across(forward[0], fallback_up))
    ups = np.zeros_like(forward)
    ups[clear] = upright[clear] / sine[clear, None]
    gaps = [(a, b) for a, b in itertools.pairwise(clear.tolist()) if b > a + 1]
    carried = {gap: _carried(forward[gap[0] : gap[1] + 1], ups[gap[0]]) for gap in gaps}
    turns = np.ones(len(forward))
    turns[clear[1:]] = np.where(np.einsum("ni,ni->n", ups[clear[:-1]], ups[clear[1:]]) < 0, -1, 1)
    for (_, after), ways in carried.items():
        turns[after] = -1 if ways[-1] @ ups[after] < 0 else 1
    signs = np.cumprod(turns)
    ups *= signs[:, None]
    for (before, after), ways in carried.items():
        ups[before : after + 1] = _unwound(forward[before : after + 1], signs[before] * ways, ups[after])
    first, last = clear[0], clear[-1]
    ups[first::-1] = _carried(forward[first::-1], ups[first])
    ups[last:] = _carried(forward[last:], ups[last])
    return ups


def _carried(forward: Array, up: Array) -> Array:
    """Parallel transport of an up vector along a sequence of directions (n, 3)."""
    ups = np.empty_like(forward)
    for i, way in enumerate(forward):
        across = up - way * (way @ up)
        length = float(np.linalg.norm(across))
        up = across / length if length > 1e-9 else _across(way, up)
        ups[i] = up
    return ups


def _across(way: Array, up: Array) -> Array:
    """A unit vector perpendicular to `way`, in the direction of `up` as far as possible."""
    for candidate in (up, np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])):
        across = candidate - way * (way @ candidate)
        if np.linalg.norm(across) > 1e-3:
            return across / np.linalg.norm(across)
    raise AssertionError("two of three axes cannot both be parallel to a direction")


def _unwound(forward: Array, carried: Array, last: Array) -> Array:
    """`carried` with an even roll added so that it ends in `last`."""
    side = np.cross(forward, carried)
    angle = np.arctan2(last @ side[-1], last @ carried[-1])
    angles = np.linspace(0, angle, len(forward))[:, None]
    return np.cos(angles) * carried + np.sin(angles) * side


def _rotation_vector(rotations: Array) -> Array:
    """(n, 3) axis times angle of rotations (n, 3, 3)."""
    skew = np.stack(
        [
            rotations[:, 2, 1] - rotations[:, 1, 2],
            rotations[:, 0, 2] - rotations[:, 2, 0],
            rotations[:, 1, 0] - rotations[:, 0, 1],
        ],
        axis=1,
    )
    sine = np.linalg.norm(skew, axis=1) / 2
    angle = np.arctan2(sine, (np.trace(rotations, axis1=1, axis2=2) - 1) / 2)
    half_turn = (sine < 1e-6) & (angle > 1)
    axis = skew / np.maximum(2 * sine, 1e-12)[:, None]
    if half_turn.any():
        # R = 2 a a^T - 1: the column of the largest diagonal element is parallel to the axis.
        columns = rotations[half_turn] + np.eye(3)
        largest = np.argmax(np.einsum("nii->ni", columns), axis=1)
        chosen = columns[np.arange(len(columns)), :, largest]
        axis[half_turn] = chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
    return axis * angle[:, None]


def _rotation(vectors: Array) -> Array:
    """(n, 3, 3) rotations by axis times angle (n, 3)."""
    angle = np.linalg.norm(vectors, axis=1)
    x, y, z = (vectors / np.maximum(angle, 1e-15)[:, None]).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    s, c = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.eye(3) + s * cross + (1 - c) * (cross @ cross)
