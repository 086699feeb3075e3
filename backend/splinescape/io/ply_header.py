"""The header of a PLY file, read without trusting it.

Format: Greg Turk, "The PLY Polygon File Format", 1994.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from splinescape.errors import InputError

_MAX_HEADER_BYTES = 1 << 18
_MAX_PROPERTIES = 4096
_MAX_ELEMENTS = 256
_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float32": "f4", "float64": "f8",
}  # fmt: skip
_BYTE_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass
class PlyElement:
    """One element of the header: `count` rows of `properties` (name -> numpy type without byte order)."""

    name: str
    count: int
    properties: dict[str, str] = field(default_factory=dict)
    has_lists: bool = False

    def dtype(self, byte_order: str) -> np.dtype[np.void]:
        """Layout of one binary row; only for elements without lists."""
        return np.dtype([(name, byte_order + kind) for name, kind in self.properties.items()])


@dataclass(frozen=True)
class PlyHeader:
    """What the header says. `byte_order` is "<", ">" or "" for text; the data start at `data_offset`."""

    byte_order: str
    elements: list[PlyElement]
    comments: list[str]
    data_offset: int

    def element(self, name: str) -> PlyElement | None:
        """The element with this name, or None."""
        return next((e for e in self.elements if e.name == name), None)


def read_header(file: BinaryIO) -> PlyHeader:
    """Read the header at the start of `file` and leave the file at the first byte of data.

    Raises:
        InputError: not a PLY header; the message names the line.
    """
    start = file.read(_MAX_HEADER_BYTES)
    if start[:3] != b"ply" or start[3:4] not in (b"\n", b"\r"):
        raise InputError("not a PLY file: it does not start with the line 'ply'")
    newline = b"\r\n" if start[3:5] == b"\r\n" else start[3:4]
    end = start.find(newline + b"end_header" + newline)
    if end < 0:
        raise InputError(
            f"no line 'end_header' in the first {len(start)} bytes: the header is damaged or cut off"
        )
    data_offset = end + len(b"end_header") + 2 * len(newline)
    file.seek(data_offset)
    return _parse(start[:end].decode("latin-1").split(newline.decode()), data_offset)


def _parse(lines: list[str], data_offset: int) -> PlyHeader:
    byte_order: str | None = None
    elements: list[PlyElement] = []
    comments: list[str] = []
    for number, line in enumerate(lines[1:], start=2):
        words = line.split()
        try:
            match words:
                case []:
                    pass
                case ["comment" | "obj_info", *_]:
                    comments.append(line.strip().partition(" ")[2])
                case ["format", name, "1.0"] if name in _BYTE_ORDERS and byte_order is None:
                    byte_order = _BYTE_ORDERS[name]
                case ["element", name, count]:
                    if any(e.name == name for e in elements):
                        raise ValueError(f"element '{name}' comes twice")
                    if len(elements) >= _MAX_ELEMENTS:
                        raise ValueError(f"more than {_MAX_ELEMENTS} elements")
                    elements.append(PlyElement(name, _count(count)))
                case ["property", "list", length, kind, _] if (
                    length in _TYPES and kind in _TYPES and elements
                ):
                    elements[-1].has_lists = True
                case ["property", kind, name] if kind in _TYPES and elements:
                    _add_property(elements[-1], name, _TYPES[kind])
                case _:
                    raise ValueError("not a valid header line")
        except ValueError as error:
            raise InputError(f"line {number} of the header, '{line.strip()[:80]}': {error}") from None
    if byte_order is None:
        raise InputError("the header has no line 'format'")
    return PlyHeader(byte_order, elements, comments, data_offset)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError("the number of rows is not a sensible number")
    return int(text)


def _add_property(element: PlyElement, name: str, kind: str) -> None:
    if name in element.properties:
        raise ValueError(f"property '{name}' comes twice")
    if len(element.properties) >= _MAX_PROPERTIES:
        raise ValueError(f"more than {_MAX_PROPERTIES} properties")
    element.properties[name] = kind
