"""The gsplat adapter's own logic, with gsplat's call answered by the torch reference."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from raster_scenes import random_case
from torch import Tensor

from splinescape.errors import EngineUnavailableError
from splinescape.raster import gsplat as adapter
from splinescape.raster.reference import TorchRasterizer


def _rasterization(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    near_plane: float,
    far_plane: float,
    eps2d: float,
    packed: bool,
    render_mode: str,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """gsplat.rasterization's shapes and channel order, for several cameras."""
    assert (near_plane, far_plane, eps2d, packed) == (0.01, 1e10, 0.3, True)
    assert len(means), "gsplat is not asked about nothing"
    images, alphas = [], []
    for view, K in zip(viewmats, Ks, strict=True):
        out = TorchRasterizer().rasterize(
            means, quats, scales, opacities, colors.expand(-1, 3), view, K, width, height
        )
        channels = out.rgb[..., : colors.shape[1]]
        images.append(
            torch.cat([channels, out.depth[..., None]], -1) if render_mode == "RGB+ED" else channels
        )
        alphas.append(out.alpha[..., None])
    return torch.stack(images), torch.stack(alphas), {}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> adapter.GsplatRasterizer:
    fake = ModuleType("gsplat")
    fake.rasterization = _rasterization  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gsplat", fake)
    monkeypatch.setattr(adapter, "missing", lambda: None)
    engine = adapter.GsplatRasterizer()
    engine.device = torch.device("cpu")
    return engine


def test_a_view_and_its_gradients_pass_through_unchanged(engine: adapter.GsplatRasterizer) -> None:
    case = random_case(n=30)
    grads, images = [], []
    for rasterizer in (TorchRasterizer(), engine):
        params = tuple(t.clone().requires_grad_() for t in case.params)
        out = rasterizer.rasterize(*params, case.cam_T_world, case.K_33, case.width, case.height)
        (out.rgb.sum() + out.depth.sum() + out.alpha.sum()).backward()
        images.append((out.rgb, out.depth, out.alpha))
        grads.append([p.grad for p in params])
    assert all(torch.equal(a, b) for a, b in zip(*images, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))  # type: ignore[arg-type]


def test_coverage_asks_for_all_views_at_once(engine: adapter.GsplatRasterizer) -> None:
    case = random_case(n=30)
    cams, Ks = torch.stack([case.cam_T_world] * 3), torch.stack([case.K_33, case.K_33 * 1.1, case.K_33])
    args = (*case.params[:4], cams, Ks, case.width, case.height)
    assert torch.equal(engine.coverage(*args), TorchRasterizer().coverage(*args))


def test_coverage_in_less_memory_is_the_same(engine: adapter.GsplatRasterizer) -> None:
    lean = adapter.GsplatRasterizer(one_view_at_a_time=True)
    lean.device = engine.device
    case = random_case(n=30)
    cams, Ks = torch.stack([case.cam_T_world] * 3), torch.stack([case.K_33, case.K_33 * 1.1, case.K_33])
    args = (*case.params[:4], cams, Ks, case.width, case.height)
    assert torch.equal(lean.coverage(*args), engine.coverage(*args))


def test_no_splats_and_no_views_never_reach_gsplat(engine: adapter.GsplatRasterizer) -> None:
    case = random_case(n=2)
    none = tuple(t[:0].requires_grad_() for t in case.params)
    out = engine.rasterize(*none, case.cam_T_world, case.K_33, 5, 4)
    assert (out.rgb.shape, out.depth.shape, out.alpha.shape) == ((4, 5, 3), (4, 5), (4, 5))
    assert not out.alpha.any()
    out.rgb.sum().backward()
    cams, Ks = case.cam_T_world[None], case.K_33[None]
    assert engine.coverage(*none[:4], cams, Ks, 5, 4).shape == (1, 4, 5)
    assert engine.coverage(*case.params[:4], cams[:0], Ks[:0], 5, 4).shape == (0, 4, 5)


def test_bad_cameras_are_refused_before_gsplat_sees_them(engine: adapter.GsplatRasterizer) -> None:
    case = random_case(n=2)
    with pytest.raises(ValueError, match="not finite"):
        engine.rasterize(*case.params, case.cam_T_world * float("nan"), case.K_33, 5, 4)


def test_what_is_missing_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert "not installed" in str(adapter.missing())
    found = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: found)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert adapter.missing() == "torch sees no CUDA device"
    with pytest.raises(EngineUnavailableError, match="torch sees no CUDA device"):
        adapter.GsplatRasterizer()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_HOME", raising=False)
    assert "no nvcc" in str(adapter.missing())
    (tmp_path / "csrc.so").touch()
    assert adapter.missing() is None
