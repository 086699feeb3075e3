"""Writing files so that a crash or a full disk never destroys what was there before."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from splinescape.errors import InputError

_HINTS = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some space or choose another disk",
    errno.EFBIG: "this disk or account does not allow files of this size",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "choose another folder: a part of this path is a file",
    errno.EEXIST: "choose another folder: a part of this path is a file",
}


def write_error(path: Path, error: OSError) -> InputError:
    """Turn an OSError into one line that names the path, the cause and what to do."""
    cause = error.strerror or str(error)
    hint = _HINTS.get(error.errno or 0)
    return InputError(f"cannot write {path}: {cause}" + (f"; {hint}" if hint else ""))


def system_error_in(text: str) -> OSError | None:
    """The system error that OpenEXR only reports as text, such as "... No space left on device."."""
    return next((OSError(n, os.strerror(n)) for n in _HINTS if os.strerror(n) in text), None)


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new empty file beside `path` to fill; it takes the place of `path` when the block succeeds.

    Missing folders are created. The data are on disk (fsync) before the old file goes; when the block raises,
    the new file is removed and the old one is untouched.

    Raises:
        InputError: the file cannot be written (folder, rights, full disk) or `path` is not a regular file.
    """
    target = Path(path)
    try:
        target = target.resolve()  # through a symbolic link, so that the link stays one
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not target.is_file():
            raise InputError(f"cannot write {path}: it is not a regular file; choose another name")
        temp = target.parent / f".splinescape-{secrets.token_hex(8)}.tmp"
        temp.touch(exist_ok=False)
    except OSError as error:
        raise write_error(Path(path), error) from error
    except RuntimeError as error:  # symbolic links in a circle, before Python 3.13
        raise InputError(f"cannot write {path}: {error}") from error
    try:
        yield temp
        flush_to_disk(temp)
        temp.replace(target)
        if os.name == "posix":
            flush_to_disk(target.parent)
    except OSError as error:
        if error.filename not in (None, str(temp), str(target.parent)):
            raise  # about another file that the block uses
        raise write_error(Path(path), error) from error
    finally:
        with contextlib.suppress(OSError):
            temp.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file for writing with the promises of `atomic_path`."""
    with atomic_path(path) as temp, temp.open("r+b") as file:
        yield file


def flush_to_disk(path: Path) -> None:
    """Wait until a file, or on POSIX the names in a folder, would survive a power failure; raises OSError."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
