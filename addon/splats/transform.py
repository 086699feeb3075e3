"""Splats moved, turned, scaled, mirrored or sheared by a matrix: shapes and view-dependent colours go along."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from splinescape.io.splat_arrays import SplatArrays

from .harmonics import turned

Array = NDArray[np.float64]

_SAME = 1e-5
_BLOCK = 1 << 16
_THINNEST = float(np.finfo(np.float32).tiny)


def same_matrix(a: ArrayLike, b: ArrayLike) -> bool:
    """Whether two (4, 4) matrices are equal as far as Blender's float32 location, rotation and scale keep them."""
    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return bool(np.abs(left - right).max() <= _SAME * max(1.0, np.abs(right).max()))


def transformed(splats: SplatArrays, matrix: ArrayLike) -> SplatArrays:
    """Splats as `matrix` (4, 4) shows them.

    Rotation turns the splats and their spherical harmonics, uniform scale makes them larger, anything else changes
    the covariance of each; harmonics then turn with the nearest rotation.

    Raises:
        ValueError: the matrix flattens space (a scale of zero), or numbers leave the range of float32.
    """
    matrix = np.asarray(matrix, np.float64)
    linear, offset = matrix[:3, :3], matrix[:3, 3]
    if not np.isfinite(matrix).all() or abs(np.linalg.det(linear)) < 1e-30:
        raise ValueError(
            "the object has a scale of zero or numbers that are not finite: give it another scale"
        )
    turn, scale = _nearest_turn(linear)
    if scale is not None:
        quats = _turned_quats(splats.quats, turn * np.sign(np.linalg.det(turn)))
        log_scales = splats.log_scales + np.float32(np.log(scale))
    else:
        log_scales, quats = _reshaped(splats, linear)
    with np.errstate(over="ignore", invalid="ignore"):
        means = (splats.means @ linear.T + offset).astype(np.float32)
    sh = turned(splats.sh, turn) if splats.sh.shape[1] > 1 else splats.sh
    return SplatArrays(means, log_scales, quats, splats.opacity_logits, sh)


def _nearest_turn(linear: Array) -> tuple[Array, float | None]:
    """The nearest orthogonal matrix, and the scale if `linear` is that matrix times one."""
    u, sizes, v = np.linalg.svd(linear)
    uniform = sizes[0] - sizes[2] <= _SAME * sizes[0]
    return u @ v, float(np.cbrt(sizes.prod())) if uniform else None


def _turned_quats(quats: NDArray[np.float32], turn: Array) -> NDArray[np.float32]:
    """Quaternions wxyz after the rotation `turn`: its quaternion times each."""
    w, x, y, z = quat_from_matrix(turn[None])[0]
    left = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return (quats @ left.T).astype(np.float32)


def _reshaped(splats: SplatArrays, linear: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Log scales and quaternions of covariances A S A^T, found as singular vectors of A R diag(scale)."""
    log_scales, quats = np.empty_like(splats.log_scales), np.empty_like(splats.quats)
    for start in range(0, len(splats), _BLOCK):
        rows = slice(start, start + _BLOCK)
        largest = splats.log_scales[rows].max(axis=1, keepdims=True).astype(np.float64)
        axes = matrix_from_quat(splats.quats[rows]) * np.exp(splats.log_scales[rows] - largest)[:, None, :]
        u, sizes, _ = np.linalg.svd(linear @ axes)
        u[:, :, 2] *= np.sign(np.linalg.det(u))[:, None]  # the direction of an axis has no meaning
        log_scales[rows] = np.log(np.maximum(sizes, _THINNEST)) + largest
        quats[rows] = quat_from_matrix(u)
    return log_scales, quats


def matrix_from_quat(quats: NDArray[np.floating]) -> Array:
    """(N, 3, 3) rotations of unit quaternions wxyz (N, 4)."""
    w, x, y, z = quats.astype(np.float64).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.array(rows).transpose(2, 0, 1)


def quat_from_matrix(matrices: Array) -> Array:
    """(N, 4) unit quaternions wxyz of rotations (N, 3, 3); Shepperd, 1978: from the greatest component."""
    m = matrices
    trace = np.trace(m, axis1=1, axis2=2)
    diagonal = np.stack([trace, m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]], axis=1)
    # Row k of the symmetric matrix is 4 q_k q; the row of the greatest q_k is the most exact.
    products = np.empty((len(m), 4, 4))
    for k in range(4):
        products[:, k, k] = 1 + 2 * diagonal[:, k] - trace if k else 1 + trace
    for i, j, k in ((1, 2, 3), (2, 3, 1), (3, 1, 2)):
        products[:, 0, i] = products[:, i, 0] = m[:, k - 1, j - 1] - m[:, j - 1, k - 1]
        products[:, i, j] = products[:, j, i] = m[:, i - 1, j - 1] + m[:, j - 1, i - 1]
    best = diagonal.argmax(axis=1)
    quats = products[np.arange(len(m)), best]
    return quats / np.linalg.norm(quats, axis=1, keepdims=True)
