"""One file on its way from the hub to this disk."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from splinescape.errors import CancelledError
from splinescape.models.catalogue import ModelEntry
from splinescape.models.errors import ModelError
from splinescape.models.hub import RemoteFile, TransientError, open_file
from splinescape.models.record import FileRecord

PARTS = ".parts"
"""Folder of files that are growing, beside those that are whole."""
_BLOCK = 2**20
_TRIES = 5
_FIRST_WAIT_S = 0.5


class _Digest:
    """The hashes of the bytes seen so far, and how many they are."""

    def __init__(self, file: RemoteFile) -> None:
        self.file = file
        self.restart()

    def restart(self) -> None:
        """Forget all bytes."""
        self.size = 0
        self.sha256 = hashlib.sha256()
        self.git = hashlib.sha1(b"blob %d\0" % self.file.size, usedforsecurity=False)

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
class Transfer:
    """One file of a commit, to be put into the folder of a download."""

    entry: ModelEntry
    commit: str
    file: RemoteFile
    folder: Path
    cancel: threading.Event

    def run(self, on_size: Callable[[int], None]) -> FileRecord:
        """Receive what is missing, check it, and give the file its name."""
        part, target = self.folder / PARTS / self.file.key, self.folder / self.file.path
        if target.exists() and not part.exists():  # cut off before it was written down, or damaged later
            target.replace(part)
        continued = part.exists()
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
        sync_folder(target.parent)
        return FileRecord(self.file.path, self.file.size, digest.sha256.hexdigest(), self.file.key)

    def _receive(self, part: Path, on_size: Callable[[int], None]) -> _Digest:
        """Make `part` as long as the file; connections that break are opened again where they broke."""
        with part.open("a+b") as out:
            digest = self._read_again(out, on_size)
            tries = 0
            while digest.size < self.file.size:
                before = digest.size
                try:
                    self._pull(out, digest, on_size)
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
            check_cancel(self.entry, self.cancel)
            digest.update(piece)
            on_size(min(digest.size, self.file.size))
        return digest

    def _pull(self, out: BinaryIO, digest: _Digest, on_size: Callable[[int], None]) -> None:
        """Append one answer of the hub; `digest` is always that of all that `out` holds."""
        with open_file(self.entry, self.commit, self.file, digest.size) as (start, pieces):
            if start != digest.size:  # it sends the whole file, whatever it was asked for
                out.truncate(0)
                digest.restart()
            for piece in pieces:
                check_cancel(self.entry, self.cancel)
                out.write(piece)
                digest.update(piece)
                if digest.size > self.file.size:
                    return
                on_size(digest.size)
        if digest.size < self.file.size:
            raise TransientError("the connection ended early")

    def _wait(self, seconds: float) -> None:
        self.cancel.wait(seconds)
        check_cancel(self.entry, self.cancel)


def check_cancel(entry: ModelEntry, cancel: threading.Event) -> None:
    """Raise CancelledError when the event is set."""
    if cancel.is_set():
        raise CancelledError(f"the download of {entry.id} was stopped; what has arrived is kept")


def sync_folder(folder: Path) -> None:
    """Put a folder's names on disk, where the system knows such a thing."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
