"""Where the results of a job go, checked before any long work."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from splinescape.errors import InputError
from splinescape.io.atomic import atomic_file, write_error
from splinescape.viewer.rerun_sink import RerunMode

BYTES_PER_SPLAT = 56
CHECKPOINTS = "checkpoint"
SPEC = "outputs.json"


@dataclass(frozen=True)
class Outputs:
    """What a job leaves behind, remembered beside its checkpoints so that a resumed job leaves the same.

    Attributes:
        folder: for everything that has no path of its own.
        ply: gf.ply.
        formats: suffixes without the dot of further files beside gf.ply.
        video: write a film. rerun: where the recording goes. rerun_url: of a viewer to connect to.
    """

    folder: Path
    ply: Path
    formats: tuple[str, ...] = ()
    video: bool = False
    rerun: RerunMode = "off"
    rerun_url: str = ""

    @property
    def film(self) -> Path:
        """The film."""
        return self.folder / "film.mp4"

    @property
    def recording(self) -> Path:
        """The Rerun recording."""
        return self.folder / "scene.rrd"

    @property
    def checkpoints(self) -> Path:
        """The folder of finished frames, removed when everything is written."""
        return self.folder / CHECKPOINTS

    @property
    def resumable(self) -> bool:
        """Whether the job has begun, so that `--resume` can continue it."""
        return (self.checkpoints / SPEC).exists()

    def extra(self, suffix: str) -> Path:
        """The scene in another format: gf.ply becomes gf.<suffix>."""
        return self.ply.with_name(f"{self.ply.name.removesuffix(self.ply.suffix)}.{suffix}")

    def remember(self) -> None:
        """Store this beside the checkpoints."""
        data = asdict(self) | {"folder": str(self.folder.resolve()), "ply": str(self.ply.resolve())}
        with atomic_file(self.checkpoints / SPEC) as file:
            file.write(json.dumps(data, indent=1).encode())


def recall_outputs(folder: Path) -> Outputs:
    """Read what the job in `folder` was asked to leave behind.

    Raises:
        InputError: no job was begun there, or its note is damaged.
    """
    path = folder / CHECKPOINTS / SPEC
    if not path.exists():
        raise InputError(
            f"there is nothing to resume in {folder}: give the --out folder of an unfinished job"
        )
    try:
        data = json.loads(path.read_text())
        data |= {"folder": folder, "ply": Path(data["ply"]), "formats": tuple(data["formats"])}
        return Outputs(**data)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}): start the scene again") from error


def ply_path(wanted: Path) -> Path:
    """`wanted` itself when it ends in .ply; otherwise it is a folder that gets gf.ply."""
    return wanted if wanted.suffix.lower() == ".ply" else wanted / "gf.ply"


def check_writable(folder: Path, bytes_needed: int = 0) -> None:
    """Make `folder` and try to write there.

    Raises:
        InputError: it cannot be made or written, or its disk has less than `bytes_needed` free.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(4096))
            probe.flush()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise write_error(folder, error) from error
    if free < bytes_needed:
        raise InputError(
            f"{folder} has {free / 1e6:.1f} MB free, the scene alone needs {bytes_needed / 1e6:.1f} MB: "
            "free some space or choose another folder"
        )
