"""What this process computes on, and which engines can run here."""

from __future__ import annotations

import os
import platform
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from splinescape.errors import EngineUnavailableError

_EVERY_JOB = ("splinescape.pipeline", "splinescape.depth.builtin", "splinescape.inpaint.builtin")


def restrict_to(device: str) -> None:
    """Hide every other device from this process, before torch is imported; "auto" keeps what is there.

    Whatever an engine then calls "cuda" is the device that was meant.
    """
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif device.startswith("cuda:"):
        index = int(device.removeprefix("cuda:"))
        visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        names = dict(enumerate(visible)) if visible else {index: str(index)}
        os.environ["CUDA_VISIBLE_DEVICES"] = names.get(index, "")


def describe(wanted: str) -> dict[str, Any]:
    """The device as the broker tells it to others; `wanted` is the name that the broker gave.

    Raises:
        EngineUnavailableError: there is no such device.
    """
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name, kind, count = torch.cuda.get_device_name(), "cuda", torch.cuda.device_count()
        device = "cuda:0" if wanted == "auto" else wanted
    elif wanted.startswith("cuda"):
        raise EngineUnavailableError(f"there is no device {wanted}: torch sees no CUDA device of that number")
    else:
        memory = psutil.virtual_memory()
        free, total = memory.available, memory.total
        device, name, kind, count = "cpu", _processor(), "cpu", 1
    return {
        "device": device,
        "name": name,
        "kind": kind,
        "count": count,
        "memory_total": total,
        "memory_free": free,
    }


def memory_free(kind: str) -> int:
    """Bytes that are free on the device now."""
    if kind == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0]
    return psutil.virtual_memory().available


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def engine_table() -> list[dict[str, Any]]:
    """Every engine of every role, and why it cannot run here where that is so."""
    from splinescape import engines

    roles = (
        ("inpaint", engines.INPAINTERS),
        ("depth", engines.DEPTH_ESTIMATORS),
        ("raster", engines.RASTERIZERS),
    )
    rows = []
    for role, table in roles:
        for entry in table:
            reason = entry.missing()
            rows.append(
                {
                    "role": role,
                    "name": entry.name,
                    "available": reason is None,
                    "reason": reason or "",
                    "note": entry.note,
                    "licence": entry.licence,
                }
            )
    return rows


def warm_up() -> None:
    """Load what every job needs and compile, or load, the kernels, so that the first job does not wait for that."""
    for module in _EVERY_JOB:
        import_module(module)
    from splinescape import engines

    if engines.pick("raster", engines.RASTERIZERS, None)[0].name == "cpu":
        from splinescape.raster.cpu import warm_up

        warm_up()


def free_memory() -> None:
    """Give back what nobody uses any more."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
