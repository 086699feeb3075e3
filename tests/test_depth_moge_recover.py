"""Focal length and shift from point maps whose camera is known."""

from __future__ import annotations

import numpy as np
import pytest

from splinescape.depth.moge.recover import Fit, least_squares_fit, robust_fit

FOCAL, SHIFT = 1.4, 0.8
Array = np.ndarray


def room(seed: int = 0, count: int = 2000, noise: float = 0.0) -> tuple[Array, Array]:
    """Points between 1 and 5 units away, and the positions where a camera sees them; z lacks the shift."""
    random = np.random.Generator(np.random.PCG64(seed))
    uv = random.uniform(-0.7, 0.7, (count, 2))
    z = random.uniform(1, 5, count)
    xyz = np.column_stack([uv * z[:, None] / FOCAL, z - SHIFT])
    return uv, xyz + noise * random.standard_normal(xyz.shape)


@pytest.mark.parametrize("focal", [None, FOCAL], ids=["free", "given"])
def test_exact_points_give_the_exact_camera(focal: float | None) -> None:
    for fit in (least_squares_fit(*room(), focal), robust_fit(*room(), focal)):
        assert fit is not None
        assert fit.focal == pytest.approx(FOCAL, rel=1e-3) and fit.shift == pytest.approx(SHIFT, abs=2e-3)


@pytest.mark.parametrize("focal", [None, FOCAL], ids=["free", "given"])
def test_without_outliers_the_robust_answer_is_the_published_one(focal: float | None) -> None:
    uv, xyz = room(noise=0.01)
    published, robust = least_squares_fit(uv, xyz, focal), robust_fit(uv, xyz, focal)
    assert robust is not None
    assert robust.focal == pytest.approx(published.focal, rel=0.01)
    assert robust.shift == pytest.approx(published.shift, abs=0.02)


@pytest.mark.parametrize("focal", [None, FOCAL], ids=["free", "given"])
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_a_wrong_region_pulls_the_published_answer_and_not_the_robust_one(
    share: float, focal: float | None
) -> None:
    """A reflection: part of the picture is said to be much further to the side than the camera can see."""
    uv, xyz = room(noise=0.005)
    wrong = np.argsort(uv[:, 0])[: int(share * len(uv))]
    xyz[wrong, :2] *= 3
    published, robust = least_squares_fit(uv, xyz, focal), robust_fit(uv, xyz, focal)
    assert robust is not None

    def error(fit: Fit) -> float:
        return abs(fit.shift - SHIFT) + abs(fit.focal - FOCAL)

    assert error(robust) < 0.05 < error(published)


def test_a_wall_seen_head_on_keeps_the_published_shift() -> None:
    """Every shift explains it with another focal length; the search must not run away."""
    uv, _ = room()
    xyz = np.column_stack([uv * 2 / FOCAL, np.full(len(uv), 2.0)])
    published, robust = least_squares_fit(uv, xyz), robust_fit(uv, xyz)
    assert robust is not None
    assert robust.shift == pytest.approx(published.shift, abs=0.05)
    assert robust.focal == pytest.approx(published.focal, rel=0.05)


def test_points_that_say_nothing_are_no_camera() -> None:
    uv, xyz = room()
    assert robust_fit(uv[:5], xyz[:5]) is None
    assert robust_fit(uv, np.full_like(xyz, np.nan)) is None
    assert robust_fit(uv, xyz * [-1, -1, 1]) is None
    assert robust_fit(uv, xyz * [0, 0, 1]) is None


def test_some_points_that_are_no_numbers_are_left_out() -> None:
    uv, xyz = room()
    xyz[::7] = np.inf
    fit = robust_fit(uv, xyz)
    assert fit is not None and fit.shift == pytest.approx(SHIFT, abs=2e-3)
