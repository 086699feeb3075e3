"""The network: one picture in, log depth, sky, confidence, normals and the camera out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

STRIDE = 32  # height and width must be multiples of this

_WIDTHS = (48, 96, 160, 256, 384)  # channels at 1/2, 1/4, 1/8, 1/16, 1/32
_DETAIL = 64  # channels of the decoder at 1/2
_FULL = 32  # channels at full size
_OCTAVES = 4


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says of B pictures of H x W.

    Attributes:
        log_depth: (B, H, W) natural logarithm of camera z, about 0 in the middle of the picture's range.
        log_scale: (B,) added to `log_depth` it makes metres.
        sky_logit: (B, H, W) over 0: sky.
        log_error: (B, H, W) logarithm of the expected absolute error of `log_depth`.
        normal: (B, 3, H, W) towards the camera, in camera axes, not of unit length.
        log_tan_half: (B,) logarithm of the tangent of half the angle over the longer side.
        up: (B, 3) the world's up in camera axes, not of unit length.
    """

    log_depth: torch.Tensor
    log_scale: torch.Tensor
    sky_logit: torch.Tensor
    log_error: torch.Tensor
    normal: torch.Tensor
    log_tan_half: torch.Tensor
    up: torch.Tensor


class DepthNetwork(nn.Module):
    """Residual convolutions without batch statistics, attention at 1/16 and 1/32, and a decoder up to the pixels."""

    def __init__(self) -> None:
        super().__init__()
        c2, c4, c8, c16, c32 = _WIDTHS
        self.stem = nn.Conv2d(12, c2, 3, padding=1)
        self.enc2 = _Residual(c2)
        self.down4 = _Down(c2, c4)
        self.enc4 = nn.Sequential(_Residual(c4), _Residual(c4))
        self.down8 = _Down(c4, c8)
        self.enc8 = nn.Sequential(_Residual(c8), _Residual(c8), _Residual(c8))
        self.down16 = _Down(c8, c16)
        self.enc16 = _Residual(c16)
        self.where = nn.Conv2d(4 * _OCTAVES + 3, c16, 1)
        self.attend16 = nn.Sequential(*(_Attention(c16, 64) for _ in range(5)))
        self.down32 = _Down(c16, c32)
        self.attend32 = nn.Sequential(*(_Attention(c32, 64) for _ in range(2)))
        self.camera = nn.Sequential(nn.LayerNorm(c32), nn.Linear(c32, 128), nn.SiLU(), nn.Linear(128, 5))
        self.up16 = _Up(c32, c16)
        self.dec16 = _Residual(c16)
        self.up8 = _Up(c16, c8)
        self.dec8 = _Residual(c8)
        self.up4 = _Up(c8, c4)
        self.dec4 = nn.Sequential(_Residual(c4), _Residual(c4))
        self.up2 = _Up(c4, _DETAIL, skip=c2)
        self.dec2 = _Residual(_DETAIL)
        self.up1 = nn.ConvTranspose2d(_DETAIL, _FULL - 8, 2, stride=2)
        self.pixels = nn.Conv2d(3, 8, 3, padding=1)
        self.mix = nn.Conv2d(_FULL, _FULL, 3, padding=1)
        self.head = nn.Conv2d(_FULL, 6, 3, padding=1)
        if not self.head.weight.is_meta:  # of a shape alone; random numbers there cost a second
            self.apply(_initialise)
            nn.init.normal_(self.head.weight, std=0.01)

    def forward(self, rgb: torch.Tensor) -> Prediction:
        """Look at pictures (B, 3, H, W) of sRGB in [0, 1]; H and W multiples of STRIDE."""
        x = (rgb - 0.45) * 4.0
        e2 = self.enc2(self.stem(functional.pixel_unshuffle(x, 2)))
        e4 = self.enc4(self.down4(e2))
        e8 = self.enc8(self.down8(e4))
        e16 = self.enc16(self.down16(e8))
        e16 = self.attend16(e16 + self.where(_coordinates(e16)))
        e32 = self.attend32(self.down32(e16))
        camera = self.camera(e32.mean((2, 3))).float()
        d16 = self.dec16(self.up16(e32, e16))
        d8 = self.dec8(self.up8(d16, e8))
        d4 = self.dec4(self.up4(d8, e4))
        d2 = self.dec2(self.up2(d4, e2))
        full = torch.cat([self.up1(functional.silu(d2)), self.pixels(x)], 1)
        out = self.head(functional.silu(self.mix(functional.silu(full)))).float()
        return Prediction(
            log_depth=out[:, 0] * 4.0,
            log_scale=camera[:, 0] + 1.0,
            sky_logit=out[:, 1] * 4.0,
            log_error=out[:, 2] * 4.0 - 2.0,
            normal=out[:, 3:6] * 4.0 + torch.tensor([0.0, 0.0, -0.3], device=out.device).view(1, 3, 1, 1),
            log_tan_half=camera[:, 1] - 0.5,
            up=camera[:, 2:5] + torch.tensor([0.0, -0.5, 0.0], device=out.device),
        )


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="linear")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _coordinates(like: torch.Tensor) -> torch.Tensor:
    """(1, 19, h, w): where each cell lies in the picture, in units of half the longer side, and its shape."""
    h, w = like.shape[2:]
    longer = max(h, w)
    v = (torch.arange(h, device=like.device, dtype=torch.float32) + 0.5 - h / 2) * 2 / longer
    u = (torch.arange(w, device=like.device, dtype=torch.float32) + 0.5 - w / 2) * 2 / longer
    at = torch.stack([u.view(1, w).expand(h, w), v.view(h, 1).expand(h, w)])
    waves = [wave(at * (1.57 * 2**k)) for k in range(_OCTAVES) for wave in (torch.sin, torch.cos)]
    shape = torch.full((1, h, w), (w - h) / longer, device=like.device)
    return torch.cat([*waves, at, shape])[None].to(like.dtype)


