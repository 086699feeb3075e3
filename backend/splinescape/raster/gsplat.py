"""gsplat's CUDA rasteriser behind the common interface.

Nothing here waits for the GPU: cameras that lie on it were checked when they were put there, copies to it are
asynchronous. gsplat itself waits once per call, to learn how many tiles its splats touch; that also rules out CUDA
graphs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from splinescape.errors import EngineUnavailableError
from splinescape.raster import Rendering, gsplat_build
from splinescape.raster.checks import check_camera_shapes, check_cameras, check_splats

_DENSE_PAIRS = 2_000_000
"""Pairs of a splat and a view up to which gsplat keeps a record for each; above, only for those that are seen."""
_PAIRS = 4_000_000
"""Pairs that one call may make records for: about 100 bytes each."""
_PIXELS = 2**24
"""Pixels that one call may draw: about 30 bytes each."""


def missing() -> str | None:
    """Say in one line why gsplat cannot run here, or None when it can; does not import gsplat."""
    return gsplat_build.missing()


def _rasterization(*args: Any, pairs: int, **kwargs: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
    import gsplat

    packed = pairs > _DENSE_PAIRS
    return gsplat.rasterization(*args, **kwargs, near_plane=0.01, far_plane=1e10, eps2d=0.3, packed=packed)


class GsplatRasterizer:
    """Rasteriser on an NVIDIA GPU. The first one ever made on a machine compiles gsplat, for about a minute.

    Args:
        one_view_at_a_time: slower in a fraction of the memory.

    Raises:
        EngineUnavailableError: gsplat or CUDA is missing, or gsplat cannot be compiled.
    """

    name = "gsplat"

    def __init__(self, one_view_at_a_time: bool = False) -> None:
        self._most_views = 1 if one_view_at_a_time else None
        reason = gsplat_build.missing() or gsplat_build.load()
        if reason:
            raise EngineUnavailableError(f"the gsplat rasteriser cannot run here: {reason}")
        self.device = torch.device("cuda")

    def _to_device(self, *tensors: Tensor) -> list[Tensor]:
        return [t.to(self.device, torch.float32, non_blocking=True) for t in tensors]

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
        splats = (means, quats, scales, opacities, colors)
        out = self.rasterize_views(*splats, cam_T_world[None], K_33[None], width, height)
        return Rendering(out.rgb[0], out.depth[0], out.alpha[0])

    def rasterize_views(
        self,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        colors: Tensor,
        cams_T_world: Tensor,
        Ks_33: Tensor,
        width: int,
        height: int,
        with_depth: bool = True,
    ) -> Rendering:
        """Render many views; see `splinescape.raster.BatchRasterizer`. The result lies on `self.device`."""
        check_splats(means, quats, scales, opacities, colors if colors.ndim == 2 else None)
        _check_views(cams_T_world, Ks_33, width, height)
        splats = self._to_device(means, quats, scales, opacities)
        (colors,) = self._to_device(colors)
        parts = []
        for views in self._calls(len(means), len(cams_T_world), width * height):
            cameras = self._to_device(cams_T_world[views], Ks_33[views])
            shown = colors if colors.ndim == 2 else colors[views]
            parts.append(self._draw(splats, shown, cameras, width, height, with_depth))
        if len(parts) == 1:
            return parts[0]
        return Rendering(
            *(torch.cat([getattr(p, name) for p in parts]) for name in ("rgb", "depth", "alpha"))
        )

    def _draw(
        self,
        splats: list[Tensor],
        colors: Tensor,
        cameras: list[Tensor],
        width: int,
        height: int,
        with_depth: bool,
    ) -> Rendering:
        count = len(cameras[0])
        if not len(splats[0]) or not count:
            # Of the inputs, empty as they are, so that a loss may still be sent backwards.
            image = sum(t.sum() for t in [*splats, colors]).expand(count, height, width, 5)  # type: ignore[union-attr]
            return Rendering(image[..., :3], image[..., 3], image[..., 4])
        mode = "RGB+ED" if with_depth else "RGB"
        pairs = count * len(splats[0])
        image, alpha, _ = _rasterization(
            *splats, colors, *cameras, width, height, render_mode=mode, pairs=pairs
        )
        alpha = alpha.squeeze(-1)  # not alpha[..., 0], whose derivative fills and copies a picture
        if not with_depth:
            return Rendering(image, alpha.detach().new_zeros(()).expand(alpha.shape), alpha)
        return Rendering(image[..., :3], image[..., 3], alpha)

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
        _check_views(cams_T_world, Ks_33, width, height)
        if not len(cams_T_world) or not len(means):
            return torch.zeros(len(cams_T_world), height, width, device=self.device)
        splats = self._to_device(means, quats, scales, opacities)
        colors = torch.zeros_like(splats[3])[:, None]
        alphas = []
        for views in self._calls(len(means), len(cams_T_world), width * height):
            cameras = self._to_device(cams_T_world[views], Ks_33[views])
            pairs = len(cameras[0]) * len(means)
            _, alpha, _ = _rasterization(
                *splats, colors, *cameras, width, height, render_mode="RGB", pairs=pairs
            )
            alphas.append(alpha.squeeze(-1))
        return torch.cat(alphas)

    def _calls(self, splats: int, views: int, pixels: int) -> list[slice]:
        """Views for one call each, as many as the memory of a call allows."""
        count = max(1, min(_PAIRS // max(1, splats), _PIXELS // pixels, self._most_views or views))
        return [slice(start, start + count) for start in range(0, max(1, views), count)]


def _check_views(cams_T_world: Tensor, Ks_33: Tensor, width: int, height: int) -> None:
    """Look into matrices that lie in main memory; to look into others would mean to wait for the GPU."""
    if cams_T_world.is_cuda or Ks_33.is_cuda:
        check_camera_shapes(cams_T_world, Ks_33, width, height)
    else:
        check_cameras(cams_T_world, Ks_33, width, height)
