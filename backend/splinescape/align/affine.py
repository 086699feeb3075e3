"""Robust affine fit between two inverse-depth maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MIN_SAMPLES = 10
_ROUNDS = 50
_SUBSET = 200_000
_PAIRS = 512
_PROBES = 2000


@dataclass(frozen=True)
class AffineFit:
    """target = scale * source + shift, with `inliers` the share of samples that agree."""

    scale: float
    shift: float
    inliers: float


def fit_inverse_depth(source: NDArray[np.floating], target: NDArray[np.floating]) -> AffineFit:
    """Fit `target = scale * source + shift` so that outliers do not tilt it.

    Starts from the least-median line, which up to half the samples cannot bend, then re-weights with Tukey's biweight
    until it settles (Holland and Welsch 1977). Residuals are relative to the target, so that near and far surfaces
    count alike.

    Args:
        source, target: (M,) positive inverse depths.

    Returns:
        The fit; a pure scale (median ratio) when the samples are too few, constant, or ask for a negative scale;
        the identity without samples.
    """
    if len(source) < _MIN_SAMPLES:
        return AffineFit(1.0, 0.0, 0.0) if len(source) == 0 else _ratio(source, target)
    stride = max(1, len(source) // _SUBSET)
    x, y = source[::stride].astype(np.float64), target[::stride].astype(np.float64)
    if np.ptp(x) < 1e-3 * x.mean():
        return _ratio(source, target)
    line = _least_median(x, y)
    if line is None:
        return _ratio(source, target)
    scale, shift = line
    weights = np.ones_like(x)
    for _ in range(_ROUNDS):
        residual = (scale * x + shift - y) / y
        sigma = max(1.4826 * float(np.median(np.abs(residual))), 1e-6)
        weights = np.clip(1 - (residual / (4.685 * sigma)) ** 2, 0, None) ** 2
        new = _weighted_line(x, y, weights / y**2)
        done = abs(new[0] - scale) < 1e-9 * abs(scale) and abs(new[1] - shift) < 1e-9 * y.mean()
        scale, shift = new
        if done:
            break
    if not np.isfinite(scale) or scale <= 0:
        return _ratio(source, target)
    return AffineFit(float(scale), float(shift), float((weights > 0).mean()))


def _least_median(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float] | None:
    """The line through two samples with the least median relative residual (Rousseeuw 1984); breaks down at 50 %.

    The pairs are the same for the same input. None when no pair lies far enough apart.
    """
    rng = np.random.default_rng(0)
    i, j = rng.integers(0, len(x), (2, _PAIRS))
    apart = np.abs(x[i] - x[j]) > 1e-3 * np.abs(x).max()
    if not apart.any():
        return None
    i, j = i[apart], j[apart]
    slope = (y[i] - y[j]) / (x[i] - x[j])
    shift = y[i] - slope * x[i]
    probe = rng.integers(0, len(x), min(len(x), _PROBES))
    residual = np.abs(slope[:, None] * x[probe] + shift[:, None] - y[probe]) / y[probe]
    best = int(np.argmin(np.median(residual, axis=1)))
    return float(slope[best]), float(shift[best])


def _weighted_line(
    x: NDArray[np.float64], y: NDArray[np.float64], w: NDArray[np.float64]
) -> tuple[float, float]:
    total = w.sum()
    mx, my = (w @ x) / total, (w @ y) / total
    variance = w @ (x - mx) ** 2
    scale = (w @ ((x - mx) * (y - my))) / variance if variance > 0 else np.nan
    return scale, my - scale * mx


def _ratio(source: NDArray[np.floating], target: NDArray[np.floating]) -> AffineFit:
    return AffineFit(float(np.median(target / source)), 0.0, 1.0)
