"""Turns any Pillow image mode into 8-bit sRGB."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_WHITE = (255, 255, 255, 255)


def srgb8(image: Image.Image, max_pixels: int) -> tuple[NDArray[np.uint8], list[str]]:
    """Decode an opened image as (H, W, 3) uint8 sRGB, reduced by a whole factor to at most `max_pixels`.

    Transparency is laid over white, what viewers show; 16-bit grey is scaled by its full range, and other
    integer or float greys by the smallest of 1, 255, 65535 and their own maximum that holds them.

    Returns:
        The pixels and notes for the user.

    Raises:
        Exception: whatever Pillow's decoder raises on a damaged file.
    """
    notes: list[str] = []
    image = _reduced(_plain_mode(image), max_pixels)
    if image.mode in ("I", "F", "I;16"):
        return _from_deep_grey(image, notes), notes
    image = _to_srgb(image, notes)
    if image.mode == "RGBA":
        if np.asarray(image.getchannel("A")).min() < 255:
            notes.append("transparent parts are laid over white")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    return np.array(image.convert("RGB")), notes


def _plain_mode(image: Image.Image) -> Image.Image:
    """A mode whose values may be averaged: no palette, no bits, alpha only as RGBA."""
    if image.mode.startswith("I;16"):
        return image.convert("I") if image.mode != "I;16" else image
    if image.mode in ("I", "F"):
        return image
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in ("1", "L", "CMYK", "LAB"):
        return image.convert("L") if image.mode == "1" else image
    return image if image.mode == "RGB" else image.convert("RGB")


def _reduced(image: Image.Image, max_pixels: int) -> Image.Image:
    factor = math.ceil(math.sqrt(image.width * image.height / max_pixels))
    if factor <= 1:
        return image
    if image.mode == "I;16":
        image = image.convert("I")
    return image.reduce(factor)


def _to_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    profile = image.info.get("icc_profile")
    if image.mode == "LAB":
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    elif profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" in ImageCms.getProfileDescription(source):
                return image
        except (OSError, ImageCms.PyCMSError):
            return image
    else:
        return image
    target = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode=target
        )
    except ImageCms.PyCMSError:
        notes.append("its colour profile does not fit and is ignored")
        return image
    return converted or image


def _from_deep_grey(image: Image.Image, notes: list[str]) -> NDArray[np.uint8]:
    values = np.nan_to_num(np.asarray(image, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if image.mode == "I;16":
        full = 65535.0
    else:
        largest = float(values.max())
        steps = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        full = next((step for step in steps if largest <= step), largest)
    notes.append(f"{image.mode} values of 0 to {full:g} are scaled to 8 bits")
    grey = np.clip(values * (255.0 / full) + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
