"""What is the same in every folder of a FluxFillPipeline with random weights, whatever its size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

FLUX_FILL_PARTS = {
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "text_encoder_2": ["transformers", "T5EncoderModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "tokenizer_2": ["transformers", "T5TokenizerFast"],
    "transformer": ["diffusers", "FluxTransformer2DModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
TINY_FLUX = {
    "num_layers": 1,
    "num_single_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 32,
    "pooled_projection_dim": 32,
    "axes_dims_rope": [4, 4, 8],
}
"""Of the transformer's configuration, what makes it tiny."""
TINY_VAE = {
    "block_out_channels": [8, 8, 16, 16],
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 4,
}
VAE_BLOCKS = {"down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}


def write_index(folder: Path, pipeline: str, parts: dict[str, Any]) -> Path:
    """Say which class each part is of; returns the folder."""
    content = {"_class_name": pipeline, "_diffusers_version": "0.32.0"} | parts
    (folder / "model_index.json").write_text(json.dumps(content))
    return folder


def write_scheduler(folder: Path) -> None:
    """The schedule of noise, with the published settings."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    scheduler.save_pretrained(folder / "scheduler")


def write_vae(folder: Path, sizes: dict[str, Any], dtype: torch.dtype = torch.float32) -> None:
    """A VAE of these sizes with FLUX.1's scales."""
    from diffusers import AutoencoderKL

    scales = {"scaling_factor": 0.3611, "shift_factor": 0.1159}
    vae = AutoencoderKL(**VAE_BLOCKS, **sizes, **scales, use_quant_conv=False, use_post_quant_conv=False)
    vae.to(dtype).save_pretrained(folder / "vae")
