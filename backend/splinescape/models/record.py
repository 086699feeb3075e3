"""What is known about a model's files on this disk: one small JSON file in the model's folder.

{"model": "moge-vitl", "repo": "Ruicheng/moge-vitl", "commit": "979e84d...", "local": null,
 "files": [{"path": "model.pt", "size": 300000, "sha256": "...", "key": "..."}], "damaged": []}
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from splinescape.io.atomic import atomic_file

RECORD_NAME = "splinescape.json"


@dataclass(frozen=True)
class FileRecord:
    """A file that arrived whole.

    Attributes:
        path: within the repository, with forward slashes. size: in bytes. sha256: of its contents.
        key: the hash by which the hub names its contents.
    """

    path: str
    size: int
    sha256: str
    key: str


@dataclass(frozen=True)
class Record:
    """A model on this disk.

    Attributes:
        commit: of the repository; empty when the files are the user's own.
        files: those that arrived whole. damaged: paths of those that no longer have their hash.
        local: the user's own file or folder that is used instead of a download.
    """

    model: str
    repo: str
    commit: str = ""
    files: tuple[FileRecord, ...] = ()
    damaged: tuple[str, ...] = ()
    local: str | None = None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def write_record(folder: Path, record: Record) -> None:
    """Write the record of a model's folder; the old one stays until the new one is on disk.

    Raises:
        InputError: the folder cannot be written to.
    """
    with atomic_file(folder / RECORD_NAME) as file:
        file.write(json.dumps(asdict(record), indent=1).encode())


def read_record(folder: Path) -> Record | None:
    """Read the record of a model's folder; None when there is none that can be understood."""
    try:
        data = json.loads((folder / RECORD_NAME).read_bytes())
        return Record(
            model=str(data["model"]),
            repo=str(data["repo"]),
            commit=str(data["commit"]),
            files=tuple(_file(each) for each in data["files"]),
            damaged=tuple(str(path) for path in data["damaged"]),
            local=None if data["local"] is None else str(data["local"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _file(data: Any) -> FileRecord:
    return FileRecord(str(data["path"]), int(data["size"]), str(data["sha256"]), str(data["key"]))


def missing_files(folder: Path, record: Record) -> tuple[str, ...]:
    """Paths of files that are gone, have another size than recorded, or were found damaged. Reads no contents."""
    gone = {file.path for file in record.files if _size(folder / file.path) != file.size}
    return tuple(sorted(gone | set(record.damaged)))


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
