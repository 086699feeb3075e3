"""Fetch a model file by file. Whatever moment this is killed at, nothing half received counts as complete.

A file grows as `.parts/<hash>`, named after the contents it shall have, and gets its own name when it has that hash
and is on disk. The folder gets its own name when every file has.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import BinaryIO

from splinescape.errors import CancelledError
from splinescape.models.catalogue import ModelEntry
from splinescape.models.errors import ModelError
from splinescape.models.folders import Folders, disk_errors
from splinescape.models.hub import Listing, RemoteFile, TransientError, list_files, open_file
from splinescape.models.record import (
    RECORD_NAME,
    FileRecord,
    Record,
    missing_files,
    read_record,
    write_record,
)

_PARTS = ".parts"
_BLOCK = 2**20
_TRIES = 5
_FIRST_WAIT_S = 0.5


def fetch_model(
    folders: Folders, entry: ModelEntry, on_progress: Callable[[int, int], None], cancel: threading.Event
) -> None:
    """Make a model complete; the caller holds its lock. Arguments and errors as of `ModelStore.download`."""
    _check_cancel(entry, cancel)
    with disk_errors(folders.root):
        listing = _ask(entry)
        folder = _reopen(folders, entry)
        record = _take_stock(folder, entry, listing)
        _check_space(folder, entry, listing, record)
        total = sum(file.size for file in listing.files)
        on_progress(record.size, total)
        have = {file.path for file in record.files}
        for file in listing.files:
            if file.path in have:
                continue
            show = partial(_show, on_progress, record.size, total)
            arrived = _Transfer(entry, listing.commit, file, folder, cancel).run(show)
            record = replace(record, files=(*record.files, arrived))
            write_record(folder, record)
        shutil.rmtree(folder / _PARTS)
        _sync(folder)
        folder.rename(folders.complete(entry.id))
        _sync(folders.root)


def _show(on_progress: Callable[[int, int], None], before: int, total: int, size: int) -> None:
    on_progress(before + size, total)


def _ask(entry: ModelEntry) -> Listing:
    """The files that are needed, with their sizes."""
    try:
        listing = list_files(entry)
    except TransientError as error:
        raise ModelError("unavailable", str(error)) from None
    files = tuple(f for f in listing.files if any(fnmatchcase(f.path, pattern) for pattern in entry.files))
    if not files:
        raise ModelError("not_found", f"{entry.repo} no longer has the files that {entry.id} needs")
    return Listing(listing.commit, files)


def _reopen(folders: Folders, entry: ModelEntry) -> Path:
    """The folder of the download. A damaged model becomes one, so that its good files are kept."""
    folders.check_ours(entry.id)
    complete, growing = folders.complete(entry.id), folders.partial(entry.id)
    record = read_record(complete)
    if record is None or record.local is not None or growing.exists():
        folders.discard(complete, entry.id)
    growing.parent.mkdir(parents=True, exist_ok=True)
    if complete.exists():
        complete.rename(growing)
    (growing / _PARTS).mkdir(parents=True, exist_ok=True)
    return growing


def _take_stock(folder: Path, entry: ModelEntry, listing: Listing) -> Record:
    """Write down which files are here and still wanted, and delete those that are not.

    A wanted file that nobody vouches for stays: `_Transfer` looks into it.
    """
    old = read_record(folder) or Record(entry.id, entry.repo)
    known = {file.path: file for file in old.files}
    unsure = set(missing_files(folder, old))
    keep = {RECORD_NAME, *(f"{_PARTS}/{file.key}" for file in listing.files)}
    sure = []
    for file in listing.files:
        mine = known.get(file.path)
        if mine is None or mine.key == file.key:
            keep.add(file.path)
            if mine is not None and file.path not in unsure:
                sure.append(mine)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.relative_to(folder).as_posix() not in keep:
            path.unlink()
    record = Record(entry.id, entry.repo, listing.commit, tuple(sure))
    write_record(folder, record)
    return record


def _check_space(folder: Path, entry: ModelEntry, listing: Listing, record: Record) -> None:
    have = {file.path for file in record.files}
    needed = sum(
        file.size - min(file.size, _size(folder / _PARTS / file.key) + _size(folder / file.path))
        for file in listing.files
        if file.path not in have
    )
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ModelError(
            "disk_full",
            f"{entry.id} needs {_amount(needed)} more, but {folder.parent.parent} has only {_amount(free)} free: "
            "free some space, or set SPLINESCAPE_MODELS to a folder on another disk",
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


class _Digest:
    """The hashes of the bytes seen so far, and how many they are."""

    def __init__(self, file: RemoteFile) -> None:
        self.file = file
        self.size = 0
        self.sha256 = hashlib.sha256()
        self.git = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)

    def update(self, piece: bytes) -> None:
        self.sha256.update(piece)
        if self.file.sha256 is None:
            self.git.update(piece)
        self.size += len(piece)

    def right(self) -> bool:
        """Whether these are the whole file's contents, as the hub states them."""
        got = self.git.hexdigest() if self.file.sha256 is None else self.sha256.hexdigest()
        return self.size == self.file.size and got == self.file.key


