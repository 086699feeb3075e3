"""gsplat's CUDA rasteriser behind the common interface."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from splinescape.errors import EngineUnavailableError
from splinescape.raster import Rendering
from splinescape.raster.checks import check_cameras, check_splats


def missing() -> str | None:
    """Say in one line why gsplat cannot run here, or None when it can; does not import gsplat."""
    spec = importlib.util.find_spec("gsplat")
    if spec is None:
        return "the package gsplat is not installed (pip install 'splinescape[cuda]')"
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    folders = spec.submodule_search_locations or []
    compiled = any(True for folder in folders for _ in Path(folder).glob("csrc.*"))
    if not compiled and shutil.which("nvcc") is None and "CUDA_HOME" not in os.environ:
        return "gsplat has no compiled code and there is no nvcc to compile it (install the CUDA toolkit)"
    return None


def _rasterization(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
    import gsplat

    # packed: memory follows the splats a view sees, not views x splats.
    return gsplat.rasterization(*args, **kwargs, near_plane=0.01, far_plane=1e10, eps2d=0.3, packed=True)


class GsplatRasterizer:
    """Rasteriser on an NVIDIA GPU.

    Args:
        one_view_at_a_time: for `coverage`, slower in a fraction of the memory.

    Raises:
        EngineUnavailableError: gsplat or CUDA is missing.
    """

    name = "gsplat"

    def __init__(self, one_view_at_a_time: bool = False) -> None:
        self._views_at_once = 1 if one_view_at_a_time else None
        reason = missing()
        if reason:
            raise EngineUnavailableError(f"the gsplat rasteriser cannot run here: {reason}")
        self.device = torch.device("cuda")

    def _to_device(self, *tensors: Tensor) -> list[Tensor]:
        return [t.to(self.device, torch.float32) for t in tensors]

    def rasterize(
        self,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        colors: Tensor,
        cam_T_world: Tensor,
        K_33: Tensor,
        width: int,
        height: int,
    ) -> Rendering:
        """Render one view; see `splinescape.raster.Rasterizer`. The result lies on `self.device`.

        Raises:
            ValueError: a shape does not fit, or the camera is not finite.
        """
        check_splats(means, quats, scales, opacities, colors)
        check_cameras(cam_T_world, K_33, width, height)
        splats = self._to_device(means, quats, scales, opacities, colors)
        if not len(means):
            # Of the inputs, empty as they are, so that a loss may still be sent backwards.
            image = sum(t.sum() for t in splats).expand(height, width, 5)  # type: ignore[union-attr]
            return Rendering(image[..., :3], image[..., 3], image[..., 4])
        cameras = self._to_device(cam_T_world[None], K_33[None])
        image, alpha, _ = _rasterization(*splats, *cameras, width, height, render_mode="RGB+ED")
        return Rendering(image[0, ..., :3], image[0, ..., 3], alpha[0, ..., 0])

    @torch.no_grad()
    def coverage(
        self,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        cams_T_world: Tensor,
        Ks_33: Tensor,
        width: int,
        height: int,
    ) -> Tensor:
        """Alpha of many views; see `splinescape.raster.Rasterizer`."""
        check_splats(means, quats, scales, opacities)
        check_cameras(cams_T_world, Ks_33, width, height)
        if not len(cams_T_world) or not len(means):
            return torch.zeros(len(cams_T_world), height, width, device=self.device)
        splats = self._to_device(means, quats, scales, opacities)
        colors = torch.zeros_like(splats[0][:, :1])
        count = self._views_at_once or len(cams_T_world)
        alphas = []
        for cameras in zip(cams_T_world.split(count), Ks_33.split(count), strict=True):
            views = self._to_device(*cameras)
            _, alpha, _ = _rasterization(*splats, colors, *views, width, height, render_mode="RGB")
            alphas.append(alpha[..., 0])
        return torch.cat(alphas)
