"""MoGe checkpoints in the true format: the published settings, and weights that tests make up.

The settings are those of the five published files. That they are is known from the published training configuration,
from public reports of `model_config`, and from the sizes of the files: four bytes for each element of the state dict,
and 135768 of zip and pickle around the 337 tensors of both moge-2-vits-normal and moge-2-vitb-normal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from splinescape.depth.moge.config import V1Config, read_config
from splinescape.depth.moge.v1 import MogeV1
from splinescape.depth.moge.v2 import MogeV2

State = dict[str, torch.Tensor]


def _v1(encoder: str) -> dict[str, Any]:
    return {
        "encoder": encoder,
        "remap_output": "exp",
        "output_mask": True,
        "split_head": True,
        "intermediate_layers": 4,
        "dim_upsample": [256, 128, 64],
        "dim_times_res_block_hidden": 2,
        "num_res_blocks": 2,
        "trained_area_range": [250000, 500000],
        "last_conv_channels": 32,
        "last_conv_size": 1,
    }


def _stack(dims: list[int], inputs: list[int], blocks: int, out: int | None) -> dict[str, Any]:
    return {
        "dim_in": inputs,
        "dim_out": None if out is None else [None, None, None, None, out],
        "dim_res_blocks": dims,
        "num_res_blocks": [0, blocks, blocks, blocks, 0],
        "res_block_in_norm": "none",
        "res_block_hidden_norm": "none",
        "resamplers": ["conv_transpose", "conv_transpose", "conv_transpose", "bilinear"],
    }


def _v2(encoder: str, width: int, layers: list[int], neck_blocks: int, normals: bool) -> dict[str, Any]:
    dims = [width, 256, 128, 64, 32]
    config = {
        "encoder": {"backbone": encoder, "intermediate_layers": layers, "dim_out": width},
        "neck": _stack(dims, [width + 2, 2, 2, 2, 2], neck_blocks, None),
        "points_head": _stack(dims, dims, 1, 3),
        "mask_head": _stack(dims, dims, 1, 1),
        "scale_head": {"dims": [width, width, width, 1]},
        "remap_output": "exp",
        "num_tokens_range": [1200, 3600],
    }
    return config | ({"normal_head": _stack(dims, dims, 1, 3)} if normals else {})


PUBLISHED: dict[str, dict[str, Any]] = {
    "moge-vitl": _v1("dinov2_vitl14"),
    "moge-2-vitl": _v2("dinov2_vitl14", 1024, [5, 11, 17, 23], 2, normals=False),
    "moge-2-vitl-normal": _v2("dinov2_vitl14", 1024, [5, 11, 17, 23], 2, normals=True),
    "moge-2-vitb-normal": _v2("dinov2_vitb14", 768, [5, 11], 1, normals=True),
    "moge-2-vits-normal": _v2("dinov2_vits14", 384, [5, 11], 1, normals=True),
}
SMALL_V1 = _v1("dinov2_vits14") | {"trained_area_range": [16 * 196, 64 * 196]}
"""Version 1 on the smallest transformer, looking at 16 to 64 patches."""
SMALL_V2 = PUBLISHED["moge-2-vits-normal"] | {"num_tokens_range": [16, 64]}


def layout(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the state dict that our network for `config` has."""
    read = read_config(dict(config))
    with torch.device("meta"):
        network = MogeV1(read) if isinstance(read, V1Config) else MogeV2(read)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def constants() -> dict[str, NDArray[np.float32]]:
    """The two buffers that are no weights, by the end of their names."""
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    return {
        name: np.array(values, np.float32).reshape(1, 3, 1, 1)
        for name, values in (("image_mean", mean), ("image_std", std))
    }


def empty_state(config: Mapping[str, Any]) -> State:
    """All zeros, which take no memory and next to nothing on disk, whatever the size of the network."""
    known = constants()
    return {
        name: torch.from_numpy(known[name.split(".")[-1]])
        if name.split(".")[-1] in known
        else torch.zeros(()).expand(shape)
        for name, shape in layout(config).items()
    }


