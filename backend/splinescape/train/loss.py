"""Photometric losses that look only at supervised pixels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_C1 = 0.01**2
_C2 = 0.03**2
_WINDOW = 11
_SIGMA = 1.5


def masked_smooth_l1(image: Tensor, target: Tensor, weight: Tensor, beta: float) -> Tensor:
    """Mean Huber loss over weighted pixels.

    Args:
        image, target: (H, W, 3). weight: (H, W) non-negative, summing to more than 0.
        beta: error at which the loss turns from quadratic to linear.
    """
    loss = torch.nn.functional.smooth_l1_loss(image, target, beta=beta, reduction="none")
    return (loss.mean(-1) * weight).sum() / weight.sum()


def masked_dssim(image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1 - SSIM (Wang et al. 2004, Gaussian window 11, sigma 1.5), averaged over weighted pixels.

    Pixels outside the mask are replaced by the target first, so that nothing unsupervised reaches a window.

    Args:
        image, target: (H, W, 3) in [0, 1]. weight: (H, W) non-negative, summing to more than 0.
    """
    supervised = (weight > 0)[..., None]
    ssim = _Ssim.apply(torch.where(supervised, image, target), target)
    return ((1 - ssim).mean(-1) * weight).sum() / weight.sum()


def _blur(image: NDArray[np.float32]) -> NDArray[np.float32]:
    blurred = cv2.GaussianBlur(image, (_WINDOW, _WINDOW), _SIGMA, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred, np.float32)


def _blur_tensor(image: Tensor) -> Tensor:
    """Gaussian window mean per channel, zero outside the image; its own adjoint."""
    if image.device.type == "cpu":
        return torch.from_numpy(_blur(image.detach().contiguous().numpy()))
    taps = torch.arange(_WINDOW, device=image.device, dtype=torch.float32) - _WINDOW // 2
    kernel = torch.exp(-(taps**2) / (2 * _SIGMA**2))
    kernel = (kernel / kernel.sum()).expand(image.shape[-1], 1, -1)
    x = image.permute(2, 0, 1)[None].contiguous()  # torch's own kernel: cuDNN's may round to TF32
    channels = x.shape[1]
    x = torch.nn.functional.conv2d(x, kernel[..., None], padding=(_WINDOW // 2, 0), groups=channels)
    x = torch.nn.functional.conv2d(x, kernel[:, :, None], padding=(0, _WINDOW // 2), groups=channels)
    return x[0].permute(1, 2, 0)


class _Ssim(torch.autograd.Function):
    """SSIM map (H, W, 3) with a gradient for the image that costs three blurs."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor) -> Tensor:
        mx, my = _blur_tensor(image), _blur_tensor(target)
        vx = _blur_tensor(image * image) - mx * mx
        vy = _blur_tensor(target * target) - my * my
        vxy = _blur_tensor(image * target) - mx * my
        a1, a2 = 2 * mx * my + _C1, 2 * vxy + _C2
        b1, b2 = mx * mx + my * my + _C1, vx + vy + _C2
        ssim = (a1 * a2) / (b1 * b2)
        # Partial derivatives for the mean, the raw second moment and the raw cross moment.
        d_vxy = 2 * a1 / (b1 * b2)
        d_vx = -ssim / b2
        d_mx = 2 * my * a2 / (b1 * b2) - 2 * mx * ssim / b1 - 2 * mx * d_vx - my * d_vxy
        ctx.save_for_backward(image, target, d_mx, d_vx, d_vxy)
        return ssim

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        image, target, d_mx, d_vx, d_vxy = ctx.saved_tensors
        g = grads[0]
        grad = _blur_tensor(g * d_mx) + 2 * image * _blur_tensor(g * d_vx) + target * _blur_tensor(g * d_vxy)
        return grad, None
