"""The camera move that the quality bars are measured on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def forward_side_path(
    distance_forward: float = 0.5, side: float = 0.5, up: float = 0.5, target_z: float = 5.0, n: int = 100
) -> NDArray[np.float64]:
    """A move forward, then sideways and up, that always looks at (0, 0, target_z).

    Returns:
        (n, 4, 4) cam_T_world, the first one exactly the identity; metres, OpenCV axes.
    """
    s = np.linspace(0, 1, n)
    swing = np.sin(np.pi / 2 * s) ** 2
    eyes = np.stack([side * swing, -up * swing, distance_forward * np.sin(np.pi / 2 * s)], axis=1)
    return np.stack([_look_at(eye, np.array([0, 0, target_z])) for eye in eyes])


def _look_at(eye: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = -rotation @ eye
    return matrix
