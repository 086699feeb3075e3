"""The cameras along the path, drawn in the viewport.

A change of the path marks it as stale; a timer reads it again a moment later, outside of drawing, and drawing uses
what was read. Nothing is read while nothing changes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import bpy
import gpu
import numpy as np
from bpy.app.handlers import persistent
from gpu_extras.batch import batch_for_shader

from . import frusta
from .sampling import Flight, PathError, SlowPathError, guide_turns, path_object, read_flight
from .state import DENSE, PathState, read_path

_DELAY = 0.05
_BUSY_DELAY = 0.5
_REST = 5.0
"""After reading, this many times as long as it took is waited: heavy scenes are read less often."""
_LONGEST_WALK = 1.0
"""Seconds; the window stands still while the scene's frames are walked through."""
_LINE_WIDTH = 1.5

_WATCHED = (bpy.types.Object, bpy.types.Curve, bpy.types.Camera, bpy.types.PointCloud, bpy.types.Action)
"""What a path, its target and the scene are made of."""


@dataclass(frozen=True, eq=False)
class _Walked:
    """What walking through the scene's frames has told: of the guide, of the path if it is a camera, or no more."""

    turns: Any = None
    flight: Flight | None = None
    error: str = ""


@dataclass(eq=False)
class _Memory:
    """What was read of one scene, and what it looks like as batches.

    `walked` is None when the frames have to be walked through, `walk` what that depends on. `format` is what reading
    depends on and no update tells of, `key` are the drawing's settings.
    """

    state: PathState | None = None
    walked: _Walked | None = None
    walk: tuple[Any, ...] = ()
    stale: bool = True
    format: tuple[Any, ...] = ()
    key: tuple[Any, ...] = ()
    lines: Any = None
    frame: int | None = None
    highlight: Any = None


@dataclass(eq=False)
class _Running:
    memories: dict[str, _Memory] = field(default_factory=dict)
    handle: Any = None
    rested: float = 0.0
    reading: bool = False


_running = _Running()


def state_of(scene: Any) -> PathState | None:
    """What is known about the scene's path; None until it has been read, which is then under way."""
    memory = _memory(scene)
    if memory.stale or memory.format != _format(scene):
        _mark(scene)
    return memory.state


def update(scene: Any, depsgraph: Any) -> PathState:
    """Read the scene's path now."""
    memory = _memory(scene)
    began = time.monotonic()
    _running.reading = True
    try:
        if memory.walked is None or memory.walk != _walk(scene):
            memory.walked, memory.walk = None, _walk(scene)
            memory.walked = _walk_through(scene, depsgraph)
        walked = memory.walked
        memory.state = (
            PathState(error=walked.error)
            if walked.error
            else read_path(scene, depsgraph, walked.turns, walked.flight)
        )
    except PathError as error:
        memory.state = PathState(error=str(error))
    finally:
        _running.reading = False
    _running.rested = time.monotonic() + _REST * (time.monotonic() - began)
    memory.stale, memory.format, memory.key, memory.frame = False, _format(scene), (), None
    return memory.state


def refresh(context: Any) -> None:
    """A setting changed: read the path again."""
    memory = _memory(context.scene)
    if memory.walked is not None and memory.walked.error:
        memory.walked = None
    _mark(context.scene)


def _walk_through(scene: Any, depsgraph: Any) -> _Walked:
    try:
        turns = guide_turns(scene, depsgraph, _LONGEST_WALK)
        return _Walked(turns, read_flight(scene, depsgraph, DENSE, _LONGEST_WALK))
    except SlowPathError as error:
        return _Walked(error=str(error))


def _walk(scene: Any) -> tuple[Any, ...]:
    """What the frames are walked through for, and which; () for a path that does not need it."""
    own = scene.splinescape.path
    guide = own.guide if own.orientation == "CAMERA" else None
    followed = own.object if _is_camera(scene) else guide
    return () if followed is None else (followed.name_full, scene.frame_start, scene.frame_end)