@dataclass
class _Transfer:
    """One file on its way."""

    entry: ModelEntry
    commit: str
    file: RemoteFile
    folder: Path
    cancel: threading.Event

    def run(self, on_size: Callable[[int], None]) -> FileRecord:
        """Receive what is missing, check it, and give the file its name."""
        part, target = self.folder / _PARTS / self.file.key, self.folder / self.file.path
        if target.exists() and not part.exists():  # cut off before it was written down, or damaged later
            target.replace(part)
        continued = _size(part) > 0
        digest = self._receive(part, on_size)
        if continued and not digest.right():  # the older bytes were bad, as after a power cut
            part.unlink()
            digest = self._receive(part, on_size)
        if not digest.right():
            part.unlink()
            raise ModelError(
                "unavailable",
                f"{self.file.path} of {self.entry.repo} arrived with other contents than announced and was "
                "deleted: try again",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)
        _sync(target.parent)
        return FileRecord(self.file.path, self.file.size, digest.sha256.hexdigest(), self.file.key)

    def _receive(self, part: Path, on_size: Callable[[int], None]) -> _Digest:
        """Make `part` as long as the file; connections that break are opened again where they broke."""
        with part.open("a+b") as out:
            digest = self._read_again(out, on_size)
            tries = 0
            while digest.size < self.file.size:
                before = digest.size
                try:
                    digest = self._pull(out, digest, on_size)
                except TransientError as error:
                    tries = 1 if digest.size > before else tries + 1
                    if tries > _TRIES:
                        raise ModelError("unavailable", f"{error}; what has arrived is kept") from None
                    self._wait(_FIRST_WAIT_S * 2 ** (tries - 1))
            out.flush()
            os.fsync(out.fileno())
        return digest

    def _read_again(self, out: BinaryIO, on_size: Callable[[int], None]) -> _Digest:
        """Hash what an earlier download left."""
        digest = _Digest(self.file)
        out.seek(0)
        while piece := out.read(_BLOCK):
            _check_cancel(self.entry, self.cancel)
            digest.update(piece)
            on_size(min(digest.size, self.file.size))
        return digest

    def _pull(self, out: BinaryIO, digest: _Digest, on_size: Callable[[int], None]) -> _Digest:
        """Append one answer of the hub; returns the digest of all that `out` holds then."""
        with open_file(self.entry, self.commit, self.file, digest.size) as (start, pieces):
            if start != digest.size:  # it sends the whole file, whatever it was asked for
                out.truncate(0)
                digest = _Digest(self.file)
            for piece in pieces:
                _check_cancel(self.entry, self.cancel)
                out.write(piece)
                digest.update(piece)
                if digest.size > self.file.size:
                    return digest
                on_size(digest.size)
        if digest.size < self.file.size:
            raise TransientError("the connection ended early")
        return digest

    def _wait(self, seconds: float) -> None:
        self.cancel.wait(seconds)
        _check_cancel(self.entry, self.cancel)


def _check_cancel(entry: ModelEntry, cancel: threading.Event) -> None:
    if cancel.is_set():
        raise CancelledError(f"the download of {entry.id} was stopped; what has arrived is kept")


def _sync(folder: Path) -> None:
    """Put a folder's names on disk, where the system knows such a thing."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
