"""What this process computes on, and which engines can run here."""

from __future__ import annotations

import os
import platform
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from splinescape.errors import EngineUnavailableError
from splinescape.service.discreet import discreet

if TYPE_CHECKING:
    from splinescape.engines import EngineEntry

_EVERY_JOB = ("splinescape.pipeline", "splinescape.depth.network.estimator", "splinescape.inpaint.builtin")


def restrict_to(device: str) -> None:
    """Hide every other device from this process, before torch is imported; "auto" keeps what is there.

    Whatever an engine then calls "cuda" is the device that was meant.
    """
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ["SPLINESCAPE_DEVICE"] = "cpu"
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

    from splinescape.devices import best_device, memory

    kind = best_device().type
    free, total = memory(best_device())
    device, count = kind, 1
    if kind == "cuda":
        name, count = torch.cuda.get_device_name(), torch.cuda.device_count()
        device = "cuda:0" if wanted == "auto" else wanted
    elif wanted.startswith("cuda"):
        raise EngineUnavailableError(f"there is no device {wanted}: torch sees no CUDA device of that number")
    elif kind == "xpu":
        name, count = torch.xpu.get_device_name(), torch.xpu.device_count()
    else:  # Apple's GPU has the memory of the machine
        total = psutil.virtual_memory().total
        name = processor_name()
    return {
        "device": device,
        "name": name,
        "kind": kind,
        "count": count,
        "memory_total": total,
        "memory_free": free,
    }


def free_on_device() -> int:
    """Bytes that can still be allocated on the device that engines are made on."""
    from splinescape.devices import best_device, free_bytes

    return free_bytes(best_device())


def memory_free(kind: str) -> int:
    """Bytes that are free on a device of this kind now; while it is "", not known yet, in this machine."""
    return psutil.virtual_memory().available if kind in ("", "cpu") else free_on_device()


def processor_name() -> str:
    """What people call the processor."""
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
    return [row for role, table in roles for row in _rows(role, table)]


def _rows(role: str, table: list[EngineEntry]) -> list[dict[str, Any]]:
    rows = []
    families: dict[str, list[str]] = {}
    for entry in table:
        reason = entry.missing()
        rows.append(_row(role, entry.name, reason, entry.note, entry.licence))
        if entry.family:
            families.setdefault(entry.family, []).append(reason or "")
    for name, reasons in families.items():
        none = (
            None if "" in reasons else f"none of its {len(reasons)} models can run; the first: {reasons[0]}"
        )
        rows.append(_row(role, name, none, "the best of its models on the disk", ""))
    return rows


def _row(role: str, name: str, reason: str | None, note: str, licence: str) -> dict[str, Any]:
    return {
        "role": role,
        "name": name,
        "available": reason is None,
        "reason": discreet(reason or ""),
        "note": note,
        "licence": licence,
    }


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

    from splinescape.devices import best_device
    from splinescape.scene import resident

    resident.forget()
    gc.collect()
    kind = best_device().type
    if kind != "cpu":
        getattr(torch, kind).empty_cache()
