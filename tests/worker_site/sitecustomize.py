"""Engines that misbehave, added to the tables of every process whose PYTHONPATH begins with this folder."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any

_TABLES = "splinescape.engines"


class _Hook:
    """Imports the tables as always, then adds to them."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != _TABLES:
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def load_and_add(module: ModuleType) -> None:
            load(module)
            _add(module)

        spec.loader.exec_module = load_and_add  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Hook())  # type: ignore[arg-type]


def _add(engines: ModuleType) -> None:
    builtin = next(entry for entry in engines.DEPTH_ESTIMATORS if entry.name == "builtin")

    def depth(name: str, before: Any) -> None:
        def make(config: Any) -> Any:
            return _Depth(builtin.make(config), before)

        engines.DEPTH_ESTIMATORS.append(engines.EngineEntry(name, lambda: None, make, "only for tests"))

    depth("memory-error-twice", _on_call(1, 2, MemoryError))
    depth("memory-error", _on_call(1, 10**9, MemoryError))
    depth("torch-out-of-memory-twice", _on_call(1, 2, _torch_error))
    depth("memory-gone-twice", _on_call(1, 2, _gone_error))
    depth("crash", lambda: ctypes.string_at(0))
    depth("crash-later", _on_call(2, 2, lambda: ctypes.string_at(0)))
    depth("odd", _on_call(1, 10**9, _OddError))
    depth("exit", _on_call(1, 10**9, SystemExit))
    depth("sleep", lambda: time.sleep(600))
    depth("spin", _spin)
    engines.INPAINTERS.append(
        engines.EngineEntry("count", lambda: None, lambda _config: _Counting(), "only for tests")
    )
    if os.environ.get("TEST_HEAVY_RASTERIZER"):
        cpu = next(entry for entry in engines.RASTERIZERS if entry.name == "cpu")
        engines.RASTERIZERS.insert(
            0, engines.EngineEntry("heavy", lambda: None, lambda config: _Heavy(cpu.make(config)), heavy=True)
        )


class _OddError(Exception):
    """What no engine should raise."""


class _Depth:
    """The built-in depth engine, after something."""

    def __init__(self, real: Any, before: Any) -> None:
        self._real, self._before = real, before

    def predict(self, rgb_hw3: Any, *, K_33: Any, view: Any) -> Any:
        self._before()
        return self._real.predict(rgb_hw3, K_33=K_33, view=view)


class _Counting:
    """Paints everything in a shade that tells how often this very engine was made use of."""

    def __init__(self) -> None:
        self._calls = 0

    def inpaint(self, rgb_hw3: Any, mask_hw: Any, **_: Any) -> Any:
        self._calls += 1
        out = rgb_hw3.copy()
        out[mask_hw] = self._calls
        return out


class _Heavy:
    """A rasteriser that runs out of memory with its second frame, whatever its tier."""

    name = "heavy"

    def __init__(self, real: Any) -> None:
        self._real, self.device = real, real.device

    def coverage(self, *_: Any) -> Any:
        raise MemoryError

    def rasterize(self, *args: Any) -> Any:
        return self._real.rasterize(*args)


def _on_call(first: int, last: int, make_error: Any) -> Any:
    """Raise in calls `first` to `last` of this process, counted over all engines of that name."""
    calls = [0]

    def before() -> None:
        calls[0] += 1
        if first <= calls[0] <= last:
            error = make_error()
            if isinstance(error, BaseException):
                raise error

    return before


def _torch_error() -> Exception:
    import torch

    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def _gone_error() -> Exception:
    from splinescape.errors import NotEnoughMemoryError

    return NotEnoughMemoryError("needs at least 9.0 GiB of memory, 1.0 GiB are free")


def _spin() -> None:
    """Hold the interpreter without ever looking at anything, as Python code that computes does."""
    end = time.monotonic() + 600
    while time.monotonic() < end:
        sum(range(1000))
