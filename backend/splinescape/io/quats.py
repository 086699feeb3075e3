"""Unit quaternions in files: normalised without needless change, and packed into 32 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])


def unit_quats(quats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normalise (N, 4) quaternions, keeping every bit of those within 1e-6 of unit length.

    So a scene that is read and written again does not change. Quaternions of length zero become the identity.
    """
    norm = np.sqrt(sum(np.square(quats[:, i].astype(np.float64)) for i in range(4)))
    off = np.flatnonzero(~(np.abs(norm - 1) <= 1e-6))
    if not len(off):
        return quats
    quats, norm = quats.copy(), norm[off]
    quats[off] = quats[off].astype(np.float64) / np.where(norm > 0, norm, 1)[:, None]
    quats[off[norm == 0]] = (1, 0, 0, 0)
    return quats


def smallest_three(quats: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Split (N, 4) unit quaternions into the place of the largest component, (N,), and the others, (N, 3).

    The others are those of the equal rotation whose largest component is positive; each lies in
    [-sqrt(1/2), sqrt(1/2)]. See Glenn Fiedler, "Snapshot Compression", 2015.
    """
    largest = np.abs(quats).argmax(axis=1)
    positive = quats * np.where(np.take_along_axis(quats, largest[:, None], axis=1) < 0, -1, 1)
    return largest, np.take_along_axis(positive, _OTHERS[largest], axis=1).astype(np.float32)


def from_smallest_three(largest: NDArray[np.integer], others: NDArray[np.floating]) -> NDArray[np.float32]:
    """Undo `smallest_three`."""
    quats = np.empty((len(largest), 4), np.float32)
    np.put_along_axis(quats, _OTHERS[largest], others.astype(np.float32), axis=1)
    rest = np.sqrt(np.maximum(0, 1 - np.square(others).sum(axis=1)))
    np.put_along_axis(quats, largest.astype(np.intp)[:, None], rest.astype(np.float32)[:, None], axis=1)
    return quats


def pack_2_10_10_10(largest: NDArray[np.integer], codes: NDArray[np.integer]) -> NDArray[np.uint32]:
    """Pack a 2-bit place (N,) and three 10-bit codes (N, 3), the place in the highest bits."""
    code = codes.astype(np.uint32)
    packed = (largest.astype(np.uint32) << 30) | (code[:, 0] << 20) | (code[:, 1] << 10) | code[:, 2]
    return packed.astype(np.uint32)


def unpack_2_10_10_10(packed: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Undo `pack_2_10_10_10`."""
    codes = np.stack([packed >> 20, packed >> 10, packed], axis=1) & 1023
    return (packed >> 30).astype(np.uint32), codes.astype(np.uint32)
