"""The compressed PLY of PlayCanvas and SuperSplat: 16 bytes a splat, in chunks of 256 with their own ranges.

Layout as SuperSplat 2 writes it: element `chunk` with the least and greatest position, logarithm of scale and
colour; element `vertex` with four 32-bit words (position and scale 11+10+11 bits, rotation as the smallest
three components, colour and opacity 4x8 bits); element `sh` with one byte per higher coefficient in [-4, 4].
"""

from __future__ import annotations

import os
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from splinescape.errors import InputError
from splinescape.io.arrays import checked_splats, logits_from_bytes
from splinescape.io.atomic import atomic_file
from splinescape.io.ply_data import read_rows
from splinescape.io.ply_header import PlyElement, PlyHeader
from splinescape.io.quats import (
    from_smallest_three,
    pack_2_10_10_10,
    smallest_three,
    unit_quats,
    unpack_2_10_10_10,
)
from splinescape.io.splat_arrays import SH_C0, Floats, SplatArrays
from splinescape.scene.meta import SceneMeta

_CHUNK = 256
_RANGES = [
    *("min_x", "min_y", "min_z", "max_x", "max_y", "max_z"),
    *("min_scale_x", "min_scale_y", "min_scale_z", "max_scale_x", "max_scale_y", "max_scale_z"),
    *("min_r", "min_g", "min_b", "max_r", "max_g", "max_b"),
]
_WORDS = ["packed_position", "packed_rotation", "packed_scale", "packed_color"]
_MAX_ABS_LOG_SCALE = 20.0


def write_compressed_ply(path: str | os.PathLike[str], splats: SplatArrays, meta: SceneMeta) -> None:
    """Write `splats` quantised to 16 bytes each (plus one per higher SH coefficient), `meta` in the comments.

    The order of the splats changes, so that those of a chunk lie close together. Deterministic and atomic.

    Raises:
        InputError: the file cannot be written; the message says why.
    """
    splats = splats.select(_order(splats.means))
    ranges, words = _encode(splats)
    higher = _encode_sh(splats)
    header = ["ply", "format binary_little_endian 1.0", *(f"comment {line}" for line in meta.comments())]
    header += [f"element chunk {len(ranges)}", *(f"property float {name}" for name in _RANGES)]
    header += [f"element vertex {len(words)}", *(f"property uint {name}" for name in _WORDS)]
    if higher.size:
        header += [f"element sh {len(words)}"]
        header += [f"property uchar f_rest_{i}" for i in range(higher.shape[1])]
    with atomic_file(path) as file:
        file.write("\n".join([*header, "end_header", ""]).encode("ascii"))
        file.write(ranges.astype("<f4").tobytes())
        file.write(words.astype("<u4").tobytes())
        file.write(higher.tobytes())


def is_compressed(header: PlyHeader) -> bool:
    """Whether a PLY header describes this layout."""
    vertex = header.element("vertex")
    return vertex is not None and "packed_position" in vertex.properties


