"""Robust affine fit between two inverse-depth maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import njit, run_chunks

_MIN_SAMPLES = 10
_ROUNDS = 50
_SUBSET = 20_000
_PAIRS = 256
_PROBES = 1000


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
    start = _least_median(x, y)
    if start is None:
        return _ratio(source, target)
    scale, shift = start
    line, mean = _Line(x, y), y.mean()
    for _ in range(_ROUNDS):
        sigma = max(1.4826 * line.residual_median(scale, shift), 1e-6)
        new = line.fitted(4.685 * sigma)
        done = abs(new[0] - scale) < 1e-9 * abs(scale) and abs(new[1] - shift) < 1e-9 * mean
        scale, shift = new
        if done:
            break
    if not np.isfinite(scale) or scale <= 0:
        return _ratio(source, target)
    return AffineFit(float(scale), float(shift), float((line.weights > 0).mean()))


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
    medians = np.empty(len(slope))
    run_chunks(_residual_medians, len(slope), slope, shift, x[probe], y[probe], medians, smallest=2)
    best = int(np.argmin(medians))
    return float(slope[best]), float(shift[best])


class _Line:
    """Re-weighted least squares; its passes over the samples write where the last ones wrote.

    The samples are few enough for one thread: handing parts of them to others would cost more than it gains.
    """

    def __init__(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        self._x, self._y = x, y
        self._residual, self._size = np.empty_like(x), np.empty_like(x)
        self.weights = np.ones_like(x)

    def residual_median(self, scale: float, shift: float) -> float:
        """Median size of the residuals, relative to the target."""
        _residuals(self._x, self._y, scale, shift, self._residual, self._size)
        return float(np.median(self._size))

    def fitted(self, cut: float) -> tuple[float, float]:
        """The line after weighting by Tukey's biweight, zero from a residual of `cut` on."""
        scale, shift = _weighted_line(self._x, self._y, self._residual, cut, self.weights)
        return float(scale), float(shift)


@njit
def _residual_medians(start, stop, slope, shift, x, y, medians):  # type: ignore[no-untyped-def]
    sizes = np.empty(len(x))
    for k in range(start, stop):
        for i in range(len(x)):
            sizes[i] = abs(slope[k] * x[i] + shift[k] - y[i]) / y[i]
        medians[k] = np.median(sizes)


@njit
def _residuals(x, y, scale, shift, residual, size):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        residual[i] = (scale * x[i] + shift - y[i]) / y[i]
        size[i] = abs(residual[i])


@njit
def _weighted_line(x, y, residual, cut, weights):  # type: ignore[no-untyped-def]
    """Scale (nan where all x are alike) and shift; moments are taken about the means, which loses no digits."""
    total = sx = sy = 0.0
    for i in range(len(x)):
        ratio = residual[i] / cut
        inside = max(1.0 - ratio * ratio, 0.0)
        weights[i] = inside * inside
        share = weights[i] / (y[i] * y[i])
        total, sx, sy = total + share, sx + share * x[i], sy + share * y[i]
    if total <= 0:
        return np.nan, np.nan
    mx, my = sx / total, sy / total
    sxx = sxy = 0.0
    for i in range(len(x)):
        share = weights[i] / (y[i] * y[i])
        dx = x[i] - mx
        sxx, sxy = sxx + share * dx * dx, sxy + share * dx * (y[i] - my)
    scale = sxy / sxx if sxx > 0 else np.nan
    return scale, my - scale * mx


def _ratio(source: NDArray[np.floating], target: NDArray[np.floating]) -> AffineFit:
    return AffineFit(float(np.median(target / source)), 0.0, 1.0)
