"""A PNG from pixels as Blender holds them, without a file on disk."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Encode (H, W, 1), (H, W, 3) or (H, W, 4) uint8, the first row on top.

    Raises:
        ValueError: it is not such an array, or has no pixels.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in _COLOUR_TYPES or pixels.size == 0:
        raise ValueError(f"pixels have the shape {pixels.shape}, not (H, W, 1), (H, W, 3) or (H, W, 4)")
    height, width, channels = pixels.shape
    rows = np.zeros(
        (height, 1 + width * channels), np.uint8
    )  # each begins with the number of its filter: none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    data = zlib.compress(rows.tobytes(), 3)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def srgb8(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    """8-bit sRGB of linear light of any shape; what is below 0 or above 1 is cut off."""
    light = np.clip(np.nan_to_num(linear, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.power(light, 1 / 2.4) - 0.055)
    return np.round(encoded * 255).astype(np.uint8)
