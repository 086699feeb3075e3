"""Engines by name, and which one is the best available here.

A role has a table of engines from best to last resort. Each entry knows, without loading anything heavy, whether it
can run (`missing()` returns the reason or None) and how to make one from the settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from splinescape.config import SceneConfig
from splinescape.errors import EngineUnavailableError, InputError

if TYPE_CHECKING:  # the service's broker reads the names below and never loads torch
    from splinescape.depth import DepthEstimator
    from splinescape.inpaint import Inpainter
    from splinescape.raster import Rasterizer


class MemoryTier(IntEnum):
    """How much memory engines may take; a service goes down a tier when memory ran out."""

    FULL = 0
    """Everything stays on the device."""
    LEAN = 1
    """Slower, in less memory: one view at a time, weights moved to the device when they are needed."""
    LEAST = 2
    """Only engines that do without the device's memory are chosen by themselves."""


@dataclass(frozen=True)
class EngineEntry:
    """One engine of a role.

    Attributes:
        name: what users type.
        missing: returns why it cannot run here, or None when it can.
        make: builds it from the settings; may load weights.
        note: a label shown with results, such as "preview quality".
        licence: of its weights, where that limits what results may be used for.
        make_lean: builds it for the tiers below the first, where it can do with less memory.
        reads: settings that `make` reads; engines made from other values of the rest are the same.
        heavy: it cannot do without the device's memory.
    """

    name: str
    missing: Callable[[], str | None]
    make: Callable[[SceneConfig], Any]
    note: str = ""
    licence: str = ""
    make_lean: Callable[[SceneConfig], Any] | None = None
    reads: tuple[str, ...] = ()
    heavy: bool = False

    def build(self, config: SceneConfig, tier: MemoryTier) -> Any:
        """Make the engine in as much memory as `tier` allows."""
        return (self.make if tier is MemoryTier.FULL else self.make_lean or self.make)(config)


def _nothing_missing() -> str | None:
    return None


def _make_builtin_inpainter(_config: SceneConfig) -> Inpainter:
    from splinescape.inpaint.builtin import BuiltinInpainter

    return BuiltinInpainter()


def _make_builtin_depth(_config: SceneConfig) -> DepthEstimator:
    from splinescape.depth.builtin import BuiltinDepth

    return BuiltinDepth()


def _make_cpu(_config: SceneConfig) -> Rasterizer:
    from splinescape.raster.cpu import CpuRasterizer

    return CpuRasterizer()


def _make_torch(_config: SceneConfig) -> Rasterizer:
    from splinescape.raster.reference import TorchRasterizer

    return TorchRasterizer()


def _gsplat_missing() -> str | None:
    from splinescape.raster.gsplat import missing

    return missing()


def _make_gsplat(_config: SceneConfig) -> Rasterizer:
    from splinescape.raster.gsplat import GsplatRasterizer

    return GsplatRasterizer()


def _make_lean_gsplat(_config: SceneConfig) -> Rasterizer:
    from splinescape.raster.gsplat import GsplatRasterizer

    return GsplatRasterizer(one_view_at_a_time=True)


INPAINTERS = [EngineEntry("builtin", _nothing_missing, _make_builtin_inpainter, "preview quality")]
DEPTH_ESTIMATORS = [EngineEntry("builtin", _nothing_missing, _make_builtin_depth, "preview quality")]
RASTERIZERS = [
    EngineEntry("gsplat", _gsplat_missing, _make_gsplat, make_lean=_make_lean_gsplat, heavy=True),
    EngineEntry("cpu", _nothing_missing, _make_cpu),
    EngineEntry("torch", _nothing_missing, _make_torch, "slow reference"),
]


@dataclass(frozen=True)
class Choice:
    """An engine and why it was taken, ready to be shown."""

    engine: Any
    name: str
    reason: str


def pick(
    role: str, table: list[EngineEntry], wanted: str | None, tier: MemoryTier = MemoryTier.FULL
) -> tuple[EngineEntry, str]:
    """Find the entry called `wanted`, or the first of `table` that can run, and the reason; nothing is made.

    Args:
        role: what to call it in messages ("inpaint", "depth", "raster").
        table: entries from best to last resort.
        wanted: a name, or None / "auto" for the best available.
        tier: at the last one, an engine that needs the device's memory is no longer "available".

    Raises:
        InputError: no engine has that name.
        EngineUnavailableError: that engine cannot run here; the message says why.
    """
    skipped: list[str] = []
    for entry in table:
        if wanted not in (None, "auto", entry.name):
            continue
        reason = entry.missing()
        if reason is None and entry.heavy and tier is MemoryTier.LEAST:
            reason = "there is not enough memory for it"
        if reason is None:
            why = "asked for" if wanted == entry.name else "best available"
            why += "".join(f"; {s}" for s in skipped) + (f"; {entry.note}" if entry.note else "")
            return entry, why
        if wanted == entry.name:
            raise EngineUnavailableError(f"{role} engine '{wanted}' cannot run here: {reason}")
        skipped.append(f"{entry.name} not used: {reason}")
    names = ", ".join(entry.name for entry in table)
    raise InputError(f"there is no {role} engine '{wanted}'; choose one of: {names}")


def choose(role: str, table: list[EngineEntry], wanted: str | None, config: SceneConfig) -> Choice:
    """Make the engine that `pick` finds; arguments and errors as there."""
    entry, why = pick(role, table, wanted)
    return Choice(entry.make(config), entry.name, why)


def inpainter(name: str | None = None, config: SceneConfig | None = None) -> Inpainter:
    """Make an inpainting engine by name; None takes the best available. Raises as `choose`."""
    return choose("inpaint", INPAINTERS, name, config or SceneConfig()).engine


def depth_estimator(name: str | None = None, config: SceneConfig | None = None) -> DepthEstimator:
    """Make a depth engine by name; None takes the best available. Raises as `choose`."""
    return choose("depth", DEPTH_ESTIMATORS, name, config or SceneConfig()).engine


def rasterizer(name: str | None = None, config: SceneConfig | None = None) -> Rasterizer:
    """Make a rasteriser by name; None takes the best available. Raises as `choose`."""
    return choose("raster", RASTERIZERS, name, config or SceneConfig()).engine
