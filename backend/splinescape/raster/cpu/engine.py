"""The CPU rasteriser as an engine and as a differentiable torch function."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinescape.jit import run_chunks
from splinescape.raster import Rendering
from splinescape.raster.checks import check_cameras, check_splats
from splinescape.raster.cpu.backward import blend_backward
from splinescape.raster.cpu.bin import bin_splats
from splinescape.raster.cpu.blend import TILE_H, TILE_W, blend
from splinescape.raster.cpu.project import RECORD, project, project_backward

Array = NDArray[np.float32]


def _array(tensor: Tensor) -> Array:
    """Detached float32 contiguous numpy view, a copy only where one is needed."""
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy()


def _camera(cam_T_world: Tensor, K_33: Tensor, width: int, height: int) -> tuple[Array, Array]:
    """The view matrix, and intrinsics with the limits of the Jacobian (15 % of the view outside of it)."""
    K = K_33.detach().cpu().double().numpy()
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    mx, my = 0.15 * width, 0.15 * height
    limits = [-(cx + mx) / fx, (width - cx + mx) / fx, -(cy + my) / fy, (height - cy + my) / fy]
    return _array(cam_T_world), np.array([fx, fy, cx, cy, *limits], np.float32)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        colors: Tensor,
        cam_T_world: Tensor,
        K_33: Tensor,
        width: int,
        height: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        V, camera = _camera(cam_T_world, K_33, width, height)
        params = [_array(t) for t in (means, quats, scales, opacities, colors)]
        records = np.empty((len(means), RECORD), np.float32)
        run_chunks(project, len(means), *params, V, camera, records)
        tiles = bin_splats(records, width, height, TILE_W, TILE_H)
        rgb = np.empty((height, width, 3), np.float32)
        depth, alpha = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
        columns = -(-width // TILE_W)
        count = len(tiles.tile_start) - 1
        run_chunks(
            blend,
            count,
            records.reshape(-1),
            tiles.splats,
            tiles.tile_start,
            columns,
            rgb,
            depth,
            alpha,
            chunks=64,
        )
        out = torch.from_numpy(rgb), torch.from_numpy(depth), torch.from_numpy(alpha)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(means, quats, scales, opacities, colors, *out)
            ctx.view = (V, camera, records, tiles, columns)
        return out

    @staticmethod
    def backward(ctx: Any, v_rgb: Tensor, v_depth: Tensor, v_alpha: Tensor) -> tuple[Tensor | None, ...]:
        *params, rgb, depth, alpha = ctx.saved_tensors
        V, camera, records, tiles, columns = ctx.view
        slots = np.empty((len(tiles.splats), 10), np.float32)
        count = len(tiles.tile_start) - 1
        run_chunks(
            blend_backward, count, records.reshape(-1), tiles.splats, tiles.tile_start, tiles.first_slot, tiles.rects, columns,
            *(_array(t) for t in (rgb, depth, alpha, v_rgb, v_depth, v_alpha)), slots.reshape(-1), chunks=64,
        )  # fmt: skip
        means, quats, scales, opacities, _colors = (_array(t) for t in params)
        grads = [np.empty(tuple(t.shape), np.float32) for t in params]
        geometry = any(ctx.needs_input_grad[:4])
        run_chunks(
            project_backward, len(means), means, quats, scales, opacities, V, camera, records,
            tiles.first_slot, slots, geometry, *grads,
        )  # fmt: skip
        wanted = zip(grads, params, ctx.needs_input_grad, strict=False)
        return (
            *(torch.from_numpy(g).to(p) if need else None for g, p, need in wanted),
            None,
            None,
            None,
            None,
        )


class CpuRasterizer:
    """Rasteriser for CPUs, multithreaded, with exact gradients; float32 inside."""

    name = "cpu"
    device = torch.device("cpu")

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
        """Render one view; see `splinescape.raster.Rasterizer`.

        Raises:
            ValueError: a shape does not fit, or the camera is not finite.
        """
        check_splats(means, quats, scales, opacities, colors)
        check_cameras(cam_T_world, K_33, width, height)
        out = _Rasterize.apply(means, quats, scales, opacities, colors, cam_T_world, K_33, width, height)
        return Rendering(*out)

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
        out = torch.empty(len(cams_T_world), height, width)
        for i in range(len(out)):
            out[i] = self.rasterize(
                means, quats, scales, opacities, means, cams_T_world[i], Ks_33[i], width, height
            ).alpha
        return out
