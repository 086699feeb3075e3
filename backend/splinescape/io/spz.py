"""Niantic's .spz: quantised splats, compressed as one gzip stream (version 3) or as zstd streams (4).

Format: the README of the spz repository of Niantic Labs. Attributes are stored one after the other: positions
in 24-bit fixed point, opacities, colours, logarithms of scales, rotations (smallest three), harmonics. The
world of the format is x right, y up, z back, so y and z change sign against ours.
"""

from __future__ import annotations

import gzip
import logging
import os
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from splinescape.errors import InputError
from splinescape.io.arrays import checked_splats, logits_from_bytes, to_bytes
from splinescape.io.atomic import atomic_file
from splinescape.io.quats import (
    from_smallest_three,
    pack_2_10_10_10,
    smallest_three,
    unit_quats,
    unpack_2_10_10_10,
)
from splinescape.io.reading import file_size, open_input, read_exactly
from splinescape.io.splat_arrays import Floats, SplatArrays
from splinescape.io.zstd import zstd_reader
from splinescape.scene.meta import SceneMeta

_log = logging.getLogger(__name__)

_MAGIC = b"NGSP"
_GZIP_HEADER = struct.Struct("<4sIIBBBB")  # magic, version, count, SH degree, fraction bits, flags, reserved
_ZSTD_HEADER = struct.Struct("<4sIIBBBBI12x")  # the same, then the number of streams and where their table is
_ZSTD_TABLE_ROW = struct.Struct("<QQ")  # compressed and plain size of a stream
_HAS_EXTENSIONS = 2
_SH_PER_DEGREE = (0, 3, 8, 15)
_COLOR_SCALE = 0.15
_MAX_FRACTION_BITS = 16
_BOMB_BYTES = 1 << 26
_BOMB_RATIO = 100

_FLIP = np.array([1, -1, -1], np.float32)
_FLIP_QUAT = np.array([1, 1, -1, -1], np.float32)
# Sign of each higher harmonic when y and z change sign: that of its polynomial, bands 1 to 3.
_FLIP_SH = np.array([-1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], np.float32)


_Arrays = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating], Floats, Floats]


@dataclass(frozen=True)
class _Header:
    version: int
    count: int
    degree: int
    fraction_bits: int
    flags: int

    def sizes(self) -> list[int]:
        """Bytes of positions, opacities, colours, scales, rotations and harmonics."""
        per_splat = (9, 1, 3, 3, 3 if self.version == 2 else 4, 3 * _SH_PER_DEGREE[self.degree])
        return [self.count * size for size in per_splat]


def write_spz(path: str | os.PathLike[str], splats: SplatArrays) -> None:
    """Write `splats` as .spz version 3, which every reader of the format knows. Deterministic and atomic.

    Positions get as many fractional bits as the farthest splat leaves, at most 16 (15 micrometres in a scene
    of metres that reaches 128 m); scales are kept to 6 %, colours to 0.007, opacities to 0.004.

    Raises:
        InputError: a position lies outside +-8388607 or the file cannot be written; the message says why.
    """
    means = splats.means * _FLIP
    reach = float(np.abs(means).max(initial=0))
    bits = _MAX_FRACTION_BITS
    while bits > 0 and reach * 2**bits > 2**23 - 1:
        bits -= 1
    if reach > 2**23 - 1:
        raise InputError(
            f"cannot write {path}: .spz holds positions up to 8388607, not {reach:g}; write .ply"
        )
    coefficients = splats.sh.shape[1]
    header = _GZIP_HEADER.pack(_MAGIC, 3, len(splats), _SH_PER_DEGREE.index(coefficients - 1), bits, 0, 0)
    fixed = np.rint(means.astype(np.float64) * 2**bits).astype("<i4")
    sh = splats.sh
    streams = [
        fixed[:, :, None].view("u1")[:, :, :3],
        to_bytes(splats.opacities, 255, 0),
        to_bytes(sh[:, 0], 255 * _COLOR_SCALE, 127.5),
        to_bytes(splats.log_scales, 16, 160),
        _encode_quats(unit_quats(splats.quats) * _FLIP_QUAT),
        to_bytes(sh[:, 1:] * _FLIP_SH[: coefficients - 1, None], 128, 128),
    ]
    with atomic_file(path) as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as stream:
        stream.write(header)
        for data in streams:
            stream.write(np.ascontiguousarray(data).tobytes())