def _memory(scene: Any) -> _Memory:
    return _running.memories.setdefault(scene.name_full, _Memory())


def _format(scene: Any) -> tuple[Any, ...]:
    render = scene.render
    return (
        scene.frame_start,
        scene.frame_end,
        render.resolution_x,
        render.resolution_y,
        render.pixel_aspect_x,
        render.pixel_aspect_y,
        scene.splinescape.generate.summary,
    )


def _mark(scene: Any) -> None:
    _memory(scene).stale = True
    _schedule()


def _schedule() -> None:
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=max(_DELAY, _running.rested - time.monotonic()))


def _tick() -> float | None:
    if bpy.app.is_job_running("RENDER"):
        return _BUSY_DELAY
    windows = bpy.context.window_manager.windows
    for window in windows:
        if not _memory(window.scene).stale:
            continue
        if _sets_frames(window.scene) and any(map(_is_at_work, windows)):
            return _BUSY_DELAY
        with bpy.context.temp_override(window=window, scene=window.scene, view_layer=window.view_layer):
            update(window.scene, bpy.context.evaluated_depsgraph_get())
        _redraw(window)
    return None


def _sets_frames(scene: Any) -> bool:
    """Whether reading the path walks through the scene's frames, which must not be done while the artist is at it."""
    memory, walk = _memory(scene), _walk(scene)
    return bool(walk) and (memory.walked is None or memory.walk != walk)


def _is_at_work(window: Any) -> bool:
    """Whether an animation plays in a window, or the artist drags something."""
    return window.screen.is_animation_playing or bool(getattr(window, "modal_operators", ()))


def _is_camera(scene: Any) -> bool:
    path = path_object(scene)
    return path is not None and path.type == "CAMERA"


def _redraw(window: Any) -> None:
    for area in window.screen.areas:
        if area.type == "VIEW_3D":
            area.tag_redraw()


def _addresses(scene: Any, *names: str) -> set[int]:
    """Addresses of objects of the path's settings, their data and their actions."""
    own = scene.splinescape
    there = {"image": own.image.camera, "scene": own.generate.scene_object}
    objects = [there[name] if name in there else getattr(own.path, name) for name in names]
    objects = [each for each in objects if each is not None]
    owners = [*objects, *(each.data for each in objects if each.data is not None)]
    animations = [getattr(each, "animation_data", None) for each in owners]
    actions = [each.action for each in animations if each is not None]
    return {each.as_pointer() for each in [*owners, *actions] if each is not None}


@persistent
def _on_change(scene: Any, depsgraph: Any = None) -> None:
    if _running.reading or depsgraph is None or depsgraph.mode != "VIEWPORT":
        return
    memory = _memory(scene)
    if path_object(scene) is None and memory.state is None:
        return
    updates = [each for each in depsgraph.updates if isinstance(each.id, _WATCHED)]
    keyed = [each.id.original.as_pointer() for each in updates if isinstance(each.id, bpy.types.Action)]
    moved = [each.id.original.as_pointer() for each in updates if _is_real(each)]
    if not _addresses(scene, "object" if _is_camera(scene) else "guide").isdisjoint(keyed):
        memory.walked = None
        _mark(scene)
    # Walking through the frames takes back what the artist has moved but not keyed yet: only keys count there.
    watched = () if _is_camera(scene) else ("object", "target", "image", "scene")
    if not (_addresses(scene, *watched).isdisjoint(moved) and _addresses(scene, "object").isdisjoint(keyed)):
        _mark(scene)


def _is_real(update: Any) -> bool:
    """Whether something changed: objects are also reported when another one is added or selected."""
    return update.is_updated_geometry or update.is_updated_transform


@persistent
def _on_undo(scene: Any, *_: Any) -> None:
    scene = scene or bpy.context.scene
    if not _is_camera(scene):
        _mark(scene)


@persistent
def _on_other_file(*_: Any) -> None:
    _running.memories.clear()
    _schedule()


