"""The render engine "Splinescape": splats as the backend draws them, for F12, animations and the viewport.

Splats are blended as a screen shows them, so what this engine hands to Blender is the linear light of the blended
picture: with the view transform Standard, the saved picture is the one that the backend renders.
"""

import logging
from typing import Any

import bpy
import gpu
import numpy as np
from bpy.app.handlers import persistent

from ..display.gpu import picture
from ..display.gpu.color import linear_premultiplied
from ..display.gpu.kept import KeptPacks
from ..display.gpu.view import NEAR, View
from ..display.gpu.visible import visible_splats
from . import engine_ui

log = logging.getLogger(__name__)

NO_DEPTH = 1e10
"""What Blender writes into the depth pass where nothing is."""

_packs = KeptPacks()
"""Frames of one animation share their splats."""

_holders: list[object] = []
"""Who renders many frames one by one, which shall share them, too."""


class RenderError(ValueError):
    """Why nothing can be rendered: a sentence for people."""


class SplinescapeEngine(bpy.types.RenderEngine):
    """Renders Gaussian splats, and nothing else."""

    bl_idname = "SPLINESCAPE"
    bl_label = "Splinescape"
    bl_use_preview = False
    bl_use_gpu_context = True
    bl_use_postprocess = True
    bl_use_eevee_viewport = True

    def update_render_passes(self, scene: Any = None, renderlayer: Any = None) -> None:
        """Tell the compositor which passes there will be."""
        self.register_pass(scene, renderlayer, "Combined", 4, "RGBA", "COLOR")
        if renderlayer.use_pass_z:
            self.register_pass(scene, renderlayer, "Depth", 1, "Z", "VALUE")

    def render(self, depsgraph: Any) -> None:
        """Render one view layer of one frame."""
        try:
            self._render(depsgraph)
        except RenderError as error:
            self.report({"ERROR"}, str(error))
        except Exception as error:
            # Nothing may leave this method: the traceback would keep textures until there is no context to free them.
            log.exception("rendering splats")
            self.report({"ERROR"}, f"The graphics card could not draw the splats: {error}")

    def _render(self, depsgraph: Any) -> None:
        scene = depsgraph.scene
        view = camera_view(self, depsgraph)
        x, y, width, height = render_rectangle(scene.render)
        found = visible_splats(depsgraph)
        clouds = [_packs.pack(each.name, each.read()) for each in found]
        rgba, depth = picture.draw_picture(
            clouds, [each.world_T_object for each in found], view.crop(x, y, width, height), self._go_on
        )
        if self.test_break():
            return
        layer_settings = depsgraph.view_layer_eval
        result = self.begin_result(0, 0, width, height, layer=layer_settings.name)
        passes = result.layers[0].passes
        combined = linear_premultiplied(rgba, transparent=scene.render.film_transparent)
        passes["Combined"].rect.foreach_set(combined.reshape(-1))
        if layer_settings.use_pass_z:
            shown = rgba[..., 3] >= max(layer_settings.pass_alpha_threshold, 1e-6)
            passes["Depth"].rect.foreach_set(np.where(shown, depth, np.float32(NO_DEPTH)).reshape(-1))
        self.end_result(result)

    def view_update(self, context: Any, depsgraph: Any) -> None:
        """The viewport's drawing looks for changes itself."""

    def view_draw(self, context: Any, _depsgraph: Any) -> None:
        """Draw the splats, and nothing else, in a viewport whose shading is Rendered."""
        from ..display import viewport

        gpu.state.active_framebuffer_get().clear(color=(0.0, 0.0, 0.0, 0.0))
        space = context.space_data
        viewport.draw_region(context, lambda _, shown: shown.visible_get(viewport=space), behind_scene=False)

    def _go_on(self, done: float) -> bool:
        self.update_progress(done)
        return not bool(self.test_break())


def camera_view(engine: Any, depsgraph: Any) -> View:
    """The whole picture of the scene's camera.

    Splats are drawn from the camera's Clip Start on; its Clip End does not count, as in the backend.

    Raises:
        RenderError: there is no camera, or it is panoramic.
    """
    scene = depsgraph.scene
    camera = engine.camera_override or scene.camera
    if camera is None:
        raise RenderError("There is no camera to render from: add one, or make one active (Ctrl Numpad 0)")
    if camera.data.type not in {"PERSP", "ORTHO"}:
        raise RenderError("Splats cannot be rendered with a panoramic camera: choose Perspective in its lens")
    camera = camera.evaluated_get(depsgraph)
    width, height = full_size(scene.render)
    projection = camera.calc_matrix_camera(
        depsgraph,
        x=width,
        y=height,
        scale_x=scene.render.pixel_aspect_x,
        scale_y=scene.render.pixel_aspect_y,
    )
    pose = camera.matrix_world.normalized().inverted()
    return View.of(pose, projection, width, height, max(camera.data.clip_start, NEAR))


def full_size(render: Any) -> tuple[int, int]:
    """Width and height of the picture in pixels."""
    percentage = render.resolution_percentage
    return max(1, render.resolution_x * percentage // 100), max(1, render.resolution_y * percentage // 100)


def render_rectangle(render: Any) -> tuple[int, int, int, int]:
    """Lower left corner, width and height of what is rendered: the render region, or all."""
    width, height = full_size(render)
    if not render.use_border:
        return 0, 0, width, height
    # In single precision, as Blender calculates them: another size than the one it expects is refused.
    left, right = (
        int(np.float32(each) * np.float32(width)) for each in (render.border_min_x, render.border_max_x)
    )
    low, high = (
        int(np.float32(each) * np.float32(height)) for each in (render.border_min_y, render.border_max_y)
    )
    return left, low, max(1, right - left), max(1, high - low)


def hold_splats(owner: object) -> None:
    """Keep the splats from one render to the next, until `release_splats`."""
    _holders.append(owner)


def release_splats(owner: object) -> None:
    """Give the memory of the splats back, if nobody else needs them; does nothing the second time."""
    if owner in _holders:
        _holders.remove(owner)
    _render_ended()


@persistent
def _render_ended(*_: Any) -> None:
    if not _holders:
        _packs.clear()


@persistent
def _file_closed(*_: Any) -> None:
    _holders.clear()
    _packs.clear()


_HANDLERS = (
    ("load_pre", _file_closed),
    ("render_complete", _render_ended),
    ("render_cancel", _render_ended),
)


def register() -> None:
    """Make the engine known to Blender; does nothing the second time."""
    if not _is_registered():
        for name, handler in _HANDLERS:
            getattr(bpy.app.handlers, name).append(handler)
        bpy.utils.register_class(SplinescapeEngine)
        engine_ui.register()


def unregister() -> None:
    """Take the engine back; does nothing the second time."""
    if _is_registered():
        engine_ui.unregister()
        bpy.utils.unregister_class(SplinescapeEngine)
        for name, handler in _HANDLERS:
            handlers = getattr(bpy.app.handlers, name)
            if handler in handlers:
                handlers.remove(handler)
    _packs.clear()


def _is_registered() -> bool:
    return "bl_rna" in SplinescapeEngine.__dict__
