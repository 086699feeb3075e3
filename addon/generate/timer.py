"""The one timer: a few milliseconds of following jobs, often while there is one and rarely otherwise."""

from __future__ import annotations

import logging
import time

import bpy
from bpy.app.handlers import persistent

from . import jobs, thumbnails

log = logging.getLogger(__name__)

_WORKING_S, _WATCHED_S, _IDLE_S = 0.05, 0.25, 1.0
_WATCHED_FOR_S = 10.0
_BUDGET_MS = 2.0

_seen_at = float("-inf")
_changes: object = None


def seen() -> None:
    """A panel was drawn: somebody wants to know how the backend is."""
    global _seen_at
    _seen_at = time.monotonic()


def hurry() -> None:
    """Something was begun: do not wait until the timer's time has come."""
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    bpy.app.timers.register(tick, first_interval=0.0, persistent=True)


def tick() -> float:
    """One turn; Blender calls it. Returns the seconds until the next one."""
    working = jobs.any_working()
    watched = time.monotonic() - _seen_at < _WATCHED_FOR_S
    if working or watched:
        try:
            jobs.tick(_BUDGET_MS)
            _redraw_if_changed()
        except Exception:  # whatever it is, Blender would never call again
            log.exception("following jobs failed")
    return _WORKING_S if working else _WATCHED_S if watched else _IDLE_S


def _redraw_if_changed() -> None:
    global _changes
    changes = jobs.changes()
    if changes == _changes:
        return
    _changes = changes
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


@persistent
def _after_load(_path: object) -> None:
    """Not before loading: a file that cannot be opened leaves the present one as it is."""
    jobs.forget_all()
    jobs.reattach_saved()


@persistent
def _after_undo(_scene: object) -> None:
    jobs.after_undo()


_HANDLERS = (
    (bpy.app.handlers.load_post, _after_load),
    (bpy.app.handlers.undo_post, _after_undo),
    (bpy.app.handlers.redo_post, _after_undo),
)


def register() -> None:
    thumbnails.register()
    for handlers, function in _HANDLERS:
        handlers.append(function)
    bpy.app.timers.register(_reattach_once, first_interval=0.0)
    bpy.app.timers.register(tick, first_interval=_IDLE_S, persistent=True)


def _reattach_once() -> None:
    """The extension was switched on in a .blend that is open already."""
    jobs.reattach_saved()


def unregister() -> None:
    for function in (tick, _reattach_once):
        if bpy.app.timers.is_registered(function):
            bpy.app.timers.unregister(function)
    for handlers, function in _HANDLERS:
        if function in handlers:
            handlers.remove(function)
    jobs.forget_all()
    thumbnails.unregister()
