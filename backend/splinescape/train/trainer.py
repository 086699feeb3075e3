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

from splinescape.devices import torch_threads
from splinescape.errors import CancelledError
from splinescape.raster import Rasterizer
from splinescape.scene.resident import Resident, brought_back, keep, resident
from splinescape.scene.splats import Splats
from splinescape.train.settled import Losses
from splinescape.train.step import Step, Target

_CHECK_EVERY = 10


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
    if len(splats) == 0:
        return splats
    before = resident(splats, rasterizer.device)
    after = trained(before, views, rasterizer, schedule, fixed_colors, frozen, on_step, cancel)
    if after is before:
        return splats
    changed = {n: t for n, t in after.params.items() if t is not before.params[n]}
    done = replace(splats, **brought_back(changed))
    keep(done, after)
    return done


def trained(
    ready: Resident,
    views: Sequence[TrainingView],
    rasterizer: Rasterizer,
    schedule: Schedule,
    fixed_colors: NDArray[np.bool_] | None = None,
    frozen: int = 0,
    on_step: Callable[[int, int, float | None], None] | None = None,
    cancel: CancelEvent | None = None,
) -> Resident:
    """`train_splats` of a scene that is on the rasteriser's device, and stays there.

    Returns:
        The trained scene, which shares the parameters that did not change; `ready` itself when there is nothing to do.

    Raises:
        CancelledError: `cancel` was set.
    """
    if not views or schedule.steps == 0:
        return ready
    with torch_threads(1):
        return _train(ready, views, rasterizer, schedule, fixed_colors, frozen, on_step, cancel)


def _train(
    ready: Resident,
    views: Sequence[TrainingView],
    rasterizer: Rasterizer,
    schedule: Schedule,
    fixed_colors: NDArray[np.bool_] | None,
    frozen: int,
    on_step: Callable[[int, int, float | None], None] | None,
    cancel: CancelEvent | None,
) -> Resident:
    device = rasterizer.device
    stepping = Step(ready, _rates(schedule), schedule.steps, frozen, fixed_colors, schedule.dssim)
    targets = [Target.of(view.rgb, view.weight, view.K_33, view.cam_T_world, device) for view in views]
    drawn = np.zeros(len(views))
    shares = np.array([view.share for view in views]) / sum(view.share for view in views)
    window = max(_CHECK_EVERY, 2 * len(views))
    losses = Losses(
        schedule.settled, window, _CHECK_EVERY, schedule.steps, one_step_late=device.type != "cpu"
    )
    started = time.monotonic()
    for step in range(schedule.steps):
        if cancel is not None and cancel.is_set():
            raise CancelledError("stopped on request during training")
        index = int(np.argmax(shares * (step + 1) - drawn))
        drawn[index] += 1
        # Whatever shines through is wrong over black or over white, so surfaces learn to be opaque. Otherwise a
        # silhouette would learn to look right over the emptiness behind it and change when a later frame fills that.
        white = drawn[index] % 2 == 1
        decay = _decay(step, schedule.steps)
        losses.add(stepping.take(step, decay, targets[index], rasterizer, white, losses.watching))
        if on_step is not None:
            left = (time.monotonic() - started) / (step + 1) * (schedule.steps - step - 1)
            on_step(step + 1, schedule.steps, left if step >= 2 else None)
        if losses.settled():
            break
    there = stepping.params
    if schedule.lr_quats > 0:
        there["quats"] = torch.nn.functional.normalize(there["quats"], dim=1)
    return Resident.of(there, device)


def _rates(schedule: Schedule) -> dict[str, float]:
    return {
        "means": schedule.lr_means,
        "log_scales": schedule.lr_log_scales,
        "quats": schedule.lr_quats,
        "opacity_logits": schedule.lr_opacity,
        "sh": schedule.lr_sh,
    }


def _decay(step: int, steps: int) -> float:
    """Cosine from 1 to 0.1, so that settled splats come to rest."""
    return 0.1 + 0.45 * (1 + float(np.cos(np.pi * step / steps)))
