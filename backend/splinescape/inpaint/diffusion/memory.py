"""How much memory a diffusion model takes in each way of holding it, told before it is loaded. Never loads torch.

Weights are counted exactly, from the headers of the files. What a picture takes on top is a formula: the number of
values that are alive at once in a diffusers transformer and in the decoder, counted op by op on full-size models
without data. Attention is taken to be the fused kind, which keeps no table of all pairs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil, prod
from pathlib import Path
from typing import Literal

from splinescape.errors import EngineUnavailableError, InputError, NotEnoughMemoryError
from splinescape.inpaint.diffusion.folder import PipelineFolder
from splinescape.inpaint.diffusion.weights import Weights, read_header

MemoryMode = Literal["auto", "full", "offload", "stream", "8bit", "nf4", "gguf"]
Mode = Literal["full", "offload", "stream", "8bit", "nf4", "gguf"]

FASTEST_FIRST: tuple[Mode, ...] = ("full", "nf4", "gguf", "8bit", "stream", "offload")
"""By what a picture of 30 steps took on an H200 (benchmarks/README.md): unpacking 4 bits costs least, and moving whole
parts to the device and back costs more than moving blocks beside the computing."""

MEANING: dict[Mode, str] = {
    "full": "all weights on the device",
    "offload": "each part on the device only while it works",
    "8bit": "transformer in 8 bits",
    "nf4": "transformer in 4 bits",
    "gguf": "transformer from a single file",
    "stream": "transformer on the device block by block",
}

_LEANER: dict[Mode, Mode] = {
    "full": "nf4",
    "offload": "nf4",
    "8bit": "nf4",
    "nf4": "stream",
    "gguf": "stream",
}
_ON: dict[str, tuple[Mode, ...]] = {
    "cuda": FASTEST_FIRST,
    "xpu": FASTEST_FIRST,
    "mps": ("full", "gguf"),  # one memory for CPU and GPU: moving weights between them saves nothing
    "cpu": ("full", "gguf"),
}
_BLOCK = re.compile(r"((?:single_)?transformer_blocks\.\d+)\.")
_GIB = 2**30
_COPIES = 5 / 3
"""What decoding takes beside what is alive: libraries copy a convolution's input and output into their own layout.
Measured 1.60 to 1.65 times what is alive on an H200."""
_SLACK = 1.05
"""What the allocator loses between pieces."""
_TEXT_SLACK = 1.1
"""What the text encoders take beside their weights."""
_RESERVE = 256 * 2**20
"""Left to libraries that allocate on their own (convolution and matrix workspaces)."""


@dataclass(frozen=True)
class Activity:
    """What a picture takes while a model works on it, in values that are alive at once.

    Attributes:
        per_token: in the transformer, for each token, in units of its width.
        pictures: tokens come from this many pictures of the canvas's size.
        text_tokens: tokens of the prompt.
    """

    per_token: float
    pictures: int
    text_tokens: int


@dataclass(frozen=True)
class ModelSize:
    """The numbers that a model's memory follows from.

    Attributes:
        parameters: of the transformer. linear: those of them in its linear layers' matrices, which quantisation packs.
        rows: of all those matrices together. widest: values of the largest one.
        largest_block: parameters of the largest block. outside: parameters in no block.
        pinned: parameters in blocks, those of each tensor counted up to the next power of two.
        vae: parameters of the picture encoder and decoder. text: of all text encoders.
        width: of the transformer. side: pixels along a token's side.
        planes: channels of the canvas's resolution that are alive at once while pictures are decoded.
        gguf: bytes of the tensors in the transformer's single file, once loaded; None without one.
    """

    parameters: int
    linear: int
    rows: int
    widest: int
    largest_block: int
    outside: int
    pinned: int
    vae: int
    text: int
    width: int
    side: int
    planes: int
    activity: Activity
    gguf: int | None = None


@dataclass(frozen=True)
class Need:
    """Bytes of memory at the busiest moment: of the device, and of the host beside it."""

    device: int
    host: int


def measure(
    folder: PipelineFolder, activity: Activity, text: tuple[str, ...], gguf: Path | None = None
) -> ModelSize:
    """Count a model's parameters from the headers of its files.

    Args:
        text: names of the text encoders' folders; those without files count nothing.
        gguf: a GGUF or safetensors file with the transformer, or a folder with a GGUF file; no other
            weights of it are needed then.

    Raises:
        InputError: a file is missing, cut off or damaged.
    """
    config, vae = folder.configs["transformer"], folder.configs["vae"]
    width = int(config["num_attention_heads"]) * int(config["attention_head_dim"])
    channels = list(vae["block_out_channels"])
    numbers = (
        _count(folder.weights("transformer"))
        if folder.has_weights("transformer") or gguf is None
        else {
            "parameters": 0,
            "linear": 0,
            "rows": 0,
            "widest": 6 * width**2,
            "largest_block": 0,
            "outside": 0,
            "pinned": 0,
        }
    )
    return ModelSize(
        **numbers,
        vae=folder.weights("vae").parameters,
        text=sum(folder.weights(part).parameters for part in text if folder.has_weights(part)),
        width=width,
        side=2 ** len(channels),
        planes=3 * channels[min(1, len(channels) - 1)],
        activity=activity,
        gguf=None if gguf is None else _single_bytes(find_gguf(gguf)),
    )


def _single_bytes(file: Path) -> int:
    """GGUF stays as it is packed in the file; plain weights become bfloat16."""
    if file.suffix == ".safetensors":
        return 2 * sum(map(prod, read_header(file).values()))
    return file.stat().st_size


def find_gguf(path: Path) -> Path:
    """The transformer's file that a path means: itself, or the only GGUF file in that folder. Raises InputError."""
    files = sorted(path.glob("*.gguf")) if path.is_dir() else [path]
    if len(files) != 1 or not files[0].is_file():
        raise InputError(f"{path} is no GGUF file, nor a folder with one: give the file with the transformer")
    return files[0]


