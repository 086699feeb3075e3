"""The torch devices of this machine and their free memory."""

from __future__ import annotations

import os

import psutil
import torch


def best_device() -> torch.device:
    """The fastest that torch can use: "cuda" (NVIDIA, and AMD with ROCm), "xpu" (Intel), "mps" (Apple) or "cpu".

    SPLINESCAPE_DEVICE=cpu in the environment hides every other.
    """
    if os.environ.get("SPLINESCAPE_DEVICE") == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.xpu.is_available():
        return torch.device("xpu")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def free_bytes(device: torch.device) -> int:
    """Bytes that can still be allocated on `device`; on the CPU, memory that is available without swapping."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + _cached(torch.cuda, device)
    if device.type == "xpu":
        return torch.xpu.mem_get_info(device)[0] + _cached(torch.xpu, device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return int(psutil.virtual_memory().available)


def _cached(backend: object, device: torch.device) -> int:
    """Memory that torch holds for nobody, which the driver calls taken."""
    return int(backend.memory_reserved(device) - backend.memory_allocated(device))  # type: ignore[attr-defined]
