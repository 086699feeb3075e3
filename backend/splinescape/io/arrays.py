"""From the plain arrays of any splat file to checked `SplatArrays`, and back to bytes."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from splinescape.io.quats import unit_quats
from splinescape.io.splat_arrays import Floats, SplatArrays, all_finite

_log = logging.getLogger(__name__)

MAX_LOG_SCALE = 88.0
"""Above this, exp(log_scale) is no float32."""

MAX_LOGIT = 16.0
"""Stands for an opacity of exactly 1 (an infinite logit); sigmoid(16) = 1 - 1.1e-7."""


def logits_from_bytes(opacity: NDArray[np.uint8]) -> Floats:
    """Logits of opacities stored as 0..255; the two ends become infinite, which `checked_splats` replaces."""
    with np.errstate(divide="ignore"):
        return np.log(opacity.astype(np.float32)) - np.log(255 - opacity.astype(np.float32))


def to_bytes(values: NDArray[np.floating], scale: float, offset: float) -> NDArray[np.uint8]:
    """Round values * scale + offset to the nearest integer and clamp to 0..255."""
    return np.rint(values.astype(np.float64) * scale + offset).clip(0, 255).astype(np.uint8)


def checked_splats(
    means: NDArray[np.floating],
    log_scales: NDArray[np.floating],
    quats: NDArray[np.floating],
    opacity_logits: NDArray[np.floating],
    sh: NDArray[np.floating],
    *,
    source: str,
) -> tuple[SplatArrays, int]:
    """Make `SplatArrays` from what a file holds; shapes as there, any float type.

    Infinite logits (opacity exactly 0 or 1, which some tools write) become +-MAX_LOGIT; splats with any other
    number that is not finite, or with an infinite scale, are left out with a warning.

    Returns:
        The splats, and how many were left out.
    """
    infinite = np.isinf(opacity_logits)
    if infinite.any():
        opacity_logits = np.where(infinite, np.copysign(MAX_LOGIT, opacity_logits), opacity_logits)
    with np.errstate(over="ignore", invalid="ignore"):
        columns = [c.astype(np.float32, copy=False) for c in (means, log_scales, quats, opacity_logits, sh)]
    bad = _bad_rows(columns)
    if len(bad):
        columns = [np.delete(column, bad, axis=0) for column in columns]
        _log.warning(
            "%s: left out %d of %d splats with numbers that are not finite, the first is number %d",
            source,
            len(bad),
            len(means),
            bad[0],
        )
    columns[2] = unit_quats(columns[2])
    # Writable and in one piece, so that torch and Blender take them over without a copy.
    return SplatArrays(*(np.require(column, requirements=["C", "W"]) for column in columns)), len(bad)


def _bad_rows(columns: list[Floats]) -> NDArray[np.intp]:
    bad = [np.empty(0, np.intp)]
    if not columns[1].max(initial=0) <= MAX_LOG_SCALE:  # much faster than asking row by row
        bad.append(np.flatnonzero((columns[1] > MAX_LOG_SCALE).any(axis=1)))
    for column in columns:
        if not all_finite(column):
            bad.append(np.flatnonzero(~np.isfinite(column.reshape(len(column), -1)).all(axis=1)))
    return np.unique(np.concatenate(bad))
