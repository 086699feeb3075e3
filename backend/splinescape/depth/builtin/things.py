"""What stands on the ground: regions of one colour, raised to the depth at their foot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinescape.depth.builtin.imaging import Image, Map, Mask, blurred, gradient, luma
from splinescape.depth.builtin.layout import Layout
from splinescape.depth.builtin.segments import segment
from splinescape.depth.builtin.solve import Slopes, integrate_slopes

_TRUST = 0.003
_ALIKE = 0.05
"""Colour difference at which two neighbours hang together 1/e as much."""


def raise_things(rgb: Image, sky: Mask, layout: Layout) -> Map:
    """Inverse depth (H, W) of the layout with upright things on it.

    Each region is raised from the ground towards the depth at its foot, as far as it looks upright.
    Neighbouring regions hang together more where their colours are alike and where one stands on the other.

    Args:
        rgb: (H, W, 3) float32 in [0, 1].
        sky: (H, W) bool; nothing hangs together across its border.
    """
    labels = segment(rgb, scale=1.0, smallest=max(4, sky.size // 1500))
    upright = _uprightness(rgb, labels, layout)[labels]
    foot = _feet(labels, layout)[labels]
    rise = upright * np.maximum(foot - layout.inverse, 0.0)
    stands = layout.ground[1:] & (rise[1:] > 0) & layout.ground[:-1]
    slope_y = -np.diff(layout.inverse, axis=0) * np.where(stands, upright[:-1], 0.0)
    hold_x = _hold(np.diff(rgb, axis=1), labels[:, 1:] == labels[:, :-1])
    hold_y = _hold(np.diff(rgb, axis=0), labels[1:] == labels[:-1])
    hold_y = np.maximum(hold_y, 0.1 * upright[:-1])
    hold_x[sky[:, 1:] != sky[:, :-1]] = 0
    hold_y[sky[1:] != sky[:-1]] = 0
    # Under a sky, what has no foot of its own, such as a roof, stands on what is below it.
    trust = _TRUST * np.where((foot > 0) | (not layout.outdoors), 1.0, 0.03)
    field = Slopes(rise, trust, np.zeros_like(hold_x), slope_y, hold_x, hold_y)
    return layout.inverse + integrate_slopes(field, soft=0.001)


def _hold(difference: Image, same_region: Mask) -> Map:
    alike = np.exp(-np.sqrt((difference.astype(np.float64) ** 2).sum(-1)) / _ALIKE)
    return np.where(same_region, 0.2 + alike, 0.001 + 0.03 * alike)


def _uprightness(rgb: Image, labels: NDArray[np.int64], layout: Layout) -> Map:
    """(regions,) in [0, 1]: 0 lies on the ground, 1 stands."""
    height, width = labels.shape
    area = np.bincount(labels.ravel())

    def mean(values: NDArray[np.generic]) -> Map:
        return np.bincount(labels.ravel(), values.ravel().astype(np.float64)) / area

    def extent(values: Map) -> Map:
        """Side of a box with the same spread: sqrt(12) standard deviations."""
        return np.sqrt(np.maximum(12 * (mean(values**2) - mean(values) ** 2), 1))

    v, u = np.mgrid[0.0:height, 0.0:width]
    tall, wide = extent(v), extent(u)
    across, down = gradient(blurred(luma(rgb), 0.8))
    upright_edges = mean(across**2) / (mean(across**2) + mean(down**2) + 1e-7)
    upright = np.maximum(
        _ramp(tall / wide, 0.5, 1.0) * (wide < 0.35 * width),
        0.8 * _ramp(upright_edges, 0.5, 0.7) * (wide < 0.5 * width),
    )
    if layout.outdoors:
        # Ground is seldom seen far away.
        upright = np.maximum(upright, _ramp(mean(layout.below), 0.28, 0.08))
    at_bottom = np.bincount(labels[-1], minlength=area.size) > 0
    upright[at_bottom] *= 0.3
    upright = np.maximum(upright, _ramp(mean(~layout.ground), 0.02, 0.2))
    # What spreads along the bottom of the picture is what everything else stands on.
    upright[at_bottom & (wide > 0.4 * width)] = 0
    return upright * _ramp(area / labels.size, 0.3, 0.08)


def _feet(labels: NDArray[np.int64], layout: Layout) -> Map:
    """(regions,) inverse depth of the ground towards the lower end of each region, 0 where it is on none."""
    order = np.argsort(labels.ravel(), kind="stable")
    ground = np.where(layout.ground, layout.inverse, 0.0).ravel()[order]
    feet = []
    for part in np.split(ground, np.cumsum(np.bincount(labels.ravel()))[:-1]):
        seen = part[part > 0]
        # The larger a region, the less its lowest point says about the rest of it.
        share = np.interp(part.size / labels.size, [0.03, 0.1], [95, 60])
        feet.append(np.percentile(seen, share) if seen.size > 0.1 * part.size else 0.0)
    return np.array(feet)


def _ramp(values: Map, start: float, end: float) -> Map:
    """0 at `start`, 1 at `end`, straight between."""
    return np.clip((values - start) / (end - start), 0.0, 1.0)
