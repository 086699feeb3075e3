"""Looking at splats without gradients."""

from __future__ import annotations

import numpy as np
import torch

from splinescape.camera.view import View
from splinescape.raster import Rasterizer, Rendering
from splinescape.scene.harmonics import view_colors
from splinescape.scene.splats import Splats


def render_view(splats: Splats, view: View, rasterizer: Rasterizer) -> Rendering:
    """Render `view` (intrinsics known) on the rasteriser's device; the result is on the CPU."""
    device = rasterizer.device
    cam = torch.from_numpy(np.ascontiguousarray(view.cam_T_world, np.float32))
    K = torch.from_numpy(np.ascontiguousarray(view.K_33, np.float32))
    with torch.no_grad():
        out = rasterizer.rasterize(
            splats.means.to(device),
            splats.quats.to(device),
            splats.scales.to(device),
            splats.opacities.to(device),
            view_colors(splats, cam).to(device),
            cam.to(device),
            K.to(device),
            view.width,
            view.height,
        )
    return Rendering(out.rgb.cpu(), out.depth.cpu(), out.alpha.cpu())
