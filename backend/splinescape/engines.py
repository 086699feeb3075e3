"""Engines by name, and which one is the best available here.

A role has a table of engines from best to last resort. Each entry knows, without loading anything heavy, whether it
can run (`missing()` returns the reason or None) and how to make one from the settings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from splinescape.availability import (
    depth_too_large,
    device_kind,
    free_memory,
    licence_note,
    nothing_missing,
    too_slow_on_cpu,
    weights_missing,
    weights_path,
)
from splinescape.config import SceneConfig
from splinescape.errors import EngineUnavailableError, InputError
from splinescape.models.catalogue import CATALOGUE
from splinescape.models.errors import ModelError

if TYPE_CHECKING:  # the service's broker reads the names below and never loads torch
    from pathlib import Path

    from splinescape.depth import DepthEstimator
    from splinescape.inpaint import Inpainter
    from splinescape.raster import Rasterizer

T = TypeVar("T")

_MANY = 3
CANNOT_BE_MADE = (EngineUnavailableError, InputError, ModelError)
"""What an engine raises that cannot be made where another perhaps can."""


class MemoryTier(IntEnum):
    """How much memory engines may take; a service goes down a tier when memory ran out."""

    FULL = 0
    """Everything stays on the device."""
    LEAN = 1
    """Slower, in less memory: one view at a time, weights moved to the device when they are needed."""
    LEAST = 2
    """Only engines that do without the device's memory are chosen by themselves."""


