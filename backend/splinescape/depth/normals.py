"""Normals of what a camera sees: they face it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GRAZING = np.float32(1e-3)
"""Cosine to which a normal is turned back that faces away from the camera."""

Map = NDArray[np.float32]


def facing(normals: Map, K_33: Map) -> Map:
    """(H, W, 3) unit normals in the camera frame, at least grazing where they would face away.

    Where `normals` (H, W, 3), of any length, are 0 or not finite, they point at the camera of the intrinsics `K_33`.
    """
    height, width = normals.shape[:2]
    normals = np.where(np.isfinite(normals.sum(-1))[..., None], normals, np.float32(0))
    normals /= np.maximum(_length(normals), np.float32(1e-6))
    x = (np.arange(width, dtype=np.float32) + np.float32(0.5) - K_33[0, 2]) / K_33[0, 0]
    y = (np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5) - K_33[1, 2]) / K_33[1, 1]
    along = (normals[..., 0] * x + normals[..., 1] * y + normals[..., 2]) / np.sqrt(x * x + y * y + 1)
    v, u = np.nonzero(along > -_GRAZING)
    rays = np.stack([x[u], y[v, 0], np.ones(len(u), np.float32)], -1)
    turned = normals[v, u] - (along[v, u] + _GRAZING)[:, None] * rays / _length(rays)
    normals[v, u] = turned / _length(turned)
    return normals


def _length(vectors: Map) -> Map:
    """(..., 1) of vectors (..., 3)."""
    return np.asarray(np.sqrt(np.einsum("...c,...c->...", vectors, vectors))[..., None], np.float32)
