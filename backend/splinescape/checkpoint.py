"""A scene in progress on disk: the job, and one file per completed frame.

Everything that the rest of the work depends on is stored, so that a run that is continued after `kill -9` gives the
same bytes as one that was never interrupted. Files are written whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from splinescape import __version__
from splinescape.camera.path import CameraPath
from splinescape.config import SceneConfig
from splinescape.errors import InputError
from splinescape.io.atomic import atomic_file
from splinescape.scene.frame import Frame
from splinescape.scene.splats import Splats

_JOB = "job.json"
_PICTURE = "picture.png"
_FRAME_FIELDS = ("rgb", "depth", "confidence", "inpaint", "inpaint_wo_edge", "K_33", "cam_T_world")
_SPLAT_FIELDS = ("means", "log_scales", "quats", "opacity_logits", "sh")


@dataclass(frozen=True, eq=False)
class Job:
    """What was asked for.

    Attributes:
        rgb: (H, W, 3) uint8, the picture as given to the pipeline.
        config: settings. path: the camera path, None for the spiral of the settings.
        focal_px: focal length of `rgb` in its pixels, if known.
        engines: role -> engine name.
    """

    rgb: NDArray[np.uint8]
    config: SceneConfig
    path: CameraPath | None
    focal_px: float | None
    engines: Mapping[str, str]

    def spec(self) -> dict[str, Any]:
        """The job as JSON data; two jobs are the same exactly when their specs are equal."""
        return {
            "version": __version__,
            "config": self.config.model_dump(mode="json"),
            "path": None if self.path is None else json.loads(self.path.to_json()),
            "focal_px": self.focal_px,
            "engines": dict(self.engines),
            "picture_sha256": hashlib.sha256(np.ascontiguousarray(self.rgb).tobytes()).hexdigest(),
            "picture_size": [self.rgb.shape[1], self.rgb.shape[0]],
        }


@dataclass(frozen=True, eq=False)
class SavedFrame:
    """A frame, the splats it brought, and where the work stood after it (`state` is JSON data)."""

    frame: Frame
    splats: Splats
    state: dict[str, Any]


class Checkpoint:
    """The folder of one job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, job: Job) -> None:
        """Start the job here, or continue the same job that is here already.

        Raises:
            InputError: another job lives in this folder, its files are damaged, or the folder cannot be written.
        """
        if (self.folder / _JOB).exists():
            if _read_json(self.folder / _JOB) != job.spec():
                raise InputError(
                    f"{self.folder} holds the checkpoints of another job: choose another folder, "
                    "continue that job with --resume, or delete the folder"
                )
            return
        with atomic_file(self.folder / _PICTURE) as file:
            Image.fromarray(job.rgb).save(file, format="PNG")
        with atomic_file(self.folder / _JOB) as file:
            file.write(json.dumps(job.spec(), indent=1).encode())

    def save(self, index: int, saved: SavedFrame) -> None:
        """Store frame `index`; raises InputError when the disk is full or not writable."""
        arrays = {f"frame_{name}": getattr(saved.frame, name) for name in _FRAME_FIELDS}
        arrays |= {f"splats_{name}": getattr(saved.splats, name).numpy() for name in _SPLAT_FIELDS}
        with atomic_file(self._frame_path(index)) as file:
            np.savez(file, state=np.frombuffer(json.dumps(saved.state).encode(), np.uint8), **arrays)

    def load(self) -> list[SavedFrame]:
        """All frames stored so far, in order.

        Raises:
            InputError: a file is damaged.
        """
        frames = []
        while (path := self._frame_path(len(frames))).exists():
            frames.append(_read_frame(path))
        return frames

    def _frame_path(self, index: int) -> Path:
        return self.folder / f"frame_{index:03d}.npz"


def open_job(folder: Path) -> Job:
    """Read back the job of a checkpoint folder.

    Raises:
        InputError: there is no job, it is damaged, or another version of Splinescape made it.
    """
    if not (folder / _JOB).exists():
        raise InputError(f"there is nothing to resume in {folder}: it holds no {_JOB}")
    spec = _read_json(folder / _JOB)
    if spec.get("version") != __version__:
        raise InputError(
            f"{folder} was made by Splinescape {spec.get('version')}, this is {__version__}: start the scene again"
        )
    try:
        with Image.open(folder / _PICTURE) as picture:
            rgb = np.array(picture.convert("RGB"))
        job = Job(
            rgb=rgb,
            config=SceneConfig(**spec["config"]),
            path=None if spec["path"] is None else CameraPath.from_json(json.dumps(spec["path"])),
            focal_px=spec["focal_px"],
            engines=spec["engines"],
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"the job in {folder} is damaged ({error}): start the scene again") from error
    if job.spec()["picture_sha256"] != spec["picture_sha256"]:
        raise InputError(f"the picture in {folder} is not the one this job began with: start the scene again")
    return job


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path} ({error}): delete the folder and start the scene again") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} is not a job: delete the folder and start the scene again")
    return data


def _read_frame(path: Path) -> SavedFrame:
    try:
        data = io.BytesIO(path.read_bytes())
        with np.load(data, allow_pickle=False) as arrays:
            frame = Frame(**{name: arrays[f"frame_{name}"] for name in _FRAME_FIELDS})
            splats = Splats(*(torch.from_numpy(arrays[f"splats_{name}"]) for name in _SPLAT_FIELDS))
            state = json.loads(arrays["state"].tobytes())
    except Exception as error:  # zipfile, numpy and json each raise their own kinds on a damaged file
        raise InputError(f"the checkpoint {path} is damaged: delete it to compute that frame again") from error
    return SavedFrame(frame, splats, state)
