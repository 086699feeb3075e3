"""The statistics of a scene are the numbers one would count by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from io_support import make_splats

from splinescape.io.stats import scene_statistics
from splinescape.scene.meta import SceneMeta
from splinescape.scene.splats import SH_C0, Splats


def test_a_scene_counted_by_hand() -> None:
    splats = Splats(
        means=torch.tensor([[3.0, 4.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 2.0]]),
        log_scales=torch.log(torch.tensor([[1.0, 1.0, 1.0], [0.5, 0.5, 0.1], [2.0, 4.0, 1.0]])),
        quats=torch.eye(4)[:3],
        opacity_logits=torch.logit(torch.tensor([0.25, 0.5, 0.75])),
        sh=(torch.tensor([[[0.0, 0.5, 1.0]], [[0.5] * 3], [[0.5, 0.5, 1.25]]]) - 0.5) / SH_C0,
    )
    stats = scene_statistics(splats.to_arrays(), SceneMeta(dropped=4))
    assert (stats.count, stats.nonfinite, stats.sh_degree) == (3, 4, 0)
    assert stats.bounds == ((0, -1, 0), (3, 4, 2))
    assert stats.distances == (1, 5)
    assert stats.scales == pytest.approx((0.1, 4))
    assert stats.median_scale == pytest.approx(1)
    assert stats.flatness == pytest.approx(0.25)
    assert stats.opacities == pytest.approx((0.25, 0.75))
    assert stats.median_opacity == pytest.approx(0.5)
    assert stats.colors == pytest.approx((0, 1.25))


def test_core_bounds_ignore_a_few_outliers() -> None:
    splats = make_splats(10_000, 16)
    means = splats.means.clone()
    means[:20] = 1e6
    stats = scene_statistics(replace(splats, means=means).to_arrays())
    assert stats.bounds[1] == (1e6, 1e6, 1e6)
    assert np.abs(stats.core_bounds).max() < 15
    assert stats.sh_degree == 3


def test_no_splats() -> None:
    stats = scene_statistics(Splats.empty().to_arrays())
    assert (stats.count, stats.nonfinite, stats.scales, stats.bounds) == (
        0,
        0,
        (0, 0),
        ((0, 0, 0), (0, 0, 0)),
    )
