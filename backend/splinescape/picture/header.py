"""What a picture file says about itself, read without decoding anything and without numpy or Pillow.

The service refuses what cannot be used before a worker opens it. A file from anywhere may lie in every byte: a check
reads at most a few thousand short pieces, keeps none of them, and raises nothing but InputError.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from splinescape.errors import InputError
from splinescape.picture import GRID

MAX_SIDE = 65_535
MAX_DECODED_PIXELS = 2**28
"""Pixels that may be decoded at once, about 1 GiB. Baseline JPEGs are decoded smaller and may be larger."""
LOADED_PIXELS = 2**26
"""A larger picture is reduced while it is loaded, where its format can already while it is decoded."""

_MAX_STEPS = 4096
"""Segments, chunks or blocks before the picture's own data; cameras write a few hundred at most."""

_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_JPEG_WITHOUT_DATA = {*range(0xD0, 0xDA)}
_JPEG_SEGMENTS = {0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)}
_BMP_HEADERS = {40, 52, 56, 64, 108, 124}
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}


@dataclass(frozen=True)
class Header:
    """What a file promises to be.

    Attributes:
        width, height: in pixels as stored, before any EXIF turn.
        shrinks: a decoder can make it up to eight times smaller while decoding (JPEGs that are not progressive).
    """

    width: int
    height: int
    shrinks: bool = False


class _DamagedError(Exception):
    pass


def check_picture(path: Path, max_pixels: int = MAX_DECODED_PIXELS) -> tuple[int, int]:
    """Check a JPEG, PNG, TIFF, BMP, GIF or WebP file by its header; other formats are refused.

    Args:
        max_pixels: how many pixels decoding may take.

    Returns:
        Width and height as stored.

    Raises:
        InputError: it is not such a picture, is damaged, smaller than 32 px a side, or too large to decode.
    """
    try:
        with path.open("rb") as file:
            header = _read_header(path, file)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (_DamagedError, struct.error, IndexError):
        raise InputError(f"{path} is damaged: its header cannot be read; export it again") from None
    check_large_enough(path, header.width, header.height)
    check_small_enough(path, header.width, header.height, _decoded_pixels(header), max_pixels)
    return header.width, header.height


def check_large_enough(path: Path, width: int, height: int) -> None:
    """Raises InputError for a picture with a side below 32 px."""
    if min(width, height) < GRID:
        raise InputError(f"{path} is {width}x{height} px; at least {GRID}x{GRID} px are needed")


def check_small_enough(
    path: Path, width: int, height: int, decoded: int, max_pixels: int = MAX_DECODED_PIXELS
) -> None:
    """Raises InputError when a side is over 65535 px or `decoded`, the pixels to decode at once, over `max_pixels`."""
    if max(width, height) > MAX_SIDE or decoded > max_pixels:
        raise InputError(
            f"{path} is {width}x{height} px, too large to decode; "
            f"scale it down to at most {max_pixels // 10**6} megapixels first"
        )


def box_brand(head: bytes) -> str:
    """ "HEIC", "AVIF" or "" from the first 12 bytes of a file."""
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    return "HEIC" if brand in _HEIF_BRANDS else "AVIF" if brand in _AVIF_BRANDS else ""


