"""What is asked of the network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from .generator import HAZE, SKY, Views
from .network import Prediction

NEAREST, FARTHEST = 0.05, 20_000.0  # metres

_WEIGHTS = {
    "depth": 1.0,      # after one shift per picture; pixels next to the truth's steps count three times
    "absolute": 0.1,   # without it
    "local": 0.6,      # after one shift per window: the shape of things
    "gradient": 1.0,   # steps between neighbours, at four scales, the finest twice: edges
    "disparity": 0.5,  # near things count more
    "normal": 0.25,
    "sky": 0.5,
    "error": 0.1,      # the confidence; it does not reach into the depth
    "scale": 0.1,
    "fov": 0.5,
    "up": 0.2,
}  # fmt: skip

_EDGE_STEP = 0.1  # of the logarithm of depth between neighbours: something stands in front of something
_EDGE_REACH = 2  # pixels
_EDGE_EXTRA = 2.0  # weight on top of 1
_SCALE_WEIGHTS = (0.4, 0.2, 0.2, 0.2)


@dataclass(frozen=True, eq=False)
class Labels:
    """The truth of B pictures.

    Attributes:
        log_depth: (B, H, W) natural logarithm of metres less `log_scale`; 0 where not valid.
        log_scale: (B,) median of the logarithm of metres over valid pixels.
        valid: (B, H, W) bool: there is a surface that can be seen.
        sky: (B, H, W) bool.
        sky_known: (B, H, W) bool: haze makes neither sky nor surface.
        normal: (B, 3, H, W) unit, 0 on the sky.
        log_tan_half: (B,)
        up: (B, 3) unit.
    """

    log_depth: torch.Tensor
    log_scale: torch.Tensor
    valid: torch.Tensor
    sky: torch.Tensor
    sky_known: torch.Tensor
    normal: torch.Tensor
    log_tan_half: torch.Tensor
    up: torch.Tensor


def labels_of(views: Views) -> Labels:
    """The truth of rendered views. A mirror's depth is its surface: that is where its picture is painted."""
    sky = views.what == SKY
    hidden = views.what == HAZE
    valid = ~sky & ~hidden & torch.isfinite(views.depth)
    logs = torch.where(valid, views.depth, 1.0).clamp(NEAREST, FARTHEST).log()
    median = masked_median(logs, valid)
    return Labels(
        log_depth=torch.where(valid, logs - median.view(-1, 1, 1), 0.0),
        log_scale=median,
        valid=valid,
        sky=sky,
        sky_known=~hidden,
        normal=views.normal,
        log_tan_half=views.tan_half.log(),
        up=views.up,
    )


