"""Switching the extension on and off: every module below registers what it has, in this order."""

from __future__ import annotations

import importlib
import logging
from types import ModuleType

log = logging.getLogger(__name__)

_MODULES = (
    "preferences",
    "properties",
    "backend.operators",
    "image.operators",
    "path.operators",
    "generate.operators",
    "splats.operators",
    "display.operators",
    "render.operators",
    "image.panel",
    "path.panel",
    "generate.panel",
    "display.panel",
    "render.panel",
    "path.overlay",
    "display.viewport",
    "generate.timer",
)
"""Each has `register()` and `unregister()`. Panels appear in the order in which they are registered."""

_registered: list[ModuleType] = []


def register() -> None:
    """Register all modules; when one fails, it and those before it are taken back and the error goes on."""
    try:
        for name in _MODULES:
            module = importlib.import_module(f".{name}", __package__)
            _registered.append(module)
            module.register()
    except BaseException:
        unregister()
        raise


def unregister() -> None:
    """Take all of them back, the last first; one that fails does not keep the others."""
    while _registered:
        module = _registered.pop()
        try:
            module.unregister()
        except Exception:
            log.exception("%s could not be unregistered", module.__name__)