def _count(weights: Weights) -> dict[str, int]:
    matrices = [shape for shape in weights.shapes.values() if len(shape) == 2]
    blocks: dict[str, int] = {}
    pinned = 0
    for name, shape in weights.shapes.items():
        if found := _BLOCK.match(name):
            blocks[found[1]] = blocks.get(found[1], 0) + prod(shape)
            pinned += _power_of_two(prod(shape))
    return {
        "parameters": weights.parameters,
        "linear": sum(map(prod, matrices)),
        "rows": sum(shape[0] for shape in matrices),
        "widest": max(map(prod, matrices), default=0),
        "largest_block": max(blocks.values(), default=0),
        "outside": weights.parameters - sum(blocks.values()),
        "pinned": pinned,
    }


def _power_of_two(count: int) -> int:
    """The next one; so much does torch's allocator of pinned memory take for each tensor (CachingHostAllocator)."""
    return 1 << max(0, count - 1).bit_length()


def transformer_bytes(size: ModelSize, mode: Mode, value: int = 2) -> int:
    """Bytes of the transformer's weights as they are held in a mode.

    8 bits: a byte per value of a matrix and a float32 scale per row (bitsandbytes' LLM.int8). NF4: half a byte per
    value, a byte per 64 of them, a float32 per 256 of those (bitsandbytes, QLoRA's double quantisation).

    Args:
        value: bytes of a value that is not packed.
    """
    rest = (size.parameters - size.linear) * value
    if mode == "8bit":
        return size.linear + 4 * size.rows + rest
    if mode == "nf4":
        return size.linear // 2 + size.linear // 64 + size.linear // (64 * 256) * 4 + rest
    if mode == "gguf":
        return size.gguf or 0
    return size.parameters * value


def picture_bytes(size: ModelSize, mode: Mode, width: int, height: int, value: int = 2) -> tuple[int, int]:
    """Bytes that are alive while the transformer works on a canvas, and while its latents are decoded."""
    patches = ceil(width / size.side) * ceil(height / size.side)
    tokens = patches * size.activity.pictures + size.activity.text_tokens
    unpacked = {"8bit": 0, "nf4": 2 * size.widest, "gguf": 8 * size.widest}.get(mode, 0)
    denoising = int(size.activity.per_token * tokens * size.width * value) + unpacked
    return denoising, size.planes * width * height * value


def expected_bytes(size: ModelSize, mode: Mode, width: int, height: int, value: int = 2) -> Need:
    """Memory at the busiest moment of filling a canvas, with the prompt already encoded.

    Args:
        width: of the canvas in pixels. height: likewise.
        value: bytes of a value that is not packed: 2 for bfloat16, 4 for float32.
    """
    transformer, vae = transformer_bytes(size, mode, value), size.vae * value
    denoising, decoding = picture_bytes(size, mode, width, height, value)
    decoding = int(decoding * _COPIES)
    if mode == "offload":
        return Need(vae + max(transformer + denoising, decoding), transformer + vae)
    if mode == "stream":  # a block works while the next one arrives
        here = (size.outside + 2 * size.largest_block) * value
        pinned = (size.outside + size.pinned) * value
        return Need(vae + max(here + denoising, decoding), pinned)
    read_first = transformer if mode == "gguf" else 0  # the file is read whole before it goes to the device
    return Need(transformer + vae + max(denoising, decoding), read_first)


