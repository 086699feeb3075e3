"""A timer that looks after the backend while something is under way or somebody looks; none otherwise."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import bpy

from . import connect

_log = logging.getLogger(__name__)

_BUSY_S, _QUIET_S = 0.1, 0.5
_LOOKS_FOR_S = 5.0
_PUMP_MS = 2.0

_seen_at = float("-inf")
_models_seen_at = float("-inf")
_shown: Any = None


def wake(looking: bool = False, at_models: bool = False) -> None:
    """Have the timer run.

    Args:
        looking: somebody sees the preferences right now. at_models: and the list of models.
    """
    global _seen_at, _models_seen_at
    now = time.monotonic()
    _seen_at = now if looking else _seen_at
    _models_seen_at = now if at_models else _models_seen_at
    if not bpy.app.background and not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, first_interval=_BUSY_S, persistent=True)


def tick(models_wanted: bool = False) -> None:
    """Do what is due; a few milliseconds at most."""
    backend = connect.current_backend()
    if backend is None:
        return
    backend.tick(models_wanted)
    client = backend.client()
    if client is not None:
        client.pump(_PUMP_MS)


def _on_timer() -> float | None:
    backend = connect.current_backend()
    if backend is None:
        return None
    now = time.monotonic()
    looked_at = now - _seen_at < _LOOKS_FOR_S
    try:
        tick(models_wanted=now - _models_seen_at < _LOOKS_FOR_S)
        _redraw_changes(backend)
    except Exception:  # Blender would take the timer away, and nobody would look after the backend any more
        _log.exception("looking after the backend failed")
        return _QUIET_S if backend.busy or looked_at else None
    if not (backend.busy or looked_at):
        return None
    return _BUSY_S if looked_at or backend.installer.running else _QUIET_S


def _redraw_changes(backend: connect.Backend) -> None:
    """Draw areas that show the backend again when what they show has changed."""
    global _shown
    installer = backend.installer
    shows = (backend.status(), installer.state, installer.text, installer.fraction, backend.models.all)
    if shows == _shown:
        return
    _shown = shows
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in {"PREFERENCES", "VIEW_3D"}:
                area.tag_redraw()


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Tick until `condition` holds, in background, where timers never run; False after so many seconds."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= ends:
            return False
        tick()
        time.sleep(0.02)
    return True


def stop() -> None:
    """Take the timer away."""
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