def _channel_norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """LayerNorm over the channels of every pixel: (B, C, H, W) to the same."""
    return _last_norm(x.permute(0, 2, 3, 1), weight, bias).permute(0, 3, 1, 2)


def _last_norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """LayerNorm over the last axis in the type of x; autocast would make it, and all it writes, float32."""
    with torch.autocast(x.device.type, enabled=False):
        return functional.layer_norm(x, weight.shape, weight.to(x.dtype), bias.to(x.dtype), 1e-5)


class _ChannelNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _channel_norm(x, self.weight, self.bias)


class _Residual(nn.Module):
    """x + gain * conv(silu(conv(silu(x)))); the gain starts small, so depth needs no batch statistics."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.gain = nn.Parameter(torch.full((1, width, 1, 1), 0.2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addcmul(
            x, self.second(functional.silu(self.first(functional.silu(x)))), self.gain.to(x.dtype)
        )


class _Down(nn.Module):
    def __init__(self, width: int, wider: int) -> None:
        super().__init__()
        self.norm = _ChannelNorm(width)
        self.conv = nn.Conv2d(width, wider, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(self.norm(x))


class _Up(nn.Module):
    """Twice the size by learned 2 x 2 blocks, added to what the encoder saw there."""

    def __init__(self, width: int, narrower: int, skip: int | None = None) -> None:
        super().__init__()
        self.norm = _ChannelNorm(width)
        self.conv = nn.ConvTranspose2d(width, narrower, 2, stride=2)
        self.skip = nn.Conv2d(skip or narrower, narrower, 1)

    def forward(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        return self.conv(self.norm(x)) + self.skip(seen)


def _of_one_length(x: torch.Tensor) -> torch.Tensor:
    """Vectors along the last axis with a mean square of 1, in their type."""
    return (x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


class _Attention(nn.Module):
    """A transformer block over the cells of a feature map.

    Queries and keys are brought to one length and their products scaled by a learned number for each head (Henry et
    al. 2020); without that the products grew to hundreds in training, until a cell looked at a single other one.
    """

    def __init__(self, width: int, per_head: int) -> None:
        super().__init__()
        self.heads = width // per_head
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.sharpness = nn.Parameter(torch.full((1, self.heads, 1, 1), 1.5))
        self.gain1 = nn.Parameter(torch.full((width,), 0.2))
        self.gain2 = nn.Parameter(torch.full((width,), 0.2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        t = x.permute(0, 2, 3, 1).reshape(n, h * w, c)
        q, k, v = (
            self.qkv(_last_norm(t, self.norm1.weight, self.norm1.bias))
            .view(n, h * w, 3, self.heads, -1)
            .permute(2, 0, 3, 1, 4)
        )
        q, k = _of_one_length(q) * self.sharpness.to(q.dtype), _of_one_length(k)
        seen = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, h * w, c)
        t = t + self.gain1.to(t.dtype) * self.out(seen)
        t = t + self.gain2.to(t.dtype) * self.narrow(
            functional.silu(self.widen(_last_norm(t, self.norm2.weight, self.norm2.bias)))
        )
        return t.view(n, h, w, c).permute(0, 3, 1, 2)
