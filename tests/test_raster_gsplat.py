"""The gsplat adapter's own logic, with gsplat's call answered by the torch reference."""

from __future__ import annotations

import importlib.util
import os
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
from splinescape.raster import gsplat_build
from splinescape.raster.reference import TorchRasterizer

CALLS: list[tuple[int, bool]] = []
"""Views of each call, and whether it was packed."""


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
    assert (near_plane, far_plane, eps2d) == (0.01, 1e10, 0.3)
    assert len(means), "gsplat is not asked about nothing"
    CALLS.append((len(viewmats), packed))
    images, alphas = [], []
    for i, (view, K) in enumerate(zip(viewmats, Ks, strict=True)):
        shown = (colors if colors.ndim == 2 else colors[i]).expand(-1, 3)
        out = TorchRasterizer().rasterize(means, quats, scales, opacities, shown, view, K, width, height)
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
    monkeypatch.setattr(gsplat_build, "missing", lambda: None)
    monkeypatch.setattr(gsplat_build, "load", lambda: None)
    CALLS.clear()
    engine = adapter.GsplatRasterizer()
    engine.device = torch.device("cpu")
    return engine


def three_views() -> tuple[Any, Tensor, Tensor]:
    case = random_case(n=30)
    moved = case.cam_T_world.clone()
    moved[0, 3] += 0.1
    return (
        case,
        torch.stack([case.cam_T_world, moved, moved]),
        torch.stack([case.K_33] * 2 + [case.K_33 * 1.1]),
    )


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
    case, cams, Ks = three_views()
    args = (*case.params[:4], cams, Ks, case.width, case.height)
    assert torch.equal(engine.coverage(*args), TorchRasterizer().coverage(*args))
    assert CALLS == [(3, False)]


@pytest.mark.parametrize("limit", ["_PAIRS", "_PIXELS", "one view at a time"])
def test_less_memory_means_more_calls_and_the_same_numbers(
    engine: adapter.GsplatRasterizer, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    case, cams, Ks = three_views()
    args = (*case.params[:4], cams, Ks, case.width, case.height)
    views = (*case.params, cams, Ks, case.width, case.height)
    coverage, together = engine.coverage(*args), engine.rasterize_views(*views)
    CALLS.clear()
    if limit == "one view at a time":
        engine._most_views = 1
    else:
        monkeypatch.setattr(adapter, limit, 70 if limit == "_PAIRS" else 2 * case.width * case.height)
    count = 1 if limit == "one view at a time" else 2
    assert torch.equal(engine.coverage(*args), coverage)
    apart = engine.rasterize_views(*views)
    assert all(torch.equal(getattr(apart, n), getattr(together, n)) for n in ("rgb", "depth", "alpha"))
    assert [views for views, _ in CALLS] == ([1, 1, 1] if count == 1 else [2, 1]) * 2


def test_only_calls_with_many_records_are_packed(
    engine: adapter.GsplatRasterizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, cams, Ks = three_views()
    monkeypatch.setattr(adapter, "_DENSE_PAIRS", 60)
    engine.coverage(*case.params[:4], cams, Ks, case.width, case.height)
    engine.coverage(*case.params[:4], cams[:2], Ks[:2], case.width, case.height)
    assert CALLS == [(3, True), (2, False)]


@pytest.mark.parametrize("per_view", [False, True])
def test_views_drawn_together_are_those_drawn_alone(engine: adapter.GsplatRasterizer, per_view: bool) -> None:
    case, cams, Ks = three_views()
    *shapes, colors = case.params
    shown = torch.stack([colors, 1 - colors, colors * 0.5]) if per_view else colors
    together = engine.rasterize_views(*shapes, shown, cams, Ks, case.width, case.height)
    for i in range(3):
        alone = TorchRasterizer().rasterize(
            *shapes, shown[i] if per_view else colors, cams[i], Ks[i], case.width, case.height
        )
        for name in ("rgb", "depth", "alpha"):
            assert torch.equal(getattr(together, name)[i], getattr(alone, name)), name


def test_depth_that_nobody_wants_is_zero_and_not_rendered(engine: adapter.GsplatRasterizer) -> None:
    case, cams, Ks = three_views()
    with_depth, without = (
        engine.rasterize_views(*case.params, cams, Ks, case.width, case.height, with_depth=w)
        for w in (True, False)
    )
    assert torch.equal(with_depth.rgb, without.rgb)
    assert torch.equal(with_depth.alpha, without.alpha)
    assert with_depth.depth.any()
    assert without.depth.shape == with_depth.depth.shape
    assert not without.depth.any()


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
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "built"))
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
    (tmp_path / "csrc.so").unlink()
    built = tmp_path / "built" / "gsplat_cuda"
    built.mkdir(parents=True)
    (built / "gsplat_cuda.so").touch()
    assert adapter.missing() is None, "an earlier first use left its code"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """gsplat and a GPU seem to be there; nothing is compiled yet, and the cache is an empty folder."""
    monkeypatch.delenv("TORCH_EXTENSIONS_DIR", raising=False)
    monkeypatch.setattr(gsplat_build.platformdirs, "user_cache_dir", lambda _name: str(tmp_path))
    found = SimpleNamespace(submodule_search_locations=[str(tmp_path / "gsplat")])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: found)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    monkeypatch.setattr(gsplat_build, "_failed", [])
    return tmp_path


