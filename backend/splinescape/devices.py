"""The torch devices of this machine and their free memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
    return memory(device)[0]


def memory(device: torch.device) -> tuple[int, int]:
    """`free_bytes` of `device`, and the bytes that it has in all: of Apple's GPU, what programs should keep to."""
    if device.type == "mps":
        return _apple_memory()
    if device.type == "cpu":
        machine = psutil.virtual_memory()
        return int(machine.available), int(machine.total)
    backend: Any = getattr(torch, device.type)
    try:
        free, total = backend.mem_get_info(device)
    except RuntimeError:
        if device.type != "xpu":
            raise
        # Some of Intel's GPUs cannot be asked; then what others have taken remains unknown.
        total = backend.get_device_properties(device).total_memory
        return int(total - backend.memory_allocated(device)), int(total)
    # Memory that torch holds for nobody is what the driver calls taken.
    return int(free + backend.memory_reserved(device) - backend.memory_allocated(device)), int(total)


def _apple_memory() -> tuple[int, int]:
    """Apple's GPU shares the machine's memory with all other programs, and torch's own cache can be used again."""
    total, used = torch.mps.recommended_max_memory(), torch.mps.current_allocated_memory()
    cached = torch.mps.driver_allocated_memory() - used
    return int(min(total - used, psutil.virtual_memory().available + cached)), int(total)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Give torch's own functions `count` threads of the processor, here and for as long as this lasts.

    How a sum is parted among threads decides its last bits.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
