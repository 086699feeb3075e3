"""The rows of a PLY file, read in blocks, so that a file never costs more memory than what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from splinescape.errors import InputError
from splinescape.io.ply_header import PlyElement, PlyHeader
from splinescape.io.reading import file_size, read_exactly

_BLOCK_ROWS = 1 << 15
_BLOCK_BYTES = 1 << 18
"""Small enough to stay in the processor's cache while its columns are taken out."""

_MAX_LINE_BYTES = 1 << 16


def read_rows(file: BinaryIO, header: PlyHeader, element: PlyElement) -> Iterator[NDArray[np.void]]:
    """Yield the rows of `element` in blocks, as structured arrays with its properties as fields.

    Before anything is allocated, the counts in the header are compared with the size of the file.

    Raises:
        InputError: the file is too short, or a row cannot be read; the message names the row or byte.
    """
    if element.has_lists:
        raise InputError(f"element '{element.name}' has list properties, which splats do not have")
    if header.byte_order:
        yield from _binary_rows(file, header, element)
    else:
        yield from _text_rows(file, header, element)


def _before(header: PlyHeader, element: PlyElement) -> list[PlyElement]:
    return header.elements[: header.elements.index(element)]


def _binary_rows(file: BinaryIO, header: PlyHeader, element: PlyElement) -> Iterator[NDArray[np.void]]:
    offset = header.data_offset
    for other in _before(header, element):
        if other.has_lists:
            raise InputError(f"element '{other.name}' with lists comes before '{element.name}'")
        offset += other.count * other.dtype(header.byte_order).itemsize
    dtype = element.dtype(header.byte_order)
    size = file_size(file)
    needed = offset + element.count * dtype.itemsize
    if needed > size:
        raise InputError(
            f"the file ends at byte {size}, but {element.count} rows of '{element.name}' "
            f"with {dtype.itemsize} bytes each end at byte {needed}: it is cut off or damaged"
        )
    file.seek(offset)
    block_rows = max(1, _BLOCK_BYTES // max(1, dtype.itemsize))
    for start in range(0, element.count, block_rows):
        rows = min(block_rows, element.count - start)
        yield np.frombuffer(read_exactly(file, rows * dtype.itemsize), dtype)


def _text_rows(file: BinaryIO, header: PlyHeader, element: PlyElement) -> Iterator[NDArray[np.void]]:
    file.seek(header.data_offset)
    # Every value takes at least a digit and a separator, every row at least a line break.
    skipped = sum(other.count for other in _before(header, element))
    needed = skipped + 2 * element.count * len(element.properties) - 1
    left = file_size(file) - header.data_offset
    if needed > left:
        raise InputError(
            f"{element.count} rows of '{element.name}' do not fit into the {left} bytes after the header: "
            "the file is cut off or damaged"
        )
    for _ in range(skipped):
        _text_line(file)
    dtype = element.dtype("=")
    for start in range(0, element.count, _BLOCK_ROWS):
        rows = min(_BLOCK_ROWS, element.count - start)
        values = _parse_text(
            [_text_line(file) for _ in range(rows)], start, len(element.properties), element.name
        )
        block = np.empty(rows, dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            for column, name in enumerate(dtype.names or ()):
                block[name] = values[:, column]
        yield block


def _text_line(file: BinaryIO) -> bytes:
    while True:
        offset = file.tell()
        line = file.readline(_MAX_LINE_BYTES)
        if not line:
            raise InputError(f"the file ended at byte {offset}, before its last row")
        if len(line) == _MAX_LINE_BYTES and not line.endswith(b"\n"):
            raise InputError(f"a line of more than {_MAX_LINE_BYTES} bytes begins at byte {offset}")
        if line.strip():
            return line


def _parse_text(lines: list[bytes], first_row: int, columns: int, name: str) -> NDArray[np.float64]:
    where = f"rows {first_row} to {first_row + len(lines) - 1} of '{name}'"
    try:
        values = np.loadtxt(lines, comments=None, ndmin=2, encoding="latin-1")
    except ValueError as error:
        raise InputError(f"{where}: {error} (counted from row {first_row})") from None
    if values.shape != (len(lines), columns):
        raise InputError(f"{where} have {values.shape[1]} values each instead of {columns}")
    return values
