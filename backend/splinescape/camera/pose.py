"""Rigid poses: building, checking and inverting view matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from splinescape.camera.plain import SHORTEST_VIEW, TOLERANCE, no_direction, why_not_rigid
from splinescape.errors import InputError

_UP = (0.0, -1.0, 0.0)


def look_at(
    eye: ArrayLike, target: ArrayLike, up: ArrayLike = _UP, roll_deg: float = 0.0
) -> NDArray[np.float64]:
    """View matrix of a camera at `eye` that sees `target` in the middle of its picture.

    Args:
        eye, target, up: (3,) in the world (OpenCV axes: y points down). When the camera looks along `up`, the
            world's z axis takes its place.
        roll_deg: turns the camera clockwise about its viewing direction.

    Returns:
        (4, 4) cam_T_world.

    Raises:
        InputError: eye and target coincide or are not finite.
    """
    eye, target, up = (np.asarray(v, np.float64) for v in (eye, target, up))
    forward = target - eye
    length = np.linalg.norm(forward)
    if not np.isfinite(length) or length < SHORTEST_VIEW * max(1.0, float(np.abs(eye).max())):
        raise InputError(no_direction(eye.tolist(), target.tolist()))
    forward = forward / length
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 1e-6 * np.linalg.norm(up):
        right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(np.radians(roll_deg)), np.sin(np.radians(roll_deg))
    return view_matrix(np.stack([c * right + s * down, c * down - s * right, forward]), eye)


def view_matrix(cam_R_world: NDArray[np.floating], eye: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 4, 4) cam_T_world from rotations (..., 3, 3) and camera positions (..., 3) in the world."""
    result = np.zeros((*np.shape(eye)[:-1], 4, 4))
    result[..., :3, :3] = cam_R_world
    result[..., :3, 3] = -np.einsum("...ij,...j->...i", cam_R_world, eye)
    result[..., 3, 3] = 1
    return result


def invert(rigid: NDArray[np.floating]) -> NDArray[np.float64]:
    """Inverse of rigid transforms (..., 4, 4); cam_T_world becomes world_T_cam and the other way round."""
    rotation = np.swapaxes(np.asarray(rigid, np.float64)[..., :3, :3], -1, -2)
    return view_matrix(rotation, np.asarray(rigid, np.float64)[..., :3, 3])


def camera_positions(cam_T_world: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 3) places in the world where the cameras with view matrices (..., 4, 4) stand."""
    return invert(cam_T_world)[..., :3, 3]


def check_rigid(matrices: ArrayLike, what: str = "pose") -> NDArray[np.float64]:
    """Return (N, 4, 4) float64 after checking that every matrix is a rotation with a translation.

    Args:
        matrices: N matrices of 4x4 numbers.
        what: what to call one of them in messages; its index, counted from 0, follows.

    Raises:
        InputError: a wrong shape, a number that is not finite, or a matrix that is not rigid; names the first
            one.
    """
    try:
        checked = np.array(matrices, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what}s must be 4x4 matrices of numbers: {error}") from None
    if checked.ndim != 3 or checked.shape[1:] != (4, 4):
        raise InputError(f"{what}s must have shape (N, 4, 4), not {checked.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        rotation = checked[:, :3, :3]
        skew = np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3)).max((1, 2), initial=0)
        rigid = (skew <= TOLERANCE) & (np.linalg.det(rotation) > 0) & np.isfinite(checked).all((1, 2))
        rigid &= np.abs(checked[:, 3] - (0, 0, 0, 1)).max(1, initial=0) <= TOLERANCE
    if not rigid.all():
        first = int(rigid.argmin())
        raise InputError(f"{what} {first} {why_not_rigid(checked[first].tolist(), float(skew[first]))}")
    return checked
