"""How good a predicted depth is, with simple predictors to compare with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def align_scale_shift(inverse: Array, truth: Array, valid: NDArray[np.bool_]) -> Array:
    """Depth from predicted inverse depth after the best scale and shift of inverse depth over `valid`.

    Args:
        inverse: (H, W) predicted inverse depth, any scale.
        truth: (H, W) metres.
        valid: (H, W).
    """
    a, b = inverse[valid].astype(np.float64), 1 / truth[valid].astype(np.float64)
    weight = np.ones_like(a)
    scale, shift = 1.0, 0.0
    for _ in range(4):  # re-weighted: a few wrong pixels do not decide
        m = np.stack([a, np.ones_like(a)], 1) * weight[:, None]
        scale, shift = np.linalg.lstsq(m, b * weight, rcond=None)[0]
        error = np.abs(a * scale + shift - b) / b
        weight = 1 / np.sqrt(np.maximum(error, 0.03)) / b
        weight /= weight.max()
    floor = 1 / (4 * truth[valid].max())
    return 1 / np.maximum(inverse * scale + shift, floor)


def align_scale(depth: Array, truth: Array, valid: NDArray[np.bool_]) -> Array:
    """Depth times the median ratio over `valid`."""
    return depth * np.median(truth[valid] / depth[valid])


def depth_errors(depth: Array, truth: Array, valid: NDArray[np.bool_]) -> dict[str, float]:
    """AbsRel and delta1 (share of pixels within a factor of 1.25)."""
    d, t = depth[valid], truth[valid]
    ratio = np.maximum(d / t, t / d)
    return {"absrel": float(np.mean(np.abs(d - t) / t)), "delta1": float(np.mean(ratio < 1.25))}


def edges(depth: Array, valid: NDArray[np.bool_], factor: float = 1.1) -> NDArray[np.bool_]:
    """(H, W) where depth jumps by more than this factor to the right or below, sky counting as far."""
    log = np.log(np.where(valid, depth, 1e5))
    out = np.zeros(depth.shape, bool)
    jump = np.abs(np.diff(log, axis=1)) > np.log(factor)
    out[:, :-1] |= jump
    jump = np.abs(np.diff(log, axis=0)) > np.log(factor)
    out[:-1] |= jump
    return out


def edge_f1(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], reach: int = 2) -> float:
    """F1 of edge pixels, matched within `reach` pixels."""
    if not truth.any():
        return float("nan")
    recall = float((truth & _grown(predicted, reach)).sum() / truth.sum())
    precision = float((predicted & _grown(truth, reach)).sum() / max(predicted.sum(), 1))
    return 2 * precision * recall / max(precision + recall, 1e-9)


def _grown(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    out = mask.copy()
    for _ in range(reach):
        wide = out.copy()
        wide[1:] |= out[:-1]
        wide[:-1] |= out[1:]
        wide[:, 1:] |= out[:, :-1]
        wide[:, :-1] |= out[:, 1:]
        out = wide
    return out


def rank_correlation(a: Array, b: Array) -> float:
    """Spearman's: does `a` order the pixels as `b` does?"""
    ra, rb = np.argsort(np.argsort(a)), np.argsort(np.argsort(b))
    return float(np.corrcoef(ra, rb)[0, 1])


def ramp(truth: Array, valid: NDArray[np.bool_]) -> Array:
    """(H, W) depth of the inverse depth that is linear in the row and fits best: a floor and nothing else."""
    rows = np.broadcast_to(np.arange(truth.shape[0])[:, None] / truth.shape[0], truth.shape)
    return align_scale_shift(rows + 1e-3, truth, valid)
