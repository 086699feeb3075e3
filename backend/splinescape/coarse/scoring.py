"""How much of each pose on the path is still uncovered."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from splinescape.raster import Rasterizer
from splinescape.scene.splats import Splats

HOLE_ALPHA = 0.5
"""A pixel below this coverage is a hole."""

_GROW = 4
_MISSED = 5
_BATCH = 16


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
    small_Ks = np.diag([w / width, h / height, 1.0]) @ Ks_33
    shares = np.empty(len(cams_T_world))
    device = rasterizer.device
    means, quats = splats.means.to(device), splats.quats.to(device)
    scales, opacities = splats.scales.to(device), splats.opacities.to(device)
    for start in range(0, len(cams_T_world), _BATCH):
        cams = torch.from_numpy(cams_T_world[start : start + _BATCH].astype(np.float32)).to(device)
        Ks = torch.from_numpy(small_Ks[start : start + _BATCH].astype(np.float32)).to(device)
        alpha = rasterizer.coverage(means, quats, scales, opacities, cams, Ks, w, h)
        holes = (alpha < HOLE_ALPHA).cpu().numpy().astype(np.uint8)
        if grown:
            radius = max(1, round((_GROW + (_MISSED if scale < 1 else 0)) * scale))
            kernel = _disc(radius)
            holes = np.stack([cv2.dilate(hole, kernel) for hole in holes])
        shares[start : start + len(cams)] = holes.mean((1, 2))
    return shares


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
    for i, (cam, K) in enumerate(zip(cams_T_world, Ks_33, strict=True)):
        p = points @ cam[:3, :3].T + cam[:3, 3]
        p = p[p[:, 2] > 1e-6]
        u, v = K[0, 0] * p[:, 0] / p[:, 2] + K[0, 2], K[1, 1] * p[:, 1] / p[:, 2] + K[1, 2]
        sees[i] = bool(((u >= 0) & (v >= 0) & (u < width) & (v < height)).any())
    return sees
