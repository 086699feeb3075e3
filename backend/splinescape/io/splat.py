"""The .splat format of Kevin Kwok's viewer (antimatter15): 32 bytes a splat, no header, no view dependence.

A record is x y z and three scales as float32, then red, green, blue, opacity and the quaternion wxyz as bytes
(component = byte / 128 - 1).
"""

from __future__ import annotations

import logging
import os

import numpy as np

from splinescape.errors import InputError
from splinescape.io.arrays import checked_splats, logits_from_bytes, to_bytes
from splinescape.io.atomic import atomic_file
from splinescape.io.quats import unit_quats
from splinescape.io.reading import file_size, open_input, read_exactly
from splinescape.io.splat_arrays import SH_C0, SplatArrays
from splinescape.scene.meta import SceneMeta

_log = logging.getLogger(__name__)

_RECORD = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])


def write_splat(path: str | os.PathLike[str], splats: SplatArrays) -> None:
    """Write `splats` as .splat, atomically. Spherical harmonics above degree 0 do not fit and are left out.

    Raises:
        InputError: the file cannot be written; the message says why.
    """
    if splats.sh.shape[1] > 1:
        _log.warning("%s: .splat holds no view-dependent colour; it was left out", path)
    records = np.empty(len(splats), _RECORD)
    records["mean"] = splats.means
    records["scale"] = splats.scales
    records["rgba"][:, :3] = to_bytes(splats.base_colors, 255, 0)
    records["rgba"][:, 3] = to_bytes(splats.opacities, 255, 0)
    records["quat"] = to_bytes(unit_quats(splats.quats), 128, 128)
    with atomic_file(path) as file:
        file.write(records.tobytes())


def read_splat(path: str | os.PathLike[str]) -> tuple[SplatArrays, SceneMeta]:
    """Read a .splat file. Splats with numbers that are not finite or scales below zero are left out.

    Raises:
        InputError: the file cannot be read or is no whole number of records.
    """
    with open_input(path) as file:
        size = file_size(file)
        if size % _RECORD.itemsize:
            raise InputError(
                f"its {size} bytes are no multiple of {_RECORD.itemsize}: it is cut off or no .splat file"
            )
        records = np.frombuffer(read_exactly(file, size), _RECORD)
    with np.errstate(divide="ignore", invalid="ignore"):
        # A scale of zero is a flat splat, and its logarithm has to be finite.
        log_scales = np.log(np.where(records["scale"] == 0, np.finfo(np.float32).tiny, records["scale"]))
    rgba = records["rgba"]
    splats, dropped = checked_splats(
        records["mean"],
        log_scales,
        records["quat"].astype(np.float32) / 128 - 1,
        logits_from_bytes(rgba[:, 3]),
        (rgba[:, None, :3].astype(np.float32) / 255 - 0.5) / SH_C0,
        source=str(path),
    )
    return splats, SceneMeta(dropped=dropped)
