"""Rasterisers: splats and a camera in, RGB + depth + alpha out.

All engines share one definition, gsplat's "classic" mode, so that a scene moves between them: near plane
0.01, far plane 1e10, eps2d 0.3 added to the 2D covariance, alpha = min(0.999, opacity * exp(-sigma)) dropped
below 1/255, a pixel closes when its transmittance falls to 1e-4, pixel centres at +0.5, black background.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeGuard

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Rendering:
    """A rendered view, float32.

    Attributes:
        rgb: (H, W, 3) colour over black, not clamped.
        depth: (H, W) expected camera z of what was hit (alpha-weighted mean), 0 where nothing was hit.
        alpha: (H, W) coverage in [0, 1].
    """

    rgb: Tensor
    depth: Tensor
    alpha: Tensor


class Rasterizer(Protocol):
    """A rasteriser engine."""

    name: str
    device: torch.device

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
        """Render one view, differentiable in the first five arguments.

        Args:
            means: (N, 3) world centres. quats: (N, 4) wxyz, any norm. scales: (N, 3) standard deviations.
            opacities: (N,) in (0, 1). colors: (N, 3).
            cam_T_world: (4, 4) view matrix. K_33: (3, 3) pixel intrinsics.
        """
        ...

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
        """Alpha of many views without gradients: (C, 4, 4) and (C, 3, 3) cameras give (C, H, W) float32."""
        ...


class BatchRasterizer(Rasterizer, Protocol):
    """A rasteriser that draws many views in one call; what a GPU needs to be busy."""

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
        """Render C views, (C, 4, 4) and (C, 3, 3); the result's tensors have C in front.

        Args:
            colors: (N, 3), or (C, N, 3) where they depend on the view. The others as in `Rasterizer.rasterize`.
            with_depth: False leaves the depth at 0, which is faster.
        """
        ...


def is_batched(rasterizer: Rasterizer) -> TypeGuard[BatchRasterizer]:
    """Whether an engine offers `rasterize_views`."""
    return hasattr(rasterizer, "rasterize_views")
