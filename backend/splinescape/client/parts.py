"""A file that is being fetched, in memory or beside the place where it shall lie."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from pathlib import Path

import numpy as np

from splinescape.client.infos import FileInfo
from splinescape.errors import InputError

_HINTS = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some space or choose another disk",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
    errno.ENOTDIR: "choose another folder: a part of this path is a file",
    errno.EEXIST: "choose another folder: a part of this path is a file",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def cannot_write(path: Path, error: OSError) -> InputError:
    """One line that says what was wrong and what to do."""
    hint = _HINTS.get(error.errno or 0)
    return InputError(f"cannot write {path}: {error.strerror or error}" + (f"; {hint}" if hint else ""))


class PartInMemory:
    """The whole file as one piece of memory; `have` bytes of it are there and counted in `digest`."""

    old = 0

    def __init__(self, file: FileInfo) -> None:
        self.have = 0
        self.digest = hashlib.sha256()
        self._data = np.empty(file.size, np.uint8)  # unlike a bytearray it is not filled with zeros first

    def restart(self) -> None:
        """Forget what is there."""
        self.have, self.digest = 0, hashlib.sha256()

    def append(self, data: memoryview) -> None:
        """Add the next bytes."""
        self._data[self.have : self.have + len(data)] = np.frombuffer(data, np.uint8)
        self.digest.update(data)
        self.have += len(data)

    def count_old(self, length: int) -> None:
        """There is nothing from before."""

    def finish(self) -> memoryview:
        """The file's bytes, read-only."""
        return self._data.data.toreadonly()

    def close(self) -> None:
        """Nothing to let go of."""

    discard = close


class PartOnDisk:
    """`NAME.part` beside the destination; what an interrupted fetch left there is used again.

    `have` bytes are there and counted in `digest`; `old` bytes were there before, to be counted by `count_old`.
    """

    def __init__(self, dest: Path, file: FileInfo) -> None:
        """Open the part.

        Raises:
            InputError: it cannot be written, the destination is no ordinary file, or another fetch is at it.
        """
        try:
            self._dest = dest.resolve()  # through a symbolic link, so that the link stays one
            if self._dest.exists() and not self._dest.is_file():
                raise InputError(f"cannot write {dest}: it is not a regular file; choose another name")
            self._dest.parent.mkdir(parents=True, exist_ok=True)
            self._path = self._dest.with_name(self._dest.name + ".part")
            self._handle = _open_alone(self._path)
            self.old = os.fstat(self._handle).st_size
            if self.old > file.size:  # it is of another file
                self.restart()
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise InputError(f"cannot write {dest}: it is being fetched already; wait for that") from None
            raise cannot_write(dest, error) from error
        except RuntimeError as error:  # symbolic links in a circle, before Python 3.13
            raise InputError(f"cannot write {dest}: {error}") from error
        self.have = 0
        self.digest = hashlib.sha256()

    def count_old(self, length: int) -> None:
        """Count the next `length` bytes of what was there before."""
        os.lseek(self._handle, self.have, os.SEEK_SET)
        data = os.read(self._handle, min(length, self.old - self.have))
        if not data:
            self.old = self.have
        self.digest.update(data)
        self.have += len(data)

    def restart(self) -> None:
        """Forget what is there."""
        os.ftruncate(self._handle, 0)
        self.have, self.old, self.digest = 0, 0, hashlib.sha256()

    def append(self, data: memoryview) -> None:
        """Write the next bytes; raises InputError."""
        self.digest.update(data)
        try:
            os.lseek(self._handle, self.have, os.SEEK_SET)
            while data:
                written = os.write(self._handle, data)
                self.have += written
                data = data[written:]
        except OSError as error:
            raise cannot_write(self._dest, error) from error

    def finish(self) -> Path:
        """Put the file where it shall lie, at once; raises InputError."""
        if os.name == "nt":
            self.close()  # there, open files cannot be renamed; elsewhere the lock is better kept until then
        try:
            self._path.replace(self._dest)
        except OSError as error:
            raise cannot_write(self._dest, error) from error
        self.close()
        return self._dest

    def close(self) -> None:
        """Leave the part for the next time."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def discard(self) -> None:
        """Remove the part."""
        self.close()
        with contextlib.suppress(OSError):
            self._path.unlink()


def _open_alone(path: Path) -> int:
    """Open a file that no other process has open this way; raises BlockingIOError when one has."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    while True:
        handle = os.open(path, flags, 0o666)
        try:
            _lock(handle)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.stat()):
                    return handle
        except OSError:
            os.close(handle)
            raise
        os.close(handle)  # whoever had it renamed or removed it just before it was locked


def _lock(handle: int) -> None:
    """Lock a file as long as it is open, where the system can do that; raises BlockingIOError."""
    try:
        import fcntl
    except ImportError:
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError as error:
            raise BlockingIOError(errno.EAGAIN, error.strerror) from None
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # some network disks know no locks
