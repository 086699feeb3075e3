"""A file that is being fetched, in memory or beside the place where it shall lie."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import mmap
import os
from collections.abc import Callable
from pathlib import Path

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
_FLUSH = 2**20


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
        self._data = _memory(file.size)

    def restart(self) -> None:
        """Forget what is there."""
        self.have, self.digest = 0, hashlib.sha256()

    def append(self, data: memoryview) -> None:
        """Add the next bytes."""
        self._data[self.have : self.have + len(data)] = data
        self.digest.update(data)
        self.have += len(data)

    def count_old(self, length: int) -> None:
        """There is nothing from before."""

    def finish(self) -> memoryview:
        """The file's bytes, read-only."""
        return self._data.toreadonly()

    def close(self) -> None:
        """Nothing to let go of."""

    discard = close


class PartOnDisk:
    """`NAME.part` beside the destination; what an interrupted fetch left there is used again.

    `have` bytes are there and counted in `digest`; `old` bytes were there before, to be counted by `count_old`.
    """

    def __init__(self, dest: Path, file: FileInfo, give_back: Callable[[int], None]) -> None:
        """Open the part.

        Args:
            give_back: takes over open files that are not needed any more.

        Raises:
            InputError: it cannot be written, the destination is no ordinary file, or another fetch is at it.
        """
        self._give_back = give_back
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
        self.have = self._flushed = 0
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
        """Forget what is there; raises OSError."""
        self.discard()
        self._handle = _open_alone(self._path)
        self.have = self.old = self._flushed = 0
        self.digest = hashlib.sha256()

    def append(self, data: memoryview) -> None:
        """Write the next bytes; raises InputError."""
        self.digest.update(data)
        try:
            os.lseek(self._handle, self.have, os.SEEK_SET)
            while data:
                written = os.write(self._handle, data)
                self.have += written
                data = data[written:]
            self._start_flushing()
        except OSError as error:
            raise cannot_write(self._dest, error) from error

    def _start_flushing(self) -> None:
        """Have the system begin to write to the disk, without waiting for it.

        Otherwise Linux does so for the whole file at once when it takes the place of another.
        """
        if self.have - self._flushed >= _FLUSH and hasattr(os, "posix_fadvise"):
            length = self.have - self._flushed
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._handle, self._flushed, length, os.POSIX_FADV_DONTNEED)
            self._flushed = self.have

    def finish(self) -> Path:
        """Put the file where it shall lie, at once; raises InputError."""
        before = _open_old(self._dest)
        if os.name == "nt":
            self.close()  # there, open files cannot be renamed; elsewhere the lock is better kept until then
        try:
            self._path.replace(self._dest)
        except OSError as error:
            raise cannot_write(self._dest, error) from error
        finally:
            if before is not None:
                self._give_back(before)
        self.close()
        return self._dest

    def close(self) -> None:
        """Leave the part for the next time."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def discard(self) -> None:
        """Remove the part."""
        if os.name == "nt":
            self.close()
        with contextlib.suppress(OSError):
            self._path.unlink()
        handle, self._handle = self._handle, -1
        if handle >= 0:
            self._give_back(handle)


def _memory(size: int) -> memoryview:
    """So many bytes of memory, which the system provides bit by bit as they are written; raises MemoryError."""
    if size == 0:
        return memoryview(bytearray())
    private = {} if os.name == "nt" else {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS}
    try:
        return memoryview(mmap.mmap(-1, size, **private))
    except OSError:
        raise MemoryError from None


def _open_old(path: Path) -> int | None:
    """The file that is about to be replaced, so that it does not vanish at once."""
    if os.name == "nt":
        return None
    try:
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None


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