def _draw() -> None:
    context = bpy.context
    scene, own = context.scene, context.scene.splinescape.path
    if not (own.show_overlay and context.space_data.overlay.show_overlays) or path_object(scene) is None:
        return
    if context.region_data.view_perspective == "CAMERA":  # there they would stand before the picture
        return
    state = state_of(scene)
    if state is None or state.poses is None:
        return
    memory = _memory(scene)
    _prepare(memory, state, own)
    _prepare_highlight(memory, state, scene)
    shader = gpu.shader.from_builtin("POLYLINE_FLAT_COLOR")
    gpu.state.blend_set("ALPHA")
    gpu.state.depth_test_set("LESS_EQUAL")
    shader.bind()
    shader.uniform_float("viewportSize", gpu.state.viewport_get()[2:])
    shader.uniform_float("lineWidth", _LINE_WIDTH * context.preferences.system.ui_scale)
    memory.lines.draw(shader)
    if memory.highlight is not None:
        shader.uniform_float("lineWidth", 2 * _LINE_WIDTH * context.preferences.system.ui_scale)
        memory.highlight.draw(shader)
    gpu.state.depth_test_set("NONE")
    gpu.state.blend_set("NONE")


def _prepare(memory: _Memory, state: PathState, own: Any) -> None:
    key = (own.frusta, own.frustum_size)
    if memory.lines is None or memory.key != key:
        memory.key, memory.frame = key, None
        memory.lines = _batch(*drawing(state, own.frusta, own.frustum_size))


def drawing(state: PathState, count: int, size: float) -> tuple[frusta.Floats, frusta.Floats]:
    """The path and `count` cameras on it as lines: ends (n, 3) and colours (n, 4); the state has poses."""
    assert state.poses is not None and state.bad is not None
    chosen = np.unique(np.round(np.linspace(0, DENSE - 1, count)).astype(int))
    cameras = frusta.frustum_lines(state.poses[chosen], state.window, size * state.drawn_size)
    colours = frusta.colours(state.uncovered, state.bad)
    line = frusta.line_strip(state.poses[:, :3, 3])
    line_colours = np.repeat(colours[:-1], 2, axis=0)
    camera_colours = np.repeat(colours[chosen], 2 * frusta.LINES_PER_FRUSTUM, axis=0)
    return np.concatenate([line, cameras]), np.concatenate([line_colours, camera_colours])


def _prepare_highlight(memory: _Memory, state: PathState, scene: Any) -> None:
    """The camera of the current frame."""
    if memory.frame == scene.frame_current:
        return
    memory.frame, memory.highlight = scene.frame_current, None
    length = max(1, scene.frame_end - scene.frame_start)
    at = (scene.frame_current - scene.frame_start) / length
    if 0 <= at <= 1 and state.poses is not None:
        size = 1.5 * scene.splinescape.path.frustum_size * state.drawn_size
        lines = frusta.frustum_lines(state.poses[[round(at * (DENSE - 1))]], state.window, size)
        memory.highlight = _batch(lines, np.tile(np.array(frusta.ORANGE, np.float32), (len(lines), 1)))


def _batch(ends: frusta.Floats, colours: frusta.Floats) -> Any:
    shader = gpu.shader.from_builtin("POLYLINE_FLAT_COLOR")
    return batch_for_shader(shader, "LINES", {"pos": ends, "color": np.ascontiguousarray(colours)})


_HANDLERS = (
    ("depsgraph_update_post", _on_change),
    ("undo_post", _on_undo),
    ("redo_post", _on_undo),
    ("load_post", _on_other_file),
)


def register() -> None:
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)
    _running.handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW")


def unregister() -> None:
    bpy.types.SpaceView3D.draw_handler_remove(_running.handle, "WINDOW")
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    for name, handler in _HANDLERS:
        handlers = getattr(bpy.app.handlers, name)
        if handler in handlers:  # another add-on may have cleared them
            handlers.remove(handler)
    _running.memories.clear()
