"""Real spherical harmonics of degree 0 to 3 in the order and signs of 3D Gaussian Splatting, and turning them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_BANDS = (slice(1, 4), slice(4, 9), slice(9, 16))
_DIRECTIONS = 32


def basis(directions: Array) -> Array:
    """(N, 16) values of the harmonics in unit `directions` (N, 3); Kerbl et al. 2023."""
    x, y, z = directions.T
    xx, yy, zz = x * x, y * y, z * z
    values = [
        np.full_like(x, 0.28209479177387814),
        *(-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x),
        1.0925484305920792 * x * y,
        -1.0925484305920792 * y * z,
        0.31539156525252005 * (2 * zz - xx - yy),
        -1.0925484305920792 * x * z,
        0.5462742152960396 * (xx - yy),
        -0.5900435899266435 * y * (3 * xx - yy),
        2.890611442640554 * x * y * z,
        -0.4570457994644658 * y * (4 * zz - xx - yy),
        0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
        -0.4570457994644658 * x * (4 * zz - xx - yy),
        1.445305721320277 * z * (xx - yy),
        -0.5900435899266435 * x * (xx - 3 * yy),
    ]
    return np.stack(values, axis=1)


def turned(sh: NDArray[np.float32], turn: Array) -> NDArray[np.float32]:
    """Harmonics (N, K, 3) whose colour in direction `turn @ d` is that of `sh` in direction d.

    Args:
        turn: (3, 3) orthogonal; it may mirror.
    """
    out = np.array(sh)
    directions = _spread_directions()
    there, here = basis(directions), basis(directions @ turn)  # the rows are turn^-1 @ direction
    for band in _BANDS:
        if band.stop <= sh.shape[1]:
            # A band is closed under rotation, so its values in enough directions determine it exactly.
            matrix = np.linalg.lstsq(there[:, band], here[:, band], rcond=None)[0]
            out[:, band] = np.matmul(matrix.astype(np.float32), sh[:, band])
    return out


def _spread_directions() -> Array:
    """Unit vectors spread evenly over the sphere: a Fibonacci spiral."""
    index = np.arange(_DIRECTIONS) + 0.5
    z = 1 - 2 * index / _DIRECTIONS
    angle = np.pi * (1 + np.sqrt(5)) * index
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
