"""Focal length and z shift from a point map that is right up to both.

MoGe's points are right up to a shift s along z, and the focal length f of the picture is unknown or given. Both follow
from where points must be seen: f * xy / (z + s) = uv, where uv are positions relative to the principal point.

`least_squares_fit` is the published answer (microsoft/MoGe, moge/utils/geometry_numpy.py, solve_optimal_focal_shift and
solve_optimal_shift, commit 0744441). It minimises squares, so one bad region (a reflection, a sky that passed the mask)
pulls it away. `robust_fit` is what the engine uses: it searches around the published answer for the s and f of least
absolute error, where no point counts more than its distance from the centre, leaves out the points that contradict
them, and fits the squares of the rest. Where nothing contradicts, it is the published answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

SAMPLES_PER_SIDE = 64
_FEWEST = 16
"""Fewer points than this say nothing about a camera."""
_OCTAVES = 6
_STEPS_PER_OCTAVE = 4
_SEARCHED = 700
"""Points that the search looks at before it refines; the rest would not change which step is best."""
_STAY = 0.01
"""Cost of moving by a factor of e: where all shifts fit equally, as on a wall seen head-on, the published one stays."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """`focal` in units of the positions it was fitted to, and `shift` in units of the points."""

    focal: float
    shift: float


def sample_grid(size: int) -> NDArray[np.intp]:
    """The rows (or columns) of a map of `size` that the published fit looks at: nearest neighbours on a 64 grid."""
    return np.arange(SAMPLES_PER_SIDE) * size // SAMPLES_PER_SIDE


def least_squares_fit(uv: Array, xyz: Array, focal: float | None = None, start: float = 0.0) -> Fit:
    """Minimise sum |f * xy / (z + s) - uv|^2 by Levenberg-Marquardt over s; the best f for each s is closed-form.

    Args:
        uv: (M, 2) positions. xyz: (M, 3) points. focal: fixed, or None to fit it. start: of the shift.
    """
    xy, z = xyz[:, :2], xyz[:, 2]

    def best_focal(projected: Array) -> float:
        return float((projected * uv).sum() / (projected**2).sum()) if focal is None else focal

    def errors(shift: Array) -> Array:
        projected = xy / (z + shift)[:, None]
        return (best_focal(projected) * projected - uv).ravel()

    with np.errstate(all="ignore"):
        shift = float(least_squares(errors, x0=start, ftol=1e-3, method="lm").x[0])
        return Fit(best_focal(xy / (z + shift)[:, None]), shift)


def robust_fit(uv: Array, xyz: Array, focal: float | None = None) -> Fit | None:
    """As `least_squares_fit`, but half of the points may be wrong.

    Returns:
        None where the points say nothing: too few of them, or no positive focal length explains them.
    """
    finite = np.isfinite(xyz).all(axis=1)
    uv, xyz = uv[finite], xyz[finite]
    if len(xyz) < _FEWEST:
        return None
    shift = _shift_of_least_absolute_error(uv, xyz, focal)
    first = _fit_at(shift, uv, xyz, focal)
    if first is None:
        return None
    error = _errors(first, uv, xyz).sum(axis=1)
    kept = error <= 3 * 1.4826 * np.median(error) + 1e-9
    polished = _try_least_squares(uv[kept], xyz[kept], focal, shift)
    if polished is None or polished.focal <= 0 or _cost(polished, uv, xyz) > 1.05 * _cost(first, uv, xyz):
        return first
    return polished


def _try_least_squares(uv: Array, xyz: Array, focal: float | None, start: float) -> Fit | None:
    try:
        fit = least_squares_fit(uv, xyz, focal, start)
    except ValueError:  # an error that is not finite at the start, as where z + s is 0 for a point
        return None
    return fit if math.isfinite(fit.focal) and math.isfinite(fit.shift) else None


def _shift_of_least_absolute_error(uv: Array, xyz: Array, focal: float | None) -> float:
    """Search z + s of the nearest points over factors of 2^-6 to 2^6 around the published answer, then refine."""
    near, middle = np.quantile(xyz[:, 2], (0.02, 0.5))
    published = _try_least_squares(uv, xyz, focal, 0.0)
    usual = near + published.shift if published is not None else near
    if usual <= 0:
        usual = near if near > 0 else max(float(middle - near), 1e-6)

    def cost(octave: float, every: int = 1) -> float:
        fit = _fit_at(usual * 2**octave - near, uv[::every], xyz[::every], focal)
        spread = math.inf if fit is None else _cost(fit, uv[::every], xyz[::every])
        return spread * (1 + _STAY * abs(octave) * math.log(2))

    steps = np.arange(-_OCTAVES * _STEPS_PER_OCTAVE, _OCTAVES * _STEPS_PER_OCTAVE + 1) / _STEPS_PER_OCTAVE
    every = max(1, len(xyz) // _SEARCHED)
    best = min(steps, key=lambda octave: (cost(octave, every), abs(octave)))
    step = 1 / _STEPS_PER_OCTAVE
    while step > 1e-4:
        step /= 2
        best = min((best, best - step, best + step), key=cost)
    return float(usual * 2**best - near)


def _fit_at(shift: float, uv: Array, xyz: Array, focal: float | None) -> Fit | None:
    """The median focal length that points ask for at a given shift, the distance from the centre as weight."""
    if focal is not None:
        return Fit(focal, shift)
    projected = _projected(shift, xyz).ravel()
    used = np.abs(projected) > 1e-9
    ratio, weight = uv.ravel()[used] / projected[used], np.abs(uv.ravel()[used])
    if not len(ratio):
        return None
    order = np.argsort(ratio, kind="stable")
    total = np.cumsum(weight[order])
    median = float(ratio[order][np.searchsorted(total, total[-1] / 2)])
    return Fit(median, shift) if median > 0 else None


def _projected(shift: float, xyz: Array) -> Array:
    """xy / (z + s), and 0 for points that would lie behind the camera."""
    z = xyz[:, 2] + shift
    return np.where(z > 0, 1 / np.where(z > 0, z, 1), 0)[:, None] * xyz[:, :2]


def _errors(fit: Fit, uv: Array, xyz: Array) -> Array:
    """(M, 2) how far from where it should be a point is seen."""
    return np.abs(fit.focal * _projected(fit.shift, xyz) - uv)


def _cost(fit: Fit, uv: Array, xyz: Array) -> float:
    """Mean error; a point that is all wrong counts no more than one that is seen in the centre."""
    return float(np.minimum(_errors(fit, uv, xyz), np.abs(uv)).mean())
