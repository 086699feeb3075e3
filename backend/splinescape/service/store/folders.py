"""The folder of each job: what was asked for, what came out, and the log."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from splinescape.io.atomic import flush_to_disk
from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import unpack
from splinescape.service.store.disk import disk_errors, folder_bytes
from splinescape.service.store.trash import Trash, delete_tree

_ID = re.compile(r"[0-9a-f]{32}\Z")
_UNFINISHED = re.compile(r"\.([0-9a-f]{32})\.tmp\Z")
_TEMPORARY = re.compile(r"\..+\.tmp\Z")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_SUBMITTED = frozenset(("spec.json", "picture", "path.json"))
_PREVIEWS_KEPT = 2


@dataclass(frozen=True)
class FileInfo:
    """A file that can be fetched; the sha256 says exactly which."""

    name: str
    size: int
    sha256: str


class JobFiles:
    """All job folders: `<id>/` with spec.json, picture, path.json, preview/, results/, results.json, log.txt, ...

    Nothing that a caller names is opened as a path: ids must be ids, and a file is served when a list that the worker
    wrote contains its name and sha256.
    """

    def __init__(self, folder: Path, trash: Trash) -> None:
        self._folder = folder
        self._trash = trash
        self._read_lists: dict[Path, tuple[tuple[int, ...], list[FileInfo]]] = {}
        self._previews: dict[str, deque[FileInfo]] = {}

    def create(self, job: str, spec: dict[str, Any], picture: Path, path_json: bytes | None) -> None:
        """Make a job's folder, whole or not at all, on disk when this returns; comes before the job's row.

        Args:
            picture: a file of this store; linked where possible, otherwise copied. path_json: the camera path.

        Raises:
            ServiceError: "conflict" when there is such a folder, "disk_full", "internal".
        """
        target = self.folder(job)
        if target.exists():
            raise ServiceError("conflict", f"there is a job {job} already")
        aside = self._folder / f".{job}.tmp"
        try:
            with disk_errors(target):
                aside.mkdir(mode=0o700)
                _link_or_copy(picture, aside / "picture")
                _write(aside / "spec.json", json.dumps(spec, indent=1, allow_nan=False).encode())
                if path_json is not None:
                    _write(aside / "path.json", path_json)
                _keep_names(aside)
                aside.rename(target)
                _keep_names(self._folder)
        except BaseException:
            delete_tree(aside)
            raise

    def discard(self, job: str) -> None:
        """Delete the folder of a job that has no row: it was not accepted after all."""
        self.hide(job)
        self.forget(job)

    def folder(self, job: str) -> Path:
        """Where a job's files are; raises ServiceError("not_found") for what is no id."""
        if not _ID.match(job):
            raise ServiceError("not_found", "that is not the id of a job")
        return self._folder / job

    def ids(self) -> list[str]:
        """The jobs that have a folder."""
        with disk_errors(self._folder):
            return list(filter(_ID.match, _names(self._folder)))

    def results(self, job: str) -> list[FileInfo]:
        """What can be fetched of a job that is done; nothing before."""
        return self._list(self.folder(job) / "results.json", _listed_results)

    def read(self, job: str, name: str, sha256: str, offset: int, length: int) -> tuple[bytes, int]:
        """A part of a result or preview file, and the size of the whole.

        Raises:
            ServiceError: "not_found" when there is no such file; "superseded" when another one has its name or took
                its place; "bad_input" for a negative offset or length.
        """
        if offset < 0 or length < 0:
            raise ServiceError("bad_input", "offset and length must not be negative")
        path, info = self._fetchable(job, name, sha256)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size != info.size:
                    raise _superseded(name)
                return _part(file, size, offset, length), size
        except FileNotFoundError:
            raise _superseded(name) from None
        except OSError as error:
            raise ServiceError("internal", f"cannot read the file {name}: {error.strerror}") from error

    def _fetchable(self, job: str, name: str, sha256: str) -> tuple[Path, FileInfo]:
        places = (("results", self.results(job)), ("preview", self._preview_files(job)))
        same_name = False
        for place, files in places:
            for info in files:
                if info.name == name and info.sha256 == sha256:
                    return self.folder(job) / place / info.name, info
                same_name = same_name or info.name == name
        if same_name or re.fullmatch(r"scene_[0-9]+\.ply", name):
            raise _superseded(name)
        raise ServiceError("not_found", f"the job has no file {name!r}: ask for its results")

    def _preview_files(self, job: str) -> list[FileInfo]:
        """The splats of the preview, and those before it, which are kept for who is fetching them."""
        for info in self._list(self.folder(job) / "preview" / "latest.msg", _listed_preview):
            known = self._previews.setdefault(job, deque(maxlen=_PREVIEWS_KEPT))
            if info not in known:
                known.append(info)
        return list(self._previews.get(job, ()))

    def _list(self, path: Path, read: Any) -> list[FileInfo]:
        try:
            status = path.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            cached = self._read_lists.get(path)
            if cached is None or cached[0] != stamp:
                cached = self._read_lists[path] = (stamp, read(path.read_bytes()))
            return cached[1]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ServiceError("internal", f"cannot read {path.name} of the job: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, ServiceError):
            raise ServiceError("internal", f"{path.name} of the job is damaged") from None

    def preview(self, job: str) -> bytes | None:
        """The packed message with the latest picture, depth and splats; None before there is one."""
        return self._bytes(self.folder(job) / "preview" / "latest.msg")

    def _bytes(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ServiceError("internal", f"cannot read {path.name} of the job: {error.strerror}") from error

    def log(self, job: str, offset: int, length: int) -> tuple[bytes, int]:
        """A part of the job's log (UTF-8, may be cut inside a character) and the size of the whole."""
        path = self.folder(job) / "log.txt"
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                return _part(file, size, max(offset, 0), max(length, 0)), size
        except FileNotFoundError:
            return b"", 0
        except OSError as error:
            raise ServiceError("internal", f"cannot read the log of the job: {error.strerror}") from error

    def append_log(self, job: str, text: str) -> None:
        """Add a line to the job's log, unless that is impossible: a log stops no job."""
        with contextlib.suppress(OSError), (self.folder(job) / "log.txt").open("ab") as file:
            file.write(f"{text}\n".encode())

    def size(self, job: str) -> int:
        """Bytes of all files of a job."""
        return folder_bytes(self.folder(job))

    def tidy(self, job: str) -> None:
        """Delete the half-written files that a killed worker left; only while nobody works on the job."""
        for place, _, names in os.walk(self.folder(job)):
            for name in filter(_TEMPORARY.match, names):
                with contextlib.suppress(OSError):
                    (Path(place) / name).unlink()

    # Removal in two steps, around the removal of the row; and what a crash leaves between them.

    def hide(self, job: str) -> None:
        """First step: out of the way, but `unhide` can still bring it back."""
        with disk_errors(self.folder(job)), contextlib.suppress(FileNotFoundError):
            self.folder(job).rename(self._trash.folder / job)

    def unhide(self, job: str) -> None:
        """Undo `hide`."""
        with contextlib.suppress(OSError):
            (self._trash.folder / job).rename(self.folder(job))

    def forget(self, job: str) -> None:
        """Second step: delete it, whenever there is time."""
        self._trash.delete(self._trash.folder / job)
        for name in ("results.json", "preview/latest.msg"):
            self._read_lists.pop(self.folder(job) / name, None)
        self._previews.pop(job, None)

    def keep_names(self) -> None:
        """Make what was hidden so far survive a power failure: flushing one end of a renaming flushes it whole."""
        with disk_errors(self._folder):
            _keep_names(self._folder)

    def hidden(self) -> list[str]:
        """The jobs whose removal was begun."""
        with disk_errors(self._trash.folder):
            return list(filter(_ID.match, _names(self._trash.folder)))

    def was_never_accepted(self, job: str) -> bool:
        """Whether a folder holds only what `create` puts there."""
        with disk_errors(self.folder(job)):
            return _SUBMITTED.issuperset(_names(self.folder(job)))

    def drop_unfinished(self) -> None:
        """Delete the folders that `create` was making when the service was killed."""
        with disk_errors(self._folder):
            for name in filter(_UNFINISHED.match, _names(self._folder)):
                delete_tree(self._folder / name)


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def _listed_results(data: bytes) -> list[FileInfo]:
    return [_info(each) for each in json.loads(data)["files"]]


def _listed_preview(data: bytes) -> list[FileInfo]:
    splats = unpack(data).content["splats"]
    return [] if splats is None else [_info(splats)]


def _info(data: dict[str, Any]) -> FileInfo:
    info = FileInfo(data["name"], data["size"], data["sha256"])
    if not _PLAIN_NAME.match(info.name) or type(info.size) is not int or not isinstance(info.sha256, str):
        raise ValueError("not a file of a job")
    return info


def _part(file: BinaryIO, size: int, offset: int, length: int) -> bytes:
    file.seek(min(offset, size))
    return file.read(min(length, size))


def _superseded(name: str) -> ServiceError:
    return ServiceError(
        "superseded", f"the file {name!r} was replaced by a newer one: ask for the present one"
    )


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # this file system has no hard links, or no more for this file
        shutil.copyfile(source, target)
        flush_to_disk(target)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _keep_names(folder: Path) -> None:
    if os.name == "posix":
        flush_to_disk(folder)
