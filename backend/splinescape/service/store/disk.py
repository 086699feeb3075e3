"""Disks that fill up: one kind of error, and a reserve for what must be written all the same."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from splinescape.protocol.errors import ServiceError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_RESERVE_BYTES = 2**20


def is_full(error: OSError) -> bool:
    """Whether the error means that there is no room."""
    return error.errno in _FULL


def disk_full(path: Path) -> ServiceError:
    """The error of a full disk."""
    return ServiceError(
        "disk_full", f"the disk of the job store is full ({path}): delete jobs or free some space"
    )


def write_refused(path: Path, error: OSError) -> ServiceError:
    """What the service says about a system error."""
    if is_full(error):
        return disk_full(path)
    return ServiceError("internal", f"the job store cannot use {path}: {error.strerror or error}")


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn system errors of the block into ServiceError: "disk_full", or "internal" with the cause."""
    try:
        yield
    except OSError as error:
        raise write_refused(path, error) from error


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; what vanishes meanwhile counts nothing."""
    total = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    total += folder_bytes(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


class Reserve:
    """A file that only takes room: given up when the disk is full, so that jobs can still be ended and deleted."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fill(self) -> None:
        """Take the room when there is plenty of it."""
        with contextlib.suppress(OSError):
            if self._path.exists() and self._path.stat().st_size == _RESERVE_BYTES:
                return
            if shutil.disk_usage(self._path.parent).free < 4 * _RESERVE_BYTES:
                return
            # Random, or file systems that compress would keep nothing.
            self._path.write_bytes(os.urandom(_RESERVE_BYTES))

    def give_up_if_full(self) -> None:
        """Free the room when there is hardly any other: opening a database needs some."""
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self._path.parent).free < _RESERVE_BYTES // 4:
                self.give_up()

    def give_up(self) -> bool:
        """Free the room; False when there was none."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
