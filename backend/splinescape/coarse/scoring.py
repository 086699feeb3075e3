"""How much of each pose on the path is still uncovered."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinescape.jit import njit, run_chunks
from splinescape.raster import Rasterizer, is_batched
from splinescape.scene.resident import resident
from splinescape.scene.splats import Splats

HOLE_ALPHA = 0.5
"""A pixel below this coverage is a hole."""

_GROW = 4
_MISSED = 5
_BATCH = 16
_BATCH_PIXELS = 2**22
_POSES = 10


def hole_mask(alpha_hw: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels to inpaint: coverage below one half, grown by 4 pixels so that the fill overlaps its frayed rim.

    Args:
        alpha_hw: (H, W) coverage in [0, 1].
    """
    hole = (alpha_hw < HOLE_ALPHA).astype(np.uint8)
    return cv2.dilate(hole, _disc(_GROW)) > 0


def _disc(radius: int) -> NDArray[np.uint8]:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)).astype(np.uint8)


def uncovered_shares(
    splats: Splats,
    cams_T_world: NDArray[np.float64],
    Ks_33: NDArray[np.float64],
    width: int,
    height: int,
    rasterizer: Rasterizer,
    scale: float,
    grown: bool,
) -> NDArray[np.float64]:
    """Share of hole pixels in many views, rendered small and in batches.

    Args:
        splats: the scene. cams_T_world: (P, 4, 4) view matrices. Ks_33: (P, 3, 3) intrinsics.
        width, height: the full-size view.
        scale: size of the rendering relative to the full view, in (0, 1].
        grown: count the pixels that `hole_mask` would inpaint, not only those below one half. In a small rendering
            every splat is wider than it should be by the rasteriser's low-pass, so the holes are grown by that too.

    Returns:
        (P,) float64.
    """
    w, h = max(8, round(width * scale)), max(8, round(height * scale))
    small_Ks = (np.diag([w / width, h / height, 1.0]) @ Ks_33).astype(np.float32)
    cams = torch.from_numpy(cams_T_world.astype(np.float32))
    Ks = torch.from_numpy(small_Ks)
    if not is_batched(rasterizer):  # an engine of the plain protocol gets everything on its device
        cams, Ks = cams.to(rasterizer.device), Ks.to(rasterizer.device)
    radius = max(1, round((_GROW + (_MISSED if scale < 1 else 0)) * scale)) if grown else 0
    on_gpu = rasterizer.device.type != "cpu"
    batch = max(1, _BATCH_PIXELS // (w * h)) if on_gpu else _BATCH
    count = _count_there if on_gpu else _count_here
    ready = resident(splats, rasterizer.device)
    shapes = (ready.params["means"], ready.params["quats"], ready.scales, ready.opacities)
    holes = [
        count(rasterizer.coverage(*shapes, cams[i : i + batch], Ks[i : i + batch], w, h), radius)
        for i in range(0, len(cams), batch)
    ]
    return torch.cat(holes).cpu().numpy() / (w * h) if holes else np.empty(0)


def _count_here(alpha: Tensor, radius: int) -> Tensor:
    """Hole pixels of (V, H, W) coverages, grown by a disc of `radius`: (V,) int64."""
    holes = (alpha < HOLE_ALPHA).numpy().astype(np.uint8)
    if radius:
        holes = np.stack([cv2.dilate(hole, _disc(radius)) for hole in holes])
    return torch.from_numpy(holes.sum((1, 2), dtype=np.int64))


def _count_there(alpha: Tensor, radius: int) -> Tensor:
    """`_count_here` on a GPU, the same numbers; the result stays there."""
    holes = alpha < HOLE_ALPHA
    if radius:
        height, width = holes.shape[1:]
        framed = torch.nn.functional.pad(holes, (radius,) * 4)
        for y, x in np.argwhere(_disc(radius)):
            holes |= framed[:, y : y + height, x : x + width]
    return holes.sum((1, 2))


def can_see(
    points: NDArray[np.float64],
    cams_T_world: NDArray[np.float64],
    Ks_33: NDArray[np.float64],
    width: int,
    height: int,
) -> NDArray[np.bool_]:
    """Which poses have any of `points` in front of them and inside their image.

    Args:
        points: (M, 3) world points. cams_T_world: (P, 4, 4). Ks_33: (P, 3, 3). width, height: in pixels.

    Returns:
        (P,) bool.
    """
    sees = np.zeros(len(cams_T_world), bool)
    cams, Ks = (np.ascontiguousarray(a, np.float64) for a in (cams_T_world, Ks_33))
    points, size = np.ascontiguousarray(points), (float(width), float(height))
    run_chunks(_look, len(sees), points, cams, Ks, *size, sees, smallest=_POSES)
    return sees


@njit
def _look(start, stop, points, cams, Ks, width, height, sees):  # type: ignore[no-untyped-def]
    for c in range(start, stop):
        m, K = cams[c], Ks[c]
        for p in points:
            z = m[2, 0] * p[0] + m[2, 1] * p[1] + m[2, 2] * p[2] + m[2, 3]
            if z <= 1e-6:
                continue
            u = K[0, 0] * (m[0, 0] * p[0] + m[0, 1] * p[1] + m[0, 2] * p[2] + m[0, 3]) / z + K[0, 2]
            v = K[1, 1] * (m[1, 0] * p[0] + m[1, 1] * p[1] + m[1, 2] * p[2] + m[1, 3]) / z + K[1, 2]
            if 0 <= u < width and 0 <= v < height:
                sees[c] = True
                break
