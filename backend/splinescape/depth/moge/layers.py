"""What the decoders of both MoGe versions are made of.

Names and formulas: microsoft/MoGe, moge/model/modules.py, v1.py and utils/geometry_torch.py (commit 0744441).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from splinescape.depth.moge.resize import interpolate

Norm = Literal["group_norm", "layer_norm", "instance_norm", "none"]
Activation = Literal["relu", "leaky_relu", "silu", "elu"]
Remap = Literal["linear", "sinh", "exp", "sinh_exp"]

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False)
class PointMaps:
    """What a network says about one picture, on its device, float32.

    Attributes:
        points: (H, W, 3) in the OpenCV camera frame, up to a scale and a shift along z.
        mask: (H, W) how sure it is that there is a surface; a probability in version 2, close to one in version 1.
        normals: (H, W, 3) unit vectors in the camera frame, or None.
        scale: () metres per unit of `points`, or None where the network does not know.
    """

    points: Tensor
    mask: Tensor
    normals: Tensor | None
    scale: Tensor | None


def in_full_precision(layer: nn.Module) -> None:
    """Let `layer` compute in float32 also under autocast.

    For the layer that says where a point is: in half precision its depth has steps of 0.05 to 0.2 %, which show as
    terraces.
    """
    layer.float()
    plain = layer.forward

    def forward(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return plain(x.float())

    layer.forward = forward


def conv3x3(inside: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(inside, out, kernel_size=3, padding=1, padding_mode="replicate")


def _norm(kind: Norm, channels: int) -> nn.Module:
    match kind:
        case "group_norm":
            return nn.GroupNorm(channels // 32, channels)
        case "layer_norm":
            return nn.GroupNorm(1, channels)
        case "instance_norm":
            return nn.InstanceNorm2d(channels)
    return nn.Identity()


def _activation(kind: Activation) -> nn.Module:
    match kind:
        case "leaky_relu":
            return nn.LeakyReLU(0.2)
        case "silu":
            return nn.SiLU()
        case "elu":
            return nn.ELU()
    return nn.ReLU()


class ResidualBlock(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))); the convolutions are `layers.2` and `layers.5`."""

    def __init__(
        self, channels: int, hidden: int, in_norm: Norm, hidden_norm: Norm, activation: Activation
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _norm(in_norm, channels),
            _activation(activation),
            conv3x3(channels, hidden),
            _norm(hidden_norm, hidden),
            _activation(activation),
            conv3x3(hidden, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def doubled_by_transpose(inside: int, out: int) -> nn.Sequential:
    """Twice the size: a transposed convolution, then a 3x3 one."""
    return nn.Sequential(nn.ConvTranspose2d(inside, out, kernel_size=2, stride=2), conv3x3(out, out))


def view_plane(rows: int, columns: int, aspect: float, device: torch.device) -> Tensor:
    """(1, 2, rows, columns) positions of cell centres, the half diagonal of the picture as unit, centre 0."""
    diagonal = (1 + aspect**2) ** 0.5
    u = _centres(columns, aspect / diagonal, device)
    v = _centres(rows, 1 / diagonal, device)
    return torch.stack(torch.meshgrid(u, v, indexing="xy")).unsqueeze(0)


def _centres(count: int, span: float, device: torch.device) -> Tensor:
    end = span * (count - 1) / count
    return torch.linspace(-end, end, count, device=device)


def with_view_plane(x: Tensor, aspect: float) -> Tensor:
    """`x` (1, C, rows, columns) with two more channels that tell where in the picture a cell lies."""
    uv = view_plane(x.shape[2], x.shape[3], aspect, x.device)
    return torch.cat([x, uv.to(x.dtype)], dim=1)


def resized(x: Tensor, height: int, width: int) -> Tensor:
    """(1, C, h, w) brought to (1, C, height, width) bilinearly."""
    return functional.interpolate(x, (height, width), mode="bilinear", align_corners=False)


def resampled(image: Tensor, height: int, width: int, mode: Literal["bilinear", "bicubic"]) -> Tensor:
    """A picture (1, 3, h, w) resampled to another size without aliasing."""
    return interpolate(image, size=(height, width), mode=mode, align_corners=False, antialias=True)


def remapped(raw: Tensor, remap: Remap) -> Tensor:
    """Points (..., 3) from what the decoder says; "exp" reads (x/z, y/z, log z)."""
    xy, z = raw[..., :2], raw[..., 2:]
    match remap:
        case "sinh":
            return torch.sinh(raw)
        case "exp":
            return torch.cat([xy * z.exp(), z.exp()], dim=-1)
        case "sinh_exp":
            return torch.cat([torch.sinh(xy), z.exp()], dim=-1)
    return raw
