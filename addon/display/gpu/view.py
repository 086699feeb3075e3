"""A camera as the shader wants it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.float64]

NEAR = 0.01
"""Splats whose centres are nearer are not drawn; the backend's limit."""

_MARGIN = 0.15
"""The Jacobian of the projection is taken inside the picture plus this part of its size on each side."""


@dataclass(frozen=True, eq=False)
class View:
    """A camera and the rectangle of pixels that it fills.

    Attributes:
        cam_T_world: (4, 4) into OpenGL's camera: x right, y up, looking along -z.
        projection: (4, 4) OpenGL projection, perspective or orthographic.
        width, height: pixels.
        bounds: lowest and highest x / z, then y / z, where the Jacobian is taken.
        near: splats whose centres are nearer are not drawn.
    """

    cam_T_world: Matrix
    projection: Matrix
    width: int
    height: int
    bounds: tuple[float, float, float, float]
    near: float = NEAR

    @staticmethod
    def of(
        cam_T_world: ArrayLike, projection: ArrayLike, width: int, height: int, near: float = NEAR
    ) -> View:
        """A view of the whole picture of a camera; the viewport's orthographic views have no near limit (-inf)."""
        P = np.array(projection, np.float64)
        bounds = [0.0] * 4
        for axis in range(2):
            half = 1 / abs(P[axis, axis])
            middle = P[axis, 2] / P[axis, axis]
            bounds[2 * axis] = middle - half * (1 + 2 * _MARGIN)
            bounds[2 * axis + 1] = middle + half * (1 + 2 * _MARGIN)
        low_x, high_x, low_y, high_y = bounds
        view = np.array(cam_T_world, np.float64)
        return View(view, P, width, height, (low_x, high_x, low_y, high_y), near)

    @property
    def perspective(self) -> bool:
        """False when orthographic."""
        return bool(self.projection[3, 3] == 0)

    @property
    def lens(self) -> tuple[float, float, float, float]:
        """Focal lengths and principal point in pixels from the lower left corner.

        Orthographic: pixels for each unit, and the pixel of the axis.
        """
        P, column = self.projection, 2 if self.perspective else 3
        sign = -1 if self.perspective else 1
        half_w, half_h = self.width / 2, self.height / 2
        centre_x, centre_y = half_w * (1 + sign * P[0, column]), half_h * (1 + sign * P[1, column])
        return P[0, 0] * half_w, P[1, 1] * half_h, centre_x, centre_y

    @property
    def centre(self) -> Matrix:
        """(3,) place of the camera in the world."""
        return np.asarray(-np.linalg.solve(self.cam_T_world[:3, :3], self.cam_T_world[:3, 3]), np.float64)

    @property
    def forward(self) -> Matrix:
        """(3,) direction of view in the world, length 1 when the view matrix is rigid."""
        return -self.cam_T_world[2, :3]

    def crop(self, x: int, y: int, width: int, height: int) -> View:
        """The view of a rectangle of this one's pixels, (x, y) its lower left corner."""
        window = np.eye(4)
        window[0, 0], window[0, 3] = self.width / width, (self.width - 2 * x) / width - 1
        window[1, 1], window[1, 3] = self.height / height, (self.height - 2 * y) / height - 1
        return replace(self, projection=window @ self.projection, width=width, height=height)

    def scaled(self, divisor: int) -> View:
        """The same view on a coarser grid of pixels."""
        width, height = -(-self.width // divisor), -(-self.height // divisor)
        grown = self.crop(0, 0, width * divisor, height * divisor)
        return replace(grown, width=width, height=height)