def _fits(_config: SceneConfig, _free: int) -> str | None:
    return None


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
        family: a name that several entries share; it stands for the best of them that can run.
        model: the id of its weights in the catalogue.
        shy: returns why it is not chosen by itself, though it can run.
        short: returns why the memory does not suffice, given the settings and the bytes that are free.
        short_is_final: what `short` says also holds against an engine that was asked for by name.
        renew: gives an engine that was made before the settings that are not among `reads`.
        forecast: returns what memory is expected to be taken, in one line, given the same as `short`.
    """

    name: str
    missing: Callable[[], str | None]
    make: Callable[[SceneConfig], Any]
    note: str = ""
    licence: str = ""
    make_lean: Callable[[SceneConfig], Any] | None = None
    reads: tuple[str, ...] = ()
    heavy: bool = False
    family: str = ""
    model: str = ""
    shy: Callable[[], str | None] = nothing_missing
    short: Callable[[SceneConfig, int], str | None] = _fits
    short_is_final: bool = False
    renew: Callable[[Any, SceneConfig], None] | None = None
    forecast: Callable[[SceneConfig, int], str] | None = None

    def build(self, config: SceneConfig, tier: MemoryTier) -> Any:
        """Make the engine in as much memory as `tier` allows."""
        return (self.make if tier is MemoryTier.FULL else self.make_lean or self.make)(config)

    def refusal(self, wanted: Wanted) -> str | None:
        """Why this is not the engine to take, or None when it is."""
        reason = self.missing()
        if reason is None and not wanted.patient:
            reason = self.shy()
        if reason is None and self.heavy and wanted.tier is MemoryTier.LEAST:
            reason = "there is not enough memory for it"
        may_be_short = self.short is not _fits and (self.short_is_final or not wanted.by_name)
        if reason is None and may_be_short and wanted.tier is MemoryTier.FULL:
            reason = self.short(wanted.config, max(free_memory(), wanted.free))
        return reason


@dataclass(frozen=True)
class Wanted:
    """What an engine is wanted for.

    Attributes:
        config: the settings. tier: how much memory it may take.
        free: bytes of the device's memory that are as good as free, beside those that are.
        by_name: it was asked for, so that an estimate is no reason against it.
        patient: slowness is no reason against it.
    """

    config: SceneConfig
    tier: MemoryTier = MemoryTier.FULL
    free: int = 0
    by_name: bool = False
    patient: bool = False


def _make_builtin_inpainter(_config: SceneConfig) -> Inpainter:
    from splinescape.inpaint.builtin import BuiltinInpainter

    return BuiltinInpainter()


@dataclass(frozen=True)
class _Diffusion:
    """A diffusion inpainter; `model` is the id of its weights in the catalogue."""

    model: str

    def missing(self) -> str | None:
        try:
            reason = weights_missing(self.model)
            if reason is None:
                from splinescape.inpaint.diffusion.forecast import missing

                reason = missing(self.model, weights_path(self.model))
        except (ModelError, OSError) as error:  # gone since they were looked for, or not to be read
            reason = str(error)
        return reason

    def shy(self) -> str | None:
        return too_slow_on_cpu()

    def short(self, config: SceneConfig, free: int) -> str | None:
        from splinescape.inpaint.diffusion.forecast import too_large

        try:
            return too_large(self.model, weights_path(self.model), self._gguf(), config, device_kind(), free)
        except (ModelError, OSError) as error:
            return str(error)

    def forecast(self, config: SceneConfig, free: int) -> str:
        from splinescape.inpaint.diffusion.forecast import forecast

        return forecast(self.model, weights_path(self.model), self._gguf(), config, device_kind(), free)

    def make(self, config: SceneConfig) -> Inpainter:
        return self._build(config, lean=False)

    def make_lean(self, config: SceneConfig) -> Inpainter:
        return self._build(config.model_copy(update={"model_memory": "auto"}), lean=True)

    def _build(self, config: SceneConfig, lean: bool) -> Inpainter:
        from splinescape.devices import best_device
        from splinescape.inpaint.diffusion import FluxFillInpainter, KleinInpainter

        build = FluxFillInpainter if self.model == "flux-fill" else KleinInpainter
        return build(
            weights_path(self.model),
            best_device(),
            steps=config.num_steps,
            guidance=config.guidance,
            prompt=config.prompt,
            memory=config.model_memory,
            gguf=self._gguf(),
            lean=lean,
        )

    def renew(self, engine: Any, config: SceneConfig) -> None:
        engine.adjust(steps=config.num_steps, guidance=config.guidance, prompt=config.prompt)

    def _gguf(self) -> Path | None:
        quantised = f"{self.model}-gguf"
        there = quantised in CATALOGUE and weights_missing(quantised) is None
        return weights_path(quantised) if there else None

    def entry(self, name: str, note: str = "") -> EngineEntry:
        return EngineEntry(
            name,
            self.missing,
            self.make,
            note,
            licence_note(self.model),
            self.make_lean,
            reads=("model_memory",),
            heavy=True,
            model=self.model,
            shy=self.shy,
            short=self.short,
            short_is_final=True,
            renew=self.renew,
            forecast=self.forecast,
        )


def _make_builtin_depth(_config: SceneConfig) -> DepthEstimator:
    from splinescape.depth.network.estimator import NetworkDepth
    from splinescape.devices import best_device

    return NetworkDepth(best_device())


def _make_builtin_depth_on_cpu(_config: SceneConfig) -> DepthEstimator:
    from splinescape.depth.network.estimator import NetworkDepth

    return NetworkDepth()


def _moge_missing(model: str) -> str | None:
    reason = weights_missing(model)
    if reason is None:
        from splinescape.depth.moge import missing

        reason = missing()
    return reason


def _make_moge(model: str, _config: SceneConfig) -> DepthEstimator:
    from splinescape.depth.moge import MogeDepth
    from splinescape.devices import best_device

    return MogeDepth(weights_path(model), best_device())


def _pretrained_missing(model: str) -> str | None:
    reason = weights_missing(model)
    if reason is None:
        from splinescape.depth.pretrained import missing

        reason = missing()
    return reason


def _make_pretrained(model: str, _config: SceneConfig) -> DepthEstimator:
    from splinescape.depth.pretrained import DepthAnythingDepth, DepthProDepth
    from splinescape.devices import best_device

    make = DepthProDepth if model == "depth-pro" else DepthAnythingDepth
    return make(weights_path(model), best_device())


def _depth(
    model: str, family: str = "", note: str = "", for_gpu: bool = False, slower_than: str = ""
) -> EngineEntry:
    """A depth network, called as its weights are.

    Args:
        for_gpu: too large for a CPU, unless it is asked for by name.
        slower_than: a model that a CPU takes instead when it is there.
    """
    moge = family == "moge"
    shy = partial(too_slow_on_cpu, slower_than) if for_gpu or slower_than else nothing_missing
    return EngineEntry(
        model,
        partial(_moge_missing if moge else _pretrained_missing, model),
        partial(_make_moge if moge else _make_pretrained, model),
        note,
        licence_note(model),
        heavy=for_gpu,
        family=family,
        model=model,
        shy=shy,
        short=partial(_depth_too_large, model),
    )


def _depth_too_large(model: str, _config: SceneConfig, free: int) -> str | None:
    return depth_too_large(model, free)


def _make_cpu(_config: SceneConfig) -> Rasterizer:
    from splinescape.raster.cpu import CpuRasterizer

    return CpuRasterizer()


def _make_torch(_config: SceneConfig) -> Rasterizer:
    from splinescape.raster.reference import TorchRasterizer

    return TorchRasterizer()


def _gsplat_missing() -> str | None:
    from splinescape.raster.gsplat import missing

    reason = missing()
    if reason is not None and "CUDA device" in reason and device_kind() in ("xpu", "mps"):
        return "its kernels are for NVIDIA GPUs; networks run on the GPU that is here, splats on the CPU"
    return reason


def _make_gsplat(_config: SceneConfig) -> Rasterizer:
    from splinescape.raster.gsplat import GsplatRasterizer

    return GsplatRasterizer()


def _make_lean_gsplat(_config: SceneConfig) -> Rasterizer:
    from splinescape.raster.gsplat import GsplatRasterizer

    return GsplatRasterizer(one_view_at_a_time=True)


INPAINTERS = [
    _Diffusion("flux-fill").entry("flux-fill"),
    _Diffusion("flux-2-klein-4b").entry("flux-2-klein"),
    EngineEntry("builtin", nothing_missing, _make_builtin_inpainter, "preview quality"),
]
DEPTH_ESTIMATORS = [
    _depth("moge-2-vitl-normal", "moge", for_gpu=True),
    _depth("moge-2-vitl", "moge", for_gpu=True),
    _depth("moge-2-vitb-normal", "moge", slower_than="moge-2-vits-normal"),
    _depth("depth-pro", for_gpu=True),
    _depth("moge-2-vits-normal", "moge"),
    _depth("moge-vitl", "moge", "of unknown scale", for_gpu=True),
    _depth("depth-anything-v2-metric-outdoor-large", "depth-anything", "for outdoors", for_gpu=True),
    _depth("depth-anything-v2-metric-indoor-large", "depth-anything", "for indoors", for_gpu=True),
    _depth("depth-anything-v2-metric-outdoor-small", "depth-anything", "for outdoors"),
    _depth("depth-anything-v2-metric-indoor-small", "depth-anything", "for indoors"),
    EngineEntry(
        "builtin", nothing_missing, _make_builtin_depth, "small network", make_lean=_make_builtin_depth_on_cpu
    ),
]
RASTERIZERS = [
    EngineEntry("gsplat", _gsplat_missing, _make_gsplat, make_lean=_make_lean_gsplat, heavy=True),
    EngineEntry("cpu", nothing_missing, _make_cpu),
    EngineEntry("torch", nothing_missing, _make_torch, "slow reference"),
]


def engine_names(table: Sequence[EngineEntry]) -> list[str]:
    """What users may type besides "auto": the names of the entries, and of their families."""
    names = [name for entry in table for name in (entry.family, entry.name) if name]
    return list(dict.fromkeys(names))


@dataclass(frozen=True)
class Choice:
    """An engine and why it was taken, ready to be shown."""

    engine: Any
    name: str
    reason: str


def pick(
    role: str,
    table: Sequence[EngineEntry],
    name: str | None,
    tier: MemoryTier = MemoryTier.FULL,
    config: SceneConfig | None = None,
    free: int = 0,
    failed: Mapping[str, str] | None = None,
) -> tuple[EngineEntry, str]:
    """Find the entry called `name`, or the first of `table` that can run, and the reason; nothing is made.

    Args:
        role: what to call it in messages ("inpaint", "depth", "raster").
        table: entries from best to last resort.
        name: of an entry or a family, or None / "auto" for the best available.
        tier: at the last one, an engine that needs the device's memory is no longer "available".
        config: the settings, on which the memory that is needed depends.
        free: bytes of the device's memory that will be free though they are not yet.
        failed: name -> reason of entries that could not be made.

    Raises:
        InputError: no engine has that name.
        EngineUnavailableError: that engine cannot run here; the message says why.
    """
    anything = name in (None, "auto")
    meant = [entry for entry in table if anything or name in (entry.name, entry.family)]
    if not meant:
        raise InputError(
            f"there is no {role} engine '{name}'; choose one of: {', '.join(engine_names(table))}"
        )
    by_name = any(entry.name == name for entry in meant)
    wanted = Wanted(config or SceneConfig(), tier, free, by_name, patient=by_name)
    failed = failed or {}
    refused: list[tuple[EngineEntry, str]] = []
    for entry in meant:
        reason = failed.get(entry.name) or entry.refusal(wanted)
        if reason is None:
            why = "best available" if anything else "asked for" if entry.name == name else f"best of {name}"
            labels = (why, *_grouped(refused, " not used"), entry.note, entry.licence)
            return entry, "; ".join(label for label in labels if label)
        refused.append((entry, reason))
    if not anything and not by_name:  # a slow one of the family is better than none
        broken = [(entry, reason) for entry, reason in refused if entry.name in failed]
        for entry, _ in refused:
            if entry.name not in failed and entry.refusal(replace(wanted, patient=True)) is None:
                labels = (f"best of {name}", *_grouped(broken, " not used"), entry.note, entry.licence)
                return entry, "; ".join(label for label in labels if label)
    why = refused[0][1] if len(refused) == 1 else "; ".join(_grouped(refused, ""))
    raise EngineUnavailableError(f"{role} engine '{name}' cannot run here: {why}")


def _grouped(refused: Sequence[tuple[EngineEntry, str]], verb: str) -> list[str]:
    """One text for each reason, whichever engines it is about: "a, b not used: no weights on this disk"."""
    groups: dict[str, list[EngineEntry]] = {}
    for entry, reason in refused:
        groups.setdefault(reason.replace(entry.model, "ID") if entry.model else reason, []).append(entry)
    texts = []
    for general, entries in groups.items():
        one = len(entries) == 1
        reason = next(reason for entry, reason in refused if entry is entries[0]) if one else general
        texts.append(f"{', '.join(_names(entries))}{verb}: {reason}")
    return texts


def _names(entries: Sequence[EngineEntry]) -> list[str]:
    """The entries' names, where many of a family are named together."""
    families = Counter(entry.family for entry in entries if entry.family)
    many = {family for family, count in families.items() if count >= _MANY}
    names = [
        f"{families[entry.family]} of {entry.family}" if entry.family in many else entry.name
        for entry in entries
    ]
    return list(dict.fromkeys(names))


