"""What every engine promises: known values of simple scenes, clear errors for what cannot be rendered."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from raster_scenes import Case, random_case

from splinescape.raster import Rasterizer, Rendering
from splinescape.raster.cpu import CpuRasterizer
from splinescape.raster.reference import TorchRasterizer

ENGINES = [TorchRasterizer(), CpuRasterizer()]


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Rasterizer:
    return request.param


def render(engine: Rasterizer, case: Case) -> Rendering:
    return engine.rasterize(*case.params, case.cam_T_world, case.K_33, case.width, case.height)


def ball(z: float, opacity: float, sigma: float = 0.2, color: float = 0.5) -> Case:
    """A round splat at depth z whose centre projects to the middle of pixel (8, 6)."""
    f = 20.0
    K = torch.tensor([[f, 0.0, 8.5], [0.0, f, 6.5], [0.0, 0.0, 1.0]])
    params = (
        torch.tensor([[0.0, 0.0, z]]),
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        torch.full((1, 3), sigma),
        torch.tensor([opacity]),
        torch.full((1, 3), color),
    )
    return Case(params, torch.eye(4), K, 17, 13)


def stack(*cases: Case) -> Case:
    params = tuple(torch.cat(tensors) for tensors in zip(*(c.params for c in cases), strict=True))
    return replace(cases[0], params=params)  # type: ignore[arg-type]


def test_a_round_splat_is_a_gaussian_of_its_projected_size(engine: Rasterizer) -> None:
    out = render(engine, ball(z=2.0, opacity=0.8, color=0.5))
    variance = (20.0 * 0.2 / 2.0) ** 2 + 0.3
    y, x = torch.meshgrid(torch.arange(13.0), torch.arange(17.0), indexing="ij")
    alpha = 0.8 * torch.exp(-((x - 8) ** 2 + (y - 6) ** 2) / (2 * variance))
    alpha = torch.where(alpha >= 1 / 255, alpha, 0.0)
    torch.testing.assert_close(out.alpha, alpha, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(out.rgb, (0.5 * alpha)[..., None].expand(-1, -1, 3), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(out.depth, torch.where(alpha > 0, 2.0, 0.0), atol=1e-4, rtol=0)


def test_the_nearer_splat_covers_the_farther_whatever_the_order(engine: Rasterizer) -> None:
    near, far = ball(z=1.0, opacity=0.6, color=1.0), ball(z=3.0, opacity=0.5, color=0.25)
    for case in (stack(near, far), stack(far, near)):
        out = render(engine, case)
        assert out.rgb[6, 8, 0].item() == pytest.approx(0.6 + 0.4 * 0.5 * 0.25, abs=1e-6)
        assert out.alpha[6, 8].item() == pytest.approx(1 - 0.4 * 0.5, abs=1e-6)
        assert out.depth[6, 8].item() == pytest.approx((0.6 * 1 + 0.2 * 3) / 0.8, abs=1e-5)


def test_equal_depths_keep_the_order_of_the_splats(engine: Rasterizer) -> None:
    case = stack(ball(2.0, 0.9, color=1.0), ball(2.0, 0.9, color=0.0))
    assert render(engine, case).rgb[6, 8, 0].item() == pytest.approx(0.9, abs=1e-6)


def test_alpha_is_at_most_0_999_and_a_pixel_closes_before_it_falls_below_1e_4(engine: Rasterizer) -> None:
    first = render(engine, ball(1.0, 1.0))
    assert first.alpha[6, 8].item() == pytest.approx(0.999, abs=1e-6)
    behind = render(engine, stack(ball(1.0, 1.0, color=0.5), ball(2.0, 1.0, color=9.0)))
    assert behind.rgb[6, 8, 0].item() == pytest.approx(0.5 * 0.999, abs=1e-5), (
        "the second one closes the pixel"
    )


def test_splats_outside_the_near_and_far_plane_are_not_drawn(engine: Rasterizer) -> None:
    for z in (-2.0, 0.0, 0.0099, 2e10):
        assert render(engine, ball(z, 0.9)).alpha.sum() == 0
    assert render(engine, ball(0.0101, 0.9)).alpha.sum() > 0


def test_nothing_hit_is_black_with_depth_0(engine: Rasterizer) -> None:
    empty = replace(ball(1.0, 0.5), params=tuple(t[:0] for t in ball(1.0, 0.5).params))
    out = render(engine, empty)
    assert (out.rgb.shape, out.depth.shape, out.alpha.shape) == ((13, 17, 3), (13, 17), (13, 17))
    assert all(not t.any() for t in (out.rgb, out.depth, out.alpha))


def test_coverage_is_the_alpha_of_each_view(engine: Rasterizer) -> None:
    case = random_case(n=300, size=0.3)
    turned = case.cam_T_world.clone()
    turned[0, 3] += 0.7
    cams, Ks = torch.stack([case.cam_T_world, turned]), torch.stack([case.K_33, case.K_33 * 0.9])
    coverage = engine.coverage(*case.params[:4], cams, Ks, case.width, case.height)
    for i in range(2):
        view = replace(case, cam_T_world=cams[i], K_33=Ks[i])
        assert torch.equal(coverage[i], render(engine, view).alpha)
    assert engine.coverage(*case.params[:4], cams[:0], Ks[:0], 8, 9).shape == (0, 9, 8)


def test_parameters_that_are_not_numbers_do_not_reach_the_image(engine: Rasterizer) -> None:
    case = random_case(n=40)
    means = case.params[0].clone()
    means[3], means[17, 2] = float("nan"), float("inf")
    out = render(engine, case.with_params(means=means))
    assert all(torch.isfinite(t).all() for t in (out.rgb, out.depth, out.alpha))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cam_T_world": torch.full((4, 4), float("nan"))}, "not finite"),
        ({"K_33": torch.tensor([[float("inf"), 0, 1], [0, 1.0, 1], [0, 0, 1]])}, "not finite"),
        ({"K_33": torch.zeros(3, 3)}, "focal lengths"),
        ({"cam_T_world": torch.eye(3)}, "cameras must be"),
        ({"width": 0}, "at least one pixel"),
        ({"height": -3}, "at least one pixel"),
    ],
)
def test_a_camera_that_cannot_be_used_is_refused(
    engine: Rasterizer, change: dict[str, torch.Tensor], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        render(engine, replace(random_case(n=3), **change))  # type: ignore[arg-type]


def test_shapes_that_do_not_fit_are_named(engine: Rasterizer) -> None:
    case = random_case(n=5)
    with pytest.raises(ValueError, match=r"quats must have shape \(5, 4\)"):
        render(engine, case.with_params(quats=torch.ones(5, 3)))
    with pytest.raises(ValueError, match=r"opacities must have shape \(5,\)"):
        render(engine, case.with_params(opacities=torch.ones(5, 1)))
