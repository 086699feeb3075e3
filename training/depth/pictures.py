"""Pictures of depth, to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .network import Prediction

Picture = NDArray[np.uint8]


def depth_picture(depth: NDArray[np.floating]) -> Picture:
    """(H, W, 3): near red, far blue, sky black; by the logarithm of depth."""
    known = np.isfinite(depth)
    if not known.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    log = np.log(np.where(known, np.maximum(depth, 1e-6), 1.0))
    low, high = np.percentile(log[known], [1, 99])
    x = 1 - np.clip((log - low) / max(high - low, 1e-6), 0, 1)
    colour = np.stack([np.clip(1.5 - np.abs(4 * x - k), 0, 1) for k in (3, 2, 1)], -1)
    colour[~known] = 0
    return (colour * 255).astype(np.uint8)


def grid(cells: list[Picture], columns: int) -> Picture:
    """Pictures of one size in rows."""
    blank = [np.zeros_like(cells[0])] * (-len(cells) % columns)
    cells = cells + blank
    rows = [np.concatenate(cells[i : i + columns], 1) for i in range(0, len(cells), columns)]
    return np.concatenate(rows, 0)


def prediction_row(
    rgb: Picture, p: Prediction, i: int, size: tuple[int, int], extra: Picture | None = None
) -> Picture:
    """One row: picture, (extra), predicted depth with hard sky, expected error, normals."""
    log_depth = p.log_depth[i].numpy()
    sky = p.sky_logit[i].numpy() > 0
    depth = depth_picture(np.where(sky, np.inf, np.exp(log_depth)))
    error = np.clip(np.exp(p.log_error[i].numpy()) / 0.5, 0, 1)
    error_picture = np.repeat((error * 255).astype(np.uint8)[..., None], 3, -1)
    normal = torch.nn.functional.normalize(p.normal[i], dim=0).permute(1, 2, 0).numpy()
    normal_picture = (np.clip(normal * 0.5 + 0.5, 0, 1) * 255).astype(np.uint8)
    cells = [rgb, *([extra] if extra is not None else []), depth, error_picture, normal_picture]
    return np.concatenate([_fitted(cell, size) for cell in cells], 1)


def _fitted(picture: Picture, size: tuple[int, int]) -> Picture:
    """Scaled into (height, width), the rest black."""
    height, width = size
    h, w = picture.shape[:2]
    k = min(height / h, width / w)
    new = (max(1, round(h * k)), max(1, round(w * k)))
    x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float()
    x = torch.nn.functional.interpolate(x, size=new, mode="bilinear", antialias=True, align_corners=False)
    out = np.zeros((height, width, 3), np.uint8)
    out[: new[0], : new[1]] = x[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
    return out


def save_png(picture: Picture, path: Path) -> None:
    """Write it."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, optimize=True)
