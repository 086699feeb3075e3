"""A checkpoint small enough for git: weights, their average and the optimiser's memory in a few files.

One stream of bytes, cut into `part-0.bin`, `part-1.bin` ... : 8 bytes magic, 8 bytes length of the header, the
header (JSON: `meta`, `entries`, `sha256` of the rest), then every entry's bytes. Per parameter there are

* `weights`: float16, its low and high bytes apart;
* `average`: int8 steps from the weights, one float32 scale per block of 256;
* `first`: AdamW's mean of the gradients, which lasts ten steps: seven int8 steps either way in the same blocks;
* `second`: its mean of squares, uint8 logarithms: 2^((code - 200) / 4), 0 for zero;

each compressed with zlib. float16 is a hundred times finer than what one optimiser step changes.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

PART_BYTES = 16 * 2**20 - 4096
_MAGIC = b"SPLDEPT1"
_BLOCK = 256


@dataclass(eq=False)
class State:
    """Everything that training goes on from; float32 tensors on the processor, by parameter name.

    Attributes:
        weights, average: the network's, and their moving average.
        first, second: AdamW's moments; empty before the first step.
        meta: numbers: `step`, `world` (next seed), `images`, `seconds`, ...
    """

    weights: dict[str, torch.Tensor]
    average: dict[str, torch.Tensor]
    first: dict[str, torch.Tensor] = field(default_factory=dict)
    second: dict[str, torch.Tensor] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


class DamagedCheckpointError(RuntimeError):
    """A folder's parts are not all there or not as they were written."""


def save(state: State, folder: Path) -> int:
    """Write the parts, and remove those of an earlier, larger checkpoint. Returns the bytes written."""
    entries, blobs, at = [], [], 0
    for name, code, tensor, payload in _encoded(state):
        blob = zlib.compress(payload, 6)
        entries.append(
            {"name": name, "code": code, "shape": list(tensor.shape), "at": at, "bytes": len(blob)}
        )
        blobs.append(blob)
        at += len(blob)
    body = b"".join(blobs)
    header = {"meta": state.meta, "entries": entries, "sha256": hashlib.sha256(body).hexdigest()}
    text = json.dumps(header).encode()
    stream = _MAGIC + struct.pack("<Q", len(text)) + text + body
    folder.mkdir(parents=True, exist_ok=True)
    parts = [stream[i : i + PART_BYTES] for i in range(0, len(stream), PART_BYTES)]
    for i, part in enumerate(parts):
        temporary = folder / f"part-{i}.tmp"
        temporary.write_bytes(part)
        temporary.replace(folder / f"part-{i}.bin")
    for path in folder.glob("part-*.bin"):
        if int(path.stem.split("-")[1]) >= len(parts):
            path.unlink()
    return len(stream)


def exists(folder: Path) -> bool:
    """Whether there is a checkpoint."""
    return (folder / "part-0.bin").exists()


def load(folder: Path) -> State:
    """Read the parts.

    Raises:
        DamagedCheckpointError: a part is missing, or a byte has changed.
    """
    paths = sorted(folder.glob("part-*.bin"), key=lambda p: int(p.stem.split("-")[1]))
    stream = b"".join(path.read_bytes() for path in paths)
    if stream[:8] != _MAGIC or len(stream) < 16:
        raise DamagedCheckpointError(f"{folder} holds no checkpoint of this kind")
    (length,) = struct.unpack("<Q", stream[8:16])
    header, body = json.loads(stream[16 : 16 + length]), stream[16 + length :]
    if hashlib.sha256(body).hexdigest() != header["sha256"]:
        raise DamagedCheckpointError(
            f"{folder} is damaged or one of its parts is missing; fetch all parts again"
        )
    state = State({}, {}, meta=header["meta"])
    for entry in header["entries"]:
        payload = zlib.decompress(body[entry["at"] : entry["at"] + entry["bytes"]])
        group, name = entry["name"].split("/", 1)
        value = _decoded(entry["code"], payload, entry["shape"])
        getattr(state, group)[name] = value + state.weights[name] if group == "average" else value
    return state