def read_spz(path: str | os.PathLike[str]) -> tuple[SplatArrays, SceneMeta]:
    """Read .spz version 2, 3 or 4, SH degree 0 to 3, and turn it into our world (y down, z forward).

    No more is decompressed than the header's count of splats needs.

    Raises:
        InputError: the file cannot be read, is damaged or asks for absurdly much memory.
    """
    with open_input(path) as file:
        start = file.read(4)
        file.seek(0)
        if start[:2] == b"\x1f\x8b":
            header, streams = _read_gzip(file)
        elif start == _MAGIC:
            header, streams = _read_zstd(file)
        else:
            raise InputError("not an .spz file: it begins neither with gzip nor with 'NGSP'")
        if header.flags & _HAS_EXTENSIONS:
            _log.warning("%s: extensions in this .spz file are ignored", path)
        splats, dropped = checked_splats(*_decode(header, streams), source=str(path))
    return splats, SceneMeta(dropped=dropped)


def _checked_header(header: _Header, compressed_size: int) -> _Header:
    if not 2 <= header.version <= 4:
        raise InputError(f"version {header.version} of .spz is not known; 2, 3 and 4 are")
    if header.degree > 3:
        raise InputError(f"spherical harmonics of degree {header.degree} are not supported, up to 3 are")
    if header.fraction_bits > 23:
        raise InputError(f"{header.fraction_bits} fractional bits do not fit into 24-bit positions")
    plain_size = sum(header.sizes())
    if plain_size > _BOMB_BYTES and plain_size > _BOMB_RATIO * compressed_size:
        raise InputError(
            f"the header says {header.count} splats, {plain_size} bytes, but the file has only "
            f"{compressed_size} bytes: it is damaged or made to fill the memory"
        )
    return header


def _read_gzip(file: BinaryIO) -> tuple[_Header, list[bytes]]:
    stream = gzip.GzipFile(fileobj=file, mode="rb")
    magic, version, count, degree, bits, flags, _ = _GZIP_HEADER.unpack(_inflate(stream, _GZIP_HEADER.size))
    if magic != _MAGIC:
        raise InputError("not an .spz file: the compressed data do not begin with 'NGSP'")
    if version == 4:
        raise InputError("version 4 of .spz is not compressed with gzip: the header is damaged")
    header = _checked_header(_Header(version, count, degree, bits, flags), file_size(file))
    streams = [_inflate(stream, size) for size in header.sizes()]
    if not flags & _HAS_EXTENSIONS:
        _inflate(stream, 1, at_end=True)  # the checksum is only compared at the end
    return header, streams


def _read_zstd(file: BinaryIO) -> tuple[_Header, list[bytes]]:
    size = file_size(file)
    if size < _ZSTD_HEADER.size:
        raise InputError(f"the file ends at byte {size}, before the end of its header")
    _, version, count, degree, bits, flags, n_streams, table = _ZSTD_HEADER.unpack(
        file.read(_ZSTD_HEADER.size)
    )
    if version != 4:
        raise InputError(f"version {version} of .spz has to be compressed with gzip: the header is damaged")
    header = _checked_header(_Header(version, count, degree, bits, flags), size)
    expected = header.sizes()[: 5 if degree == 0 else 6]
    if (
        n_streams != len(expected)
        or not _ZSTD_HEADER.size <= table <= size - n_streams * _ZSTD_TABLE_ROW.size
    ):
        raise InputError(f"the table of {n_streams} streams at byte {table} does not fit this file")
    file.seek(table)
    rows = [_ZSTD_TABLE_ROW.unpack(read_exactly(file, _ZSTD_TABLE_ROW.size)) for _ in expected]
    streams = []
    for number, ((packed_size, plain_size), wanted) in enumerate(zip(rows, expected, strict=True)):
        if plain_size != wanted or packed_size > size - file.tell():
            raise InputError(
                f"stream {number} at byte {file.tell()} does not have the size the header asks for"
            )
        stream, damaged = zstd_reader(read_exactly(file, packed_size))
        streams.append(_inflate(stream, plain_size, damaged))
    return header, streams + [b""] * (6 - len(streams))


