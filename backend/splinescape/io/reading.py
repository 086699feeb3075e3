"""Opening files that may be missing, special or not ours."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from splinescape.errors import InputError


@contextlib.contextmanager
def open_input(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a regular file for reading; errors raised inside the block get the path in front.

    Raises:
        InputError: there is no such file, or it cannot be read.
    """
    try:
        # A named pipe would block for ever when opened.
        if Path(path).exists() and not Path(path).is_file():
            raise InputError("it is not a regular file")
        with Path(path).open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except InputError as error:
        raise InputError(f"cannot read {path}: {error}") from error


def file_size(file: BinaryIO) -> int:
    """Size of an open file in bytes."""
    return os.fstat(file.fileno()).st_size


def read_exactly(file: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, which the file is known to have.

    Raises:
        InputError: the file became shorter meanwhile.
    """
    data = file.read(size)
    if len(data) < size:
        raise InputError(f"the file ended at byte {file.tell()} while it was read")
    return data