def read_compressed(file: BinaryIO, header: PlyHeader, source: str) -> tuple[SplatArrays, SceneMeta]:
    """Read the data behind a header for which `is_compressed` holds; `source` names the file in warnings.

    Raises:
        InputError: the file is damaged; the message says where.
    """
    vertex = _table(file, header, "vertex", _WORDS, "u4")
    # Files of SuperSplat 1 have no colour ranges: colours are in [0, 1].
    chunk_element = header.element("chunk")
    has_colors = chunk_element is not None and "min_r" in chunk_element.properties
    names = _RANGES if has_colors else _RANGES[:12]
    chunk = _table(file, header, "chunk", names, "f4")
    n = len(vertex)
    if len(chunk) != -(-n // _CHUNK):
        raise InputError(f"{n} splats need {-(-n // _CHUNK)} chunks of {_CHUNK}, but there are {len(chunk)}")
    of_splat = np.arange(n) // _CHUNK
    with np.errstate(all="ignore"):
        ranges = np.stack([chunk[name].astype(np.float64) for name in names], axis=1)
        means = _lerp(ranges[of_splat, :6], _unpack(vertex["packed_position"], (11, 10, 11)))
        log_scales = _lerp(ranges[of_splat, 6:12], _unpack(vertex["packed_scale"], (11, 10, 11)))
        color = _unpack(vertex["packed_color"], (8, 8, 8, 8))
        rgb = _lerp(ranges[of_splat, 12:], color[:, :3]) if has_colors else color[:, :3]
        dc = (rgb - 0.5) / SH_C0
    largest, codes = unpack_2_10_10_10(vertex["packed_rotation"].astype(np.uint32))
    quats = from_smallest_three(largest, (codes / 1023 - 0.5) * np.sqrt(2))
    logits = logits_from_bytes((vertex["packed_color"] & 255).astype(np.uint8))
    rest = _read_sh(file, header, n)
    sh = np.concatenate([dc[:, None], rest], axis=1)
    splats, dropped = checked_splats(means, log_scales, quats, logits, sh, source=source)
    return splats, SceneMeta.from_comments(header.comments, dropped=dropped)


def _encode(splats: SplatArrays) -> tuple[Floats, NDArray[np.uint32]]:
    """Ranges (chunks, 18) and words (N, 4) of splats that are in order."""
    log_scales = splats.log_scales.clip(-_MAX_ABS_LOG_SCALE, _MAX_ABS_LOG_SCALE)
    position, position_range = _relative(splats.means)
    scale, scale_range = _relative(log_scales)
    color, color_range = _relative(splats.base_colors)
    opacity = splats.opacities[:, None]
    largest, others = smallest_three(unit_quats(splats.quats))
    words = [
        _pack(position, (11, 10, 11)),
        pack_2_10_10_10(largest, _codes(others * np.sqrt(0.5) + 0.5, 10)),
        _pack(scale, (11, 10, 11)),
        _pack(np.concatenate([color, opacity], axis=1), (8, 8, 8, 8)),
    ]
    return np.concatenate([position_range, scale_range, color_range], axis=1), np.stack(words, axis=1)


def _encode_sh(splats: SplatArrays) -> NDArray[np.uint8]:
    """Higher coefficients in [-4, 4] as bytes (N, 3 * coefficients), all of red first."""
    rest = splats.sh[:, 1:].transpose(0, 2, 1).astype(np.float64)
    codes = np.floor(rest * 32 + 128).clip(0, 255).astype(np.uint8)
    return codes.reshape(len(splats), rest.shape[1] * rest.shape[2])


def _order(means: Floats) -> NDArray[np.int64]:
    """Order that keeps neighbours together: by octave of distance, then along a Morton curve.

    Octaves keep a far shell out of the chunks of near splats, whose positions it would make coarse.
    """
    distance = np.abs(means).max(axis=1, initial=0)
    octave = np.frexp(distance)[1]
    with np.errstate(over="ignore", invalid="ignore"):
        cells = means.astype(np.float64) / np.ldexp(1.0, octave)[:, None]
    grid = ((cells + 1) * (1 << 20)).astype(np.uint64)
    morton = (
        _spread(grid[:, 0]) | (_spread(grid[:, 1]) << np.uint64(1)) | (_spread(grid[:, 2]) << np.uint64(2))
    )
    return np.lexsort((morton, octave)).astype(np.int64)


def _spread(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Put two zero bits between the lowest 21 bits (Morton, 1966, by masks)."""
    for shift, mask in (
        (32, 0x1F00000000FFFF),
        (16, 0x1F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        values = (values | (values << np.uint64(shift))) & np.uint64(mask)
    return values


def _relative(values: Floats) -> tuple[NDArray[np.float64], Floats]:
    """Values (N, 3) relative to the range of their chunk, and the ranges (chunks, 6)."""
    starts = np.arange(0, len(values), _CHUNK)
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    sizes = np.diff(np.append(starts, len(values)))
    lows, extents = np.repeat(low, sizes, axis=0), np.repeat(high.astype(np.float64) - low, sizes, axis=0)
    relative = (values - lows.astype(np.float64)) / np.where(extents > 0, extents, 1)
    return relative, np.concatenate([low, high], axis=1)


def _codes(values: NDArray[np.floating], bits: int) -> NDArray[np.uint32]:
    top = (1 << bits) - 1
    return np.floor(values * top + 0.5).clip(0, top).astype(np.uint32)


def _pack(values: NDArray[np.floating], bits: tuple[int, ...]) -> NDArray[np.uint32]:
    word = np.zeros(len(values), np.uint32)
    for column, width in enumerate(bits):
        word = (word << np.uint32(width)) | _codes(values[:, column], width)
    return word


def _unpack(words: NDArray[np.uint32], bits: tuple[int, ...]) -> NDArray[np.float64]:
    columns, shift = [], 32
    for width in bits:
        shift -= width
        top = (1 << width) - 1
        columns.append(((words >> shift) & top) / top)
    return np.stack(columns, axis=1)


def _lerp(ranges: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = ranges[:, :3], ranges[:, 3:]
    return low * (1 - t) + high * t


def _table(file: BinaryIO, header: PlyHeader, name: str, wanted: list[str], kind: str) -> NDArray[np.void]:
    element = header.element(name)
    if element is None:
        raise InputError(f"a compressed PLY needs an element '{name}'")
    for column in wanted:
        if element.properties.get(column) != kind:
            raise InputError(f"element '{name}' needs a property '{column}' of type {np.dtype(kind).name}")
    return _all_rows(file, header, element)


def _all_rows(file: BinaryIO, header: PlyHeader, element: PlyElement) -> NDArray[np.void]:
    blocks = list(read_rows(file, header, element))
    return np.concatenate(blocks) if blocks else np.empty(0, element.dtype("="))


def _read_sh(file: BinaryIO, header: PlyHeader, n: int) -> Floats:
    element = header.element("sh")
    if element is None:
        return np.empty((n, 0, 3), np.float32)
    names = [f"f_rest_{i}" for i in range(len(element.properties))]
    if len(names) not in (9, 24, 45) or any(element.properties.get(name) != "u1" for name in names):
        raise InputError("element 'sh' needs 9, 24 or 45 properties f_rest_0, f_rest_1, ... of type uchar")
    if element.count != n:
        raise InputError(f"element 'sh' has {element.count} rows for {n} splats")
    rows = _all_rows(file, header, element)
    codes = np.stack([rows[name] for name in names], axis=1).astype(np.float32)
    values = np.where(codes == 0, -4, np.where(codes == 255, 4, (codes + 0.5) / 32 - 4)).astype(np.float32)
    return values.reshape(n, 3, -1).transpose(0, 2, 1)
