"""Floating point pictures on disk: the part of OpenEXR that depth frames need. Without Blender.

Scanlines of whole channels, uncompressed or ZIP; neither tiles nor several parts. Blender itself cannot give Python
the pixels of a multilayer file, and its own writer would store depth four times over.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAGIC = 20000630
_DTYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<u4"), 1: np.dtype("<f2"), 2: np.dtype("<f4")}
_LINES_PER_BLOCK = {0: 1, 2: 1, 3: 16}
_NONE, _ZIP = 0, 3
_MAX_SIDE = 65536
_MAX_PIXELS = 2**28


class ExrError(ValueError):
    """The file is not one of those that can be read; the sentence says why."""


def encode_exr(channels: Mapping[str, NDArray[np.float32]]) -> bytes:
    """An OpenEXR file (ZIP) of float channels.

    Args:
        channels: name -> (H, W) array, all of one size. "Y" alone is what programs show as grey.
    """
    names = sorted(channels)
    planes = [np.ascontiguousarray(channels[name], "<f4") for name in names]
    height, width = planes[0].shape
    head = _header(names, width, height)
    lines = np.stack(planes, axis=1)  # (H, channels, W): the order of a block's bytes
    blocks = []
    for y in range(0, height, _LINES_PER_BLOCK[_ZIP]):
        data = _packed(lines[y : y + _LINES_PER_BLOCK[_ZIP]].tobytes())
        blocks.append(struct.pack("<ii", y, len(data)) + data)
    offsets, position = [], len(head) + 8 * len(blocks)
    for block in blocks:
        offsets.append(position)
        position += len(block)
    return head + struct.pack(f"<{len(offsets)}Q", *offsets) + b"".join(blocks)


def read_exr(path: Path) -> dict[str, NDArray[np.float32]]:
    """The channels of a file as (H, W) float32 arrays, the first row on top.

    Raises:
        ExrError: it is damaged, or of a kind that is not supported.
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    try:
        return _decode(data)
    except (struct.error, IndexError, KeyError, ValueError, OverflowError, zlib.error) as error:
        raise ExrError(f"{path.name} cannot be read as a plain OpenEXR picture: {error}") from None


def _header(names: list[str], width: int, height: int) -> bytes:
    listed = b"".join(name.encode() + b"\0" + struct.pack("<iB3xii", 2, 0, 1, 1) for name in names)
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    attributes = (
        ("channels", "chlist", listed + b"\0"),
        ("compression", "compression", bytes([_ZIP])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1.0)),
        ("screenWindowCenter", "v2f", struct.pack("<2f", 0.0, 0.0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1.0)),
    )
    head = struct.pack("<ii", _MAGIC, 2)
    for name, kind, value in attributes:
        head += name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value
    return head + b"\0"


def _packed(raw: bytes) -> bytes:
    """A block as ZIP has it: even bytes before odd ones, differences, deflated; as it is where that is shorter."""
    data = np.frombuffer(raw, np.uint8)
    ordered = np.concatenate([data[::2], data[1::2]])
    differences = ordered.copy()
    differences[1:] = ordered[1:] - ordered[:-1] + np.uint8(128)
    packed = zlib.compress(differences.tobytes(), 1)
    return packed if len(packed) < len(raw) else raw


def _unpacked(data: bytes, size: int) -> bytes:
    if len(data) == size:
        return data
    differences = np.frombuffer(zlib.decompress(data), np.uint8)
    if len(differences) != size:
        raise ValueError("a block has the wrong length")
    steps = differences.astype(np.int64)
    steps[1:] -= 128
    ordered = np.cumsum(steps).astype(np.uint8)
    raw = np.empty(size, np.uint8)
    half = (size + 1) // 2
    raw[::2], raw[1::2] = ordered[:half], ordered[half:]
    return raw.tobytes()


def _decode(data: bytes) -> dict[str, NDArray[np.float32]]:
    magic, version = struct.unpack_from("<ii", data)
    if magic != _MAGIC:
        raise ValueError("it is no OpenEXR file")
    if version & 0x1A00:
        raise ValueError("it has tiles, several parts or deep pixels")
    attributes, position = _attributes(data, 8)
    names, dtypes = _channels(attributes["channels"])
    compression = attributes["compression"][0]
    lines_per_block = _LINES_PER_BLOCK[compression]
    x0, y0, x1, y1 = struct.unpack("<4i", attributes["dataWindow"])
    width, height = x1 - x0 + 1, y1 - y0 + 1
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE and width * height <= _MAX_PIXELS):
        raise ValueError("its size makes no sense")
    result = {name: np.zeros((height, width), np.float32) for name in names}
    count = -(-height // lines_per_block)
    for offset in struct.unpack_from(f"<{count}Q", data, position):
        y, size = struct.unpack_from("<ii", data, offset)
        rows = range(y - y0, min(y - y0 + lines_per_block, height))
        full = len(rows) * width * sum(dtype.itemsize for dtype in dtypes)
        block = data[offset + 8 : offset + 8 + size]
        stream = io.BytesIO(block if compression == _NONE else _unpacked(block, full))
        for row in rows:
            for name, dtype in zip(names, dtypes, strict=True):
                result[name][row] = np.frombuffer(stream.read(width * dtype.itemsize), dtype)
    return result


def _attributes(data: bytes, position: int) -> tuple[dict[str, bytes], int]:
    """Name -> value of the header's attributes, and where the header ends."""
    found = {}
    while data[position]:
        name, position = _text(data, position)
        _kind, position = _text(data, position)
        (size,) = struct.unpack_from("<i", data, position)
        found[name] = data[position + 4 : position + 4 + size]
        position += 4 + size
    return found, position + 1


def _channels(listed: bytes) -> tuple[list[str], list[np.dtype[Any]]]:
    names: list[str] = []
    dtypes: list[np.dtype[Any]] = []
    position = 0
    while listed[position]:
        name, position = _text(listed, position)
        (kind,) = struct.unpack_from("<i", listed, position)
        names.append(name)
        dtypes.append(_DTYPES[kind])
        position += 16
    return names, dtypes


def _text(data: bytes, position: int) -> tuple[str, int]:
    end = data.index(b"\0", position)
    return data[position:end].decode("utf-8", "replace"), end + 1