def _decoded_pixels(header: Header) -> int:
    """How many pixels `load_picture` decodes at once."""
    divisor = 1
    if header.shrinks:
        factor = max(1.0, math.sqrt(header.width * header.height / LOADED_PIXELS))
        scale = min(side // math.ceil(side / factor) for side in (header.width, header.height))
        divisor = max(each for each in (1, 2, 4, 8) if each <= scale)
    return math.ceil(header.width / divisor) * math.ceil(header.height / divisor)


def _read_header(path: Path, file: BinaryIO) -> Header:
    head = file.read(12)
    if not head:
        raise InputError(f"{path} is empty (0 bytes); export the picture again")
    reader = _reader_of(head)
    if reader is None:
        kind = box_brand(head)
        what = f"a picture in {kind} format" if kind else "not a JPEG, PNG, WebP, TIFF, GIF or BMP picture"
        raise InputError(f"{path} is {what}; convert it to PNG or JPEG first")
    return reader(file)


def _reader_of(head: bytes) -> Callable[[BinaryIO], Header] | None:
    if head.startswith(b"\xff\xd8\xff"):
        return _jpeg
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png
    if head.startswith((b"II*\0", b"MM\0*")):
        return _tiff
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _gif
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp
    return _bmp if head.startswith(b"BM") else None


def _damaged() -> NoReturn:
    raise _DamagedError


def _jpeg(file: BinaryIO) -> Header:
    """Segments up to the start of the scan, of which exactly one is a frame."""
    file.seek(2)
    found = None
    for _ in range(_MAX_STEPS):
        if file.read(1)[0] != 0xFF:
            continue
        marker = file.read(1)[0]
        if marker == 0xFF:
            file.seek(-1, 1)  # a fill byte: the marker may follow
        elif marker == 0xDA:
            return found or _damaged()
        elif marker in _JPEG_FRAMES and found is None:
            found = _jpeg_frame(file, marker)
        elif marker in _JPEG_SEGMENTS:
            file.seek(max(struct.unpack(">H", file.read(2))[0], 2) - 2, 1)
        elif marker != 0 and marker not in _JPEG_WITHOUT_DATA:
            _damaged()
    _damaged()


def _jpeg_frame(file: BinaryIO, marker: int) -> Header:
    length, bits, height, width, layers = struct.unpack(">HBHHB", file.read(8))
    if bits != 8 or layers not in (1, 3, 4) or length < 8:
        _damaged()
    file.seek(length - 8, 1)
    return Header(width, height, shrinks=marker not in _JPEG_PROGRESSIVE)


def _png(file: BinaryIO) -> Header:
    """Chunks up to the first picture data; the first, and no other, states the size."""
    file.seek(8)
    length, kind, width, height = struct.unpack(">I4sII", file.read(16))
    if kind != b"IHDR" or length != 13:
        _damaged()
    file.seek(9, 1)
    for _ in range(_MAX_STEPS):
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"IDAT":
            return Header(width, height)
        if kind in (b"IHDR", b"IEND", b"fdAT") or not kind.isalnum():
            _damaged()
        file.seek(length + 4, 1)
    _damaged()


def _tiff(file: BinaryIO) -> Header:
    """The first directory."""
    file.seek(0)
    order = "<" if file.read(4).startswith(b"I") else ">"
    file.seek(struct.unpack(order + "I", file.read(4))[0])
    (count,) = struct.unpack(order + "H", file.read(2))
    if count > _MAX_STEPS:
        _damaged()
    size: dict[int, int] = {}
    elsewhere = 0
    entries = file.read(12 * count)
    for tag, kind, n, value in struct.iter_unpack(order + "HHI4s", entries):
        data = n * _TIFF_SIZES.get(kind, 0)
        elsewhere += data if data > 4 else 0
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT):
            if tag in size or kind not in (3, 4) or n != 1:
                _damaged()
            size[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), value)[0]
    if len(entries) < 12 * count or len(size) < 2 or elsewhere > file.seek(0, 2):
        _damaged()
    return Header(size[_TIFF_WIDTH], size[_TIFF_HEIGHT])


def _gif(file: BinaryIO) -> Header:
    """Blocks up to the first frame, which may reach beyond the stated size."""
    file.seek(6)
    width, height, flags = struct.unpack("<HHB2x", file.read(7))
    file.seek(3 << (flags & 7) + 1 if flags & 0x80 else 0, 1)
    steps = 0
    while steps < _MAX_STEPS:
        steps += 1
        kind = file.read(1)
        if kind == b",":
            left, top, wide, high = struct.unpack("<HHHHx", file.read(9))
            return Header(max(width, left + wide), max(height, top + high))
        if kind == b";":
            _damaged()
        if kind == b"!":
            file.seek(1, 1)
            steps += _skip_gif_blocks(file, _MAX_STEPS - steps)
        elif not kind:
            _damaged()
    _damaged()


def _skip_gif_blocks(file: BinaryIO, at_most: int) -> int:
    """Move behind an extension; returns how many blocks it had, at least one."""
    for count in range(at_most):
        length = file.read(1)[0]
        if length == 0:
            return count or _damaged()
        file.seek(length, 1)
    _damaged()


def _webp(file: BinaryIO) -> Header:
    file.seek(12)
    head = file.read(18)
    kind = head[:4]
    if len(head) < 18:
        _damaged()
    if kind == b"VP8 " and head[11:14] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[14:18])
        return Header(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L" and head[8] == 0x2F:
        bits = int.from_bytes(head[9:13], "little")
        return Header((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8X":
        return Header(int.from_bytes(head[12:15], "little") + 1, int.from_bytes(head[15:18], "little") + 1)
    _damaged()


def _bmp(file: BinaryIO) -> Header:
    file.seek(14)
    (size,) = struct.unpack("<I", file.read(4))
    if size == 12:
        return Header(*struct.unpack("<HH", file.read(4)))
    if size not in _BMP_HEADERS:
        _damaged()
    width, height = struct.unpack("<II", file.read(8))
    upside_down = height >> 24 == 0xFF
    return Header(width, 2**32 - height if upside_down else height)
