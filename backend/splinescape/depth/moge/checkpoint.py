"""Reads a published MoGe `model.pt`: {"model_config": settings, "model": state dict}."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from splinescape.depth.moge.config import V1Config, V2Config, read_config
from splinescape.depth.moge.layers import in_full_precision
from splinescape.depth.moge.v1 import MogeV1
from splinescape.depth.moge.v2 import MogeV2
from splinescape.errors import InputError, is_out_of_memory

_FETCH_AGAIN = "fetch the model again"


def load_network(checkpoint: Path, device: torch.device) -> MogeV1 | MogeV2:
    """The network of a `model.pt`, or of a folder with one, ready to look at pictures on `device`.

    Every parameter has to be in the file under its name and with its shape, and nothing else may be there. On CUDA
    the matrices are kept in half precision, as the published inference casts them each time it multiplies; all but
    the last layer's.

    Raises:
        InputError: there is no file, it is damaged, or it is not a MoGe 1 or 2 checkpoint; one sentence says which.
    """
    file = checkpoint / "model.pt" if checkpoint.is_dir() else checkpoint
    data = _read(file)
    try:
        for key in ("model_config", "model"):
            if key not in data:
                raise InputError(f"it has no '{key}'")
        network = _build(read_config(data["model_config"]), data["model"])
    except InputError as error:
        raise InputError(f"{file} is not a MoGe checkpoint that can be used: {error}") from error
    return _ready(network, device)


def _read(file: Path) -> dict[str, Any]:
    """The file's data; nothing in it is run."""
    if not file.is_file():
        raise InputError(f"there is no MoGe checkpoint at {file}: give its model.pt or the folder with it")
    if not zipfile.is_zipfile(file):
        with file.open("rb") as stream:
            begun_well = stream.read(2) == b"PK"
        what = "is cut off" if begun_well else "is not a PyTorch checkpoint"
        raise InputError(f"{file} {what}: {_FETCH_AGAIN}")
    try:
        data = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises all kinds on a damaged file
        if is_out_of_memory(error):
            raise
        if isinstance(error, pickle.UnpicklingError) and "Unsupported global" in str(error):
            raise InputError(
                f"{file} holds more than tensors and settings; it is refused, as opening it could run its code"
            ) from error
        raise InputError(f"{file} is damaged: {_FETCH_AGAIN}") from error
    if not isinstance(data, dict):
        raise InputError(
            f"{file} holds {type(data).__name__} instead of a MoGe checkpoint: choose another file"
        )
    return data


def _build(config: V1Config | V2Config, state: object) -> MogeV1 | MogeV2:
    with torch.device("meta"):
        network = MogeV1(config) if isinstance(config, V1Config) else MogeV2(config)
    network.load_state_dict(_checked(state, network.state_dict()), strict=True, assign=True)
    return network


def _checked(state: object, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """`state` if it has exactly the expected names and shapes.

    Raises:
        InputError: it has not; the text names the first that differ.
    """
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError("its 'model' is not a table of tensors")
    if missing := expected.keys() - state.keys():
        raise InputError(f"{_some(missing)} missing from its weights")
    if foreign := state.keys() - expected.keys():
        raise InputError(f"{_some(foreign)} in its weights, and its settings know nothing of that")
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            found, right = tuple(state[name].shape), tuple(tensor.shape)
            raise InputError(f"{name} has the shape {found} where its settings ask for {right}")
    return {name: tensor.float() for name, tensor in state.items()}


def _some(names: set[Any]) -> str:
    first, *others = sorted(str(name) for name in names)
    return f"{first} and {len(others)} more are" if others else f"{first} is"


def _ready(network: MogeV1 | MogeV2, device: torch.device) -> MogeV1 | MogeV2:
    network.requires_grad_(False).eval()
    if device.type == "cuda":
        for part in network.modules():
            if isinstance(part, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                part.half()
        in_full_precision(network.last)
    return network.to(device)
