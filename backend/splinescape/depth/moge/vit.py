"""The DINOv2 vision transformer, with the parameter names of the published weights.

Definition: Oquab et al. 2023, arXiv 2304.07193. Names, blocks and the resizing of the position embedding are those of
facebookresearch/dinov2 (vision_transformer.py), which microsoft/MoGe (commit 0744441) bundles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from splinescape.depth.moge.resize import interpolate

PATCH = 14
_TRAINED_GRID = 37
"""Patches per side of the 518-pixel pictures that the position embedding was trained for."""


@dataclass(frozen=True)
class VitSize:
    """Width of a token, number of blocks, and attention heads per block."""

    width: int
    depth: int
    heads: int


VIT_SIZES = {
    "dinov2_vits14": VitSize(384, 12, 6),
    "dinov2_vitb14": VitSize(768, 12, 12),
    "dinov2_vitl14": VitSize(1024, 24, 16),
}


class Attention(nn.Module):
    """Multi-head self-attention with one matrix for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        x = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, width))


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)
        self.ls2 = LayerScale(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=PATCH, stride=PATCH)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """DINOv2 without registers; `mask_token` is loaded and not used, as training alone needs it."""

    def __init__(self, size: VitSize) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + _TRAINED_GRID**2, size.width))
        self.mask_token = nn.Parameter(torch.zeros(1, size.width))
        self.patch_embed = PatchEmbed(size.width)
        self.blocks = nn.ModuleList(Block(size.width, size.heads) for _ in range(size.depth))
        self.norm = nn.LayerNorm(size.width, eps=1e-6)

    def forward(self, image: Tensor, layers: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """Normalised tokens after the blocks `layers`, counted from 0, in ascending order.

        Args:
            image: (B, 3, 14 rows, 14 columns), mean and deviation of the training pictures taken out.

        Returns:
            For each layer, patch features (B, width, rows, columns) and the class token (B, width).
        """
        rows, columns = image.shape[2] // PATCH, image.shape[3] // PATCH
        patches = self.patch_embed(image)
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        x = x + self._positions(rows, columns)
        taken = []
        for index, block in enumerate(self.blocks[: max(layers) + 1]):
            x = block(x)
            if index in layers:
                tokens = self.norm(x)
                features = tokens[:, 1:].transpose(1, 2).unflatten(2, (rows, columns)).contiguous()
                taken.append((features, tokens[:, 0]))
        return taken

    def _positions(self, rows: int, columns: int) -> Tensor:
        """The position embedding (1, 1 + rows x columns, width), resized bicubically to the grid."""
        if rows == columns == _TRAINED_GRID:
            return self.pos_embed
        grid = self.pos_embed[:, 1:].transpose(1, 2).unflatten(2, (_TRAINED_GRID, _TRAINED_GRID))
        # The weights were trained with a scale of (n + 0.1) / 37, not n / 37.
        scale = ((rows + 0.1) / _TRAINED_GRID, (columns + 0.1) / _TRAINED_GRID)
        grid = interpolate(grid, scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)
