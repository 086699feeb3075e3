"""Keeping splats in the form that the scene's render engine renders best: points for Cycles, instances for EEVEE."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import cards
from .modes import sync_engine

_owner = object()
_seen: dict[str, tuple[object, ...]] = {}
"""Per scene, by its full name, the settings for which its splats were made ready last."""


def _engine_changed() -> None:
    for scene in bpy.data.scenes:
        if scene.library is None:
            sync_engine(scene)


@persistent
def _scene_changed(scene: bpy.types.Scene, *_: Any) -> None:
    # Here in the main thread, so that hardly anything is left to do when a render begins in another one.
    settings = (scene.render.engine, cards.pixel_angle(scene), cards.slant_limit(scene))
    if scene.library is None and _seen.get(scene.name_full) != settings:
        _seen[scene.name_full] = settings
        sync_engine(scene)


@persistent
def _render_begins(scene: bpy.types.Scene, *_: Any) -> None:
    # A script may choose the engine and render at once, before any message about the change is sent.
    sync_engine(scene)


@persistent
def _file_loaded(*_: Any) -> None:
    # Opening a file ends all subscriptions.
    _seen.clear()
    _subscribe()
    _engine_changed()


def _subscribe() -> None:
    bpy.msgbus.clear_by_owner(_owner)
    key = (bpy.types.RenderSettings, "engine")
    bpy.msgbus.subscribe_rna(key=key, owner=_owner, args=(), notify=_engine_changed)


_HANDLERS = (
    ("render_init", _render_begins),
    ("load_post", _file_loaded),
    ("depsgraph_update_post", _scene_changed),
)


def register() -> None:
    _subscribe()
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    for name, handler in _HANDLERS:
        handlers = getattr(bpy.app.handlers, name)
        if handler in handlers:
            handlers.remove(handler)
    bpy.msgbus.clear_by_owner(_owner)
    _seen.clear()
