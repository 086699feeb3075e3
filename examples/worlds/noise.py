"""Tileable, band-limited noise: every texture here is made of it, so that nothing aliases by construction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def spectral_noise(
    shape: tuple[int, ...],
    low: float,
    high: float,
    slope: float,
    seed: int,
    stretch: tuple[float, ...] | None = None,
) -> Array:
    """Periodic noise of any dimension, mean 0, standard deviation 1.

    Args:
        shape: samples along each axis; the noise repeats after one period of all of them.
        low, high: the band kept, in cycles per period; rolled off smoothly.
        slope: amplitude falls as frequency ** -slope; 0 is white, 1 looks natural, 2 is cloudy.
        seed: picks the noise.
        stretch: how many times longer the grain is along each axis.
    """
    white = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    axes = [np.fft.fftfreq(n, 1 / n).astype(np.float32) for n in shape]
    axes[-1] = np.arange(shape[-1] // 2 + 1, dtype=np.float32)
    if stretch:
        axes = [axis * np.float32(factor) for axis, factor in zip(axes, stretch, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij", sparse=True)
    squared = sum((axis**2 for axis in grid), np.float32(0))
    gain = np.exp(-((squared / high**2) ** 2)) * (1 - np.exp(-((squared / low**2) ** 2)))
    gain *= np.maximum(squared, 1) ** (-slope / 2)
    noise = np.fft.irfftn(np.fft.rfftn(white) * gain, shape, axes=range(len(shape)))
    return (noise / noise.std()).astype(np.float32)


def dot(a: Array, b: Array) -> Array:
    """(N,) scalar products of (3, N) vectors; much faster here than a sum over the short axis."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def smoothstep(low: float, high: float, x: Array) -> Array:
    """Cubic step from 0 at `low` to 1 at `high` (either order)."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def sample_tile(tile: Array, u: Array, v: Array) -> Array:
    """Bilinear periodic lookup.

    Args:
        tile: (H, W, C) samples of one period, or (H, W).
        u, v: (N,) positions in periods, along W and along H.

    Returns:
        (C, N), or (N,) for a tile without channels.
    """
    height, width = tile.shape[:2]
    x, y = u * np.float32(width), v * np.float32(height)
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    left, top = x0.astype(np.int32) % width, y0.astype(np.int32) % height
    right, bottom = (left + 1) % width, (top + 1) % height
    corners = ((top, left, (1 - fx) * (1 - fy)), (top, right, fx * (1 - fy)),
               (bottom, left, (1 - fx) * fy), (bottom, right, fx * fy))  # fmt: skip
    flat = tile.reshape(height * width, -1)
    total = sum(flat[row * width + column] * weight[:, None] for row, column, weight in corners)
    return total.T if tile.ndim == 3 else total[:, 0]


def sample_solid(solid: Array, p: Array) -> Array:
    """Trilinear periodic lookup of an (S, S, S) noise at (3, N) positions in periods; returns (N,)."""
    size = solid.shape[0]
    x = p * np.float32(size)
    base = np.floor(x)
    f = x - base
    i0 = base.astype(np.int32) % size
    i1 = (i0 + 1) % size
    flat = solid.ravel()
    total = np.zeros(p.shape[1], np.float32)
    for corner in range(8):
        bits = [(corner >> axis) & 1 for axis in range(3)]
        i = [(i1 if bit else i0)[axis] for axis, bit in enumerate(bits)]
        w = [f[axis] if bit else 1 - f[axis] for axis, bit in enumerate(bits)]
        total += flat[(i[0] * size + i[1]) * size + i[2]] * (w[0] * w[1] * w[2])
    return total