def test_the_first_build_is_announced_and_kept_in_our_cache(
    installed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger=gsplat_build.__name__)
    seen = []

    def build() -> object:
        assert "compiling" in caplog.text, "said before, not after"
        seen.append(os.environ["TORCH_EXTENSIONS_DIR"])
        (Path(seen[0]) / "gsplat_cuda").mkdir()
        (Path(seen[0]) / "gsplat_cuda" / "gsplat_cuda.so").touch()
        return object()

    assert gsplat_build.load(build) is None
    assert seen[0].startswith(str(installed))
    assert torch.__version__ in seen[0], "another torch builds its own"
    assert seen[0] in caplog.text
    assert "ready after" in caplog.text
    assert "TORCH_EXTENSIONS_DIR" not in os.environ, "other extensions keep their place"
    caplog.clear()
    assert gsplat_build.load(object) is None
    assert not caplog.text, "an earlier build loads in silence"


@pytest.mark.usefixtures("installed")
def test_a_build_that_fails_is_told_in_one_line_and_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> object:
        tries.append(1)
        raise RuntimeError(
            "Error building extension 'gsplat_cuda': [1/9] nvcc ...\n"
            "nvcc fatal error: Unsupported gpu architecture 'compute_200'\nninja: build stopped"
        )

    tries: list[int] = []
    monkeypatch.setattr(gsplat_build, "_import_code", broken)
    with pytest.raises(EngineUnavailableError, match="Unsupported gpu architecture") as caught:
        adapter.GsplatRasterizer()
    assert "\n" not in str(caught.value)
    assert "Unsupported gpu architecture" in str(adapter.missing()), (
        "the choice of engines passes it by from now on"
    )
    with pytest.raises(EngineUnavailableError):
        adapter.GsplatRasterizer()
    assert len(tries) == 1


def test_a_cache_that_cannot_be_written_to_is_a_failed_build_too(installed: Path) -> None:
    (installed / "cuda").write_text("in the way of the folder")
    with pytest.raises(EngineUnavailableError, match=r"cannot be built or loaded: .*cuda"):
        adapter.GsplatRasterizer()
    assert "cannot be built or loaded" in str(adapter.missing())


@pytest.mark.usefixtures("installed")
def test_no_toolkit_is_a_failed_build_too() -> None:
    assert "no CUDA toolkit" in str(gsplat_build.load(lambda: None))


@pytest.mark.usefixtures("installed")
def test_amds_torch_is_not_taken_for_nvidias(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert "ROCm" in str(adapter.missing())