@dataclass(frozen=True)
class Place:
    """Where a model is to work.

    Attributes:
        kind: type of the torch device: "cuda" (ROCm too), "xpu", "mps" or "cpu".
        free: bytes free on it. host_free: bytes free in the machine's memory.
        value: bytes of a value there, 2 or 4.
    """

    kind: str
    free: int
    host_free: int
    value: int = 2


def hindrance(size: ModelSize, mode: Mode, place: Place) -> str | None:
    """Why a mode cannot work here however much memory there is, or None."""
    if mode not in _ON.get(place.kind, ("full",)):
        return f"it makes no sense on {place.kind}"
    if mode == "gguf" and size.gguf is None:
        return "there is no GGUF file of this model"
    if mode != "gguf" and size.parameters == 0:
        return "the folder has no weights for the transformer, only the GGUF file has them"
    library = {"8bit": "bitsandbytes", "nf4": "bitsandbytes", "gguf": "gguf"}.get(mode, "accelerate")
    if find_spec(library) is None:
        return f"the package {library} is not installed (pip install 'splinescape[models]')"
    return None


def fits(need: Need, place: Place) -> bool:
    """Whether there is room, with some to spare."""
    return need.device * _SLACK + _RESERVE <= place.free and need.host * _SLACK <= place.host_free


def modes_that_fit(size: ModelSize, place: Place, width: int, height: int) -> tuple[Mode, ...]:
    """Modes that can work here and have room for a canvas, fastest first."""
    return tuple(
        mode
        for mode in FASTEST_FIRST
        if hindrance(size, mode, place) is None
        and fits(expected_bytes(size, mode, width, height, place.value), place)
    )


def choose_mode(size: ModelSize, wanted: MemoryMode, place: Place, width: int, height: int) -> Mode:
    """The mode that was asked for, or the fastest that fits.

    A mode that is asked for by name is taken even where it is not expected to fit.

    Raises:
        EngineUnavailableError: that mode cannot work here.
        NotEnoughMemoryError: none fits; the text has the figures.
    """
    if wanted != "auto":
        reason = hindrance(size, wanted, place)
        if reason is not None:
            raise EngineUnavailableError(f"the memory mode '{wanted}' cannot work here: {reason}")
        return wanted
    fitting = modes_that_fit(size, place, width, height)
    if not fitting:
        raise NotEnoughMemoryError(
            f"there is not enough memory to fill a picture of {width}x{height}: "
            f"{announcement(size, place, width, height)}. Close other programs, lower max_resolution, or take "
            "another inpainter"
        )
    return fitting[0]


def prompt_bytes(size: ModelSize, value: int = 2) -> int:
    """Memory that the text encoders take while they work on a prompt, which is once for each prompt."""
    return int(size.text * value * _TEXT_SLACK)


def prompt_place(size: ModelSize, place: Place) -> Literal["device", "host"] | None:
    """Where there is room for the text encoders; None if neither place has it."""
    need = prompt_bytes(size, place.value)
    if need < place.free:
        return "device"
    return "host" if need < place.host_free else None


def leaner(mode: Mode) -> Mode | None:
    """The next mode that takes less of the device's memory; None after the last."""
    return _LEANER.get(mode)


def announcement(
    size: ModelSize,
    place: Place,
    width: int,
    height: int,
    chosen: Mode | None = None,
    new_prompt: bool = True,
) -> str:
    """One line with the expected memory of every mode that can work here, what is free, and what was chosen.

    Args:
        new_prompt: tell what the text encoders take, too.
    """
    parts = []
    for mode in FASTEST_FIRST:
        if hindrance(size, mode, place) is None:
            need = expected_bytes(size, mode, width, height, place.value)
            beside = f" and {_gib(need.host)} of the machine's" if need.host else ""
            parts.append(f"{mode} {_gib(need.device)}{beside}")
    free = f"{_gib(place.free)} free on {place.kind}"
    if place.kind in ("cuda", "xpu"):
        free += f", {_gib(place.host_free)} of the machine's"
    prompt = f"; {_prompt_line(size, place)}" if new_prompt and size.text else ""
    told = f"expected memory: {', '.join(parts) or 'no mode can work here'}{prompt}; {free}"
    return told if chosen is None else f"{told}; chosen: {chosen} ({MEANING[chosen]})"


def _prompt_line(size: ModelSize, place: Place) -> str:
    where = {"device": "on the device", "host": "in main memory", None: "for which there is no room"}
    found = prompt_place(size, place)
    if place.kind == "cpu" and found == "device":
        found = "host"
    return f"prompt: {_gib(prompt_bytes(size, place.value))} once, {where[found]}"


def _gib(count: int) -> str:
    return f"{count / _GIB:.1f} GiB"
