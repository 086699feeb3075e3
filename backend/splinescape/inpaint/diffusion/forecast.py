"""Whether a diffusion model on disk can work here, and in how much memory: told before anything is loaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import psutil

from splinescape.config import SceneConfig
from splinescape.errors import EngineUnavailableError, InputError
from splinescape.inpaint.diffusion.families import FAMILIES, model_size
from splinescape.inpaint.diffusion.folder import open_folder
from splinescape.inpaint.diffusion.memory import (
    FASTEST_FIRST,
    ModelSize,
    Place,
    announcement,
    choose_mode,
    expected_bytes,
    hindrance,
)

_LIBRARIES = ("diffusers", "transformers", "accelerate", "safetensors")
_EXACT = 2 * 2**30
"""Bytes in float32 up to which a CPU works in it, see `engine.py`."""


def missing(family: str, folder: Path) -> str | None:
    """Why a model's folder cannot be used, or which library is not installed; None when all is there.

    Args:
        family: id of the model in the catalogue.
    """
    for library in _LIBRARIES:
        if find_spec(library) is None:
            return f"the package {library} is not installed (pip install 'splinescape[models]')"
    try:
        open_folder(folder, FAMILIES[family].layout)
    except InputError as error:
        return str(error)
    return None


def too_large(
    family: str, folder: Path, gguf: Path | None, config: SceneConfig, kind: str, free: int
) -> str | None:
    """Why the model does not fit with these settings.

    Args:
        gguf: a GGUF file with the transformer, if there is one.
        kind: of the device. free: bytes of its memory.
    """
    try:
        size = model_size(FAMILIES[family], folder, gguf)
    except InputError as error:
        return str(error)
    place, canvas = _place(size, kind, free), _canvas(family, config)
    try:
        choose_mode(size, config.model_memory, place, *canvas)
    except EngineUnavailableError as error:
        least = _least(size, place, canvas)
        if least is None or config.model_memory != "auto":
            return str(error)
        return f"needs at least {least / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free on {kind}"
    return None


def forecast(family: str, folder: Path, gguf: Path | None, config: SceneConfig, kind: str, free: int) -> str:
    """The expected memory of every mode and the one that will be taken, in one line. Arguments as `too_large`.

    Raises:
        InputError: the model's files are damaged. EngineUnavailableError: it does not fit.
    """
    size = model_size(FAMILIES[family], folder, gguf)
    place, canvas = _place(size, kind, free), _canvas(family, config)
    return announcement(size, place, *canvas, choose_mode(size, config.model_memory, place, *canvas))


def _place(size: ModelSize, kind: str, free: int) -> Place:
    exact = kind == "cpu" and (size.parameters + size.vae) * 4 <= _EXACT
    return Place(kind, free, int(psutil.virtual_memory().available), 4 if exact else 2)


def _canvas(family: str, config: SceneConfig) -> tuple[int, int]:
    """The largest picture to be filled: a square one with its border."""
    side = int(config.max_resolution * (1 + config.expansion_percent)) + config.coarse_margin
    limits = FAMILIES[family].limits
    side = min(side, int(limits.most**0.5))
    return side, side


def _least(size: ModelSize, place: Place, canvas: tuple[int, int]) -> int | None:
    """Bytes of the device's memory in the mode that takes least of those that can work here."""
    needs = [
        expected_bytes(size, mode, *canvas, place.value).device
        for mode in FASTEST_FIRST
        if hindrance(size, mode, place) is None
    ]
    return min(needs, default=None)
