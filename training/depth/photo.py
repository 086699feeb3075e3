"""What cameras do to light: exposure, lens, noise, tone, resizing and JPEG, drawn anew for every picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

_LUMINANCE = (0.2126, 0.7152, 0.0722)
_JPEG_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


@dataclass(frozen=True)
class Dice:
    """Random numbers of one batch: the same seed gives the same pictures on one kind of device."""

    generator: torch.Generator
    device: torch.device

    @staticmethod
    def of(seed: int, device: torch.device) -> Dice:
        return Dice(torch.Generator(device).manual_seed(seed), device)

    def uniform(self, low: float, high: float, n: int) -> torch.Tensor:
        """(n, 1, 1, 1)."""
        return low + (high - low) * torch.rand(n, 1, 1, 1, generator=self.generator, device=self.device)

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator, device=self.device)

    def some(self, share: float, n: int) -> torch.Tensor:
        """Indices (m,) of about this share of n pictures."""
        return torch.nonzero(torch.rand(n, generator=self.generator, device=self.device) < share)[:, 0]


def develop(rgb: torch.Tensor, depth: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Turn linear light into photographs.

    Args:
        rgb: (B, 3, H, W) float32 linear light; H and W multiples of 16.
        depth: (B, H, W) float32, +inf for sky: what lies out of focus gets blurred.
        dice: the randomness.

    Returns:
        (B, 3, H, W) float32 in [0, 1], in steps of 1/255.
    """
    n = len(rgb)
    x = torch.nan_to_num(rgb, posinf=50.0).clamp(0, 50)
    x = _expose(x, dice)
    x = _some(x, _shallow(depth, dice), lambda part, index: _out_of_focus(part, depth[index], dice))
    x = _some(x, dice.some(0.04, n), lambda part, _: _shaken(part, dice))
    x = _some(x, dice.some(0.25, n), lambda part, _: _blur(part, float(dice.uniform(0.3, 0.9, 1))))
    x = _some(x, dice.some(0.2, n), lambda part, _: _glow(part, dice))
    x = _vignette(x, dice)
    x = _some(x, dice.some(0.5, n), lambda part, _: _noise(part, dice))
    x = _tone(x, dice)
    x = _some(x, dice.some(0.2, n), lambda part, _: _resized(part, dice))
    x = _some(x, dice.some(0.3, n), lambda part, _: _sharpened(part, dice))
    x = _some(x, dice.some(0.55, n), lambda part, _: jpeg(part, dice.uniform(15, 95, len(part))))
    return (x.clamp(0, 1) * 255).round() / 255


_Change = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # pictures and their indices to pictures


def _some(x: torch.Tensor, index: torch.Tensor, change: _Change) -> torch.Tensor:
    if len(index) == 0:
        return x
    return x.index_copy(0, index, change(x[index], index))


