"""Rendered views as pictures: PNG for looking at, EXR for compositing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import OpenEXR
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from splinescape.errors import InputError
from splinescape.io.atomic import atomic_file, atomic_path, system_error_in

Pixels = NDArray[np.floating] | NDArray[np.uint8] | Tensor

NOTHING_THERE = 1e10
"""Depth of pixels without a surface in EXR files, as in Blender's own depth pass."""


def frame_path(folder: str | os.PathLike[str], number: int, suffix: str, kind: str = "frame") -> Path:
    """Path of a numbered frame, such as folder/frame_0001.png; numbers count from 1."""
    return Path(folder) / f"{kind}_{number:04d}{suffix}"


def to_uint8(rgb: Pixels) -> NDArray[np.uint8]:
    """Turn a picture of floats in [0, 1] (clamped; NaN is black) or bytes into bytes; on the CPU."""
    pixels = _array(rgb)
    if pixels.dtype == np.uint8:
        return pixels
    return (np.nan_to_num(pixels, nan=0.0).clip(0, 1) * 255 + 0.5).astype(np.uint8)


def write_png(path: str | os.PathLike[str], rgb: Pixels) -> None:
    """Write an 8-bit PNG from (H, W, 3) or (H, W) floats in [0, 1] or bytes; display colours (sRGB), atomic.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_file(path) as file:
        Image.fromarray(to_uint8(rgb)).save(file, "PNG", compress_level=4)


def write_exr(
    path: str | os.PathLike[str], *, rgb: Pixels | None = None, depth: Pixels | None = None
) -> None:
    """Write an OpenEXR file with 32-bit float channels R, G, B and / or Z, compressed without loss; atomic.

    Args:
        rgb: (H, W, 3) display colours (sRGB curve), stored scene-linear (Rec. 709 primaries), which is how
            Blender and compositors read EXR. Not clamped.
        depth: (H, W) camera z in scene units; 0, infinite and NaN pixels become NOTHING_THERE.

    Raises:
        InputError: nothing to write, sizes differ, or the file cannot be written.
    """
    channels: dict[str, NDArray[np.float32]] = {}
    if rgb is not None:
        linear = linear_from_srgb(_array(rgb).astype(np.float32))
        channels |= {name: np.ascontiguousarray(linear[..., i]) for i, name in enumerate("RGB")}
    if depth is not None:
        z = _array(depth).astype(np.float32)
        channels["Z"] = np.where(np.isfinite(z) & (z > 0), z, np.float32(NOTHING_THERE))
    if len({channel.shape for channel in channels.values()}) != 1:
        raise InputError(f"cannot write {path}: colour and depth must be there and have the same size")
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with atomic_path(path) as temp:
        try:
            OpenEXR.File(header, channels).write(str(temp))
        except RuntimeError as error:
            raise system_error_in(str(error)) or InputError(f"cannot write {path}: {error}") from error


def linear_from_srgb(srgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sRGB transfer function (IEC 61966-2-1) undone, continued below 0 by symmetry."""
    size = np.abs(srgb)
    linear = np.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4)
    return np.copysign(linear, srgb).astype(np.float32)


def depth_preview(depth: Pixels, near: float, far: float) -> NDArray[np.uint8]:
    """Grey picture (H, W) of an (H, W) depth: `near` white, `far` and beyond dark, no surface black.

    Grey is linear in inverse depth, as the eye judges distance; use the same near and far for a whole film.
    """
    z = _array(depth).astype(np.float32)
    there = np.isfinite(z) & (z > 0)
    inverse = 1 / np.where(there, z, 1)
    grey = (inverse - 1 / far) / (1 / near - 1 / far)
    return np.where(there, to_uint8(0.08 + 0.92 * grey.clip(0, 1)), 0).astype(np.uint8)


def _array(pixels: Pixels) -> np.ndarray:
    return pixels.detach().cpu().numpy() if isinstance(pixels, Tensor) else np.asarray(pixels)
