"""Choosing the picture of a scene."""

from __future__ import annotations

import os
from pathlib import Path

import bpy

from .camera import input_camera, show_picture
from .picture import PictureError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".exr", ".hdr", ".jp2")
_MIN_SIDE = 32


def open_picture(scene: bpy.types.Scene, filepath: str | os.PathLike[str]) -> bpy.types.Image:
    """Load a picture file, or take the image that is loaded from it already, and make it the scene's picture.

    Raises:
        PictureError: it is no picture that can be used; the scene keeps the one that it has.
    """
    path = Path(bpy.path.abspath(os.fspath(filepath)))
    known = set(bpy.data.images)
    try:
        image = bpy.data.images.load(str(path), check_existing=True)
    except RuntimeError:
        raise PictureError(f"{path} cannot be opened: choose another file") from None
    trouble = why_unusable(image)
    if trouble:
        if image not in known:
            bpy.data.images.remove(image)
        raise PictureError(trouble)
    scene.splinescape.image.image = image
    return image


def why_unusable(image: bpy.types.Image) -> str:
    """Why an image cannot become a scene, in a sentence; "" when it can."""
    width, height = image.size
    if not width or not height:
        return f"{image.name} is no picture that can be read: choose a PNG, JPEG or similar"
    if min(width, height) < _MIN_SIDE:
        return (
            f"{image.name} has {width} x {height} pixels: choose one with at least {_MIN_SIDE} on each side"
        )
    return ""


def after_choice(scene: bpy.types.Scene) -> None:
    """The scene has another picture: show it behind the input camera; the first one brings the quality settings."""
    camera = input_camera(scene)
    if camera is not None:
        show_picture(camera, scene.splinescape.image.image)
    _begin_with_preferred_quality(scene)


def _begin_with_preferred_quality(scene: bpy.types.Scene) -> None:
    from ..generate.presets import PRESETS, apply_preset
    from ..preferences import preferences

    wanted = preferences()
    own = scene.splinescape.generate
    untouched = not any(own.is_property_set(name) for name in PRESETS["PREVIEW"])
    if wanted is not None and scene.splinescape.image.image is not None and untouched:
        apply_preset(own, wanted.quality)
