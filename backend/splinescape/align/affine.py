"""Robust affine fit between two inverse-depth maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import njit, run_chunks

_MIN_SAMPLES = 10
_ROUNDS = 50
_SUBSET = 200_000
_PAIRS = 512
_PROBES = 2000
_BINS = 2**15


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
    run_chunks(_residual_medians, len(slope), slope, shift, x[probe], y[probe], medians)
    best = int(np.argmin(medians))
    return float(slope[best]), float(shift[best])


class _Line:
    """Re-weighted least squares; its passes over the samples write where the last ones wrote."""

    def __init__(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        self._x, self._y = x, y
        self._residual, self._size, self._share, self._xx, self._xy = (np.empty_like(x) for _ in range(5))
        self.weights = np.ones_like(x)

    def residual_median(self, scale: float, shift: float) -> float:
        """Median size of the residuals, relative to the target."""
        run_chunks(_residuals, len(self._x), self._x, self._y, scale, shift, self._residual, self._size)
        return _median(self._size)

    def fitted(self, cut: float) -> tuple[float, float]:
        """The line after weighting by Tukey's biweight, zero from a residual of `cut` on."""
        x, y, share = self._x, self._y, self._share
        run_chunks(_biweights, len(x), self._residual, y, cut, self.weights, share)
        total = share.sum()
        mx, my = (share @ x) / total, (share @ y) / total
        run_chunks(_moments, len(x), x, y, mx, my, self._xx, self._xy)
        variance = share @ self._xx
        scale = float((share @ self._xy) / variance) if variance > 0 else np.nan
        return scale, float(my - scale * mx)


def _median(sizes: NDArray[np.float64]) -> float:
    """Median of positive numbers, as `np.median` has it, from the few that lie close to it."""
    low, high = (len(sizes) - 1) // 2, len(sizes) // 2
    counts = np.zeros(_BINS, np.int64)
    _count_sizes(sizes.view(np.int64), counts)
    below = np.cumsum(counts)
    first, last = np.searchsorted(below, [low, high], "right")
    start = below[first - 1] if first else 0
    close = np.empty(below[last] - start)
    _gather(sizes, sizes.view(np.int64), first, last, close)
    close.partition([low - start, high - start])
    return float((close[low - start] + close[high - start]) / 2)


@njit
def _count_sizes(bits, counts):  # type: ignore[no-untyped-def]
    """The bits of positive numbers are in the order of the numbers; the upper 16 tell them apart within 6 %."""
    for i in range(len(bits)):
        counts[bits[i] >> 48] += 1


@njit
def _gather(sizes, bits, first, last, close):  # type: ignore[no-untyped-def]
    n = 0
    for i in range(len(bits)):
        if first <= bits[i] >> 48 <= last:
            close[n] = sizes[i]
            n += 1


@njit
def _residual_medians(start, stop, slope, shift, x, y, medians):  # type: ignore[no-untyped-def]
    sizes = np.empty(len(x))
    for k in range(start, stop):
        for i in range(len(x)):
            sizes[i] = abs(slope[k] * x[i] + shift[k] - y[i]) / y[i]
        medians[k] = np.median(sizes)


@njit
def _residuals(start, stop, x, y, scale, shift, residual, size):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        residual[i] = (scale * x[i] + shift - y[i]) / y[i]
        size[i] = abs(residual[i])


@njit
def _biweights(start, stop, residual, y, cut, weights, share):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        ratio = residual[i] / cut
        inside = max(1.0 - ratio * ratio, 0.0)
        weights[i] = inside * inside
        share[i] = weights[i] / (y[i] * y[i])


@njit
def _moments(start, stop, x, y, mx, my, xx, xy):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        dx = x[i] - mx
        xx[i] = dx * dx
        xy[i] = dx * (y[i] - my)


def _ratio(source: NDArray[np.floating], target: NDArray[np.floating]) -> AffineFit:
    return AffineFit(float(np.median(target / source)), 0.0, 1.0)
