"""Splats as real Gaussians in the 3D viewport, hidden by what stands in front of them.

Objects are only looked at, never changed: whose display mode is Splats is drawn over what Blender has drawn.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import bpy
from bpy.app.handlers import persistent

from .gpu.kept import KeptPacks
from .gpu.packing import PackedSplats
from .gpu.view import NEAR, View
from .gpu.viewport_drawing import STEADY_S, ViewportSplats
from .gpu.visible import VisibleSplats, Wanted, visible_splats

log = logging.getLogger(__name__)

ENGINE = "SPLINESCAPE"


class _Watch:
    """What is drawn, and what of it may be out of date."""

    def __init__(self) -> None:
        self.handle: Any = None
        self.drawing: ViewportSplats | None = None
        self.packs = KeptPacks()
        self.current: dict[str, PackedSplats] = {}
        self.broken = False
        self.objects = 0

    def forget(self) -> None:
        self.drawing = None
        self.packs.clear()
        self.current.clear()
        self.broken = False

    def drop_removed(self) -> None:
        """Give back what belonged to objects that are no longer in the file."""
        if not self.current or len(bpy.data.objects) == self.objects:
            return
        self.objects = len(bpy.data.objects)
        if self.current.keys() - {each.name_full for each in bpy.data.objects}:
            self.forget()

    def pack(self, visible: VisibleSplats) -> PackedSplats:
        """Its splats, read again only after the dependency graph has said that they changed."""
        found = self.current.get(visible.name)
        if found is None:
            found = self.current[visible.name] = self.packs.pack(visible.name, visible.read())
        return found


_watch = _Watch()


def is_drawn_as_splats(candidate: Any) -> bool:
    """Whether the viewport draws this object as Gaussians when it is visible."""
    return bool(candidate.splinescape.display.mode == "SPLATS")


def draw_region(context: Any, wanted: Wanted, *, behind_scene: bool) -> None:
    """Draw the wanted splats of the viewport of `context`; in a draw handler or `view_draw` only."""
    if _watch.broken:
        return
    try:
        _draw_region(context, wanted, behind_scene)
    except Exception:
        # Raised again in every frame it would fill the console; a new file or a changed object is a new chance.
        _watch.forget()
        _watch.broken = True
        log.exception("splats cannot be drawn in the viewport")


def _draw_region(context: Any, wanted: Wanted, behind_scene: bool) -> None:
    found = visible_splats(context.evaluated_depsgraph_get(), wanted)
    if not found:
        return
    clouds = [_watch.pack(each) for each in found]
    region, view_3d = context.region, context.region_data
    near = NEAR if view_3d.is_perspective else float("-inf")
    view = View.of(view_3d.view_matrix, view_3d.window_matrix, region.width, region.height, near)
    _watch.drawing = _watch.drawing or ViewportSplats()
    matrices = [each.world_T_object for each in found]
    if _watch.drawing.draw(region.as_pointer(), clouds, matrices, view, behind_scene=behind_scene):
        _redraw_later()


def _draw() -> None:
    if not bpy.data.pointclouds:
        return
    context = bpy.context
    space = context.space_data
    if space.shading.type == "RENDERED" and context.scene.render.engine == ENGINE:
        return
    draw_region(
        context,
        lambda splats, shown: is_drawn_as_splats(splats) and shown.visible_get(viewport=space),
        behind_scene=True,
    )


def redraw_viewports() -> None:
    """Ask all 3D viewports to draw themselves again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


def _redraw_later() -> None:
    if not bpy.app.timers.is_registered(redraw_viewports):
        bpy.app.timers.register(redraw_viewports, first_interval=STEADY_S + 0.05)


@persistent
def _mark_changed(_scene: Any, depsgraph: Any) -> None:
    if threading.current_thread() is not threading.main_thread():
        return  # an animation is being rendered: its frames are not the viewport's
    _watch.drop_removed()
    for update in depsgraph.updates:
        if isinstance(update.id, bpy.types.PointCloud):
            _watch.current.clear()
            _watch.broken = False
        elif isinstance(update.id, bpy.types.Object) and update.is_updated_geometry:
            _watch.current.pop(update.id.original.name_full, None)
            _watch.broken = False


@persistent
def _forget(_: Any) -> None:
    _watch.forget()


@persistent
def _read_again(_: Any) -> None:
    _watch.current.clear()


_HANDLERS = (
    ("depsgraph_update_post", _mark_changed),
    ("frame_change_post", _mark_changed),
    ("load_pre", _forget),
    ("undo_post", _read_again),
    ("redo_post", _read_again),
)


def register() -> None:
    if not bpy.app.background:
        _watch.handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW")
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    for name, handler in _HANDLERS:
        handlers = getattr(bpy.app.handlers, name)
        if handler in handlers:
            handlers.remove(handler)
    if _watch.handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_watch.handle, "WINDOW")
        _watch.handle = None
    if bpy.app.timers.is_registered(redraw_viewports):
        bpy.app.timers.unregister(redraw_viewports)
    _watch.forget()
