"""Frames from the extension's own render engine, one at a time."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..image.png import srgb8
from . import engine, versions
from .exr import ExrError, read_exr
from .files import Frame
from .plan import HIDDEN, RenderError, RenderPlan

ENGINE = "SPLINESCAPE"
_TURN_S = 0.2
"""How often it looks whether another render has ended."""

_IMAGE_SETTINGS = (
    "media_type",
    "file_format",
    "color_mode",
    "color_depth",
    "exr_codec",
    "use_exr_interleave",
)
"""In the order in which they can be set back."""


def is_rendering() -> bool:
    """Whether Blender renders beside its event loop: F12, or an animation. Nothing else can be rendered then."""
    return bool(bpy.app.is_job_running("RENDER"))


class OwnFrames:
    """Renders with the engine of the extension; each frame blocks Blender while it is rendered."""

    def __init__(self, plan: RenderPlan) -> None:
        self._plan = plan
        self._number = 0
        scene = bpy.data.scenes[plan.scene]
        self._now = scene.frame_current, scene.frame_subframe
        self._engine = scene.render.engine
        self._layer = (bpy.context.view_layer if bpy.context.scene == scene else scene.view_layers[0]).name
        engine.hold_splats(self)
        bpy.app.handlers.save_pre.append(self._before_saving)
        bpy.app.handlers.save_post.append(self._after_saving)

    def begin(self, number: int) -> None:
        """Have `result` render that frame."""
        self._number = number

    def result(self) -> Frame | None:
        """Render the frame; None while Blender renders something else.

        Raises:
            RenderError: the engine could not; the scene is as it was.
        """
        if is_rendering():
            return None
        scene = bpy.data.scenes.get(self._plan.scene)
        camera = bpy.data.objects.get(self._plan.camera_in(self._number))
        if scene is None or camera is None:
            raise RenderError("The scene or its camera was deleted while frames were rendered: start again")
        # For all frames at once: splats change their form with the scene's engine, which may take long.
        scene.render.engine = ENGINE
        layer = scene.view_layers.get(self._layer) or scene.view_layers[0]
        scene.frame_set(self._number)
        with tempfile.TemporaryDirectory(prefix="splinescape-") as folder:
            path = Path(folder) / "frame.exr"
            with prepared(scene, camera, self._plan, path):
                _render(scene, layer)
            try:
                channels = read_exr(path)
            except (OSError, ExrError) as error:
                raise RenderError(f"Frame {self._number} was not rendered: {error}") from None
        return _frame(channels, layer.name)

    def close(self) -> None:
        """Go back to the frame and the engine with which it began, as soon as Blender renders nothing else."""
        if self._restore() is not None:
            bpy.app.timers.register(self._restore, first_interval=_TURN_S)

    def _restore(self) -> float | None:
        if is_rendering():
            return _TURN_S
        for handlers, handler in (
            (bpy.app.handlers.save_pre, self._before_saving),
            (bpy.app.handlers.save_post, self._after_saving),
        ):
            if handler in handlers:
                handlers.remove(handler)
        engine.release_splats(self)
        scene = bpy.data.scenes.get(self._plan.scene)
        if scene is not None:
            if scene.render.engine == ENGINE:
                scene.render.engine = self._engine
            scene.frame_set(self._now[0], subframe=self._now[1])
        return None

    def _before_saving(self, *_: Any) -> None:
        self._exchange_engine(ENGINE, self._engine)

    def _after_saving(self, *_: Any) -> None:
        self._exchange_engine(self._engine, ENGINE)

    def _exchange_engine(self, now: str, wanted: str) -> None:
        scene = bpy.data.scenes.get(self._plan.scene)
        if scene is not None and scene.render.engine == now:
            scene.render.engine = wanted


def _render(scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> None:
    try:
        # Given as an argument, the scene would be rendered in the frame of the context's scene.
        with bpy.context.temp_override(scene=scene, view_layer=layer):
            bpy.ops.render.render(write_still=True, layer=layer.name)
    except RuntimeError as error:
        raise RenderError(str(error).removeprefix("Error: ").strip()) from None


def _frame(channels: dict[str, NDArray[np.float32]], layer: str) -> Frame:
    """The frame in a file of passes."""

    def channel(name: str) -> NDArray[np.float32]:
        found = channels.get(f"{layer}.{name}")
        if found is None:
            raise RenderError(f"The render engine made no {name}: render again")
        return found

    rgb = np.stack([channel(f"Combined.{colour}") for colour in "RGB"], axis=-1)
    return Frame(srgb8(rgb), channel("Depth.Z"))


@contextlib.contextmanager
def prepared(
    scene: bpy.types.Scene, camera: bpy.types.Object, plan: RenderPlan, path: Path
) -> Iterator[None]:
    """The scene set up to render its splats and their depth into `path`; afterwards it is as it was."""
    render = scene.render
    wanted: list[tuple[Any, dict[str, Any]]] = [
        # Markers would switch the camera, and do it when they are set: they come before it.
        *((marker, {"camera": None}) for marker in scene.timeline_markers if marker.camera),
        (scene, {"camera": camera}),
        (
            render,
            {
                "engine": ENGINE,
                "filepath": str(path),
                "resolution_x": plan.width,
                "resolution_y": plan.height,
                "resolution_percentage": 100,
                "film_transparent": False,
                "use_border": False,
                "use_compositing": False,
                "use_sequencer": False,
                "use_multiview": False,
                "use_stamp": False,
                "use_overwrite": True,
                "use_file_extension": True,
            },
        ),
        *(
            (marker, {"camera": None}) for marker in scene.timeline_markers if marker.camera
        ),  # it would switch
        *((layer, {"use_pass_z": True}) for layer in scene.view_layers),
        *((each, {"hide_render": False}) for each in scene.objects if each.get(HIDDEN)),
    ]
    settings = render.image_settings
    image_settings = {name: getattr(settings, name) for name in _IMAGE_SETTINGS if hasattr(settings, name)}
    kept = [(owner, {name: getattr(owner, name) for name in values}) for owner, values in wanted]
    try:
        _set_all(wanted)
        versions.set_exr_output(settings)
        yield
    finally:
        for name, value in image_settings.items():
            with contextlib.suppress(TypeError):  # what it does not have in the format that is restored
                setattr(settings, name, value)
        _set_all(kept)


def _set_all(values: list[tuple[Any, dict[str, Any]]]) -> None:
    for owner, properties in values:
        for name, value in properties.items():
            setattr(owner, name, value)
