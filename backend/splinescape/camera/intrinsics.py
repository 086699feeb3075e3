"""Pinhole intrinsics in pixels, and the maps between pixels, camera and world.

Pixel centres are at +0.5, so the principal point of a centred image is (W/2, H/2).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from splinescape.errors import InputError


def intrinsics_from_focal(focal: float, width: int, height: int) -> NDArray[np.float64]:
    """(3, 3) intrinsics with square pixels and a centred principal point; `focal` in pixels.

    Raises:
        InputError: the focal length is not a positive number.
    """
    if not (math.isfinite(focal) and focal > 0):
        raise InputError(f"the focal length must be a positive number of pixels, not {focal}")
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float64)


def intrinsics_from_fov_y(fov_y_deg: float, width: int, height: int) -> NDArray[np.float64]:
    """(3, 3) intrinsics whose picture spans `fov_y_deg` degrees from top to bottom.

    Raises:
        InputError: the angle is not between 0 and 180 degrees.
    """
    if not 0 < fov_y_deg < 180:
        raise InputError(f"the field of view must be between 0 and 180 degrees, not {fov_y_deg}")
    return intrinsics_from_focal(height / 2 / math.tan(math.radians(fov_y_deg) / 2), width, height)


def fov_y_deg(K_33: NDArray[np.floating], height: int) -> float:
    """Angle in degrees between the top and the bottom edge of the picture; exact off-centre too."""
    focal, middle = float(K_33[1, 1]), float(K_33[1, 2])
    return math.degrees(math.atan2(middle, focal) + math.atan2(height - middle, focal))


def pad_intrinsics(K_33: NDArray[np.floating], left: float, top: float) -> NDArray[np.float64]:
    """Intrinsics after `left` and `top` pixels were added to the picture; negative numbers crop."""
    padded = np.array(K_33, np.float64)
    padded[0, 2] += left
    padded[1, 2] += top
    return padded


def scale_intrinsics(K_33: NDArray[np.floating], scale_x: float, scale_y: float) -> NDArray[np.float64]:
    """Intrinsics after the picture was resized by these factors (new size / old size)."""
    return np.diag([scale_x, scale_y, 1.0]) @ np.asarray(K_33, np.float64)


def pixel_rays(width: int, height: int, K_33: NDArray[np.floating]) -> NDArray[np.float64]:
    """(H, W, 3) directions in the camera frame through the pixel centres, with z = 1."""
    v, u = np.mgrid[:height, :width] + 0.5
    pixels = np.stack([u, v, np.ones_like(u)], axis=-1)
    return pixels @ np.linalg.inv(np.asarray(K_33, np.float64)).T


def rays_through(u: NDArray[np.intp], v: NDArray[np.intp], K_33: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, 3) camera-frame rays with z = 1 through the centres of pixels in columns `u` (M,) and rows `v` (M,)."""
    x = (u + 0.5 - K_33[0, 2]) / K_33[0, 0]
    y = (v + 0.5 - K_33[1, 2]) / K_33[1, 1]
    return np.stack([x, y, np.ones_like(x)], axis=1)


def unproject(depth: NDArray[np.floating], K_33: NDArray[np.floating]) -> NDArray[np.float64]:
    """(H, W, 3) camera-frame points at camera-z `depth` (H, W); not finite where the depth is not."""
    height, width = depth.shape
    with np.errstate(invalid="ignore"):
        return pixel_rays(width, height, K_33) * np.asarray(depth, np.float64)[..., None]


def project(
    points: ArrayLike, cam_T_world: NDArray[np.floating], K_33: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where world points appear.

    Args:
        points: (..., 3) in the world.
        cam_T_world: (4, 4) view matrix.
        K_33: (3, 3) intrinsics in pixels.

    Returns:
        Pixel positions (..., 2), not finite for points in the camera's plane, and camera z (...); points with
        z <= 0 are behind the camera and not visible.
    """
    in_camera = np.asarray(points, np.float64) @ cam_T_world[:3, :3].T + cam_T_world[:3, 3]
    homogeneous = in_camera @ np.asarray(K_33, np.float64).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return homogeneous[..., :2] / homogeneous[..., 2:], in_camera[..., 2]