def _encoded(state: State) -> Iterator[tuple[str, str, torch.Tensor, bytes]]:
    for name, tensor in state.weights.items():
        half = tensor.detach().cpu().to(torch.float16).contiguous()
        yield f"weights/{name}", "half", tensor, _planes(half.numpy().reshape(-1, 1).view(np.uint8))
        delta = state.average[name].detach().cpu().float() - half.float()
        yield f"average/{name}", "blocks", tensor, _blocks(delta, 127)
    for name, tensor in state.first.items():
        yield f"first/{name}", "blocks", tensor, _blocks(tensor.detach().cpu().float(), 7)
    for name, tensor in state.second.items():
        yield f"second/{name}", "log", tensor, _logs(tensor.detach().cpu().float())


def _planes(pairs: NDArray[np.uint8]) -> bytes:
    return np.ascontiguousarray(pairs.T).tobytes()


def _blocks(tensor: torch.Tensor, steps: int) -> bytes:
    flat = tensor.flatten().numpy()
    padded = np.zeros(-(-len(flat) // _BLOCK) * _BLOCK, np.float32)
    padded[: len(flat)] = flat
    rows = padded.reshape(-1, _BLOCK)
    scale = (np.abs(rows).max(1, keepdims=True) / steps).astype(np.float32)
    codes = np.round(rows / np.maximum(scale, 1e-30)).astype(np.int8)
    return scale.tobytes() + codes.reshape(-1)[: len(flat)].tobytes()


def _logs(tensor: torch.Tensor) -> bytes:
    flat = tensor.flatten().numpy()
    with np.errstate(divide="ignore"):
        codes = np.round(np.log2(np.maximum(flat, 0)) * 4 + 200)
    return np.where(flat > 0, np.clip(codes, 1, 255), 0).astype(np.uint8).tobytes()


def _decoded(code: str, payload: bytes, shape: list[int]) -> torch.Tensor:
    count = int(np.prod(shape, dtype=np.int64))
    if code == "half":
        pairs = np.frombuffer(payload, np.uint8).reshape(2, count).T
        flat = np.ascontiguousarray(pairs).view(np.float16)[:, 0].astype(np.float32)
    elif code == "blocks":
        blocks = -(-count // _BLOCK)
        scale = np.frombuffer(payload, np.float32, blocks)
        codes = np.frombuffer(payload, np.int8, count, 4 * blocks).astype(np.float32)
        flat = codes * np.repeat(scale, _BLOCK)[:count]
    else:
        codes = np.frombuffer(payload, np.uint8).astype(np.float32)
        flat = np.where(codes > 0, np.exp2((codes - 200) / 4), 0).astype(np.float32)
    return torch.from_numpy(flat.reshape(shape))


def from_training(
    model: torch.nn.Module,
    average: Mapping[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    meta: dict[str, Any],
) -> State:
    """Collect what `save` writes."""
    weights = dict(model.named_parameters())
    moments = {name: optimizer.state[p] for name, p in weights.items() if p in optimizer.state}
    return State(
        weights={name: p.detach().float() for name, p in weights.items()},
        average=dict(average),
        first={name: m["exp_avg"] for name, m in moments.items()},
        second={name: m["exp_avg_sq"] for name, m in moments.items()},
        meta=meta,
    )


def into_training(
    state: State, model: torch.nn.Module, average: dict[str, torch.Tensor], optimizer: torch.optim.Optimizer
) -> None:
    """Put a loaded state into a network of the same shape, its average and its optimiser."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(state.weights[name])
            average[name].copy_(state.average[name])
            if name in state.first:
                optimizer.state[parameter] = {
                    "step": torch.tensor(
                        float(state.meta["step"]), device=_step_device(optimizer, parameter)
                    ),
                    "exp_avg": torch.zeros_like(parameter).copy_(
                        state.first[name]
                    ),  # in the parameter's layout
                    "exp_avg_sq": torch.zeros_like(parameter).copy_(state.second[name]),
                }


def _step_device(optimizer: torch.optim.Optimizer, parameter: torch.Tensor) -> torch.device:
    return parameter.device if optimizer.param_groups[0].get("fused") else torch.device("cpu")
