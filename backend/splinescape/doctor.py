"""What this installation can do and why: the facts behind `splinescape doctor`. No weights are loaded."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from splinescape import __version__
from splinescape.errors import SplinescapeError
from splinescape.models.manager import ModelStore
from splinescape.service.worker.device import processor_name

_EXTRAS = {
    "models": (
        "huggingface_hub",
        "diffusers",
        "transformers",
        "accelerate",
        "safetensors",
        "gguf",
        "bitsandbytes",
    ),
    "cuda": ("gsplat",),
    "rerun": ("rerun",),
    "heif": ("pillow_heif",),
}
_BASE = ("torch", "numpy", "numba", "scipy", "cv2", "PIL", "pydantic", "plyfile", "zmq", "av", "OpenEXR")
_PATIENCE_S = 0.5


def examine() -> dict[str, Any]:
    """Everything worth knowing, as JSON data.

    "runs" says whether the pipeline with its built-in engines can run here; "trouble" is why not.
    """
    facts: dict[str, Any] = {
        "splinescape": __version__,
        "python": f"{platform.python_version()} ({_home(sys.executable)})",
        "system": platform.platform(),
        "machine": _machine(),
    }
    trouble = [f"the package {name} is not installed" for name in _BASE if find_spec(name) is None]
    try:
        import torch  # noqa: F401 - a broken one shows only now
    except (ImportError, OSError) as error:
        trouble.append(f"torch cannot be loaded: {' '.join(str(error).split())}")
    facts["extras"] = {extra: _missing_of(names) for extra, names in _EXTRAS.items()}
    facts["models"] = _models()
    facts["service"] = _service()
    if not trouble:
        from splinescape.prospects import prospects

        facts["torch"] = _torch()
        facts["gsplat"] = _gsplat()
        facts["engines"] = prospects()
    return facts | {"runs": not trouble, "trouble": trouble}


def _home(path: str | Path) -> str:
    """A path without the user's name, as far as that is possible."""
    text, home = str(path), str(Path.home())
    return f"~{text.removeprefix(home)}" if text.startswith(home + os.sep) else text


def _machine() -> dict[str, Any]:
    memory = psutil.virtual_memory()
    return {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_total": memory.total,
        "memory_free": memory.available,
    }


def _missing_of(names: tuple[str, ...]) -> list[str]:
    wanted = [name for name in names if name != "bitsandbytes" or sys.platform != "darwin"]
    return [name for name in wanted if find_spec(name) is None]


def _models() -> dict[str, Any]:
    store = ModelStore()
    root = store.folders.root
    return {
        "folder": _home(root),
        "disk_free": _disk_free(root),
        "states": {model.id: model.state for model in store.list()},
        "problems": [f"{model.id}: {model.problem}" for model in store.list() if model.problem],
    }


def _disk_free(folder: Path) -> int | None:
    """Bytes that are free where a folder is or would be; None where no disk answers."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return None
    return None


def _service() -> dict[str, Any]:
    """This machine's own service; whether something listens there, which takes a moment at most."""
    try:
        from splinescape.client.places import default_connection
        from splinescape.protocol.connection import read_connection
    except ImportError:  # zmq, which is named among the trouble
        return {"folder": None, "running": False, "endpoint": None}
    file = default_connection()
    facts: dict[str, Any] = {"folder": _home(file.parent), "running": False, "endpoint": None}
    try:
        facts["endpoint"] = read_connection(file).endpoint
        address = urlsplit(facts["endpoint"])
        with socket.create_connection((address.hostname, address.port), _PATIENCE_S):
            facts["running"] = True
    except (SplinescapeError, OSError, ValueError):
        pass
    return facts


def _torch() -> dict[str, Any]:
    import torch

    from splinescape.devices import best_device

    return {
        "version": torch.__version__,
        "build": _build(),
        "devices": [*_gpus(), _cpu()],
        "chosen": best_device().type,
        "driver": _driver(),
    }


def _build() -> str:
    """What torch was built for, beside the CPU."""
    import torch

    xpu = getattr(torch.version, "xpu", None)
    if torch.version.hip:
        return f"ROCm {torch.version.hip}"
    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}"
    if xpu or torch.xpu.is_available():
        return f"Intel XPU {xpu or ''}".rstrip()
    return "Apple Metal" if torch.backends.mps.is_built() else "CPU"


def _gpus() -> list[dict[str, Any]]:
    import torch

    from splinescape.devices import memory

    gpus = []
    for kind, backend in (("cuda", torch.cuda), ("xpu", torch.xpu)):
        for index in range(backend.device_count() if backend.is_available() else 0):
            free, total = memory(torch.device(kind, index))
            name = backend.get_device_name(index)
            gpus.append(
                {"device": f"{kind}:{index}", "name": name, "memory_free": free, "memory_total": total}
            )
    if torch.backends.mps.is_available():
        free, total = memory(torch.device("mps"))
        gpus.append({"device": "mps", "name": "Apple GPU", "memory_free": free, "memory_total": total})
    return gpus


def _cpu() -> dict[str, Any]:
    memory = psutil.virtual_memory()
    return {
        "device": "cpu",
        "name": processor_name(),
        "memory_free": memory.available,
        "memory_total": memory.total,
    }


def _driver() -> str | None:
    """The GPU driver's version, as its own tool or the kernel states it."""
    for read in (_nvidia, _amd):
        found = read()
        if found:
            return found
    return None


def _nvidia() -> str | None:
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    query = [command, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=2)
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = done.stdout.splitlines()
    return f"NVIDIA {said[0].strip()}" if done.returncode == 0 and said else None


def _amd() -> str | None:
    try:
        return f"amdgpu {Path('/sys/module/amdgpu/version').read_text().strip()}"
    except OSError:
        return None


def _gsplat() -> dict[str, Any]:
    from splinescape.raster import gsplat, gsplat_build

    return {
        "version": _version("gsplat"),
        "compiled": find_spec("gsplat") is not None and gsplat_build.ready(),
        "nvcc": shutil.which("nvcc"),
        "missing": gsplat.missing(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