def _luminance(x: torch.Tensor) -> torch.Tensor:
    return (x * torch.tensor(_LUMINANCE, device=x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _expose(x: torch.Tensor, dice: Dice) -> torch.Tensor:
    """A meter that looks at most of the picture, and a photographer who corrects it."""
    n = len(x)
    light = functional.adaptive_avg_pool2d(_luminance(x), 24).flatten(1)
    level = 0.5 * light.clamp(max=20).log1p().mean(1).expm1() + 0.5 * (light + 1e-3).log().mean(1).exp()
    stops = 0.55 * dice.normal(n)
    gain = (0.27 * 2**stops / (level + 2e-3)).view(n, 1, 1, 1)
    warm, tint = 0.13 * dice.normal(n, 1, 1), 0.05 * dice.normal(n, 1, 1)
    balance = torch.stack([warm + tint, -tint, -warm + tint], 1).exp()
    return x * gain * balance


def _gauss_kernel(sigma: float, device: torch.device) -> torch.Tensor:
    radius = max(1, math.ceil(2.5 * sigma))
    at = torch.arange(-radius, radius + 1, device=device, dtype=torch.float32)
    weights = torch.exp(-0.5 * (at / sigma) ** 2)
    return weights / weights.sum()


def _blur(x: torch.Tensor, sigma: float) -> torch.Tensor:
    kernel = _gauss_kernel(sigma, x.device)
    radius = len(kernel) // 2
    flat = x.reshape(-1, 1, *x.shape[2:])
    flat = functional.conv2d(
        functional.pad(flat, (radius, radius, 0, 0), "replicate"), kernel.view(1, 1, 1, -1)
    )
    flat = functional.conv2d(
        functional.pad(flat, (0, 0, radius, radius), "replicate"), kernel.view(1, 1, -1, 1)
    )
    return flat.view_as(x)


def _shallow(depth: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Indices (m,) of the pictures with shallow depth of field: one in ten, a third of those of near things."""
    inverse = 1 / depth[:, ::4, ::4].flatten(1).clamp(min=0.05)
    near = inverse.quantile(0.7, dim=1) > 1  # three tenths of the picture are less than a metre away
    chance = torch.where(near, 0.36, 0.1)
    drawn = torch.rand(len(depth), generator=dice.generator, device=dice.device)
    return torch.nonzero(drawn < chance)[:, 0]


def _out_of_focus(x: torch.Tensor, depth: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Discs of confusion by the distance from the focal plane, between a few ready-made blurs.

    What is nearer than the focal plane spreads over what is behind it; depth's own edges stay where they are.
    """
    n = len(x)
    inverse = (1 / depth.clamp(min=0.1)).unsqueeze(1)
    row = torch.rand(n, 2, generator=dice.generator, device=dice.device)
    grid = (row * 1.2 - 0.6).view(n, 1, 1, 2)
    focus = functional.grid_sample(inverse, grid, align_corners=False)
    scale = inverse.flatten(1).amax(1).view(n, 1, 1, 1).clamp(min=1e-3)
    strength = 2 * (10 ** dice.uniform(0.0, 1.0, n))  # the largest radius: 2 to 20 pixels
    circle = (inverse - focus).abs() / scale * strength
    before = torch.where(inverse > focus, circle, 0.0)
    circle = torch.maximum(_blur(circle, 1.2), _blur(functional.max_pool2d(before, 9, 1, 4), 2.0))
    out, last, previous = x, 0.0, x
    for radius in (1.3, 3.0, 6.0, 12.0, 20.0):
        layer = _disc(x, radius)
        k = ((circle - last) / (radius - last)).clamp(0, 1)
        out = torch.where(circle > last, torch.lerp(previous, layer, k), out)
        last, previous = radius, layer
    return out


def _disc(x: torch.Tensor, radius: float) -> torch.Tensor:
    """Each point becomes an even disc; large ones on a smaller picture."""
    step = 1 if radius <= 3 else 2 if radius <= 6 else 4
    h, w = x.shape[2:]
    small = functional.avg_pool2d(x, step) if step > 1 else x
    side = math.ceil(radius / step)
    at = torch.arange(-side, side + 1, device=x.device, dtype=torch.float32)
    kernel = (radius / step + 0.5 - (at**2 + at.view(-1, 1) ** 2).sqrt()).clamp(0, 1)
    kernel = (kernel / kernel.sum()).view(1, 1, *kernel.shape)
    flat = functional.pad(small.reshape(-1, 1, *small.shape[2:]), [side] * 4, "replicate")
    small = functional.conv2d(flat, kernel).view_as(small)
    if step == 1:
        return small
    return functional.interpolate(small, size=(h, w), mode="bilinear", align_corners=False)


def _shaken(x: torch.Tensor, dice: Dice) -> torch.Tensor:
    n, size = len(x), 9
    angle, reach = dice.uniform(0, math.pi, n), dice.uniform(1.0, 4.0, n)
    at = torch.arange(size, device=x.device) - size // 2
    v, u = torch.meshgrid(at, at, indexing="ij")
    along = u * torch.cos(angle) + v * torch.sin(angle)
    across = v * torch.cos(angle) - u * torch.sin(angle)
    kernel = ((along.abs() <= reach) & (across.abs() < 0.71)).float()
    kernel = kernel / kernel.sum((2, 3), keepdim=True)
    channels, (h, w) = x.shape[1], x.shape[2:]
    kernel = kernel.expand(n, channels, size, size).reshape(n * channels, 1, size, size)
    padded = functional.pad(x, [size // 2] * 4, "replicate").reshape(
        1, n * channels, h + size - 1, w + size - 1
    )
    return functional.conv2d(padded, kernel, groups=n * channels).view(n, channels, h, w)


def _glow(x: torch.Tensor, dice: Dice) -> torch.Tensor:
    small = functional.avg_pool2d(x.clamp(max=8), 8)
    halo = functional.interpolate(_blur(small, 2.5), size=x.shape[2:], mode="bilinear", align_corners=False)
    return torch.lerp(x, halo, dice.uniform(0.0, 0.12, len(x)))


def _vignette(x: torch.Tensor, dice: Dice) -> torch.Tensor:
    n, (h, w) = len(x), x.shape[2:]
    v = torch.linspace(-1, 1, h, device=x.device).view(1, 1, h, 1)
    u = torch.linspace(-1, 1, w, device=x.device).view(1, 1, 1, w)
    return x * (1 - dice.uniform(-0.05, 0.3, n).clamp(min=0) * (u * u + v * v))


def _noise(x: torch.Tensor, dice: Dice) -> torch.Tensor:
    n = len(x)
    read, shot = 10 ** dice.uniform(-4.0, -2.0, n), 10 ** dice.uniform(-5.0, -2.3, n)
    grain = dice.normal(*x.shape)
    if float(dice.uniform(0, 1, 1)) < 0.4:  # blotchy, as left by a camera's own denoising
        grain = _blur(grain, 0.8) * 1.8
    return (x + grain * (read**2 + shot * x.clamp(min=0)).sqrt()).clamp(min=0)


def _tone(x: torch.Tensor, dice: Dice) -> torch.Tensor:
    """A camera's response: shoulder, gamma, contrast, saturation, lifted blacks."""
    n = len(x)
    shoulder = dice.uniform(0.0, 1.0, n)
    white = 1 + 3 * shoulder
    x = torch.lerp(x, x * (1 + x / white**2) / (1 + x) * 1.35, shoulder)
    x = x.clamp(0, 1).clamp(min=1e-5) ** (1 / dice.uniform(1.9, 2.5, n))
    contrast = dice.uniform(-0.25, 0.55, n)
    curved = x * x * (3 - 2 * x)
    x = torch.lerp(x, torch.where(contrast > 0, curved, x.sqrt() * 0.5 + 0.25), contrast.abs())
    gray = _luminance(x)
    saturation = torch.where(dice.uniform(0, 1, n) < 0.04, 0.0, dice.uniform(0.55, 1.4, n))
    x = torch.lerp(gray, x, saturation)
    lift = dice.uniform(-0.06, 0.06, n).clamp(min=0)
    return (lift + x * (1 - lift)).clamp(0, 1)


def _resized(x: torch.Tensor, dice: Dice) -> torch.Tensor:
    h, w = x.shape[2:]
    factor = float(dice.uniform(1.1, 2.4, 1))
    size = (max(16, round(h / factor)), max(16, round(w / factor)))
    mode = "bicubic" if factor < 1.9 else "bilinear"
    small = functional.interpolate(x, size=size, mode=mode, antialias=True, align_corners=False)
    return functional.interpolate(small, size=(h, w), mode="bicubic", align_corners=False).clamp(0, 1)


def _sharpened(x: torch.Tensor, dice: Dice) -> torch.Tensor:
    return (x + (x - _blur(x, 1.0)) * dice.uniform(0.2, 1.4, len(x))).clamp(0, 1)


def jpeg(x: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """Quantise 8 x 8 blocks of cosines as JPEG does, with halved colour.

    Args:
        x: (B, 3, H, W) in [0, 1], H and W multiples of 16.
        quality: (B, 1, 1, 1) of 1 to 99, in the sense of libjpeg.
    """
    r, g, b = x.unbind(1)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    planes = (y, 0.564 * (b - y), 0.713 * (r - y))
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    table = (torch.tensor(_JPEG_LUMA, device=x.device).float().view(1, 1, 8, 8) * scale).clamp(min=1) / 255
    y = _quantised(planes[0], table)
    colour = []
    for plane in planes[1:]:
        small = _quantised(
            functional.avg_pool2d(plane.unsqueeze(1), 2)[:, 0], (table * 1.5).clamp(max=99 / 255)
        )
        colour.append(functional.interpolate(small.unsqueeze(1), scale_factor=2, mode="nearest")[:, 0])
    b, r = y + colour[0] / 0.564, y + colour[1] / 0.713
    g = (y - 0.299 * r - 0.114 * b) / 0.587
    return torch.stack([r, g, b], 1).clamp(0, 1)


def _quantised(plane: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    n, h, w = plane.shape
    k = torch.arange(8, device=plane.device, dtype=torch.float32)
    basis = torch.cos(math.pi / 8 * (k + 0.5) * k.view(8, 1)) * 0.5
    basis[0] *= math.sqrt(0.5)
    blocks = plane.reshape(n, h // 8, 8, w // 8, 8).permute(0, 1, 3, 2, 4).reshape(n, -1, 8, 8)
    blocks = basis @ (blocks - 0.5) @ basis.T
    blocks = basis.T @ ((blocks / table).round() * table) @ basis + 0.5
    return blocks.view(n, h // 8, w // 8, 8, 8).permute(0, 1, 3, 2, 4).reshape(n, h, w)
