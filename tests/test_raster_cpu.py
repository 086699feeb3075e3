"""The CPU rasteriser against the torch reference in double precision: values, gradients, determinism."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from raster_scenes import Case, degenerate_cases, random_case
from torch import Tensor

from splinescape.raster import Rasterizer, reference
from splinescape.raster.cpu import CpuRasterizer
from splinescape.raster.reference import TorchRasterizer

NAMES = ("means", "quats", "scales", "opacities", "colors")
CPU, TORCH = CpuRasterizer(), TorchRasterizer()
DEGENERATE = degenerate_cases()


def image(engine: Rasterizer, case: Case, params: tuple[Tensor, ...]) -> Tensor:
    """(H, W, 5) rgb, depth, alpha."""
    out = engine.rasterize(*params, case.cam_T_world, case.K_33, case.width, case.height)
    return torch.cat([out.rgb, out.depth[..., None], out.alpha[..., None]], -1)


def leaves(case: Case, dtype: torch.dtype) -> tuple[Tensor, ...]:
    return tuple(t.to(dtype, copy=True).requires_grad_() for t in case.params)


def settled_pixels(case: Case) -> Tensor:
    """(H, W) True where no splat is within rounding of a cut-off, so that float32 must agree with float64."""
    params = tuple(t.double() for t in case.params)
    exact = image(TORCH, case, params)
    settled = torch.ones(case.height, case.width, dtype=torch.bool)
    for sign in (-1, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reference, "MIN_ALPHA", reference.MIN_ALPHA * (1 + sign * 3e-5))
            patch.setattr(reference, "MIN_TRANSMITTANCE", reference.MIN_TRANSMITTANCE * (1 + sign * 1e-3))
            settled &= ((image(TORCH, case, params) - exact).abs() < 1e-9).all(-1)
    return settled


def assert_same_values(case: Case, cpu: Tensor, exact: Tensor, settled: Tensor) -> None:
    scale = torch.ones_like(exact)
    scale[..., 3] = exact[..., 3].clamp(min=1)  # depth relative to itself
    scale[..., :3] = max(1.0, float(case.params[4].abs().max())) if len(case.params[4]) else 1.0
    error = ((cpu.double() - exact).abs() / scale)[settled]
    assert cpu.dtype == torch.float32
    assert settled.float().mean() > 0.9, "the comparison must see nearly all pixels"
    assert float(error.max()) < 1e-4


def assert_same_gradients(case: Case, settled: Tensor, rtol: float = 1e-3) -> None:
    weights = torch.rand(case.height, case.width, 5, generator=torch.Generator().manual_seed(1)) - 0.3
    weights[~settled] = 0
    exact, cpu = leaves(case, torch.float64), leaves(case, torch.float32)
    (image(TORCH, case, exact) * weights).sum().backward()
    (image(CPU, case, cpu) * weights).sum().backward()
    for name, a, b in zip(NAMES, exact, cpu, strict=True):
        assert b.grad is not None and b.grad.shape == b.shape and torch.isfinite(b.grad).all(), name
        largest = float(a.grad.abs().max()) if a.numel() else 0.0  # type: ignore[union-attr]
        error = float((a.grad - b.grad).abs().max()) if a.numel() else 0.0  # type: ignore[operator]
        assert error <= rtol * largest + 1e-6, f"{name}: {error} of {largest}"


def assert_agrees(case: Case) -> None:
    settled = settled_pixels(case)
    params = tuple(t.double() for t in case.params)
    assert_same_values(case, image(CPU, case, case.params), image(TORCH, case, params), settled)
    assert_same_gradients(case, settled)


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_scenes_match_the_reference(name: str) -> None:
    assert_agrees(DEGENERATE[name])


@pytest.mark.parametrize("size", [0.02, 0.2, 1.5])
def test_random_scenes_match_the_reference(size: float) -> None:
    assert_agrees(random_case(seed=7, n=300, size=size, width=59, height=36))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(0, 120),
    size=st.floats(1e-3, 3.0),
    width=st.integers(1, 50),
    height=st.integers(1, 50),
)
def test_any_scene_matches_the_reference(seed: int, n: int, size: float, width: int, height: int) -> None:
    case = random_case(seed, n, size, width, height)
    settled = settled_pixels(case)
    params = tuple(t.double() for t in case.params)
    error = (image(CPU, case, case.params).double() - image(TORCH, case, params)).abs()[settled]
    assert not error.numel() or float(error.max()) < 3e-4
    assert_same_gradients(case, settled)


def test_the_reference_has_the_gradients_of_its_own_values() -> None:
    case = random_case(n=12, size=0.3, width=9, height=8)
    weights = torch.rand(8, 9, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    # Differences need pixels where no splat crosses a cut-off within the step.
    weights[~settled_pixels(case)] = 0
    assert torch.autograd.gradcheck(
        lambda *params: (image(TORCH, case, params) * weights).sum(),
        leaves(case, torch.float64),
        eps=1e-7,
        atol=1e-5,
        rtol=1e-3,
    )


def test_clamped_alpha_passes_gradient_to_colour_but_not_to_shape() -> None:
    case = replace(random_case(n=1), cam_T_world=torch.eye(4))
    case = case.with_params(
        means=torch.tensor([[0.0, 0.0, 2.0]]), opacities=torch.ones(1), scales=torch.ones(1, 3) * 9
    )
    params = leaves(case, torch.float32)
    pixel = image(CPU, case, params)[int(case.K_33[1, 2]), int(case.K_33[0, 2])]
    pixel[:3].sum().backward()
    assert pixel[4].item() == pytest.approx(0.999, abs=1e-6)
    assert params[4].grad.flatten().tolist() == pytest.approx([0.999] * 3, abs=1e-6)  # type: ignore[union-attr]
    assert all(not p.grad.any() for p in params[:4])  # type: ignore[union-attr]


@pytest.mark.parametrize("threads", ["1", "2", "3", "7"])
def test_the_result_does_not_depend_on_the_number_of_threads(
    threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = random_case(seed=2, n=700, width=90, height=70)
    tied = case.params[0].clone()
    tied[::2] = tied[1::2]  # order among equals must not change either
    case = case.with_params(means=tied)

    def run() -> list[Tensor]:
        params = leaves(case, torch.float32)
        out = image(CPU, case, params)
        out.square().sum().backward()
        return [out.detach(), *(p.grad for p in params)]  # type: ignore[misc]

    monkeypatch.delenv("SPLINESCAPE_THREADS", raising=False)
    expected = run()
    monkeypatch.setenv("SPLINESCAPE_THREADS", threads)
    assert all(torch.equal(a, b) for a, b in zip(expected, run(), strict=True))


def test_two_threads_may_render_at_once() -> None:
    case = random_case(seed=5, n=400)
    expected = image(CPU, case, case.params)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: image(CPU, case, case.params), range(8)))
    assert all(torch.equal(expected, r) for r in results)


def test_views_doubles_and_strided_tensors_render_as_their_copies_do() -> None:
    case = random_case(seed=4, n=50)
    expected = image(CPU, case, case.params)
    strided = tuple(torch.stack([t, t * 0], 1)[:, 0] for t in case.params)
    transposed = (case.params[0].T.contiguous().T, *case.params[1:])
    for params in (strided, transposed, tuple(t.double() for t in case.params)):
        assert torch.equal(expected, image(CPU, case, params))


def test_gradients_come_only_for_what_asks_and_in_its_dtype() -> None:
    case = random_case(seed=4, n=50)
    colors = case.params[4].double().requires_grad_()
    out = image(CPU, case, (*case.params[:4], colors))
    out.sum().backward()
    assert colors.grad is not None and colors.grad.dtype == torch.float64
    assert all(t.grad is None for t in case.params[:4])
    assert not image(CPU, case, case.params).requires_grad


def test_a_second_backward_pass_gives_the_same_gradient_again() -> None:
    case = random_case(seed=4, n=50)
    params = leaves(case, torch.float32)
    loss = image(CPU, case, params).square().sum()
    first = torch.autograd.grad(loss, params, retain_graph=True)
    second = torch.autograd.grad(loss, params)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_an_output_that_is_not_used_costs_no_gradient() -> None:
    case = random_case(seed=4, n=50)
    exact, cpu = leaves(case, torch.float64), leaves(case, torch.float32)
    for engine, params in ((TORCH, exact), (CPU, cpu)):
        engine.rasterize(*params, case.cam_T_world, case.K_33, case.width, case.height).depth.sum().backward()
    assert not cpu[4].grad.any()  # type: ignore[union-attr]
    torch.testing.assert_close(cpu[0].grad.double(), exact[0].grad, atol=1e-3, rtol=1e-3)  # type: ignore[union-attr]


def test_a_picture_too_wide_for_the_tile_table_is_refused() -> None:
    case = replace(random_case(n=1), width=2**17 + 1, height=1)
    with pytest.raises(ValueError, match="at most 131072 pixels"):
        image(CPU, case, case.params)
    assert image(CPU, replace(case, width=2**17), case.params).shape == (1, 2**17, 5)
