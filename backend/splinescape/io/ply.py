"""gf.ply: splats in the PLY layout of 3D Gaussian Splatting that SuperSplat, KIRI, Blender and gsplat read.

Properties as in the code of Kerbl et al., "3D Gaussian Splatting for Real-Time Radiance Field Rendering",
2023: x y z, f_dc_*, f_rest_* (all of red, then green, then blue), opacity as logit, scale_* as natural
logarithm, rot_* wxyz. The normals of that code are always zero and are left out.
"""

from __future__ import annotations

import logging
import math
import os
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from splinescape.errors import InputError
from splinescape.io.arrays import checked_splats
from splinescape.io.atomic import atomic_file
from splinescape.io.compressed_ply import is_compressed, read_compressed
from splinescape.io.ply_data import read_rows
from splinescape.io.ply_header import PlyElement, PlyHeader, read_header
from splinescape.io.quats import unit_quats
from splinescape.io.reading import open_input
from splinescape.io.splat_arrays import SplatArrays
from splinescape.scene.meta import SceneMeta

_log = logging.getLogger(__name__)

_BLOCK_ROWS = 1 << 16
_XYZ = ["x", "y", "z"]
_DC = [f"f_dc_{i}" for i in range(3)]
_SCALES = [f"scale_{i}" for i in range(3)]
_ROTATION = [f"rot_{i}" for i in range(4)]
_SURFEL_LOG_SCALE = math.log(1e-6)


def _rest(count: int) -> list[str]:
    return [f"f_rest_{i}" for i in range(3 * count)]


def write_ply(path: str | os.PathLike[str], splats: SplatArrays, meta: SceneMeta) -> None:
    """Write `splats` as binary little-endian PLY, with `meta` in the comments of the header.

    Every number keeps its bits; only quaternions more than 1e-6 away from unit length are normalised. The
    same splats and meta always give the same bytes. An existing file is replaced at once or not at all.

    Raises:
        InputError: the file cannot be written; the message says why.
    """
    n, coefficients = splats.sh.shape[:2]
    names = _XYZ + _DC + _rest(coefficients - 1) + ["opacity"] + _SCALES + _ROTATION
    header = ["ply", "format binary_little_endian 1.0"]
    header += [f"comment {line}" for line in meta.comments()]
    header += [f"element vertex {n}", *(f"property float {name}" for name in names), "end_header", ""]
    means, log_scales, sh = splats.means, splats.log_scales, splats.sh
    logits, quats = splats.opacity_logits[:, None], unit_quats(splats.quats)
    with atomic_file(path) as file:
        file.write("\n".join(header).encode("ascii"))
        for start in range(0, n, _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            rest = sh[rows, 1:].transpose(0, 2, 1).reshape(len(means[rows]), 3 * (coefficients - 1))
            block = [means[rows], sh[rows, 0], rest, logits[rows], log_scales[rows], quats[rows]]
            file.write(np.concatenate(block, axis=1).astype("<f4", copy=False).data)


def read_ply(path: str | os.PathLike[str]) -> tuple[SplatArrays, SceneMeta]:
    """Read splats from any 3DGS PLY file: text or binary, any property order, SH 0 to 3, compressed or not.

    Properties and elements that are not of splats are ignored. Spherical harmonics above degree 3 are cut off
    and an incomplete band is left out, with a warning. 2DGS files without scale_2 get a thickness of 1e-6.
    Splats with numbers that are not finite are left out with a warning, and counted in the meta's `dropped`.
    Quaternions more than 1e-6 away from unit length are normalised; all else keeps its bits.

    Raises:
        InputError: no splats can be read; the message names the line, row or byte and the reason.
    """
    with open_input(path) as file:
        header = read_header(file)
        if is_compressed(header):
            return read_compressed(file, header, str(path))
        element = _splat_element(header)
        return _read_splats(file, header, element, str(path))


def _splat_element(header: PlyHeader) -> PlyElement:
    element = header.element("vertex")
    if element is None:
        raise InputError("it has no element 'vertex'")
    missing = [n for n in [*_XYZ, *_DC, "opacity", *_SCALES[:2], *_ROTATION] if n not in element.properties]
    if missing:
        what = "a plain point cloud or mesh, not splats" if "scale_0" in missing else "not complete splats"
        raise InputError(f"it holds {what}: {', '.join(missing)} missing")
    return element


def _sh_rest_names(element: PlyElement, source: str) -> list[list[str]]:
    """Names of the higher coefficients, [coefficient][channel], as far as whole bands up to degree 3 go."""
    stored = sum(name.startswith("f_rest_") for name in element.properties)
    per_channel = stored // 3
    whole = max(k for k in (0, 3, 8, 15) if k <= per_channel)
    complete = stored == 3 * per_channel and all(name in element.properties for name in _rest(per_channel))
    if not complete or (whole != per_channel and per_channel != 24):
        _log.warning("%s: %d f_rest properties are no whole band of harmonics: left out", source, stored)
        return []
    if whole != per_channel:
        _log.warning("%s: spherical harmonics above degree 3 left out", source)
    return [[f"f_rest_{c * per_channel + k}" for c in range(3)] for k in range(whole)]


def _read_splats(
    file: BinaryIO, header: PlyHeader, element: PlyElement, source: str
) -> tuple[SplatArrays, SceneMeta]:
    rest = _sh_rest_names(element, source)
    flat = "scale_2" not in element.properties
    groups = [_XYZ, _SCALES[: 2 if flat else 3], _ROTATION, ["opacity"], _DC + [n for ks in rest for n in ks]]
    means, log_scales, quats, logits, dc_and_rest = _gather(file, header, element, groups)
    if flat:
        log_scales = np.pad(log_scales, ((0, 0), (0, 1)), constant_values=_SURFEL_LOG_SCALE)
    sh = dc_and_rest.reshape(len(means), 1 + len(rest), 3)
    splats, dropped = checked_splats(means, log_scales, quats, logits[:, 0], sh, source=source)
    return splats, SceneMeta.from_comments(header.comments, dropped=dropped)


def _gather(
    file: BinaryIO, header: PlyHeader, element: PlyElement, groups: list[list[str]]
) -> list[NDArray[np.float32]]:
    """One (N, len(group)) array for each group of property names."""
    arrays = [np.empty((0, len(group)), np.float32) for group in groups]
    filled = 0
    names = list(element.properties)
    places = [np.array([names.index(name) for name in group]) for group in groups]
    with np.errstate(over="ignore", invalid="ignore"):
        for block in read_rows(file, header, element):
            if not filled:  # only now has the count been compared with the size of the file
                arrays = [np.empty((element.count, len(group)), np.float32) for group in groups]
                only_floats = {block.dtype[name] for name in names} == {np.dtype(np.float32)}
            # As one array, columns are picked several times faster.
            table = block.view(np.float32).reshape(len(block), -1) if only_floats else None
            for array, group, place in zip(arrays, groups, places, strict=True):
                rows = array[filled : filled + len(block)]
                if table is not None:
                    np.take(table, place, axis=1, out=rows, mode="clip")  # other modes make a copy first
                    continue
                for column, name in enumerate(group):
                    rows[:, column] = block[name]
            filled += len(block)
    return arrays
