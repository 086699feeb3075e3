"""Looking at splats without gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from splinescape.camera.view import View
from splinescape.raster import Rasterizer, Rendering, is_batched
from splinescape.scene.resident import Resident, resident
from splinescape.scene.splats import Splats


def render_view(splats: Splats, view: View, rasterizer: Rasterizer) -> Rendering:
    """Render `view` (intrinsics known) on the rasteriser's device; the result is on the CPU."""
    out = render_there(resident(splats, rasterizer.device), view, rasterizer)
    return Rendering(out.rgb.cpu(), out.depth.cpu(), out.alpha.cpu())


@torch.no_grad()
def render_there(ready: Resident, view: View, rasterizer: Rasterizer) -> Rendering:
    """Render `view`; the result stays on the rasteriser's device."""
    cams, Ks = _cameras([view])
    colors = ready.colors_from(cams.to(ready.device, non_blocking=True))
    if not is_batched(rasterizer):  # an engine of the plain protocol gets everything on its device
        cams, Ks = cams.to(ready.device), Ks.to(ready.device)
    return rasterizer.rasterize(
        ready.params["means"],
        ready.params["quats"],
        ready.scales,
        ready.opacities,
        colors if colors.ndim == 2 else colors[0],
        cams[0],
        Ks[0],
        view.width,
        view.height,
    )


@torch.no_grad()
def render_together(
    ready: Resident, views: Sequence[View], rasterizer: Rasterizer, with_depth: bool = True
) -> Rendering:
    """Render views of one size, in one call where the engine can; the result stays on its device.

    Returns:
        Rendering whose tensors have the number of views in front; the depth may be 0 without `with_depth`.
    """
    if not is_batched(rasterizer):
        each = [render_there(ready, view, rasterizer) for view in views]
        return Rendering(*(torch.stack([getattr(r, n) for r in each]) for n in ("rgb", "depth", "alpha")))
    cams, Ks = _cameras(views)
    return rasterizer.rasterize_views(
        ready.params["means"],
        ready.params["quats"],
        ready.scales,
        ready.opacities,
        ready.colors_from(cams.to(ready.device, non_blocking=True)),
        cams,
        Ks,
        views[0].width,
        views[0].height,
        with_depth=with_depth,
    )


def _cameras(views: Sequence[View]) -> tuple[Tensor, Tensor]:
    """(C, 4, 4) and (C, 3, 3) float32 in main memory, where engines can check them without waiting."""
    cams = np.stack([np.asarray(view.cam_T_world) for view in views])
    Ks = np.stack([np.asarray(view.K_33) for view in views])
    return torch.from_numpy(cams.astype(np.float32)), torch.from_numpy(Ks.astype(np.float32))
