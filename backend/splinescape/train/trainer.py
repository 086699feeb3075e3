"""Gradient refinement of splats against pictures.

One set of tensors holds the whole scene and is stepped in place; nothing is concatenated or copied per step. Which
splats change is decided by the views: a splat that no supervised pixel shows has no gradient and stays bit for bit.
Frozen splats are no business of the optimiser's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event as CancelEvent

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinescape.errors import CancelledError
from splinescape.raster import Rasterizer, is_batched
from splinescape.scene.harmonics import seen_colors
from splinescape.scene.resident import Resident, brought_back, keep, resident
from splinescape.scene.splats import SH_C0, Splats
from splinescape.train.loss import masked_dssim, masked_smooth_l1
from splinescape.train.settled import Losses

_BETA = 0.02
_CHECK_EVERY = 10
_MAX_LOGIT = 7.0
_REGISTER = 16


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
        dssim: weight of the SSIM term; it costs as much as a rendering and gains no PSNR, see benchmarks.
    """

    steps: int
    settled: float = 0.01
    lr_sh: float = 0.02
    lr_log_scales: float = 0.05
    lr_opacity: float = 0.2
    lr_means: float = 0.0
    lr_quats: float = 0.0
    dssim: float = 0.0


def train_splats(
    splats: Splats,
    views: Sequence[TrainingView],
    rasterizer: Rasterizer,
    schedule: Schedule,
    fixed_colors: NDArray[np.bool_] | None = None,
    frozen: int = 0,
    on_step: Callable[[int, int, float | None], None] | None = None,
    cancel: CancelEvent | None = None,
) -> Splats:
    """Refine splats so that renderings match the views.

    Torch works on one thread meanwhile: its tensors are small, and its idle threads would spin on the cores that the
    CPU rasteriser needs (measured up to 16 times slower on a busy machine).

    Args:
        splats: the whole scene, N splats.
        views: pictures; the one furthest behind its share is drawn next, so the order is always the same.
        rasterizer: engine; its device is where training happens.
        schedule: steps and rates.
        fixed_colors: (N,) bool, splats that keep their colour; None = none.
        frozen: the first `frozen` splats keep everything, bit for bit.
        on_step: called with (step, steps, seconds left or None).
        cancel: checked before every step.

    Returns:
        Splats on the CPU.

    Raises:
        CancelledError: `cancel` was set.
    """
    if len(splats) == 0 or not views or schedule.steps == 0:
        return splats
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _train(splats, views, rasterizer, schedule, fixed_colors, frozen, on_step, cancel)
    finally:
        torch.set_num_threads(threads)


def _train(
    splats: Splats,
    views: Sequence[TrainingView],
    rasterizer: Rasterizer,
    schedule: Schedule,
    fixed_colors: NDArray[np.bool_] | None,
    frozen: int,
    on_step: Callable[[int, int, float | None], None] | None,
    cancel: CancelEvent | None,
) -> Splats:
    device = rasterizer.device
    free = _Free.of(resident(splats, device), schedule, frozen, fixed_colors)
    optimizer = torch.optim.Adam(
        [{"params": [p], "lr": free.rates[n]} for n, p in free.stepped.items()], eps=1e-12, fused=True
    )
    rates = [group["lr"] for group in optimizer.param_groups]
    targets = [_on_device(view, device) for view in views]
    drawn = np.zeros(len(views))
    shares = np.array([view.share for view in views]) / sum(view.share for view in views)
    window = max(_CHECK_EVERY, 2 * len(views))
    losses = Losses(schedule.settled, window, _CHECK_EVERY, one_step_late=device.type != "cpu")
    started = time.monotonic()
    for step in range(schedule.steps):
        if cancel is not None and cancel.is_set():
            raise CancelledError("stopped on request during training")
        index = int(np.argmax(shares * (step + 1) - drawn))
        drawn[index] += 1
        loss = _loss(free.params, targets[index], rasterizer, schedule, float(drawn[index] % 2))
        loss.backward()
        _hand_over(free)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * _decay(step, schedule.steps)
        _step(free, optimizer)
        losses.add(loss.detach())
        if on_step is not None:
            left = (time.monotonic() - started) / (step + 1) * (schedule.steps - step - 1)
            on_step(step + 1, schedule.steps, left if step >= 2 else None)
        if losses.settled():
            break
    there = {n: p.detach() for n, p in free.params.items()}
    if schedule.lr_quats > 0:
        there["quats"] = torch.nn.functional.normalize(there["quats"], dim=1)
    return _bring_back(splats, there, Resident.of(there, device), list(free.stepped))


