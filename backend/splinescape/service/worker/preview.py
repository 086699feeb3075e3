"""What can be looked at while a job runs: small pictures for events, and the latest frame and splats in a folder."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from splinescape.io.atomic import atomic_file
from splinescape.io.frames import depth_preview, to_uint8
from splinescape.io.ply import write_ply
from splinescape.protocol.arrays import to_buffer
from splinescape.protocol.wire import Buffer, Message, pack
from splinescape.scene.frame import Frame
from splinescape.scene.meta import SceneMeta
from splinescape.scene.splats import Splats

FOLDER = "preview"
_LATEST = "latest.msg"
_SCENE = re.compile(r"scene_([0-9]+)\.ply\Z")
_KEPT = 2
_THUMBNAIL_SIDE = 256
_THUMBNAIL_BYTES = 32 * 2**10


def thumbnail(picture: NDArray[np.uint8]) -> bytes:
    """A JPEG of at most 256 pixels a side and 32 KiB from an (H, W, 3) or (H, W) picture."""
    image = Image.fromarray(picture)
    image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.BOX)
    for quality in (85, 60, 35, 10):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        if file.tell() <= _THUMBNAIL_BYTES:
            break
    return file.getvalue()


def depth_picture(depth_hw: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(H, W) grey, near is white, nothing there is black; the range is that of the picture itself."""
    there = depth_hw[np.isfinite(depth_hw)]
    near, far = np.percentile(there, [1, 99]) if there.size else (1.0, 2.0)
    return depth_preview(depth_hw, float(near), float(max(far, near * 1.01)))


@dataclass(frozen=True, eq=False)
class Shown:
    """A frame as it is shown to others.

    Attributes:
        role: where it came from. index: its number. frame: its picture, depth and camera.
    """

    role: str
    index: int
    frame: Frame

    def facts(self) -> dict[str, Any]:
        """What an event says about it, besides its splats."""
        return {
            "index": self.index,
            "role": self.role,
            "width": self.frame.width,
            "height": self.frame.height,
            **_camera(self.frame),
        }


def _camera(frame: Frame) -> dict[str, Any]:
    return {"K_33": frame.K_33.tolist(), "cam_T_world": frame.cam_T_world.tolist()}


class PreviewFolder:
    """The newest splats as a file, numbered by revision, and a message that shows the latest frame with them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.revision = max((number for number, _ in scenes(folder)), default=0)

    def write(self, splats: Splats, meta: SceneMeta, latest: Shown, stage: str) -> dict[str, Any]:
        """Replace the preview; whoever reads meanwhile gets the old or the new one, and may finish reading.

        Returns:
            name, size, sha256, count and revision of the file with the splats.

        Raises:
            InputError: the files cannot be written.
        """
        self.revision += 1
        path = self._folder / f"scene_{self.revision}.ply"
        write_ply(path, splats.to_arrays(), meta)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        info = {"name": path.name, "size": path.stat().st_size, "sha256": sha256, "count": len(splats)}
        content = {
            "frame": latest.index,
            "role": latest.role,
            "stage": stage,
            "revision": self.revision,
            "splats": info,
            **_camera(latest.frame),
        }
        with atomic_file(self._folder / _LATEST) as file:
            file.write(pack(Message("reply", content, buffers=_pictures(latest.frame))))
        for number, old in scenes(self._folder):
            if number <= self.revision - _KEPT:
                old.unlink(missing_ok=True)
        return {**info, "revision": self.revision}


def _pictures(frame: Frame) -> tuple[Buffer, ...]:
    return to_buffer("rgb", to_uint8(frame.rgb)), to_buffer("depth", frame.depth)


def scenes(folder: Path) -> list[tuple[int, Path]]:
    """Revision and path of the files with splats in a preview folder, newest first."""
    if not folder.is_dir():
        return []
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := _SCENE.match(path.name))]
    return sorted(found, reverse=True)
