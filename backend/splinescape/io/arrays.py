"""From the plain arrays of any splat file to checked `Splats`, and back."""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinescape.scene.splats import Splats

_log = logging.getLogger(__name__)

Floats = NDArray[np.float32]

MAX_LOG_SCALE = 88.0
"""Above this, exp(log_scale) is no float32."""

MAX_LOGIT = 16.0
"""Stands for an opacity of exactly 1 (an infinite logit); sigmoid(16) = 1 - 1.1e-7."""


def to_numpy(tensor: Tensor) -> Floats:
    """A float32 array on the CPU with the tensor's values."""
    return tensor.detach().to("cpu", torch.float32).numpy()


def unit_quats(quats: Floats) -> Floats:
    """Normalise (N, 4) quaternions, keeping every bit of those within 1e-6 of unit length.

    So a scene that is read and written again does not change. Quaternions of length zero become the identity.
    """
    norm = np.sqrt(np.einsum("ij,ij->i", quats, quats, dtype=np.float64))
    off = np.flatnonzero(~(np.abs(norm - 1) <= 1e-6))
    if not len(off):
        return quats
    quats, norm = quats.copy(), norm[off]
    quats[off] = quats[off].astype(np.float64) / np.where(norm > 0, norm, 1)[:, None]
    quats[off[norm == 0]] = (1, 0, 0, 0)
    return quats


def checked_splats(
    means: Floats, log_scales: Floats, quats: Floats, opacity_logits: Floats, sh: Floats, *, source: str
) -> tuple[Splats, int]:
    """Make `Splats` from what a file holds; shapes as in `Splats`.

    Infinite logits (opacity exactly 0 or 1, which some tools write) become +-MAX_LOGIT; splats with any other
    number that is not finite, or with an infinite scale, are left out with a warning.

    Returns:
        The splats, and how many were left out.
    """
    opacity_logits = np.where(
        np.isinf(opacity_logits), np.copysign(MAX_LOGIT, opacity_logits), opacity_logits
    )
    opacity_logits = opacity_logits.astype(np.float32, copy=False)
    columns = [means, log_scales, quats, opacity_logits, sh]
    good = log_scales.max(axis=1, initial=-np.inf) <= MAX_LOG_SCALE
    for column in columns:
        good &= np.isfinite(column.reshape(len(means), -1)).all(axis=1)
    dropped = len(good) - int(good.sum())
    if dropped:
        first = int(np.argmin(good))
        columns = [column[good] for column in columns]
        _log.warning(
            "%s: left out %d of %d splats with numbers that are not finite (the first is number %d)",
            source, dropped, len(good), first,
        )  # fmt: skip
    columns[2] = unit_quats(columns[2])
    return Splats(*(torch.from_numpy(np.ascontiguousarray(column)) for column in columns)), dropped
