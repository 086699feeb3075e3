"""Diffusion inpainters over diffusers, from local folders of weights. Nothing heavy is imported before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from splinescape.inpaint.diffusion.memory import MemoryMode

if TYPE_CHECKING:
    from splinescape.inpaint.diffusion.flux_fill import FluxFillInpainter
    from splinescape.inpaint.diffusion.klein import KleinInpainter

__all__ = ["FluxFillInpainter", "KleinInpainter", "MemoryMode"]


def __getattr__(name: str) -> Any:
    """The engines load torch; their memory can be told without it."""
    from importlib import import_module

    places = {"FluxFillInpainter": "flux_fill", "KleinInpainter": "klein"}
    if name not in places:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{places[name]}"), name)
