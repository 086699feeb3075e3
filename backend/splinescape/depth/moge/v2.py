"""The network of MoGe version 2 (Wang et al. 2025, arXiv 2507.02546), names and shapes as in its published weights.

Formulas: microsoft/MoGe, moge/model/v2.py and modules.py (commit 0744441).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from splinescape.depth.moge.config import LEVELS, EncoderConfig, Resampling, StackConfig, V2Config
from splinescape.depth.moge.layers import (
    IMAGE_MEAN,
    IMAGE_STD,
    PointMaps,
    ResidualBlock,
    conv3x3,
    doubled_by_transpose,
    remapped,
    resampled,
    resized,
    view_plane,
    with_view_plane,
)
from splinescape.depth.moge.vit import PATCH, VisionTransformer


class Encoder(nn.Module):
    """The transformer, and the sum of projections of what several of its blocks say."""

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self._layers = config.taken.layers
        width = config.taken.size.width
        self.backbone = VisionTransformer(config.taken.size)
        self.output_projections = nn.ModuleList(nn.Conv2d(width, config.dim_out, 1) for _ in self._layers)
        self.register_buffer("image_mean", torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1))
        self.register_buffer("image_std", torch.tensor(IMAGE_STD).view(1, 3, 1, 1))

    def forward(self, image: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Features (1, dim_out, rows, columns) and the class token of the last block that is used (1, width)."""
        patches = resampled(image, rows * PATCH, columns * PATCH, "bilinear")
        taken = self.backbone((patches - self.image_mean) / self.image_std, self._layers)
        projected = [
            project(features) for project, (features, _) in zip(self.output_projections, taken, strict=True)
        ]
        return torch.stack(projected).sum(0), taken[-1][1]


class ConvStack(nn.Module):
    """Convolutions over a pyramid of feature maps, coarse to fine; each level also hears from the one before."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        dims = config.dim_res_blocks
        self.input_blocks = nn.ModuleList(
            _pointwise(fed, dim) for fed, dim in zip(config.dim_in, dims, strict=True)
        )
        self.resamplers = nn.ModuleList(
            _resampler(kind, *ends) for kind, ends in zip(config.resamplers, pairwise(dims), strict=True)
        )
        self.res_blocks = nn.ModuleList(
            nn.Sequential(*(_residual(config, dim) for _ in range(count)))
            for dim, count in zip(dims, config.num_res_blocks, strict=True)
        )
        self.output_blocks = nn.ModuleList(
            _pointwise(dim, out) for dim, out in zip(dims, config.dim_out, strict=True)
        )

    def forward(self, pyramid: list[Tensor]) -> list[Tensor]:
        outputs: list[Tensor] = []
        x = torch.zeros(())
        for level, features in enumerate(pyramid):
            fed = self.input_blocks[level](features)
            x = self.res_blocks[level](fed if level == 0 else self.resamplers[level - 1](x) + fed)
            outputs.append(self.output_blocks[level](x))
        return outputs


def _pointwise(inside: int | None, out: int | None) -> nn.Module:
    return nn.Identity() if inside is None or out is None else nn.Conv2d(inside, out, 1)


def _residual(config: StackConfig, channels: int) -> ResidualBlock:
    hidden = config.dim_times_res_block_hidden * channels
    return ResidualBlock(
        channels, hidden, config.res_block_in_norm, config.res_block_hidden_norm, config.activation
    )


def _resampler(kind: Resampling, inside: int, out: int) -> nn.Sequential:
    """Twice the size."""
    match kind:
        case "conv_transpose":
            return doubled_by_transpose(inside, out)
        case "pixel_shuffle":
            return nn.Sequential(conv3x3(inside, 4 * out), nn.PixelShuffle(2), conv3x3(out, out))
        case "nearest":
            return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), conv3x3(inside, out))
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), conv3x3(inside, out))


def _perceptron(dims: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inside, out in pairwise(dims):
        layers += [nn.Linear(inside, out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class MogeV2(nn.Module):
    """Points up to a shift, metres per unit, a mask, and normals where the checkpoint has them."""

    mask_threshold = 0.5

    @property
    def last(self) -> nn.Module:
        """The layer that says where the points are."""
        return self.points_head.output_blocks[-1]

    def __init__(self, config: V2Config) -> None:
        super().__init__()
        self.tokens_range = config.num_tokens_range
        self._remap = config.remap_output
        self.encoder = Encoder(config.encoder)
        self.neck = ConvStack(config.neck)
        self.points_head = ConvStack(config.points_head)
        self.mask_head = None if config.mask_head is None else ConvStack(config.mask_head)
        self.normal_head = None if config.normal_head is None else ConvStack(config.normal_head)
        self.metric = config.scale_head is not None
        self.scale_head = None if config.scale_head is None else _perceptron(config.scale_head.dims)

    def forward(self, image: Tensor, tokens: int, pixel_height: float = 1.0) -> PointMaps:
        """Look at a picture; arguments as of `MogeV1.forward`."""
        height, width = image.shape[-2:]
        aspect = width / (height * pixel_height)
        rows, columns = max(1, round((tokens / aspect) ** 0.5)), max(1, round((tokens * aspect) ** 0.5))
        features, token = self.encoder(image, rows, columns)
        finer = (view_plane(rows << n, columns << n, aspect, features.device) for n in range(1, LEVELS))
        pyramid = self.neck([with_view_plane(features, aspect), *(uv.to(features.dtype) for uv in finer)])

        def decoded(head: ConvStack) -> Tensor:
            """(H, W, channels)."""
            return resized(head(pyramid)[-1].float(), height, width)[0].permute(1, 2, 0)

        return PointMaps(
            points=remapped(decoded(self.points_head), self._remap),
            mask=image.new_ones(height, width)
            if self.mask_head is None
            else decoded(self.mask_head)[..., 0].sigmoid(),
            normals=None
            if self.normal_head is None
            else functional.normalize(decoded(self.normal_head), dim=-1),
            scale=None if self.scale_head is None else self.scale_head(token).float().exp().squeeze(),
        )