@dataclass(frozen=True, eq=False)
class _Free:
    """What a training may change.

    Attributes:
        params: the whole scene; leaves of the graph where their rate is over 0.
        stepped: what the optimiser steps: the splats of `params` from some point on, in the same memory. The point is a
            full vector register, so that a splat's result does not depend on how many are frozen.
        skipped: the first of `stepped` that are frozen all the same.
        rates: step size of every parameter, 0 = fixed.
        free_colors: (M, 1, 1) bool for `stepped`, None = all.
        unit: (M, 1) scene units in which means move, None when they do not: each splat's own size, so that near and far
            splats train alike.
    """

    params: dict[str, Tensor]
    stepped: dict[str, Tensor]
    skipped: int
    rates: dict[str, float]
    free_colors: Tensor | None
    unit: Tensor | None

    @staticmethod
    def of(ready: Resident, schedule: Schedule, frozen: int, fixed_colors: NDArray[np.bool_] | None) -> _Free:
        rates = {
            "means": schedule.lr_means,
            "log_scales": schedule.lr_log_scales,
            "quats": schedule.lr_quats,
            "opacity_logits": schedule.lr_opacity,
            "sh": schedule.lr_sh,
        }
        params = {n: t.clone().requires_grad_() if rates[n] > 0 else t for n, t in ready.params.items()}
        start = frozen - frozen % _REGISTER
        stepped = {n: params[n].detach()[start:].requires_grad_() for n in params if rates[n] > 0}
        free = unit = None
        if fixed_colors is not None:
            free = torch.from_numpy(~fixed_colors[start:]).to(ready.device)[:, None, None]
        if "means" in stepped:
            unit = torch.exp(ready.params["log_scales"][start:].amax(1, keepdim=True))
        return _Free(params, stepped, frozen - start, rates, free, unit)


def _bring_back(before: Splats, there: dict[str, Tensor], ready: Resident, changed: list[str]) -> Splats:
    """The trained splats on the CPU; what did not change is not copied, what is on the device is kept there."""
    done = replace(before, **brought_back({n: there[n] for n in changed}))
    keep(done, ready)
    return done


def _hand_over(free: _Free) -> None:
    """Give the gradients of `params` to `stepped`; frozen splats and fixed colours get zero."""
    for name, tensor in free.stepped.items():
        whole = free.params[name]
        grad, whole.grad = whole.grad, None
        if grad is None:
            continue
        grad = grad[len(grad) - len(tensor) :]
        if name == "sh" and free.free_colors is not None:
            grad *= free.free_colors
        if free.skipped:
            grad[: free.skipped] = 0
        tensor.grad = grad


def _decay(step: int, steps: int) -> float:
    """Cosine from 1 to 0.1, so that settled splats come to rest."""
    return 0.1 + 0.45 * (1 + float(np.cos(np.pi * step / steps)))


@dataclass(frozen=True, eq=False)
class _Target:
    rgb: Tensor
    weight: Tensor
    K_33: Tensor
    cam_T_world: Tensor


def _on_device(view: TrainingView, device: torch.device) -> _Target:
    return _Target(
        torch.from_numpy(np.ascontiguousarray(view.rgb)).to(device, non_blocking=True),
        torch.from_numpy(np.ascontiguousarray(view.weight, np.float32)).to(device, non_blocking=True),
        torch.from_numpy(view.K_33.astype(np.float32)).to(device, non_blocking=True),
        torch.from_numpy(view.cam_T_world.astype(np.float32)).to(device, non_blocking=True),
    )


def _loss(
    params: dict[str, Tensor], target: _Target, rasterizer: Rasterizer, schedule: Schedule, background: float
) -> Tensor:
    """Photometric loss over a background that alternates between black and white.

    Whatever shines through is wrong in one of the two, so surfaces learn to be opaque. Otherwise a silhouette would
    learn to look right over the emptiness behind it and change when a later frame fills that.
    """
    height, width = target.weight.shape
    splats = (
        params["means"],
        params["quats"],
        torch.exp(params["log_scales"]),
        torch.sigmoid(params["opacity_logits"]),
        _colors(params, target.cam_T_world),
    )
    rgb, alpha = _draw(rasterizer, splats, target, width, height)
    if background:
        rgb = rgb + background * (1 - alpha)[..., None]
    loss = masked_smooth_l1(rgb, target.rgb, target.weight, _BETA)
    if schedule.dssim > 0:
        loss = loss + schedule.dssim * _BETA * masked_dssim(rgb, target.rgb, target.weight)
    return loss


def _draw(
    rasterizer: Rasterizer,
    splats: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    target: _Target,
    width: int,
    height: int,
) -> tuple[Tensor, Tensor]:
    """Colour and coverage; depth is not asked of an engine that can do without."""
    cam, K = target.cam_T_world, target.K_33
    if is_batched(rasterizer):
        out = rasterizer.rasterize_views(*splats, cam[None], K[None], width, height, with_depth=False)
        return out.rgb[0], out.alpha[0]
    rendering = rasterizer.rasterize(*splats, cam, K, width, height)
    return rendering.rgb, rendering.alpha


def _colors(params: dict[str, Tensor], cam_T_world: Tensor) -> Tensor:
    if params["sh"].shape[1] == 1:
        return 0.5 + SH_C0 * params["sh"][:, 0]
    return seen_colors(params["means"], params["sh"], cam_T_world)


def _step(free: _Free, optimizer: torch.optim.Optimizer) -> None:
    """One Adam step; means move in their own units."""
    before = None if free.unit is None else free.stepped["means"].detach().clone()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    with torch.no_grad():
        if before is not None and free.unit is not None:
            means = free.stepped["means"]
            means.copy_(before + (means - before) * free.unit)
        if "opacity_logits" in free.stepped:
            free.stepped["opacity_logits"][free.skipped :].clamp_(-_MAX_LOGIT, _MAX_LOGIT)
