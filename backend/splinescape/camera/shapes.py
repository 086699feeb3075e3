"""Ready-made camera moves, as view matrices. Lengths are in the scene's units, angles in degrees.

Every move starts at the input camera: the first matrix is exactly the identity.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.intrinsics import unproject
from splinescape.camera.pose import look_at
from splinescape.errors import InputError

Array = NDArray[np.float64]


def spiral(
    radius: float, *, forward_ratio: float = 0.3, backward_ratio: float = 0.4, wide: bool = True, n: int = 121
) -> Array:
    """Two turns that widen and close again: to all sides, forward in the first, backward in the second.

    Args:
        radius: size of the scene as `scene_radius` measures it; the camera moves by up to 0.15 of it.
        forward_ratio, backward_ratio: how far the camera goes forward and back, times 0.3 radius.
        wide: the picture is wider than high, so that the camera moves further sideways.
        n: number of poses.

    Returns:
        (n, 4, 4) cam_T_world; the first and the last are the identity.

    Raises:
        InputError: the radius is not a positive number or a ratio is negative.
    """
    _check_positive("the spiral's radius", radius)
    for name, ratio in (("forward_ratio", forward_ratio), ("backward_ratio", backward_ratio)):
        if not (math.isfinite(ratio) and ratio >= 0):
            raise InputError(f"{name} must be zero or more, not {ratio}")
    t = _steps(n)
    swing, turn = np.sin(np.pi * t), 4 * np.pi * t
    side = radius * (0.15 if wide else 0.09)
    reach = np.sin(2 * np.pi * t) ** 2 * np.where(t < 0.5, forward_ratio, -backward_ratio)
    eyes = np.stack(
        [side * swing * np.sin(turn), 0.09 * radius * swing * np.cos(turn), 0.3 * radius * reach], axis=1
    )
    target = (0.0, 0.0, (0.5 + 0.3 * forward_ratio) * radius)
    return _fixed_ends(np.stack([look_at(eye, target) for eye in eyes]), closed=True)


def dolly(forward: float, *, right: float = 0.0, up: float = 0.0, n: int = 61) -> Array:
    """A straight move without turning: (n, 4, 4) cam_T_world.

    Raises:
        InputError: the camera would not move, or a distance is not finite.
    """
    way = np.array([right, -up, forward], np.float64)
    _check_positive("the length of a dolly", float(np.linalg.norm(way)))
    poses = np.broadcast_to(np.eye(4), (n, 4, 4)).copy()
    poses[:, :3, 3] = -_steps(n)[:, None] * way
    return poses


def orbit(distance: float, yaw_deg: float, *, pitch_deg: float = 0.0, n: int = 61) -> Array:
    """Swing around the point `distance` ahead, looking at it: (n, 4, 4) cam_T_world.

    Args:
        distance: from the input camera to the point.
        yaw_deg: how far around, positive to the right; 360 closes the circle.
        pitch_deg: how far over the top, positive upwards, below 90.
        n: number of poses.

    Raises:
        InputError: the distance is not a positive number, or an angle is out of range.
    """
    _check_positive("the orbit's distance", distance)
    _check_angles(yaw_deg, pitch_deg)
    yaw, pitch = (np.radians(angle) * _steps(n) for angle in (yaw_deg, pitch_deg))
    arm = np.stack([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), -np.cos(yaw) * np.cos(pitch)], axis=1)
    target = np.array([0.0, 0.0, distance])
    return _fixed_ends(np.stack([look_at(target + distance * way, target) for way in arm]))


def pan(yaw_deg: float, *, pitch_deg: float = 0.0, n: int = 61) -> Array:
    """Turn on the spot, positive to the right and upwards: (n, 4, 4) cam_T_world.

    Raises:
        InputError: an angle is out of range, or both are zero.
    """
    _check_angles(yaw_deg, pitch_deg)
    if yaw_deg == 0 and pitch_deg == 0:
        raise InputError("a pan needs a yaw or a pitch that is not zero")
    yaw, pitch = (np.radians(angle) * _steps(n) for angle in (yaw_deg, pitch_deg))
    ways = np.stack([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)], axis=1)
    return _fixed_ends(np.stack([look_at(np.zeros(3), way) for way in ways]))


def scene_radius(
    depth: NDArray[np.floating],
    K_33: NDArray[np.floating],
    min_percentage: float = 5,
    max_percentage: float = 50,
) -> float:
    """Size of what the input camera sees: the mean over x, y, z of the spread between two percentiles.

    Args:
        depth: (H, W) camera z; sky, unknown (not finite) and non-positive pixels do not count.
        K_33: (3, 3) intrinsics in pixels.
        min_percentage, max_percentage: the percentiles, 0 to 100.

    Returns:
        A positive length in the scene's units; half the median depth where the spread says nothing (a single
        distance), 1 where there is no depth at all.
    """
    valid = np.isfinite(depth) & (depth > 0)
    if not valid.any():
        return 1.0
    points = unproject(depth, K_33)[valid]
    low, high = np.percentile(points, [min_percentage, max_percentage], axis=0)
    radius = float((high - low).mean())
    return radius if radius > 0 else float(np.median(points[:, 2])) / 2


def _steps(n: int) -> Array:
    if n < 2:
        raise InputError(f"a camera move needs at least 2 poses, not {n}")
    return np.linspace(0, 1, n)


def _fixed_ends(poses: Array, closed: bool = False) -> Array:
    """Remove the rounding at the ends, which are known exactly."""
    poses[0] = np.eye(4)
    if closed:
        poses[-1] = np.eye(4)
    return poses


def _check_positive(what: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{what} must be a positive number, not {value}")


def _check_angles(yaw_deg: float, pitch_deg: float) -> None:
    if not abs(yaw_deg) <= 360:
        raise InputError(f"yaw_deg must be between -360 and 360, not {yaw_deg}")
    if not abs(pitch_deg) < 90:
        raise InputError(f"pitch_deg must be between -90 and 90, not {pitch_deg}")
