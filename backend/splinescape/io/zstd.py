"""Zstandard from whichever package there is: Python's own, its backport, or the one that Blender brings."""

from __future__ import annotations

import io
from typing import Any

from splinescape.errors import InputError


def zstd_reader(packed: bytes) -> tuple[Any, type[Exception]]:
    """A stream whose `read(size)` decompresses `packed`, and the exception it raises for damaged data.

    Raises:
        InputError: this Python has no zstd; the message says what to install.
    """
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # Python 3.14
    except ImportError:
        try:
            from backports import zstd
        except ImportError:
            return _third_party(packed)
    return zstd.ZstdFile(io.BytesIO(packed)), zstd.ZstdError


def _third_party(packed: bytes) -> tuple[Any, type[Exception]]:
    try:
        import zstandard  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise InputError(
            "version 4 of .spz is compressed with zstd, which this Python lacks: install the package zstandard, "
            "or save the file as .ply or as .spz version 3"
        ) from None
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)), zstandard.ZstdError
