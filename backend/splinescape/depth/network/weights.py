"""The network's weights as a safetensors file of float16, read and written without a library.

The format: 8 bytes with the length of the header, the header (JSON: `__metadata__` and per tensor `dtype`, `shape`,
`data_offsets`), then the tensors' bytes without gaps. Source: github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from splinescape.depth.network.model import DepthNetwork
from splinescape.errors import InputError

FORMAT = "splinescape-depth-1"
"""Changes with the architecture: what the tensors mean, not only their names and shapes."""
SHIPPED = Path(__file__).with_name("weights.safetensors")
"""The weights of this package."""
_MOST_HEADER_BYTES = 1 << 20


@dataclass(frozen=True)
class Origin:
    """Where weights come from: training steps, and pictures seen in them."""

    step: int
    pictures: int


def write_weights(file: Path, tensors: Mapping[str, torch.Tensor], origin: Origin) -> int:
    """Write `tensors` as float16, sorted by name, so that the same weights make the same bytes; returns their number.

    Raises:
        InputError: they are not all those of the network, or one is not finite in float16.
    """
    halves = {name: tensors[name].detach().cpu().to(torch.float16) for name in sorted(tensors)}
    _check({name: tuple(half.shape) for name, half in halves.items()})
    for name, half in halves.items():
        if not torch.isfinite(half).all():
            raise InputError(f"the weights {name} are not finite in float16: training went wrong")
    header: dict[str, Any] = {
        "__metadata__": {"format": FORMAT, "step": str(origin.step), "pictures": str(origin.pictures)}
    }
    at = 0
    for name, half in halves.items():
        end = at + 2 * half.numel()
        header[name] = {"dtype": "F16", "shape": list(half.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(half.contiguous().numpy().astype("<f2").tobytes() for half in halves.values())
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return 8 + len(text) + len(body)


def read_weights(file: Path) -> tuple[dict[str, torch.Tensor], Origin]:
    """The float16 tensors of a file by name, and their origin.

    Raises:
        InputError: there is no file, it is damaged or cut off, or it belongs to another network; one sentence says
            which.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"the depth network's weights {file} cannot be read ({error.strerror}): install Splinescape again"
        ) from error
    header, body = _parted(data, file)
    meta = header.pop("__metadata__", None)
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        found = meta.get("format") if isinstance(meta, dict) else None
        raise InputError(f"{file} holds weights of the format {found}, not {FORMAT}: choose another file")
    try:
        tensors = {name: _tensor(entry, body) for name, entry in header.items()}
        origin = Origin(int(meta["step"]), int(meta["pictures"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file} is damaged ({error}): install Splinescape again") from error
    ends = sorted(tuple(entry["data_offsets"]) for entry in header.values())
    if [begin for begin, _ in ends] + [len(body)] != [0] + [end for _, end in ends]:  # no gap, nothing twice
        raise InputError(f"{file} is damaged or cut off: install Splinescape again")
    try:
        _check({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    except InputError as error:
        raise InputError(f"{file} does not fit the network: {error}") from error
    return tensors, origin


def load_network(file: Path, device: torch.device) -> tuple[DepthNetwork, Origin]:
    """The network with the weights of `file`, float32, ready to look at pictures on `device`.

    Raises:
        InputError: see `read_weights`.
    """
    tensors, origin = read_weights(file)
    with torch.device("meta"):
        network = DepthNetwork()
    network.load_state_dict({name: t.float() for name, t in tensors.items()}, strict=True, assign=True)
    network.requires_grad_(False).eval()
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network, origin


def _parted(data: bytes, file: Path) -> tuple[dict[str, Any], bytes]:
    """Header and body."""
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    if not 2 <= length <= min(_MOST_HEADER_BYTES, len(data) - 8):
        raise InputError(f"{file} is cut off or no safetensors file: install Splinescape again")
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError as error:
        raise InputError(
            f"{file} is damaged: its header cannot be read; install Splinescape again"
        ) from error
    if not isinstance(header, dict):
        raise InputError(f"{file} is damaged: its header is no table; install Splinescape again")
    return header, data[8 + length :]


def _tensor(entry: Mapping[str, Any], body: bytes) -> torch.Tensor:
    """Raises KeyError, TypeError or ValueError where the entry is not what it should be."""
    shape, (begin, end) = tuple(int(side) for side in entry["shape"]), entry["data_offsets"]
    if entry["dtype"] != "F16":
        raise ValueError(f"a tensor of {entry['dtype']}")
    if not (
        0 <= begin <= end <= len(body) and min(shape, default=1) >= 0 and end - begin == 2 * math.prod(shape)
    ):
        raise ValueError("a tensor reaches beyond the end")
    values = np.frombuffer(body, "<f2", (end - begin) // 2, begin).astype(np.float16)
    if not np.isfinite(values).all():
        raise ValueError("a weight is not finite")
    return torch.from_numpy(values.reshape(shape))


def _check(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises InputError unless these are the network's tensors."""
    with torch.device("meta"):
        expected = {name: tuple(t.shape) for name, t in DepthNetwork().state_dict().items()}
    for name in sorted(expected.keys() | shapes.keys()):
        if name not in shapes:
            raise InputError(f"{name} is missing")
        if name not in expected:
            raise InputError(f"{name} is of another network")
        if shapes[name] != expected[name]:
            raise InputError(f"{name} has the shape {shapes[name]} instead of {expected[name]}")
