"""Between the scene's world (OpenCV axes) and Blender's (Z up, cameras look along -Z with Y up).

The scene's world is the input picture's camera; its placement says where that camera stands in Blender. Needs numpy
only, not Blender.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from splinescape.camera.pose import invert
from splinescape.errors import InputError

Array = NDArray[np.float64]
SensorFit = Literal["AUTO", "HORIZONTAL", "VERTICAL"]

BLENDER_T_WORLD: Array = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)
"""(4, 4) placement of an input camera at the origin that looks along +Y: scene (x, y, z) is Blender's (x, z, -y)."""

SENSOR_WIDTH = 36.0
"""Millimetres; Blender's own default."""

_CAMERA_AXES = np.diag([1.0, -1.0, -1.0, 1.0])


def placement(camera_matrix_world: ArrayLike) -> Array:
    """(..., 4, 4) scene world into Blender's world, from the `matrix_world` (..., 4, 4) of the input camera.

    Raises:
        InputError: a camera has zero scale, is mirrored or sheared, or is not finite.
    """
    return _without_scale(camera_matrix_world) @ _CAMERA_AXES


def view_matrix(camera_matrix_world: ArrayLike, placement: ArrayLike = BLENDER_T_WORLD) -> Array:
    """(..., 4, 4) cam_T_world from the `matrix_world` of Blender cameras, whose scale does not count.

    Args:
        camera_matrix_world: (..., 4, 4).
        placement: (4, 4) scene world into Blender's world.

    Raises:
        InputError: a camera has zero scale, is mirrored or sheared, or is not finite.
    """
    world_T_blender = invert(np.asarray(placement, np.float64))
    return invert(world_T_blender @ _without_scale(camera_matrix_world) @ _CAMERA_AXES)


def matrix_world(cam_T_world: NDArray[np.floating], placement: ArrayLike = BLENDER_T_WORLD) -> Array:
    """(..., 4, 4) `matrix_world` of Blender cameras from view matrices (..., 4, 4) of a scene placed there."""
    return np.asarray(placement, np.float64) @ invert(cam_T_world) @ _CAMERA_AXES


def points_to_blender(points: ArrayLike, placement: ArrayLike = BLENDER_T_WORLD) -> Array:
    """(..., 3) points of the scene's world in Blender's world."""
    blender_T_world = np.asarray(placement, np.float64)
    return np.asarray(points, np.float64) @ blender_T_world[:3, :3].T + blender_T_world[:3, 3]


def points_from_blender(points: ArrayLike, placement: ArrayLike = BLENDER_T_WORLD) -> Array:
    """(..., 3) points of Blender's world in the scene's world."""
    return points_to_blender(points, invert(np.asarray(placement, np.float64)))


@dataclass(frozen=True)
class Lens:
    """What Blender keeps of a camera's optics: the camera's settings and the render settings' pixel aspect.

    Lengths in millimetres, shifts as fractions of the fitted side. `sensor_height` counts only where `sensor_fit` is
    VERTICAL, as in Blender.
    """

    lens: float
    sensor_width: float = SENSOR_WIDTH
    sensor_fit: SensorFit = "AUTO"
    shift_x: float = 0.0
    shift_y: float = 0.0
    pixel_aspect_x: float = 1.0
    pixel_aspect_y: float = 1.0
    sensor_height: float = 24.0


def lens_from_intrinsics(
    K_33: ArrayLike, width: int, height: int, sensor_width: float = SENSOR_WIDTH
) -> Lens:
    """The Blender camera that photographs as these intrinsics do, with horizontal sensor fit.

    Args:
        K_33: (3, 3) intrinsics of a picture of `width` x `height` pixels, pixel centres at +0.5.
        width, height: pixels.
        sensor_width: millimetres; any will do, the lens follows.

    Raises:
        InputError: a focal length is not positive, K_33 has skew or numbers that are not finite.
    """
    K = np.asarray(K_33, np.float64)
    fx, fy = K[0, 0], K[1, 1]
    if not (np.isfinite(K).all() and fx > 0 and fy > 0):
        raise InputError("the intrinsics need positive focal lengths and finite numbers")
    if abs(K[0, 1]) > 1e-6 * fx:
        raise InputError("the intrinsics have skew, which a Blender camera cannot have")
    return Lens(
        lens=float(fx * sensor_width / width),
        sensor_width=sensor_width,
        sensor_fit="HORIZONTAL",
        shift_x=float((width / 2 - K[0, 2]) / width),
        shift_y=float((K[1, 2] - height / 2) * (fx / fy) / width),
        pixel_aspect_x=float(max(1.0, fy / fx)),
        pixel_aspect_y=float(max(1.0, fx / fy)),
    )


def intrinsics_from_lens(lens: Lens, width: int, height: int) -> Array:
    """(3, 3) intrinsics in pixels of a perspective Blender camera that renders `width` x `height` pixels.

    Raises:
        InputError: the lens, the sensor or the pixel aspect is not a positive number.
    """
    aspect = lens.pixel_aspect_x / lens.pixel_aspect_y if lens.pixel_aspect_y else math.nan
    horizontal = lens.sensor_fit == "HORIZONTAL" or (lens.sensor_fit == "AUTO" and aspect * width >= height)
    sensor = lens.sensor_height if lens.sensor_fit == "VERTICAL" else lens.sensor_width
    if not all(math.isfinite(number) and number > 0 for number in (lens.lens, sensor, aspect)):
        raise InputError("the Blender camera's lens, sensor and pixel aspect must be positive numbers")
    fitted = width if horizontal else height / aspect
    fx = lens.lens / sensor * fitted
    cx = width / 2 - lens.shift_x * fitted
    cy = height / 2 + lens.shift_y * fitted * aspect
    return np.array([[fx, 0, cx], [0, fx * aspect, cy], [0, 0, 1]], np.float64)


def _without_scale(matrix_world: ArrayLike) -> Array:
    matrix = np.array(matrix_world, np.float64)
    scale = np.linalg.norm(matrix[..., :3, :3], axis=-2, keepdims=True)
    if not np.isfinite(matrix).all() or (scale == 0).any():
        raise InputError("the Blender camera's matrix_world has zero scale or numbers that are not finite")
    matrix[..., :3, :3] /= scale
    rotation = matrix[..., :3, :3]
    error = np.abs(rotation @ np.swapaxes(rotation, -1, -2) - np.eye(3)).max(initial=0)
    if error > 1e-3 or (np.linalg.det(rotation) < 0).any():
        raise InputError("the Blender camera is mirrored or sheared; apply its parents' scale")
    return matrix
