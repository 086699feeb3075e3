"""The network of MoGe version 1 (Wang et al. 2024, arXiv 2410.19115), names and shapes as in its published weights.

Formulas: microsoft/MoGe, moge/model/v1.py (commit 0744441).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from splinescape.depth.moge.config import V1Config
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
    with_view_plane,
)
from splinescape.depth.moge.vit import PATCH, VisionTransformer


class Head(nn.Module):
    """Patch features of several blocks to points and mask."""

    def __init__(self, config: V1Config) -> None:
        super().__init__()
        width = config.taken.size.width
        self.projects = nn.ModuleList(nn.Conv2d(width, config.dim_proj, 1) for _ in config.taken.layers)
        inputs = (config.dim_proj, *config.dim_upsample[:-1])
        self.upsample_blocks = nn.ModuleList(
            nn.Sequential(
                doubled_by_transpose(inside + 2, out),
                *(_residual(config, out) for _ in range(config.num_res_blocks)),
            )
            for inside, out in zip(inputs, config.dim_upsample, strict=True)
        )
        self.output_block = nn.ModuleList(_output_block(config, channels) for channels in (3, 1))

    def forward(self, features: list[Tensor], height: int, width: int) -> tuple[Tensor, Tensor]:
        """Points (1, 3, height, width) before remapping and mask (1, 1, height, width)."""
        aspect = width / height
        x = torch.stack([project(each) for project, each in zip(self.projects, features, strict=True)]).sum(0)
        for block in self.upsample_blocks:
            x = block(with_view_plane(x, aspect))
        x = with_view_plane(resized(x, height, width), aspect)
        points, mask = (block(x) for block in self.output_block)
        return points, mask


def _residual(config: V1Config, channels: int) -> ResidualBlock:
    hidden = config.dim_times_res_block_hidden * channels
    return ResidualBlock(channels, hidden, "layer_norm", config.res_block_norm, "relu")


def _output_block(config: V1Config, out: int) -> nn.Sequential:
    channels, size = config.last_conv_channels, config.last_conv_size
    return nn.Sequential(
        conv3x3(config.dim_upsample[-1] + 2, channels),
        *(_residual(config, channels) for _ in range(config.last_res_blocks)),
        nn.ReLU(),
        nn.Conv2d(channels, out, size, padding=size // 2, padding_mode="replicate"),
    )


class MogeV1(nn.Module):
    """Points up to an unknown scale and shift, and a mask."""

    metric = False

    @property
    def last(self) -> nn.Module:
        """The layer that says where the points are."""
        block = self.head.output_block[0]
        assert isinstance(block, nn.Sequential)
        return block[-1]

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, config: V1Config) -> None:
        super().__init__()
        self.tokens_range = config.num_tokens_range
        self.mask_threshold = config.mask_threshold
        self._layers = config.taken.layers
        self._remap = config.remap_output
        self.backbone = VisionTransformer(config.taken.size)
        self.head = Head(config)
        self.register_buffer("image_mean", torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1))
        self.register_buffer("image_std", torch.tensor(IMAGE_STD).view(1, 3, 1, 1))

    def forward(self, image: Tensor, tokens: int, pixel_height: float = 1.0) -> PointMaps:
        """Look at a picture.

        Args:
            image: (1, 3, H, W) in [0, 1]. tokens: about how many patches to cut it into.
            pixel_height: height of a pixel, its width as unit.
        """
        height, width = image.shape[-2:]
        # As published, down to the rounding: the picture is brought to the area of the patches, then to whole ones.
        factor = (tokens * PATCH**2 / (height * pixel_height * width)) ** 0.5
        rows = max(PATCH, int(height * pixel_height * factor))
        columns = max(PATCH, int(width * factor))
        small = (resampled(image, rows, columns, "bicubic") - self.image_mean) / self.image_std
        patches = resampled(small, rows // PATCH * PATCH, columns // PATCH * PATCH, "bilinear")
        features = [patch_features for patch_features, _ in self.backbone(patches, self._layers)]
        points, mask = (each.float() for each in self.head(features, rows, columns))
        points = remapped(resized(points, height, width).squeeze(0).permute(1, 2, 0), self._remap)
        return PointMaps(points, resized(mask, height, width)[0, 0], None, None)
