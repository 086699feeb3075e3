"""What a scene is made of, as numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from splinescape.io.splat_arrays import SplatArrays
from splinescape.scene.meta import SceneMeta

Range = tuple[float, float]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class SceneStatistics:
    """Numbers that describe a scene; lengths are in scene units, ranges are (least, greatest).

    Attributes:
        count: number of splats.
        nonfinite: splats that the file held but the reader left out because a number was not finite.
        sh_degree: degree of the spherical harmonics, 0 to 3.
        bounds: least and greatest corner of all centres.
        core_bounds: the same without the outer 1 % on each side of each axis; free of a far shell's outliers.
        distances: distance of the centres from the world origin, which is the input camera.
        scales: standard deviations over all axes; `median_scale` is their median.
        flatness: median of least / greatest standard deviation of a splat; 1 for round ones.
        opacities: in [0, 1]; `median_opacity` is their median.
        colors: of the constant harmonic, sRGB; 0 to 1 is displayable.
    """

    count: int
    nonfinite: int
    sh_degree: int
    bounds: tuple[Point, Point]
    core_bounds: tuple[Point, Point]
    distances: Range
    scales: Range
    median_scale: float
    flatness: float
    opacities: Range
    median_opacity: float
    colors: Range


def scene_statistics(splats: SplatArrays, meta: SceneMeta | None = None) -> SceneStatistics:
    """Describe `splats`; `meta`, from the reader, tells how many splats it left out. No splats: all zero."""
    means = splats.means.astype(np.float64)
    log_scales = splats.log_scales.astype(np.float64)
    scales, opacities = np.exp(log_scales), splats.opacities
    flatness = np.exp(log_scales.min(axis=1, initial=np.inf) - log_scales.max(axis=1, initial=-np.inf))
    return SceneStatistics(
        count=len(splats),
        nonfinite=meta.dropped if meta else 0,
        sh_degree={1: 0, 4: 1, 9: 2, 16: 3}[splats.sh.shape[1]],
        bounds=_corners(means, 0, 100),
        core_bounds=_corners(means, 1, 99),
        distances=_range(np.linalg.norm(means, axis=1)),
        scales=_range(scales),
        median_scale=_median(scales),
        flatness=_median(flatness),
        opacities=_range(opacities),
        median_opacity=_median(opacities),
        colors=_range(splats.base_colors),
    )


def _range(values: np.ndarray) -> Range:
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else 0.0


def _corners(means: np.ndarray, low: float, high: float) -> tuple[Point, Point]:
    if not len(means):
        return (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    least, greatest = np.percentile(means, [low, high], axis=0)
    return tuple(map(float, least)), tuple(map(float, greatest))  # type: ignore[return-value]
