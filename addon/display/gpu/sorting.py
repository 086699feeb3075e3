"""The order in which splats are drawn: the farthest first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .packing import PackedSplats

Matrix = NDArray[np.float64]

_NOISE = 3e-6


def camera_depths(clouds: Sequence[PackedSplats], cam_T_objects: Sequence[Matrix]) -> NDArray[np.float32]:
    """(N,) camera z (positive in front) of the splats of all clouds, one after the other.

    Args:
        cam_T_objects: a (4, 4) for each cloud into an OpenGL camera, which looks along -z.
    """
    depths = [_depths(c, -m[2]) for c, m in zip(clouds, cam_T_objects, strict=True)]
    return np.concatenate([np.zeros(0), *depths]).astype(np.float32)


def _depths(cloud: PackedSplats, row: NDArray[np.float64]) -> NDArray[np.float64]:
    """Depths of one cloud, summed without what float32 matrices leave where a camera looks along an axis.

    Scenes made from a picture have walls of splats at one depth, which must come in the order of the file.
    """
    axis = np.where(np.abs(row[:3]) < _NOISE * np.abs(row[:3]).max(), 0, row[:3])
    return cloud.centres @ axis + row[3]


def far_to_near(depths: NDArray[np.float32]) -> NDArray[np.intp]:
    """(N,) indices, the greatest depth first; of equal depths the later index first.

    Two passes of numpy's radix sort for 16 bits, which takes a fifth of the time of a sort of floats.
    """
    bits = depths.view(np.uint32)
    # Floats in the order of unsigned integers: flip the sign of what is positive, all bits of what is not.
    keys = bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))
    halves = keys.astype("<u4", copy=False).view("<u2").reshape(-1, 2)
    order = np.argsort(halves[:, 0], kind="stable")
    return order[np.argsort(halves[order, 1], kind="stable")][::-1]
