"""What one training step does to the splats, in as few calls as it takes.

A GPU is done with a step in about a millisecond, and every call of torch costs the processor about a hundredth of that.
So the loss and the activations are differentiated by hand, autograd sees nothing but the rasteriser, and Adam's kernel
is called without its optimiser. On the CPU the numbers are those of autograd and of `torch.optim.Adam` to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinescape.raster import Rasterizer, is_batched
from splinescape.scene.harmonics import seen_colors
from splinescape.scene.resident import Resident
from splinescape.scene.splats import SH_C0
from splinescape.train.loss import masked_dssim, masked_smooth_l1

_BETA = 0.02
_MAX_LOGIT = 7.0
_REGISTER = 16
_NO_REDUCTION = 0


@dataclass(frozen=True, eq=False)
class Target:
    """A picture to match, on the device.

    Attributes:
        rgb: (H, W, 3). weight: (H, W). K_33, cam_T_world: camera.
        pull: (H, W, 3) derivative of the mean loss by the loss of each number.
    """

    rgb: Tensor
    weight: Tensor
    K_33: Tensor
    cam_T_world: Tensor
    pull: Tensor

    @staticmethod
    def of(
        rgb: NDArray[np.float32],
        weight: NDArray[np.float32],
        K_33: NDArray[np.float64],
        cam_T_world: NDArray[np.float64],
        device: torch.device,
    ) -> Target:
        """Copy a picture and its camera there."""
        picture, weights, K, cam = (
            torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(device, non_blocking=True)
            for array in (rgb, weight, K_33, cam_T_world)
        )
        pull = weights.sum().reciprocal() * weights
        return Target(picture, weights, K, cam, (pull[..., None].expand(picture.shape) / 3).contiguous())


class Step:
    """The splats in training: leaves for the rasteriser, and what Adam knows of them.

    Args:
        ready: the whole scene. rates: step size of every parameter by its name in `Splats`, 0 = fixed.
        steps: how many there will be at most. frozen: the first `frozen` splats keep everything.
        fixed_colors: (N,) bool, splats that keep their colour; None = none.
        dssim: weight of the SSIM term.

    Attributes:
        params: the whole scene by name, stepped in place where the rate is over 0.
        stepped: names of those.
    """

    def __init__(
        self,
        ready: Resident,
        rates: dict[str, float],
        steps: int,
        frozen: int,
        fixed_colors: NDArray[np.bool_] | None,
        dssim: float,
    ) -> None:
        self.params = {n: t.clone() if rates[n] > 0 else t for n, t in ready.params.items()}
        self.stepped = [n for n in self.params if rates[n] > 0]
        self._rates, self._dssim = rates, dssim
        # A full vector register, so that a splat's result does not depend on how many are frozen.
        self._start = frozen - frozen % _REGISTER
        self._skipped = frozen - self._start
        self._parts = {n: self.params[n][self._start :] for n in self.stepped}
        self._adam = _Adam(self._parts, steps)
        self._plain = ready.params["sh"].shape[1] == 1
        self._leaves = self._make_leaves(ready)
        self._wholes = {n: t.detach() for n, t in self._leaves.items()}
        self._tails = {n: t[self._start :] for n, t in self._wholes.items()}
        self._shape = self._derivative_of_colors(fixed_colors)
        self._unit = None
        if "means" in self.stepped:
            self._unit = torch.exp(ready.params["log_scales"][self._start :].amax(1, keepdim=True))
        if "opacity_logits" in self.stepped:
            self._logits = self._parts["opacity_logits"][self._skipped :]

    def _make_leaves(self, ready: Resident) -> dict[str, Tensor]:
        """What the rasteriser is differentiated by, by the name of the parameter that it is made from."""
        made = {"log_scales": ready.scales, "opacity_logits": ready.opacities}
        if self._plain and ready.colors is not None:
            made["sh"] = ready.colors
        self._fixed = {n: made.get(n, self.params[n]) for n in self.params}
        return {
            n: (made[n].clone() if n in made else self.params[n].detach()).requires_grad_()
            for n in self.stepped
        }

    def _derivative_of_colors(self, fixed_colors: NDArray[np.bool_] | None) -> Tensor | float:
        """Of the colour by `sh`: (M, 1, 1) with 0 for colours that are fixed, or one number for all."""
        scale = SH_C0 if self._plain else 1.0
        if fixed_colors is None:
            return scale
        free = torch.from_numpy(np.where(fixed_colors[self._start :], 0, scale).astype(np.float32))
        return free[:, None, None].to(self.params["sh"].device, non_blocking=True)

    def take(
        self,
        step: int,
        decay: float,
        target: Target,
        rasterizer: Rasterizer,
        background: bool,
        looked_at: bool,
    ) -> Tensor | None:
        """Step once.

        Args:
            step: its number, from 0. decay: factor of all rates. target: the picture to match.
            background: white instead of black.
            looked_at: whether anybody wants to know the loss.

        Returns:
            The loss before the step where it is wanted.
        """
        if step:
            self._activate()
        height, width = target.weight.shape
        rgb, alpha = _draw(rasterizer, self._splats(target.cam_T_world), target, width, height)
        with torch.no_grad():
            shown = rgb + (1 - alpha)[..., None] if background else rgb
            loss = masked_smooth_l1(shown, target.rgb, target.weight, _BETA) if looked_at else None
            v_rgb = torch.ops.aten.smooth_l1_loss_backward(
                target.pull, shown, target.rgb, _NO_REDUCTION, _BETA
            )
        if self._dssim > 0:
            more, v_more = _structure(shown, target, self._dssim * _BETA)
            loss, v_rgb = None if loss is None else loss + more, v_rgb + v_more
        seen, pulls = ((rgb, alpha), (v_rgb, -v_rgb.sum(-1))) if background else ((rgb,), (v_rgb,))
        found = torch.autograd.grad(seen, list(self._leaves.values()), pulls)
        with torch.no_grad():
            self._move(step, decay, self._chain(dict(zip(self._leaves, found, strict=True))))
        return loss

    def _activate(self) -> None:
        """Make the leaves anew from the parameters; those that are parameters themselves share their memory.

        Exponentials of all splats: torch rounds the last few of a row differently, and which those are would depend on
        how many are frozen.
        """
        with torch.no_grad():
            if "log_scales" in self.stepped:
                torch.exp(self.params["log_scales"], out=self._wholes["log_scales"])
            if "opacity_logits" in self.stepped:
                torch.sigmoid(self.params["opacity_logits"], out=self._wholes["opacity_logits"])
            if "sh" in self.stepped and self._plain:
                torch.mul(self._parts["sh"].squeeze(1), SH_C0, out=self._tails["sh"]).add_(0.5)

    def _splats(self, cam_T_world: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        now = self._fixed | self._leaves
        colors = now["sh"] if self._plain else seen_colors(now["means"], now["sh"], cam_T_world)
        return now["means"], now["quats"], now["log_scales"], now["opacity_logits"], colors

    def _chain(self, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
        """Gradients of the parameters from those of their leaves; none for frozen splats and fixed colours."""
        grads = {n: g[self._start :] for n, g in leaves.items()}
        if "log_scales" in grads:
            grads["log_scales"] = grads["log_scales"] * self._tails["log_scales"]
        if "opacity_logits" in grads:
            grads["opacity_logits"] = torch.ops.aten.sigmoid_backward(
                grads["opacity_logits"], self._tails["opacity_logits"]
            )
        if "sh" in grads:
            grads["sh"] = grads["sh"].reshape(self._parts["sh"].shape) * self._shape
        if self._skipped:
            torch._foreach_zero_([g[: self._skipped] for g in grads.values()])
        return grads

    def _move(self, step: int, decay: float, grads: dict[str, Tensor]) -> None:
        """One Adam step; means move in their own units, so that near and far splats train alike."""
        before = None if self._unit is None else self._parts["means"].clone()
        self._adam.step(step, {n: self._rates[n] * decay for n in self.stepped}, grads)
        if before is not None and self._unit is not None:
            means = self._parts["means"]
            means.copy_(before + (means - before) * self._unit)
        if "opacity_logits" in self.stepped:
            self._logits.clamp_(-_MAX_LOGIT, _MAX_LOGIT)


class _Adam:
    """Adam (Kingma and Ba 2015) by torch's kernel; what `torch.optim.Adam` does around it takes seven times as long."""

    def __init__(self, tensors: dict[str, Tensor], steps: int) -> None:
        self._tensors = tensors
        self._means = {n: torch.zeros_like(t) for n, t in tensors.items()}
        self._squares = {n: torch.zeros_like(t) for n, t in tensors.items()}
        device = next(iter(tensors.values())).device
        self._counts = torch.arange(1, steps + 1, dtype=torch.float32, device=device).unbind()

    def step(self, step: int, rates: dict[str, float], grads: dict[str, Tensor]) -> None:
        for name, tensor in self._tensors.items():
            torch._fused_adam_(
                [tensor],
                [grads[name]],
                [self._means[name]],
                [self._squares[name]],
                [],
                [self._counts[step]],
                lr=rates[name],
                beta1=0.9,
                beta2=0.999,
                weight_decay=0.0,
                eps=1e-12,
                amsgrad=False,
                maximize=False,
            )


def _structure(shown: Tensor, target: Target, factor: float) -> tuple[Tensor, Tensor]:
    """The weighted SSIM term and its derivative (H, W, 3)."""
    leaf = shown.detach().requires_grad_()
    loss = factor * masked_dssim(leaf, target.rgb, target.weight)
    return loss.detach(), torch.autograd.grad(loss, leaf)[0]


def _draw(
    rasterizer: Rasterizer,
    splats: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    target: Target,
    width: int,
    height: int,
) -> tuple[Tensor, Tensor]:
    """Colour and coverage; depth is not asked of an engine that can do without."""
    cam, K = target.cam_T_world, target.K_33
    if is_batched(rasterizer):
        out = rasterizer.rasterize_views(*splats, cam[None], K[None], width, height, with_depth=False)
        return out.rgb.squeeze(0), out.alpha.squeeze(0)
    rendering = rasterizer.rasterize(*splats, cam, K, width, height)
    return rendering.rgb, rendering.alpha
