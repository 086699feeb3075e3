"""Fitting a predicted depth map to what the scene already shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.align.affine import fit_inverse_depth
from splinescape.align.harmonic import fill_harmonic
from splinescape.scene.edges import inverse_depth, occlusion_edges

_MAX_LOG = 1.0


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
    target = inverse_depth(np.where(known_hw, known_depth_hw, np.inf).astype(np.float32))
    source = inverse_depth(predicted_hw)
    usable = known_hw & (target > 0) & (source > 0) & (confidence_hw > 0)
    fit = fit_inverse_depth(source[usable], target[usable])
    floor = 0.2 * float(source[source > 0].min()) * max(fit.scale, 1e-6) if (source > 0).any() else 1e-9
    aligned = np.where(source > 0, np.maximum(fit.scale * source + fit.shift, floor), 0).astype(np.float32)
    edges = occlusion_edges(np.where(known_hw, known_depth_hw, predicted_hw).astype(np.float32))
    edges |= occlusion_edges(predicted_hw)
    residual = np.log(np.where(usable, target, 1) / np.where(usable, aligned, 1))
    steering = usable & ~edges & (np.abs(residual) <= _cutoff(residual[usable]))
    correction = fill_harmonic(residual.astype(np.float32), steering)
    w = np.where(known_hw, target, aligned * np.exp(np.clip(correction, -_MAX_LOG, _MAX_LOG)))
    with np.errstate(divide="ignore"):
        return np.where(w > 0, 1.0 / w, np.inf).astype(np.float32)


def _cutoff(residual: NDArray[np.float32]) -> float:
    """Largest residual that is still believed: six robust standard deviations, never under 5 %."""
    if residual.size == 0:
        return 0.0
    return max(0.05, 6 * 1.4826 * float(np.median(np.abs(residual - np.median(residual)))))