def random_state(config: Mapping[str, Any], seed: int) -> State:
    """Random weights that keep activations near 1, the same on every version of numpy and torch.

    The decoder is told to see a pinhole camera on top of that, so that focal length and shift can be recovered.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    state = empty_state(config)
    for name, shape in sorted(layout(config).items()):
        if name.split(".")[-1] in constants():
            continue
        values = random.standard_normal(shape, dtype=np.float32)
        if name.endswith("gamma"):
            values = 0.3 + 0.1 * values
        elif len(shape) == 1 and name.endswith("weight"):
            values = 1 + 0.1 * values
        elif len(shape) > 1 and name.endswith("weight"):
            values /= np.float32(np.sqrt(np.prod(shape[1:])))
        else:
            values = 0.1 * values
        state[name] = torch.from_numpy(np.asarray(values, np.float32))
    for name in state:
        if _LAST.fullmatch(name):
            state[name] = 0.03 * state[name]
        elif _CARRIES_THE_CAMERA.fullmatch(name):
            state[name][:4] *= 0.03
    return see_pinhole(state, focal=1.3) if any(map(_LAST.fullmatch, state)) else state


_LAST = re.compile(r"(points|mask)_head.output_blocks.4.weight|head.output_block.[01].2.weight")
_CARRIES_THE_CAMERA = re.compile(
    r"(neck|points_head|mask_head).(input_blocks.4|resamplers.3.1).(weight|bias)|head.output_block.[01].0.(weight|bias)"
)
"""Layers whose first channels bring the position in the picture to the outputs."""


def see_pinhole(
    state: State, *, focal: float, log_depth: float = 0.0, slope: float = 0.5, horizon: float = -0.5
) -> State:
    """Add to the weights what makes a decoder with "exp" see a tilted surface through a pinhole camera.

    In units of the half diagonal, (u, v) from the centre: z = exp(log_depth + slope * v), points
    (u z / focal, v z / focal, z), and a mask that is on below v = `horizon`.
    """
    state = dict(state)

    def add(name: str, entries: Mapping[tuple[int, ...], float]) -> None:
        tensor = state[name].clone().contiguous()
        for where, value in entries.items():
            tensor[where] += value
        state[name] = tensor

    if "head.output_block.0.0.weight" in state:
        # Convolution, ReLU, convolution: the positive and the negative part of u (channel 64) and v (65) apart.
        parts = {(0, 64, 1, 1): 1.0, (1, 64, 1, 1): -1.0, (2, 65, 1, 1): 1.0, (3, 65, 1, 1): -1.0}
        columns = {"u": (0, 1), "v": (2, 3)}
        first, last = "head.output_block.{}.0.weight", "head.output_block.{}.2"
    else:
        parts = {(0, 0, 0, 0): 1.0, (1, 1, 0, 0): 1.0}
        columns = {"u": (0,), "v": (1,)}
        add("neck.input_blocks.4.weight", parts)
        first, last = "{}_head.input_blocks.4.weight", "{}_head.output_blocks.4"
    names = ("0", "1") if "{}_head" not in first else ("points", "mask")
    names = tuple(name for name in names if first.format(name) in state)
    for name in names:
        add(first.format(name), parts)

    def row(index: int, axis: str, factor: float) -> dict[tuple[int, ...], float]:
        return {(index, at, 0, 0): factor * (-1) ** k for k, at in enumerate(columns[axis])}

    points, *masks = (last.format(name) for name in names)
    xyz = row(0, "u", 1 / focal) | row(1, "v", 1 / focal) | row(2, "v", slope)
    add(points + ".weight", xyz)
    add(points + ".bias", {(2,): log_depth})
    steep = 8.0
    # Version 1 compares the raw mask with 0.5, version 2 its sigmoid.
    for mask in masks:
        add(mask + ".weight", row(0, "v", steep))
        add(mask + ".bias", {(0,): -steep * horizon + (0.5 if names[0] == "0" else 0.0)})
    return state


def write_checkpoint(path: Path, config: Mapping[str, Any], state: State) -> Path:
    """A `model.pt` as published."""
    torch.save({"model_config": dict(config), "model": state}, path)
    return path


def noise_picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture of blobs and noise, the same everywhere."""
    random = np.random.Generator(np.random.PCG64([seed, height, width]))
    v, u = np.mgrid[:height, :width] / max(height, width)
    smooth = np.sin(9 * u + 5 * v)[..., None] * np.array([60.0, -40.0, 50.0]) + 128
    return np.clip(smooth + random.integers(-40, 40, (height, width, 3)), 0, 255).astype(np.uint8)
