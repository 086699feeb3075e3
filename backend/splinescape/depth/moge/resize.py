"""Resampling that exists on every device."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional


def interpolate(x: Tensor, **arguments: Any) -> Tensor:
    """torch's `interpolate`; on Apple GPUs, which lack some of its modes in older versions of torch, on the CPU."""
    if x.device.type == "mps":
        return functional.interpolate(x.cpu(), **arguments).to(x.device)
    return functional.interpolate(x, **arguments)