def first_that_can(
    look: Callable[[Mapping[str, str]], tuple[EngineEntry, str]],
    take: Callable[[EngineEntry, str], T | None],
    wanted: str | None = None,
) -> T:
    """Take the engine that is picked; one that cannot be made gives way to the next.

    Args:
        look: picks as `pick` does, given why some could not be made.
        take: makes what is wanted of an entry and why it was picked; None has it picked anew.
        wanted: the name that was asked for; that one gives way to none.

    Raises:
        What `look` raises, and for the engine called `wanted` one of CANNOT_BE_MADE.
    """
    failed: dict[str, str] = {}
    while True:
        entry, why = look(failed)
        try:
            taken = take(entry, why)
        except CANNOT_BE_MADE as error:
            if wanted == entry.name:
                raise
            failed[entry.name] = " ".join(str(error).split())
        else:
            if taken is not None:
                return taken


def choose(role: str, table: Sequence[EngineEntry], wanted: str | None, config: SceneConfig) -> Choice:
    """Make the engine that `pick` finds; arguments and errors as there.

    One that cannot be made gives way to the next, unless it was asked for by name.
    """

    def make(entry: EngineEntry, why: str) -> Choice:
        if entry.forecast is not None:
            why = f"{why}; {entry.forecast(config, free_memory())}"
        return Choice(entry.make(config), entry.name, why)

    return first_that_can(
        lambda failed: pick(role, table, wanted, config=config, failed=failed), make, wanted
    )


def inpainter(name: str | None = None, config: SceneConfig | None = None) -> Inpainter:
    """Make an inpainting engine by name; None takes the best available. Raises as `choose`."""
    return choose("inpaint", INPAINTERS, name, config or SceneConfig()).engine


def depth_estimator(name: str | None = None, config: SceneConfig | None = None) -> DepthEstimator:
    """Make a depth engine by name; None takes the best available. Raises as `choose`."""
    return choose("depth", DEPTH_ESTIMATORS, name, config or SceneConfig()).engine


def rasterizer(name: str | None = None, config: SceneConfig | None = None) -> Rasterizer:
    """Make a rasteriser by name; None takes the best available. Raises as `choose`."""
    return choose("raster", RASTERIZERS, name, config or SceneConfig()).engine
