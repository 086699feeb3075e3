"""Gradient refinement of splats against pictures.

One set of tensors holds the whole scene. The splats before `first` are frozen: they take part in every rendering, and
only the rows behind them are stepped, through views of the same memory, so nothing is ever concatenated per step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event as CancelEvent

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinescape.errors import CancelledError
from splinescape.raster import Rasterizer
from splinescape.scene.harmonics import view_colors
from splinescape.scene.splats import Splats
from splinescape.train.loss import masked_dssim, masked_smooth_l1

_BETA = 0.02
_CHECK_EVERY = 10
_MAX_LOGIT = 7.0


@dataclass(frozen=True, eq=False)
class TrainingView:
    """One picture to match.

    Attributes:
        rgb: (H, W, 3) float32 in [0, 1].
        weight: (H, W) float32, 0 = not supervised.
        K_33, cam_T_world: camera as in `Frame`.
        share: how often the view is drawn, relative to the others.
    """

    rgb: NDArray[np.float32]
    weight: NDArray[np.float32]
    K_33: NDArray[np.float64]
    cam_T_world: NDArray[np.float64]
    share: float = 1.0


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        steps: at most this many. settled: stop when ten more steps improve the mean loss by less than this share.
        lr_*: Adam step sizes for SH, log-scales, opacity logits, means (in splat standard deviations), quaternions;
            0 freezes a parameter, and its gradient is never computed.
        dssim: weight of the SSIM term.
    """

    steps: int
    settled: float = 0.01
    lr_sh: float = 0.02
    lr_log_scales: float = 0.02
    lr_opacity: float = 0.1
    lr_means: float = 0.0
    lr_quats: float = 0.0
    dssim: float = 0.2


def train_splats(
    splats: Splats,
    first: int,
    views: Sequence[TrainingView],
    rasterizer: Rasterizer,
    schedule: Schedule,
    on_step: Callable[[int, int, float | None], None] | None = None,
    cancel: CancelEvent | None = None,
) -> Splats:
    """Refine splats[first:] so that renderings match the views.

    Args:
        splats: the whole scene, N splats. first: index of the first splat that may change.
        views: pictures; the one furthest behind its share is drawn next, so the order is always the same.
        rasterizer: engine; its device is where training happens.
        schedule: steps and rates.
        on_step: called with (step, steps, seconds left or None).
        cancel: checked before every step.

    Returns:
        Splats on the CPU; the first `first` rows are bit for bit those given.

    Raises:
        CancelledError: `cancel` was set.
    """
    if first >= len(splats) or not views or schedule.steps == 0:
        return splats
    device = rasterizer.device
    rates = {
        "means": schedule.lr_means,
        "log_scales": schedule.lr_log_scales,
        "quats": schedule.lr_quats,
        "opacity_logits": schedule.lr_opacity,
        "sh": schedule.lr_sh,
    }
    full = {name: t.detach().to(device).clone().requires_grad_(rates[name] > 0) for name, t in splats.tensors()}
    rows = {name: t.detach()[first:] for name, t in full.items() if rates[name] > 0}
    # A mean moves in units of its own splat's size, so that near and far splats train alike.
    mean_unit = torch.exp(full["log_scales"].detach()[first:].amax(1, keepdim=True)) if rates["means"] > 0 else None
    optimizer = torch.optim.Adam(
        [{"params": [row], "lr": rates[name]} for name, row in rows.items()], eps=1e-15, fused=True
    )
    targets = [_on_device(view, device) for view in views]
    drawn = np.zeros(len(views))
    shares = np.array([view.share for view in views]) / sum(view.share for view in views)
    history: list[float] = []
    started = time.monotonic()
    for step in range(schedule.steps):
        if cancel is not None and cancel.is_set():
            raise CancelledError("stopped on request during training")
        index = int(np.argmax(shares * (step + 1) - drawn))
        drawn[index] += 1
        loss = _loss(full, targets[index], rasterizer, schedule)
        loss.backward()  # type: ignore[no-untyped-call]
        _step(full, rows, first, optimizer, mean_unit)
        history.append(loss.detach())  # type: ignore[arg-type]
        if on_step is not None:
            left = (time.monotonic() - started) / (step + 1) * (schedule.steps - step - 1)
            on_step(step + 1, schedule.steps, left if step >= 2 else None)
        if _settled(history, schedule.settled, len(views)):
            break
    with torch.no_grad():
        done = {name: t.detach().cpu() for name, t in full.items()}
        trained = torch.nn.functional.normalize(done["quats"][first:], dim=1)
        done["quats"] = torch.cat([splats.quats[:first], trained]) if rates["quats"] > 0 else splats.quats
    return Splats(**done)


@dataclass(frozen=True, eq=False)
class _Target:
    rgb: Tensor
    weight: Tensor
    K_33: Tensor
    cam_T_world: Tensor


def _on_device(view: TrainingView, device: torch.device) -> _Target:
    return _Target(
        torch.from_numpy(np.ascontiguousarray(view.rgb)).to(device),
        torch.from_numpy(np.ascontiguousarray(view.weight, np.float32)).to(device),
        torch.from_numpy(view.K_33.astype(np.float32)).to(device),
        torch.from_numpy(view.cam_T_world.astype(np.float32)).to(device),
    )


def _loss(full: dict[str, Tensor], target: _Target, rasterizer: Rasterizer, schedule: Schedule) -> Tensor:
    height, width = target.weight.shape
    colors = _colors(full, target.cam_T_world)
    rendering = rasterizer.rasterize(
        full["means"],
        full["quats"],
        torch.exp(full["log_scales"]),
        torch.sigmoid(full["opacity_logits"]),
        colors,
        target.cam_T_world,
        target.K_33,
        width,
        height,
    )
    loss = masked_smooth_l1(rendering.rgb, target.rgb, target.weight, _BETA)
    if schedule.dssim > 0:
        loss = loss + schedule.dssim * _BETA * masked_dssim(rendering.rgb, target.rgb, target.weight)
    return loss


def _colors(full: dict[str, Tensor], cam_T_world: Tensor) -> Tensor:
    if full["sh"].shape[1] == 1:
        from splinescape.scene.splats import SH_C0

        return 0.5 + SH_C0 * full["sh"][:, 0]
    return view_colors(Splats(**full), cam_T_world)


def _step(
    full: dict[str, Tensor],
    rows: dict[str, Tensor],
    first: int,
    optimizer: torch.optim.Optimizer,
    mean_unit: Tensor | None,
) -> None:
    """One Adam step on the trainable rows; the frozen rows of the same tensors are not touched."""
    before = rows["means"].clone() if mean_unit is not None else None
    for name, row in rows.items():
        grad = full[name].grad
        assert grad is not None
        row.grad = grad[first:]
        full[name].grad = None
    optimizer.step()
    if before is not None and mean_unit is not None:
        rows["means"].copy_(before + (rows["means"] - before) * mean_unit)
    if "opacity_logits" in rows:
        rows["opacity_logits"].clamp_(-_MAX_LOGIT, _MAX_LOGIT)


def _settled(history: list[float], share: float, views: int) -> bool:
    """Whether the mean loss of the last window improved by less than `share` on the window before."""
    window = max(_CHECK_EVERY, 2 * views)
    if share <= 0 or len(history) < 2 * window or len(history) % _CHECK_EVERY:
        return False
    before = float(sum(history[-2 * window : -window])) / window
    after = float(sum(history[-window:])) / window
    return after > (1 - share) * before
