"""Lists of numbers in textures: Blender's `gpu` module has no storage buffers."""

from __future__ import annotations

import gpu
import numpy as np
from numpy.typing import NDArray

WIDTH = 4096
"""Texels in a row of a list; the shaders know it too. Every graphics card can do it."""

_FORMATS = {1: "R32F", 2: "RG32F", 4: "RGBA32F"}


def list_texture(values: NDArray[np.float32]) -> gpu.types.GPUTexture:
    """A texture of (N, C) float32, C = 1, 2 or 4, texel i in row i / 4096; at least one row."""
    count, channels = values.shape
    rows = max(1, -(-count // WIDTH))
    whole = values
    if count != rows * WIDTH:
        whole = np.zeros((rows * WIDTH, channels), np.float32)
        whole[:count] = values
    return _texture((WIDTH, rows), whole, _FORMATS[channels])


def image_texture(pixels: NDArray[np.float32]) -> gpu.types.GPUTexture:
    """A texture of (H, W) float32."""
    height, width = pixels.shape
    return _texture((width, height), pixels, "R32F")


def longest_list() -> int:
    """How many texels a list may have on this graphics card."""
    return WIDTH * int(gpu.capabilities.max_texture_size_get())


def _texture(size: tuple[int, int], values: NDArray[np.float32], fmt: str) -> gpu.types.GPUTexture:
    flat = np.ascontiguousarray(values, np.float32).reshape(-1)
    return gpu.types.GPUTexture(size, format=fmt, data=gpu.types.Buffer("FLOAT", len(flat), flat))
