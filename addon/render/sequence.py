"""Rendered frames as images of the .blend: a sequence or a movie that follows the scene's frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import bpy

from .files import FrameFolder

Kind = Literal["rgb", "depth", "movie"]

_NAMES = {"rgb": "Splinescape Frames", "depth": "Splinescape Depth", "movie": "Splinescape Movie"}


class NoFramesError(ValueError):
    """The frames are not there; the sentence says what to do."""


@dataclass(frozen=True)
class Span:
    """The frames of the scene that a sequence covers: the first, and how many."""

    first: int
    count: int


def shown_frames(scene: bpy.types.Scene, folder: FrameFolder) -> list[int]:
    """The frames of the folder that the scene's frame range shows; all of them if it shows none.

    Raises:
        NoFramesError: there are none.
    """
    numbers = folder.numbers()
    if not numbers:
        raise NoFramesError(f"There are no frames in {folder.path} yet: render them first")
    return [each for each in numbers if scene.frame_start <= each <= scene.frame_end] or numbers


def span_of(scene: bpy.types.Scene, folder: FrameFolder) -> Span:
    """What a sequence of those frames covers.

    Raises:
        NoFramesError: there are none.
    """
    numbers = shown_frames(scene, folder)
    return Span(numbers[0], numbers[-1] - numbers[0] + 1)


def load(scene: bpy.types.Scene, folder: FrameFolder, kind: Kind) -> bpy.types.Image:
    """The scene's image of that kind, showing what is in the folder now; made once, then brought up to date.

    Raises:
        NoFramesError: there are no frames, or no movie.
    """
    span = span_of(scene, folder)
    path = {"rgb": folder.rgb(span.first), "depth": folder.depth(span.first), "movie": folder.movie}[kind]
    if not path.is_file():
        raise NoFramesError(f"There is no {path.name} in {path.parent} yet: render the frames first")
    settings = scene.splinescape.render
    image = getattr(settings, f"{kind}_image")
    if image is None:
        image = bpy.data.images.load(str(path))
        image.name = _NAMES[kind]
        setattr(settings, f"{kind}_image", image)
    image.filepath = _in_blend(path)
    image.source = "MOVIE" if kind == "movie" else "SEQUENCE"
    image.colorspace_settings.name = "Non-Color" if kind == "depth" else "sRGB"
    image.reload()
    return image


def follow_frames(user: bpy.types.ImageUser | bpy.types.Node, span: Span, movie: bool = False) -> None:
    """Have an image user, or a compositor's image node, show the file of each frame of the scene."""
    user.frame_start = span.first
    user.frame_duration = span.count
    user.frame_offset = 0 if movie else span.first - 1  # a sequence goes by the numbers of its files
    user.use_cyclic = False
    user.use_auto_refresh = True


def _in_blend(path: Path) -> str:
    """Relative to the .blend where that is possible, so that both can be moved together."""
    if not bpy.data.filepath:
        return str(path)
    try:
        return bpy.path.relpath(str(path))
    except ValueError:  # another drive on Windows
        return str(path)
