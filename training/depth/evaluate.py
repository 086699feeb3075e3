"""Figures on generated worlds that were never trained on, and pictures of what the network sees in photographs."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from . import metrics, photo, pictures
from .feed import HELD_OUT, Batch
from .generator import KINDS, Generator, Views
from .losses import labels_of
from .network import STRIDE, DepthNetwork, Prediction

_SIZE = (288, 384)
_INDOOR = (KINDS.index("room"), KINDS.index("hall"), KINDS.index("shelves"))


def held_out(generator: Generator, per_kind: int, size: tuple[int, int] = _SIZE) -> tuple[Views, Batch]:
    """The same worlds every time: `per_kind` of every kind."""
    kinds = [k for k in range(len(KINDS)) for _ in range(per_kind)]
    worlds = generator.build([HELD_OUT + i for i in range(len(kinds))], kinds)
    views = generator.render(worlds, *size, samples=4)
    return views, as_seen(views)


def as_seen(views: Views) -> Batch:
    """Photographs that are not mirrored, so that views and batch show the same."""
    rgb = photo.develop(views.rgb, views.depth, photo.Dice.of(5, views.depth.device))
    return Batch(rgb.contiguous(memory_format=torch.channels_last), labels_of(views))


@torch.no_grad()
def predict(model: DepthNetwork, rgb: torch.Tensor, at_once: int = 32) -> Prediction:
    """The network's answers to many pictures, on the processor."""
    parts = []
    for chunk in rgb.split(at_once):
        with torch.autocast(chunk.device.type, torch.bfloat16, enabled=chunk.device.type == "cuda"):
            p = model(chunk)
        parts.append({name: value.float().cpu() for name, value in vars(p).items()})
    return Prediction(**{name: torch.cat([p[name] for p in parts]) for name in parts[0]})


def figures(p: Prediction, batch: Batch, views: Views) -> dict[str, dict[str, float]]:
    """Means over the pictures, for each kind, for "all" and for the baselines "constant" and "ramp"."""
    rows: dict[str, list[dict[str, float]]] = collections.defaultdict(list)
    tan_half = views.tan_half.cpu()
    for i in range(len(views.depth)):
        truth = views.depth[i].cpu().numpy().astype(np.float64)
        valid, sky = batch.labels.valid[i].cpu().numpy(), batch.labels.sky[i].cpu().numpy()
        if valid.mean() < 0.02:
            continue
        log_depth = p.log_depth[i].numpy().astype(np.float64)
        row = _row(log_depth, truth, valid)
        found = p.sky_logit[i].numpy() > 0
        if sky.any() or found.any():
            row["sky_iou"] = float((found & sky).sum() / max((found | sky).sum(), 1))
        if int(views.kind[i]) in _INDOOR:
            row["false_sky"] = float((found & ~sky).mean())
        angle = 2 * np.degrees(np.arctan(np.exp(float(p.log_tan_half[i]))))
        row["fov_error"] = abs(angle - 2 * np.degrees(np.arctan(float(tan_half[i]))))
        row["log_scale_error"] = abs(float(p.log_scale[i] - batch.labels.log_scale[i].cpu()))
        error = np.abs(log_depth - batch.labels.log_depth[i].cpu().numpy())[valid][::23]
        if len(error) > 50:
            row["error_rank"] = metrics.rank_correlation(p.log_error[i].numpy()[valid][::23], error)
        predicted_edges = metrics.edges(np.exp(log_depth), ~found)
        row["edge_f1"] = metrics.edge_f1(predicted_edges, metrics.edges(truth, valid))
        rows[KINDS[int(views.kind[i])]].append(row)
        rows["all"].append(row)
        rows["constant"].append(_row(np.zeros_like(truth), truth, valid))
        rows["ramp"].append(metrics.depth_errors(metrics.ramp(truth, valid), truth, valid))
    return {name: _means(all_rows) for name, all_rows in rows.items()}


def _row(
    log_depth: NDArray[np.float64], truth: NDArray[np.float64], valid: NDArray[np.bool_]
) -> dict[str, float]:
    one = metrics.depth_errors(metrics.align_scale(np.exp(log_depth), truth, valid), truth, valid)
    two = metrics.depth_errors(metrics.align_scale_shift(np.exp(-log_depth), truth, valid), truth, valid)
    return {**two, "absrel_scale": one["absrel"], "delta1_scale": one["delta1"]}


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    names = sorted({name for row in rows for name in row})
    return {n: round(float(np.nanmean([r[n] for r in rows if n in r] or [np.nan])), 4) for n in names}


def photo_sheet(
    model: DepthNetwork, folder: Path, device: torch.device, longer: int = 512
) -> NDArray[np.uint8] | None:
    """Rows of photo, depth, confidence and sky for every picture of a folder; None where there is none."""
    from PIL import Image, ImageOps

    rows = []
    for path in sorted(p for p in folder.glob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png")):
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file).convert("RGB")
            k = longer / max(picture.size)
            w, h = (max(STRIDE, round(s * k / STRIDE) * STRIDE) for s in picture.size)
            pixels = np.asarray(picture.resize((w, h), Image.Resampling.LANCZOS))
        rgb = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
        p = predict(model, rgb.to(device).contiguous(memory_format=torch.channels_last))
        rows.append(pictures.prediction_row(pixels, p, 0, size=(240, 320)))
    return np.concatenate(rows, 0) if rows else None


def world_sheet(p: Prediction, batch: Batch, views: Views, indices: list[int]) -> NDArray[np.uint8]:
    """Rows of picture, true depth, predicted depth, confidence and sky."""
    rows = []
    for i in indices:
        rgb = (batch.rgb[i].permute(1, 2, 0).float().cpu().numpy() * 255).round().astype(np.uint8)
        truth = pictures.depth_picture(views.depth[i].cpu().numpy())
        rows.append(pictures.prediction_row(rgb, p, i, size=(144, 192), extra=truth))
    return np.concatenate(rows, 0)