def _inflate(
    stream: BinaryIO | gzip.GzipFile,
    size: int,
    damaged: type[Exception] = zlib.error,
    *,
    at_end: bool = False,
) -> bytes:
    """Decompress exactly `size` bytes; at the end of the stream there may be fewer."""
    try:
        data = stream.read(size)
    except (EOFError, OSError, damaged) as error:
        raise InputError(f"the compressed data are damaged or cut off: {error}") from error
    if len(data) < size and not at_end:
        raise InputError(f"the compressed data end {size - len(data)} bytes too early: the file is damaged")
    return data


def _decode(header: _Header, streams: list[bytes]) -> _Arrays:
    n = header.count
    position, opacity, color, scale, rotation, rest = (np.frombuffer(data, np.uint8) for data in streams)
    word = np.zeros((n, 3, 4), np.uint8)
    word[:, :, 1:] = position.reshape(n, 3, 3)  # in the upper bytes, so that the shift extends the sign
    fixed = word.view("<i4")[:, :, 0] >> 8
    means = (fixed / 2.0**header.fraction_bits).astype(np.float32) * _FLIP
    k = _SH_PER_DEGREE[header.degree]
    sh = np.empty((n, 1 + k, 3), np.float32)
    sh[:, 0] = (color.reshape(n, 3).astype(np.float32) / 255 - 0.5) / _COLOR_SCALE
    sh[:, 1:] = (rest.reshape(n, k, 3).astype(np.float32) / 128 - 1) * _FLIP_SH[:k, None]
    quats = _decode_first_three(rotation.reshape(n, 3)) if header.version == 2 else _decode_quats(rotation)
    log_scales = scale.reshape(n, 3).astype(np.float32) / 16 - 10
    return means, log_scales, quats * _FLIP_QUAT, logits_from_bytes(opacity), sh


def _encode_quats(quats: Floats) -> NDArray[np.uint8]:
    """Version 3: components in the order xyzw, each of the smaller three as sign and 9 bits."""
    largest, others = smallest_three(quats[:, [1, 2, 3, 0]])
    magnitude = np.floor(np.abs(others) * np.sqrt(2) * 511 + 0.5).clip(0, 511).astype(np.uint32)
    packed = pack_2_10_10_10(largest, magnitude | ((others < 0).astype(np.uint32) << 9))
    return packed.astype("<u4").view(np.uint8).reshape(-1, 4)


def _decode_quats(rotation: NDArray[np.uint8]) -> Floats:
    largest, codes = unpack_2_10_10_10(rotation.view("<u4"))
    values = (codes & 511) / (511 * np.sqrt(2)) * np.where(codes >> 9, -1, 1)
    return from_smallest_three(largest, values)[:, [3, 0, 1, 2]]


def _decode_first_three(rotation: NDArray[np.uint8]) -> Floats:
    """Version 2: x, y, z as bytes; w is what is missing to unit length."""
    xyz = rotation.astype(np.float32) / 127.5 - 1
    w = np.sqrt(np.maximum(0, 1 - np.square(xyz).sum(axis=1, keepdims=True)))
    return np.concatenate([w, xyz], axis=1)
