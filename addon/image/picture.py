"""The bytes of a Blender image as the service wants them: an encoded picture."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from .png import png_bytes, srgb8

_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM", b"GIF8", b"\0\0\0\x0cjP  ")
"""How files begin that every installation of the service can read."""


class PictureError(ValueError):
    """An image cannot be used; the message is a sentence for people."""


def picture_file(image: bpy.types.Image, frame: int | None = None) -> tuple[bytes, str, float | None]:
    """An image as an encoded picture.

    A picture on disk or packed is passed on as it is, so that its EXIF data and colour profile reach the service.
    What Blender alone has (painted over, generated, rendered, EXR, a frame of a movie) becomes a PNG.

    Args:
        image: any image of the .blend.
        frame: frame of a sequence or movie; None for the scene's current one.

    Returns:
        The file's bytes, its name, and the focal length in pixels where it is known to Blender but not to the file;
        None leaves it to the service to read EXIF.

    Raises:
        PictureError: the file is missing or the image has no pixels.
    """
    frame = bpy.context.scene.frame_current if frame is None else frame
    if image.source == "MOVIE":
        return _movie_frame(image, frame), f"{_stem(image)}.png", None
    if not image.is_dirty:
        data = _file_bytes(image, frame)
        if data is not None and _is_readable(data):
            return data, _file_name(image), None
    return png_bytes(image_pixels(image)), f"{_stem(image)}.png", None


def _is_readable(data: bytes) -> bool:
    return data.startswith(_MAGIC) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def _file_bytes(image: bpy.types.Image, frame: int) -> bytes | None:
    """What lies on disk or is packed; None where there is no file for the image."""
    if image.source not in ("FILE", "SEQUENCE"):
        return None
    if image.source == "FILE" and image.packed_file is not None:
        return bytes(image.packed_file.data)
    path = _path(image)
    try:
        if image.source == "SEQUENCE":
            path = sequence_file(path, frame)
        return path.read_bytes()
    except OSError as error:
        raise PictureError(
            f"The image {image.name} cannot be read from {path} ({error.strerror}): choose the file again"
        ) from None


def _path(image: bpy.types.Image) -> Path:
    return Path(bpy.path.abspath(image.filepath_raw, library=image.library))


def _stem(image: bpy.types.Image) -> str:
    return bpy.path.clean_name(Path(image.name).stem) or "picture"


def _file_name(image: bpy.types.Image) -> str:
    return Path(image.filepath_raw.replace("\\", "/")).name or f"{_stem(image)}.png"


def sequence_file(path: Path, frame: int) -> Path:
    """The file of an image sequence for a frame: that number in place of the last one in the name.

    Where there is no such frame it is the nearest one, as at the ends of a sequence in Blender.

    Raises:
        PictureError: the sequence has no files.
    """
    number = re.compile(r"(.*?)(\d+)(\D*)\Z")
    parts = number.match(path.name)
    if parts is None:
        raise PictureError(f"{path.name} has no frame number: choose one file of the sequence")
    there = {}
    for each in path.parent.glob(f"*{path.suffix}"):
        own = number.match(each.name)
        if own is not None and (own[1], own[3]) == (parts[1], parts[3]):
            there[int(own[2])] = each
    if not there:
        raise PictureError(f"There is no file of the sequence {path}: choose it again")
    return there[min(there, key=lambda each: (abs(each - frame), each))]


def image_pixels(image: bpy.types.Image) -> NDArray[np.uint8]:
    """(H, W, 3) or, with transparency, (H, W, 4) uint8 sRGB of what Blender shows; the first row is on top.

    Raises:
        PictureError: the image has no pixels, such as one whose file is missing.
    """
    width, height = image.size
    channels = image.channels
    if not width or not height or not channels:
        raise PictureError(f"The image {image.name} has no pixels: choose another one, or its file again")
    flat = np.empty(width * height * channels, np.float32)
    image.pixels.foreach_get(flat)
    pixels = flat.reshape(height, width, channels)[::-1]
    colours = np.repeat(pixels[..., :1], 3, axis=-1) if channels < 3 else pixels[..., :3]
    # Blender holds 8-bit pictures as they are encoded, and float ones as linear light.
    rgb = srgb8(colours) if image.is_float else np.round(np.clip(colours, 0, 1) * 255).astype(np.uint8)
    if channels < 4 or not (pixels[..., 3] < 1).any():
        return rgb
    alpha = np.round(np.clip(pixels[..., 3:], 0, 1) * 255).astype(np.uint8)
    return np.concatenate([rgb, alpha], axis=-1)


def _movie_frame(image: bpy.types.Image, frame: int) -> bytes:
    """A frame of a movie as PNG; Blender hands out pixels of movies only through a rendering."""
    path = _path(image)
    if not path.is_file():
        raise PictureError(f"There is no movie {path}: choose the file again")
    try:
        with tempfile.TemporaryDirectory() as folder, _movie_scene(path, frame) as scene:
            scene.render.filepath = str(Path(folder) / "frame.png")
            bpy.ops.render.render(write_still=True, scene=scene.name)
            return (Path(folder) / "frame.png").read_bytes()
    except OSError as error:
        raise PictureError(
            f"The frame of {path.name} cannot be kept ({error.strerror}): make room in the temporary folder"
        ) from None


@contextmanager
def _movie_scene(path: Path, frame: int) -> Iterator[bpy.types.Scene]:
    """A scene for a moment that shows one frame of a movie in its own size and colours."""
    scene = bpy.data.scenes.new("Splinescape movie frame")
    try:
        editor = scene.sequence_editor_create()
        strips = editor.strips if hasattr(editor, "strips") else editor.sequences  # 4.4 renamed them
        strip = strips.new_movie("movie", str(path), 1, 1)
        # A rendering of another scene is one of the current scene's frame: the movie is moved there.
        strip.frame_start = bpy.context.scene.frame_current + 1 - min(max(frame, 1), strip.frame_duration)
        element = strip.elements[0]
        if not element.orig_width:
            raise PictureError(f"The movie {path.name} cannot be read: choose another file")
        scene.render.resolution_x, scene.render.resolution_y = element.orig_width, element.orig_height
        scene.render.resolution_percentage = 100
        scene.view_settings.view_transform = "Standard"
        scene.render.image_settings.file_format = "PNG"
        scene.render.image_settings.color_mode = "RGB"
        yield scene
    finally:
        bpy.data.scenes.remove(scene)
