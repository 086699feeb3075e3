"""Running the command line, and writing its inputs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


def splinescape_command(*arguments: str | Path) -> Sequence[str]:
    """The command line as a process of its own."""
    return [sys.executable, "-m", "splinescape.cli.main", *(str(argument) for argument in arguments)]


def write_path(file: Path, offsets: Sequence[Sequence[float]]) -> Path:
    """A camera path file with one unturned pose at each offset (x, y, z) from the input camera."""
    poses = []
    for offset in offsets:
        cam_T_world = np.eye(4)
        cam_T_world[:3, 3] = -np.asarray(offset, float)
        poses.append({"cam_T_world": cam_T_world.tolist()})
    file.write_text(json.dumps({"version": 1, "poses": poses}))
    return file
