"""Between the scene's world (OpenCV axes) and Blender's (Z up, cameras look along -Z with Y up).

A scene point (x, y, z) is Blender's (x, z, -y). Needs numpy only, not Blender.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from splinescape.camera.pose import invert
from splinescape.errors import InputError

Array = NDArray[np.float64]

BLENDER_T_WORLD: Array = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)
"""(4, 4) scene world into Blender's world."""

_CAMERA_AXES = np.diag([1.0, -1.0, -1.0, 1.0])


def points_to_blender(points: ArrayLike) -> Array:
    """(..., 3) points of the scene's world in Blender's world."""
    return np.asarray(points, np.float64) @ BLENDER_T_WORLD[:3, :3].T


def points_from_blender(points: ArrayLike) -> Array:
    """(..., 3) points of Blender's world in the scene's world."""
    return np.asarray(points, np.float64) @ BLENDER_T_WORLD[:3, :3]


def camera_to_blender(cam_T_world: NDArray[np.floating]) -> Array:
    """(..., 4, 4) `matrix_world` of Blender cameras from view matrices."""
    return BLENDER_T_WORLD @ invert(cam_T_world) @ _CAMERA_AXES


def camera_from_blender(matrix_world: ArrayLike) -> Array:
    """(..., 4, 4) cam_T_world from the `matrix_world` of Blender cameras, whose scale does not count.

    Raises:
        InputError: a camera has zero scale, is mirrored or sheared, or is not finite.
    """
    matrix = np.array(matrix_world, np.float64)
    scale = np.linalg.norm(matrix[..., :3, :3], axis=-2, keepdims=True)
    if not np.isfinite(matrix).all() or (scale == 0).any():
        raise InputError("the Blender camera's matrix_world has zero scale or numbers that are not finite")
    matrix[..., :3, :3] /= scale
    rotation = matrix[..., :3, :3]
    error = np.abs(rotation @ np.swapaxes(rotation, -1, -2) - np.eye(3)).max()
    if error > 1e-3 or (np.linalg.det(rotation) < 0).any():
        raise InputError("the Blender camera is mirrored or sheared; apply its parents' scale")
    return invert(BLENDER_T_WORLD.T @ matrix @ _CAMERA_AXES)
