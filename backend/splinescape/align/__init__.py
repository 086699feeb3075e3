"""Fitting a predicted depth map to what the scene already shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.align.affine import fit_inverse_depth
from splinescape.align.harmonic import fill_harmonic
from splinescape.scene.edges import edges_of, inverse_depth

_MAX_LOG = 1.0
_SAMPLE = 2000


def align_depth(
    predicted_hw: NDArray[np.float32],
    confidence_hw: NDArray[np.float32],
    known_depth_hw: NDArray[np.float32],
    known_hw: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Return `predicted_hw` bent so that it continues the known depth.

    A robust affine fit in inverse depth on the known area, then a multiplicative correction that is exact on the
    reliable known pixels and harmonic elsewhere: it meets the boundary without a step and does not fade with the
    width of the hole. Known pixels at occlusion edges and those the fit calls outliers do not steer the correction.

    Args:
        predicted_hw: (H, W) camera z of a depth engine, +inf for sky.
        confidence_hw: (H, W) in [0, 1]; pixels at 0 are not used for the fit.
        known_depth_hw: (H, W) camera z rendered from the scene, +inf for sky; read where `known_hw`.
        known_hw: (H, W) bool.

    Returns:
        (H, W) float32 camera z: the known depth on known pixels, corrected prediction elsewhere, +inf for sky.
    """
    source = inverse_depth(predicted_hw)
    target = np.where(known_hw, inverse_depth(known_depth_hw), np.float32(0))
    usable_hw = (target > 0) & (source > 0) & (confidence_hw > 0)
    usable = np.flatnonzero(usable_hw)
    fit = fit_inverse_depth(source.take(usable), target.take(usable))
    least = float(source.min(where=source > 0, initial=np.inf))
    floor = 0.2 * least * max(fit.scale, 1e-6) if least < np.inf else 1e-9
    aligned = np.maximum(fit.scale * source + fit.shift, floor)
    residual = np.log(np.where(usable_hw, target / aligned, np.float32(1)))
    edges = edges_of(np.where(known_hw, target, source)) | edges_of(source)
    steering = usable_hw & ~edges & (np.abs(residual) <= _cutoff(residual.take(usable)))
    correction = fill_harmonic(residual, steering)
    guessed = np.flatnonzero(~known_hw)
    factor = np.exp(np.clip(correction.take(guessed), -_MAX_LOG, _MAX_LOG))
    target.reshape(-1)[guessed] = np.where(source.take(guessed) > 0, aligned.take(guessed) * factor, 0)
    with np.errstate(divide="ignore"):
        return np.divide(np.float32(1), target, dtype=np.float32)


def _cutoff(residual: NDArray[np.float32]) -> float:
    """Largest residual that is still believed: six robust standard deviations, never under 5 %."""
    if residual.size == 0:
        return 0.0
    return max(0.05, 6 * 1.4826 * float(_median(np.abs(residual - _median(residual)))))


def _median(values: NDArray[np.float32]) -> np.float32:
    """`np.median`, from the few values that a sample says are close to it."""
    sample = np.sort(values[:: max(1, values.size // _SAMPLE)])
    low, high = sample[int(0.45 * sample.size)], sample[int(0.55 * sample.size)]
    close = values[(values >= low) & (values <= high)]
    below = np.count_nonzero(values < low)
    first, last = (values.size - 1) // 2 - below, values.size // 2 - below
    if first < 0 or last >= close.size:
        return np.float32(np.median(values))
    close.partition((first, last))
    return np.float32((close[first] + close[last]) / 2)
