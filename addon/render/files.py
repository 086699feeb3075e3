"""The frames on disk: `rgb_0001.png` and `depth_0001.exr` for frame 1 of the scene. Without Blender."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..image.png import png_bytes
from .exr import encode_exr

BACKGROUND_DEPTH = 1e10
"""Depth where nothing is: what Blender's own depth pass has there. Infinity would become NaN when it is scaled."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A rendered frame.

    Attributes:
        rgb: (H, W, 3) uint8, sRGB, over black.
        depth: (H, W) float32 along the camera's axis in Blender units; infinite or huge where nothing is.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]


@dataclass(frozen=True)
class FrameFolder:
    """A folder of frames; a frame that is being replaced stays as it was until the new one is complete."""

    path: Path

    def rgb(self, number: int) -> Path:
        """The picture of a frame of the scene."""
        return self.path / f"rgb_{number:04d}.png"

    def depth(self, number: int) -> Path:
        """The depth of a frame of the scene."""
        return self.path / f"depth_{number:04d}.exr"

    @property
    def movie(self) -> Path:
        """The movie of all frames."""
        return self.path / "path.mp4"

    def has(self, number: int) -> bool:
        """Whether a frame is there, both files of it."""
        return self.rgb(number).is_file() and self.depth(number).is_file()

    def numbers(self) -> list[int]:
        """The frames that are there, in order."""
        found = (each.stem.removeprefix("rgb_") for each in self.path.glob("rgb_*.png"))
        return sorted(int(each) for each in found if each.isdigit() and self.has(int(each)))

    def write(self, number: int, frame: Frame) -> None:
        """Write a frame; the folder is made.

        Raises:
            OSError: it cannot be written; the older frame is still there.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        known = np.isfinite(frame.depth) & (frame.depth < BACKGROUND_DEPTH)
        depth = np.where(known, frame.depth, np.float32(BACKGROUND_DEPTH))
        new = (
            (self.depth(number), encode_exr({"Y": depth})),
            (self.rgb(number), png_bytes(frame.rgb)),
        )
        parts = [(_write_part(path, data), path) for path, data in new]
        for part, path in parts:
            part.replace(path)


def _write_part(path: Path, data: bytes) -> Path:
    """Write beside `path`, for `replace`; nothing is left behind when it fails."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return part
