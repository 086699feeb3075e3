"""The CPU rasteriser as a differentiable torch function and as an engine."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinescape.jit import run_chunks
from splinescape.raster import Rendering
from splinescape.raster.checks import check_cameras, check_splats
from splinescape.raster.cpu import backward, blend
from splinescape.raster.cpu.bin import Tiles, list_tiles, slot_starts
from splinescape.raster.cpu.project import RECORD, SLOT, project, project_backward
from splinescape.raster.cpu.vec import LANES

assert (blend.TILE_W, blend.TILE_H, blend.RECORD) == (backward.TILE_W, backward.TILE_H, backward.RECORD)
assert (backward.RECORD, backward.SLOT) == (RECORD, SLOT)

TILE_W, TILE_H = blend.TILE_W, blend.TILE_H
_CHUNKS = 64  # tiles differ a lot in cost

Array = NDArray[np.float32]

_log = logging.getLogger("splinescape")


@dataclass(frozen=True, eq=False)
class _View:
    """A camera as the kernels want it.

    Attributes:
        matrix: (4, 4) view matrix.
        pinhole: (8,) fx, fy, cx, cy and the lowest and highest x / z and y / z where the Jacobian is taken:
            the view and 15 % of its size beyond each side.
        width, height: pixels. columns, rows: tiles.
    """

    matrix: Array
    pinhole: Array
    width: int
    height: int

    @property
    def columns(self) -> int:
        return -(-self.width // TILE_W)

    @property
    def rows(self) -> int:
        return -(-self.height // TILE_H)

    @staticmethod
    def of(cam_T_world: Tensor, K_33: Tensor, width: int, height: int) -> _View:
        if max(width, height) > 2**17:  # tile columns and rows are 16-bit integers
            raise ValueError(f"the CPU rasteriser draws at most {2**17} pixels a side, not {width}x{height}")
        K = K_33.detach().cpu().double().numpy()
        fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
        mx, my = 0.15 * width, 0.15 * height
        limits = [-(cx + mx) / fx, (width - cx + mx) / fx, -(cy + my) / fy, (height - cy + my) / fy]
        return _View(_array(cam_T_world), np.array([fx, fy, cx, cy, *limits], np.float32), width, height)


@dataclass(frozen=True, eq=False)
class _Projection:
    """What the blending kernels read: projected splats, their tile rectangles and the tiles' lists."""

    records: Array
    rects: NDArray[np.int16]
    tiles: Tiles


def _array(tensor: Tensor) -> Array:
    """Detached contiguous float32 array, a copy only where one is needed."""
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy()


def _flat(tensor: Tensor) -> Array:
    """One of the splats' parameters, flat; padded with invisible zeros to the least that a kernel takes."""
    array = _array(tensor)
    if len(array) < LANES:
        array = np.concatenate([array, np.zeros((LANES - len(array), *array.shape[1:]), np.float32)])
    return array.reshape(-1)


def _blocks(count: int) -> int:
    return -(-count // LANES)


@cache
def _announce_compilation() -> None:
    """Say, once, why the first picture takes seconds; silent when an earlier run left its compiled code."""
    if not any(Path(blend.blend.stats.cache_path).glob("backward.*.nbi")):
        _log.info("compiling the CPU rasteriser, once per version, 10 to 20 seconds ...")


def _project(params: list[Array], view: _View) -> _Projection:
    _announce_compilation()
    count = len(params[3])
    records = np.empty(count * RECORD, np.float32)
    rects, depths = np.empty(count * 4, np.int16), np.empty(count, np.float32)
    size = (np.float32(n) for n in (view.width, view.height, TILE_W, TILE_H))
    run_chunks(project, _blocks(count), *params, view.matrix, view.pinhole, *size, records, rects, depths)
    return _Projection(records, rects, list_tiles(rects, depths, view.columns, view.rows))


def _blend(projection: _Projection, view: _View) -> tuple[Array, Array, Array]:
    shape = (view.height, view.width)
    rgb, depth, alpha = (
        np.empty((*shape, 3), np.float32),
        np.empty(shape, np.float32),
        np.empty(shape, np.float32),
    )
    tiles = projection.tiles
    run_chunks(
        blend.blend, len(tiles.starts) - 1, projection.records, tiles.splats, tiles.starts, view.columns,
        rgb, depth, alpha, chunks=_CHUNKS,
    )  # fmt: skip
    return rgb, depth, alpha


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor, view: _View
    ) -> tuple[Tensor, ...]:
        projection = _project([_flat(t) for t in (means, quats, scales, opacities, colors)], view)
        image = tuple(torch.from_numpy(a) for a in _blend(projection, view))
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(means, quats, scales, opacities, colors, *image)
            ctx.view, ctx.projection = view, projection
        return image

    @staticmethod
    def backward(ctx: Any, *v_image: Tensor) -> tuple[Tensor | None, ...]:
        splats, image = ctx.saved_tensors[:5], ctx.saved_tensors[5:]
        params = [_flat(t) for t in splats]
        # Dropped once used, to make room for the gradients; a second backward pass projects again.
        projection = ctx.projection or _project(params, ctx.view)
        ctx.projection = None
        first_slot = slot_starts(projection.rects)
        slots = np.empty(len(projection.tiles.splats) * SLOT, np.float32)
        tiles = projection.tiles
        run_chunks(
            backward.blend_backward, len(tiles.starts) - 1, projection.records, tiles.splats, tiles.starts,
            first_slot, projection.rects, ctx.view.columns,
            *(_array(t) for t in image), *(_array(t) for t in v_image), slots, chunks=_CHUNKS,
        )  # fmt: skip
        del projection, tiles
        grads = [np.empty_like(p) for p in params]
        count = len(params[3])
        run_chunks(
            project_backward,
            _blocks(count),
            *params[:4],
            ctx.view.matrix,
            ctx.view.pinhole,
            first_slot,
            slots,
            *grads,
        )
        wanted = zip(grads, splats, ctx.needs_input_grad, strict=False)
        return (*(_as(g, t) if need else None for g, t, need in wanted), None)


def _as(grad: Array, like: Tensor) -> Tensor:
    return torch.from_numpy(grad[: like.numel()]).reshape(like.shape).to(like)


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
        view = _View.of(cam_T_world, K_33, width, height)
        return Rendering(*_Rasterize.apply(means, quats, scales, opacities, colors, view))

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
        shapes = [_flat(t) for t in (means, quats, scales, opacities)]
        out = np.empty((len(cams_T_world), height, width), np.float32)
        for alpha, cam_T_world, K_33 in zip(out, cams_T_world, Ks_33, strict=True):
            view = _View.of(cam_T_world, K_33, width, height)
            projection = _project([*shapes, shapes[0]], view)  # any colours will do
            tiles = projection.tiles
            run_chunks(
                blend.cover, len(tiles.starts) - 1, projection.records, tiles.splats, tiles.starts,
                view.columns, alpha, chunks=_CHUNKS,
            )  # fmt: skip
        return torch.from_numpy(out)


def warm_up() -> None:
    """Compile everything now, or load what an earlier run compiled; later calls do not wait."""
    splats = [torch.zeros(1, n) for n in (3, 4, 3)]
    means, quats, scales = (t.requires_grad_() for t in splats)
    cam_T_world, K_33 = torch.eye(4), torch.eye(3)
    rasterizer = CpuRasterizer()
    rendering = rasterizer.rasterize(means, quats, scales, torch.ones(1), means, cam_T_world, K_33, 8, 8)
    rendering.rgb.sum().backward()
    rasterizer.coverage(means, quats, scales, torch.ones(1), cam_T_world[None], K_33[None], 8, 8)
