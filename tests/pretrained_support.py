"""Tiny Depth Pro and Depth Anything models with random weights, in the format in which the real ones are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

DINOV2 = {"model_type": "dinov2", "num_hidden_layers": 4, "num_attention_heads": 2}
DEPTH_PRO_SIDE = 128


def save_depth_pro(folder: Path, *, fov: float | None = 40.0, level: float = 0.6) -> Path:
    """Depth Pro on pictures of 128x128 with patches of 32.

    Args:
        fov: about what its field of view head says, in degrees; None for a model without that head.
        level: about the canonical inverse depth.
    """
    from transformers import DepthProConfig, DepthProForDepthEstimation

    encoder = {**DINOV2, "hidden_size": 16, "image_size": 32, "patch_size": 4}
    config = DepthProConfig(
        patch_size=DEPTH_PRO_SIDE // 4,
        fusion_hidden_size=16,
        intermediate_hook_ids=[2, 1],
        intermediate_feature_dims=[16, 16],
        scaled_images_feature_dims=[16, 16, 16],
        use_fov_model=fov is not None,
        image_model_config=dict(encoder),
        patch_model_config=dict(encoder),
        fov_model_config=dict(encoder),
    )
    torch.manual_seed(1)
    model = DepthProForDepthEstimation(config).eval()
    _liven(model, model.head.layers[-2], level, level / 2, DEPTH_PRO_SIDE)
    if fov is not None:
        model.fov_model.head.layers[-1].bias.data.fill_(fov)
    model.save_pretrained(folder)
    write_settings(folder, size=DEPTH_PRO_SIDE, image_processor_type="DepthProImageProcessorFast", resample=2)
    return folder


def save_depth_anything(
    folder: Path, *, kind: str = "metric", limit: float = 20, level: float = 0.0, side: int = 70
) -> Path:
    """Depth Anything on pictures of about 70x70 with patches of 14.

    Args:
        kind: "metric" or "relative". limit: metres that it says at most. level: about the logit that it answers.
        side: to which pictures are brought.
    """
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation

    backbone = {**DINOV2, "hidden_size": 32, "image_size": 56, "patch_size": 14, "out_indices": [1, 2, 3, 4]}
    config = DepthAnythingConfig(
        backbone_config={**backbone, "reshape_hidden_states": False, "apply_layernorm": True},
        reassemble_hidden_size=32,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        head_hidden_size=8,
        depth_estimation_type=kind,
        max_depth=limit,
    )
    torch.manual_seed(2)
    model = DepthAnythingForDepthEstimation(config).eval()
    _liven(model, model.head.conv3, level, 1.0, side)
    model.save_pretrained(folder)
    write_settings(
        folder,
        size=side,
        image_processor_type="DPTImageProcessor",
        resample=3,
        ensure_multiple_of=14,
        keep_aspect_ratio=True,
        do_pad=False,
        size_divisor=None,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )
    return folder


def full_depth_pro() -> Any:
    """The configuration of apple/DepthPro-hf."""
    from transformers import DepthProConfig

    encoder = {
        "model_type": "dinov2",
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 384,
        "patch_size": 16,
    }
    parts = {f"{part}_model_config": dict(encoder) for part in ("image", "patch", "fov")}
    return DepthProConfig(use_fov_model=True, **parts)


_SIZES: dict[str, dict[str, Any]] = {
    "small": {
        "width": 384,
        "layers": 12,
        "heads": 6,
        "taps": [3, 6, 9, 12],
        "neck": [48, 96, 192, 384],
        "fusion": 64,
    },
    "large": {
        "width": 1024,
        "layers": 24,
        "heads": 16,
        "taps": [5, 12, 18, 24],
        "neck": [256, 512, 1024, 1024],
        "fusion": 256,
    },
}


def full_depth_anything(size: str) -> Any:
    """The configuration of depth-anything/Depth-Anything-V2-Metric-Outdoor-Small-hf or -Large-hf."""
    from transformers import DepthAnythingConfig

    shape = _SIZES[size]
    backbone = {
        "model_type": "dinov2",
        "hidden_size": shape["width"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "image_size": 518,
        "patch_size": 14,
        "out_indices": shape["taps"],
        "reshape_hidden_states": False,
        "apply_layernorm": True,
    }
    return DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=shape["width"],
        neck_hidden_sizes=shape["neck"],
        fusion_hidden_size=shape["fusion"],
        depth_estimation_type="metric",
        max_depth=80,
    )


def _liven(model: torch.nn.Module, last: torch.nn.Conv2d, level: float, spread: float, side: int) -> None:
    """Weights that let a picture through, and answers before the activation with this mean and deviation."""
    seen: list[torch.Tensor] = []
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, weight[0].numel() ** -0.5)
        hook = last.register_forward_hook(lambda _layer, _inputs, answer: seen.append(answer))
        pixels = torch.from_numpy(picture(side, side)).permute(2, 0, 1)[None] / 127.5 - 1
        model(pixel_values=pixels)
        hook.remove()
        last.weight.mul_(spread / seen[0].std())
        last.bias.fill_(level - spread * float(seen[0].mean() / seen[0].std()))


def write_settings(
    folder: Path, *, size: int, mean: tuple = (0.5,) * 3, std: tuple = (0.5,) * 3, **rest: Any
) -> None:
    """The file beside the weights that says how a picture is brought into shape."""
    steps = {"do_normalize": True, "do_rescale": True, "do_resize": True, "rescale_factor": 1 / 255}
    shape = {"size": {"height": size, "width": size}, "image_mean": list(mean), "image_std": list(std)}
    (folder / "preprocessor_config.json").write_text(json.dumps({**steps, **shape, **rest}, indent=2))


def change_json(path: Path, **changes: Any) -> None:
    """Set settings in a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8: soft shapes with some grain."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[:height, :width] / 17.0
    waves = np.stack([np.sin(u + 1), np.cos(v * 1.3 + u), np.sin(v - 0.5 * u)], -1)
    return np.clip(128 + 90 * waves + rng.normal(0, 6, waves.shape), 0, 255).astype(np.uint8)