def masked_median(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(B,) median of (B, H, W) over the mask, from every 4th pixel; 0 where the mask is empty."""
    flat = torch.where(mask, values, torch.nan)[:, 1::4, 2::4].flatten(1)
    return torch.nan_to_num(flat.nanmedian(1).values)


def losses(p: Prediction, t: Labels) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The weighted sum and its parts (unweighted, detached)."""
    valid = t.valid.float()
    weight = edge_weight(t)
    raw = p.log_depth - t.log_depth
    residual = (raw - masked_median(raw.detach(), t.valid).view(-1, 1, 1)) * valid
    parts = {
        "depth": _mean(residual.abs(), weight),
        "absolute": _mean(raw.abs(), valid),
        "local": _local(raw, valid),
        "gradient": _gradient(raw, weight),
        "disparity": _disparity(residual, t.log_depth, valid),
        "normal": _mean(1 - functional.cosine_similarity(p.normal, t.normal, dim=1), valid),
        "sky": _sky(p.sky_logit, t),
        "error": _mean(
            residual.detach().abs() * torch.exp(-p.log_error.clamp(-6, 3)) + p.log_error.clamp(-6, 3), valid
        ),
        "scale": (p.log_scale - t.log_scale).abs().mean(),
        "fov": (p.log_tan_half - t.log_tan_half).abs().mean(),
        "up": (1 - functional.cosine_similarity(p.up, t.up)).mean(),
    }
    total = torch.stack([_WEIGHTS[name] * value for name, value in parts.items()]).sum()
    return total, {name: value.detach() for name, value in parts.items()}


def edge_weight(t: Labels) -> torch.Tensor:
    """(B, H, W): 1 on valid pixels, 3 on those within 2 pixels of an occlusion edge of the truth, else 0.

    An edge lies between neighbours whose depths differ by more than a tenth, or of which one is sky.
    """
    known = t.valid | t.sky
    far = torch.where(t.sky, 99.0, t.log_depth)
    edge = torch.zeros_like(far)
    dx = ((far[:, :, 1:] - far[:, :, :-1]).abs() > _EDGE_STEP) & known[:, :, 1:] & known[:, :, :-1]
    dy = ((far[:, 1:] - far[:, :-1]).abs() > _EDGE_STEP) & known[:, 1:] & known[:, :-1]
    edge[:, :, 1:] += dx
    edge[:, 1:] += dy
    # A step lies between its pixel and the one before: an even window reaches equally far to both sides.
    reach = 2 * _EDGE_REACH
    wide = functional.max_pool2d(functional.pad(edge, (_EDGE_REACH - 1, _EDGE_REACH) * 2), (1, reach), 1)
    near = functional.max_pool2d(wide, (reach, 1), 1).clamp(max=1)
    return t.valid * (1 + _EDGE_EXTRA * near)


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean per picture over the mask, then over pictures; every picture counts the same."""
    per_picture = (values * weight).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp(min=64)
    return per_picture.mean()


def _local(raw: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Error that is left after taking away the mean error of a window around each pixel."""
    total = raw.new_zeros(())
    half = functional.avg_pool2d(torch.stack([raw * valid, valid], 1), 2)
    values, weight = half[:, 0] / half[:, 1].clamp(min=0.25), (half[:, 1] > 0.9).float()
    for part in (4, 16):
        mean = _window_mean(half.detach(), max(3, min(half.shape[2:]) // part // 2 * 2 + 1))
        total = total + _mean((values - mean).abs(), weight)
    return total / 2


def _window_mean(sums: torch.Tensor, window: int) -> torch.Tensor:
    """(B, h, w) mean over square windows of values (B, 2, h, w): masked values and their weights."""
    side = window // 2
    pooled = functional.avg_pool2d(sums, (1, window), 1, (0, side), count_include_pad=False)
    pooled = functional.avg_pool2d(pooled, (window, 1), 1, (side, 0), count_include_pad=False)
    return pooled[:, 0] / pooled[:, 1].clamp(min=1e-3)


def _gradient(raw: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    total = raw.new_zeros(())
    root = weight.sqrt()  # a pair of pixels counts the geometric mean of both
    for scale, share in enumerate(_SCALE_WEIGHTS):
        step = 2**scale
        r, m = raw[:, ::step, ::step], root[:, ::step, ::step]
        dx, mx = (r[:, :, 1:] - r[:, :, :-1]).abs(), m[:, :, 1:] * m[:, :, :-1]
        dy, my = (r[:, 1:] - r[:, :-1]).abs(), m[:, 1:] * m[:, :-1]
        total = total + share * 0.5 * (_mean(dx, mx) + _mean(dy, my))
    return total


def _disparity(residual: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    inverse = torch.exp(-truth.clamp(min=-3))
    predicted = torch.exp(-(truth + residual).clamp(min=-3, max=12))
    return _mean((predicted - inverse).abs(), valid) * 0.5


def _sky(logit: torch.Tensor, t: Labels) -> torch.Tensor:
    known = t.sky_known.float()
    return _mean(functional.binary_cross_entropy_with_logits(logit, t.sky.float(), reduction="none"), known)
