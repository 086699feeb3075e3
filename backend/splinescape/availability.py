"""What keeps an engine with weights from running here: files, libraries, the kind of device, memory.

Each question is answered in one line or with None, without loading anything; those about the device alone import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from splinescape.models.catalogue import model_entry
from splinescape.models.manager import ModelStore

Reason = Callable[[], str | None]

_DEPTH_BYTES = {
    "moge-2-vitl-normal": (1_700_000_000, 2_600_000_000),
    "moge-2-vitl": (1_700_000_000, 2_600_000_000),
    "moge-vitl": (1_700_000_000, 2_600_000_000),
    "moge-2-vitb-normal": (1_200_000_000, 1_700_000_000),
    "moge-2-vits-normal": (1_100_000_000, 1_500_000_000),
    "depth-pro": (3_900_000_000, 7_900_000_000),
    "depth-anything-v2-metric-outdoor-large": (900_000_000, 1_700_000_000),
    "depth-anything-v2-metric-indoor-large": (900_000_000, 1_700_000_000),
    "depth-anything-v2-metric-outdoor-small": (120_000_000, 300_000_000),
    "depth-anything-v2-metric-indoor-small": (120_000_000, 300_000_000),
}
"""Weights and calculations in half precision, as on CUDA, and in float32: docs/models.md says where they are from.

MoGe in half precision is an estimate: two bytes for a parameter, and 1 GB.
"""


def nothing_missing() -> str | None:
    """For what runs everywhere."""
    return None


def weights_path(model: str) -> Path:
    """Where the weights of a model of the catalogue lie. Raises ModelError when they do not."""
    return ModelStore().path(model)


def weights_missing(model: str) -> str | None:
    """Why the weights of a model of the catalogue cannot be used."""
    status = ModelStore().status(model)
    if status.state == "absent":
        return f"no weights on this disk (splinescape models download {model})"
    if status.state == "partial":
        return f"its download is not complete (splinescape models download {model})"
    return None if status.state == "complete" else f"its files cannot be used: {status.problem}"


def licence_note(model: str) -> str:
    """The licence of weights that must not be used commercially; "" for others."""
    licence = model_entry(model).licence
    return f"{licence.name}, no commercial use" if licence.non_commercial else ""


def too_slow_on_cpu(than: str = "") -> str | None:
    """Why a large network is not chosen by itself here.

    Args:
        than: a smaller model of the catalogue; only where that one is on the disk is this one too slow.
    """
    if than and weights_missing(than) is not None:
        return None
    return "too slow on a CPU unless asked for by name" if device_kind() == "cpu" else None


def device_kind() -> str:
    """The kind of device that engines are made on: "cuda", "xpu", "mps" or "cpu"."""
    from splinescape.devices import best_device

    return best_device().type


def free_memory() -> int:
    """Bytes that are free on the device that engines are made on."""
    from splinescape.devices import best_device, free_bytes

    return free_bytes(best_device())


def depth_too_large(model: str, free: int) -> str | None:
    """Why a depth network does not fit; `free` is in bytes."""
    half, exact = _DEPTH_BYTES[model]
    need = half if device_kind() == "cuda" else exact
    return None if need <= free else f"needs about {amount(need)} of memory, {amount(free)} are free"


def amount(size: int) -> str:
    """Bytes for people: "23.8 GB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
