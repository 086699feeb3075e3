"""A scene in progress on disk: the job, one file per completed frame, and the scene after the latest one.

Everything that the rest of the work depends on is stored, so that a run that is continued after `kill -9` gives the
same bytes as one that was never interrupted. Files are written whole or not at all.
"""

from __future__ import annotations

import hashlib
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

JOB_FILE = "job.json"
_PICTURE = "picture.png"
_SCENE = "scene.npz"
_FRAME_FIELDS = ("rgb", "depth", "confidence", "inpaint", "inpaint_wo_edge", "K_33", "cam_T_world")
_SPLAT_FIELDS = ("means", "log_scales", "quats", "opacity_logits", "sh")


class CheckpointError(InputError):
    """What lies in the folder cannot be continued: it is damaged, or of another job or version."""


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
class Scenery:
    """The scene after its latest frame.

    Attributes:
        frames: all frames so far. splats: the whole scene. fixed_colors: (N,) bool, see `Grown`.
        counts: splats that each frame brought. state: where coarse expansion stands, JSON data.
    """

    frames: list[Frame]
    splats: Splats
    fixed_colors: NDArray[np.bool_]
    counts: list[int]
    state: dict[str, Any]


class Checkpoint:
    """The folder of one job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._saved = 0

    def begin(self, job: Job) -> None:
        """Start the job here, or continue the same job that is here already.

        Raises:
            CheckpointError: another job lives in this folder, or its files are damaged.
            InputError: the folder cannot be written.
        """
        if (self.folder / JOB_FILE).exists():
            if _read_json(self.folder / JOB_FILE) != job.spec():
                raise CheckpointError(
                    f"{self.folder} holds the checkpoints of another job: choose another folder, "
                    "continue that job with --resume, or delete the folder"
                )
            return
        with atomic_file(self.folder / _PICTURE) as file:
            Image.fromarray(job.rgb).save(file, format="PNG")
        with atomic_file(self.folder / JOB_FILE) as file:
            file.write(json.dumps(job.spec(), indent=1).encode())

    def save(self, progress: Scenery) -> None:
        """Store the latest frame and the scene; raises InputError when the disk is full or not writable.

        The scene is replaced last and names the number of frames that belong to it, so a crash in between leaves
        the state after the frame before.
        """
        count = len(progress.frames)
        for index in range(count):
            if index >= self._saved:
                frame = progress.frames[index]
                _write(self._frame_path(index), {name: getattr(frame, name) for name in _FRAME_FIELDS})
        self._saved = count
        arrays = {name: getattr(progress.splats, name).numpy() for name in _SPLAT_FIELDS}
        info = json.dumps({"counts": progress.counts, "state": progress.state}).encode()
        _write(
            self.folder / _SCENE,
            {**arrays, "fixed_colors": progress.fixed_colors, "info": np.frombuffer(info, np.uint8)},
        )

    def load(self) -> Scenery | None:
        """The scene after its latest completed frame; None when there is none yet.

        Raises:
            CheckpointError: a file is damaged.
        """
        path = self.folder / _SCENE
        if not path.exists():
            return None
        try:
            arrays = _read(path)
            info = json.loads(arrays["info"].tobytes())
            splats = Splats(*(torch.from_numpy(arrays[name]) for name in _SPLAT_FIELDS))
            counts = [int(count) for count in info["counts"]]
            frames = []
            for index in range(len(counts)):
                path = self._frame_path(index)
                frames.append(
                    Frame(**{name: value for name, value in _read(path).items() if name in _FRAME_FIELDS})
                )
            self._saved = len(counts)
            return Scenery(frames, splats, arrays["fixed_colors"], counts, info["state"])
        except Exception as error:  # zipfile, numpy and json each raise their own kinds on a damaged file
            raise CheckpointError(
                f"the checkpoint {path} is damaged: delete {self.folder} and start again"
            ) from error

    def _frame_path(self, index: int) -> Path:
        return self.folder / f"frame_{index:03d}.npz"


def _write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with atomic_file(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _read(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def open_job(folder: Path) -> Job:
    """Read back the job of a checkpoint folder.

    Raises:
        InputError: there is no job, it is damaged, or another version of Splinescape made it.
    """
    if not (folder / JOB_FILE).exists():
        raise InputError(f"there is nothing to resume in {folder}: it holds no {JOB_FILE}")
    spec = _read_json(folder / JOB_FILE)
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


def change_engines(folder: Path, engines: Mapping[str, str]) -> bool:
    """Let the job of a checkpoint folder go on with other engines; what is finished stays as it is.

    Returns:
        Whether it had others.

    Raises:
        CheckpointError: the job is damaged, or another version of Splinescape made it.
        InputError: the folder cannot be written.
    """
    spec = _read_json(folder / JOB_FILE)
    if spec.get("version") != __version__:
        raise CheckpointError(f"it was made by Splinescape {spec.get('version')}, this is {__version__}")
    if spec.get("engines") == dict(engines):
        return False
    with atomic_file(folder / JOB_FILE) as file:
        file.write(json.dumps(spec | {"engines": dict(engines)}, indent=1).encode())
    return True


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"cannot read {path} ({error}): delete the folder and start the scene again"
        ) from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} is not a job: delete the folder and start the scene again")
    return data
