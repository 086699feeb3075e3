"""Tiny diffusion models with random weights, in the folders and files of the published ones; built without network."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.flux_folder import (
    FLUX_FILL_PARTS,
    TINY_FLUX,
    TINY_VAE,
    VAE_BLOCKS,
    write_index,
    write_scheduler,
    write_vae,
)
from splinescape.camera.view import View
from splinescape.inpaint.diffusion.families import FLUX_FILL
from splinescape.inpaint.diffusion.memory import ModelSize, Place

GB = 10**9
FLUX = ModelSize(
    parameters=11_902_391_360,
    linear=11_899_305_984,
    rows=3_000_000,
    widest=56_623_104,
    largest_block=339_831_296,
    outside=70_000_000,
    pinned=18_488_000_000,
    vae=83_819_683,
    text=4_885_000_000,
    width=3072,
    side=16,
    planes=768,
    activity=FLUX_FILL.activity,
)
"""FLUX.1 Fill's own numbers."""

FLUX_TRANSFORMER = TINY_FLUX | {"in_channels": 2 * 16 + 256, "out_channels": 16, "guidance_embeds": True}
KLEIN_TRANSFORMER = {
    "in_channels": 16,
    "num_layers": 1,
    "num_single_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 96,
    "axes_dims_rope": (4, 4, 4, 4),
    "guidance_embeds": False,
}
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_flux_fill(folder: Path, **transformer: Any) -> Path:
    """A FluxFillPipeline's folder; keywords change the transformer's configuration."""
    from diffusers import FluxTransformer2DModel

    torch.manual_seed(1)
    FluxTransformer2DModel(**(FLUX_TRANSFORMER | transformer)).save_pretrained(folder / "transformer")
    write_vae(folder, TINY_VAE)
    _clip(folder)
    _t5(folder)
    write_scheduler(folder)
    return write_index(folder, "FluxFillPipeline", FLUX_FILL_PARTS)


def make_klein(folder: Path, distilled: bool = True) -> Path:
    """A Flux2KleinPipeline's folder."""
    from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel

    torch.manual_seed(2)
    Flux2Transformer2DModel(**KLEIN_TRANSFORMER).save_pretrained(folder / "transformer")
    AutoencoderKLFlux2(**VAE_BLOCKS, **TINY_VAE).save_pretrained(folder / "vae")
    _qwen3(folder)
    write_scheduler(folder)
    return write_index(
        folder,
        "Flux2KleinPipeline",
        {
            "is_distilled": distilled,
            "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
            "text_encoder": ["transformers", "Qwen3ForCausalLM"],
            "tokenizer": ["transformers", "Qwen2TokenizerFast"],
            "transformer": ["diffusers", "Flux2Transformer2DModel"],
            "vae": ["diffusers", "AutoencoderKLFlux2"],
        },
    )


def make_gguf(path: Path, folder: Path, drop: str = "") -> Path:
    """The transformer of a folder as a GGUF file of 8-bit blocks.

    Its tensors have diffusers' names: diffusers renames those of published files only at the full width.
    """
    import gguf
    from safetensors.torch import load_file

    writer = gguf.GGUFWriter(str(path), "flux")
    tensors = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    for name, tensor in tensors.items():
        values = tensor.float().numpy()
        if name == drop:
            continue
        if values.ndim == 2 and values.shape[1] % 32 == 0:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def edit_weights(folder: Path, change: Any) -> None:
    """Rewrite the only safetensors file of a folder after `change` worked on its dict of tensors."""
    from safetensors.torch import load_file, save_file

    (path,) = folder.glob("*.safetensors")
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def hole(width: int = 96, height: int = 80) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A picture and a mask with a border to outpaint and a thin hole inside."""
    v, u = np.mgrid[:height, :width]
    rgb = np.stack([2 * u % 256, 3 * v % 256, (u + v) % 256], -1).astype(np.uint8)
    mask = np.ones((height, width), bool)
    mask[height // 6 : -height // 6, width // 6 : -width // 6] = False
    mask[height // 2, width // 3 : width // 2] = True
    rgb[mask] = 0
    return rgb, mask


def view(width: int = 96, height: int = 80) -> View:
    """A camera at the origin."""
    return View(width, height, None, np.eye(4))


def gpu(free: float, host: float = 64) -> Place:
    """A GPU with that many GB free, in a machine with that many."""
    return Place("cuda", int(free * GB), int(host * GB))


def _alphabet() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _clip(folder: Path) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    words = ["<|startoftext|>", "<|endoftext|>", *_alphabet(), *(c + "</w>" for c in _alphabet())]
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=1,
        num_attention_heads=4,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    edit_weights(folder / "text_encoder", _as_published)
    vocabulary = {word: i for i, word in enumerate(words)}
    CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77).save_pretrained(folder / "tokenizer")


def _as_published(tensors: dict[str, torch.Tensor]) -> None:
    """The names of the published file, which transformers wrote before version 5."""
    for name in [name for name in tensors if not name.startswith("text_model.")]:
        tensors[f"text_model.{name}"] = tensors.pop(name)


def _t5(folder: Path) -> None:
    from transformers import T5Config, T5EncoderModel, T5TokenizerFast

    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    words += [(letter, -3.0) for letter in string.ascii_letters + string.punctuation + string.digits]
    config = T5Config(
        vocab_size=len(words) + 100, d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4, dropout_rate=0.0
    )
    T5EncoderModel(config).save_pretrained(folder / "text_encoder_2")
    T5TokenizerFast(vocab=words, model_max_length=512).save_pretrained(folder / "tokenizer_2")


def _qwen3(folder: Path) -> None:
    from transformers import Qwen2TokenizerFast, Qwen3Config, Qwen3ForCausalLM

    words = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *_alphabet()]
    config = Qwen3Config(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=28,  # the pipeline reads what comes out of the 9th, 18th and 27th
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        tie_word_embeddings=True,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder / "text_encoder")
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = Qwen2TokenizerFast(vocab=vocabulary, merges=[], model_max_length=1024)
    tokenizer.add_special_tokens({"additional_special_tokens": words[1:3]})
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder / "tokenizer")
