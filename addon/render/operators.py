"""Buttons of the panel "Render"."""

from typing import Any

import bpy

from ..image.camera import input_camera
from ..path.sampling import PathError, path_object
from ..splats.pointcloud import is_splats
from . import engine
from .background import setup_background
from .camera import ensure_path_camera
from .compositor import setup_compositor
from .frames import BUSY, RenderJob, start_render
from .outputs import make_outputs
from .own_frames import is_rendering
from .plan import RenderError, frame_folder
from .properties import ENGINES, SCOPES
from .sequence import NoFramesError

_TICK_S = 0.02
_job: RenderJob | None = None


def current_job() -> RenderJob | None:
    """The frames that are being rendered now; None when nothing is."""
    return _job if _job is not None and _job.state == "running" else None


def why_no_frames(scene: bpy.types.Scene) -> str:
    """Why there is nothing to set up, in a sentence; "" when there are frames."""
    try:
        folder = frame_folder(scene)
    except RenderError as error:
        return str(error)
    return "" if folder.path.is_dir() else "Render frames first"


class MakePathCamera(bpy.types.Operator):
    """Make a camera that follows the path over the scene's frame range, with the lens of the input camera"""

    bl_idname = "splinescape.make_path_camera"
    bl_label = "Make Path Camera"
    bl_options = {"REGISTER", "UNDO"}

    make_active: bpy.props.BoolProperty(
        name="Make Active", description="Render and look through this camera from now on", default=True
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if path_object(context.scene) is None:
            cls.poll_message_set("Add a camera path first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            camera = ensure_path_camera(context.scene)
        except PathError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if self.make_active:
            context.scene.camera = camera
        return {"FINISHED"}


class UseInputCamera(bpy.types.Operator):
    """Make the input camera, from which the picture was taken, the camera that renders"""

    bl_idname = "splinescape.use_input_camera"
    bl_label = "Use Input Camera"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if input_camera(context.scene) is None:
            cls.poll_message_set("Choose an image first: its camera is made with it")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.scene.camera = input_camera(context.scene)
        return {"FINISHED"}


class RenderPath(bpy.types.Operator):
    """Render frames and their depth along the path, and set them up in this file"""

    bl_idname = "splinescape.render_path"
    bl_label = "Render Path"
    bl_options = {"REGISTER", "UNDO"}

    scope: bpy.props.EnumProperty(
        name="Frames", description="Which frames are rendered; the scene's setting if not given", items=SCOPES
    )
    engine: bpy.props.EnumProperty(
        name="Rendered By", description="Who renders them; the scene's setting if not given", items=ENGINES
    )

    _timer: Any = None
    _job: RenderJob

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if current_job() is not None:
            cls.poll_message_set("Frames are being rendered already")
            return False
        if is_rendering():
            cls.poll_message_set(BUSY)
            return False
        if not any(is_splats(each) for each in context.scene.objects):
            cls.poll_message_set("Generate the scene first, or import a splat file")
            return False
        return True

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if not self._start(context):
            return {"CANCELLED"}
        manager = context.window_manager
        self._timer = manager.event_timer_add(_TICK_S, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        try:
            return self._turn(context, event)
        except Exception:
            self._stop_timer(context)
            self._job.cancel()
            raise

    def _turn(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        job = self._job
        if event.type == "ESC" and event.value == "PRESS":
            job.cancel()
        elif event.type == "TIMER":
            done = job.done
            job.step()
            if job.done != done:
                _redraw(context)
        if job.state == "running" or is_rendering():  # the movie is rendered, too
            return {"PASS_THROUGH"}
        self._stop_timer(context)
        return self._finish(context, job)

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends it: another file is opened, or Blender is closed."""
        self._stop_timer(context)
        self._job.cancel()

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not self._start(context):
            return {"CANCELLED"}
        while self._job.step():
            pass
        return self._finish(context, self._job)

    def _start(self, context: bpy.types.Context) -> bool:
        global _job
        settings = context.scene.splinescape.render
        given = self.properties.is_property_set
        try:
            self._job = start_render(
                context.scene,
                self.scope if given("scope") else settings.scope,
                self.engine if given("engine") else settings.engine,
                percentage=settings.percentage,
                keep_existing=settings.keep_existing,
            )
        except (RenderError, PathError) as error:
            self.report({"ERROR"}, str(error))
            return False
        _job = self._job
        _redraw(context)
        return True

    def _finish(self, context: bpy.types.Context, job: RenderJob) -> set[str]:
        _redraw(context)
        if job.state == "failed":
            self.report({"ERROR"}, job.error)
            return {"CANCELLED"}
        if job.state == "cancelled":
            self.report({"INFO"}, f"Cancelled: {job.done} of {job.total} frames are done and stay")
            return {"FINISHED"}  # the path camera may be new: undo takes it back
        scene = bpy.data.scenes.get(job.plan.scene)
        if scene is None:
            self.report({"ERROR"}, "The scene was deleted or renamed: the frames are in their folder")
            return {"CANCELLED"}
        try:
            todo = make_outputs(scene, context.view_layer, job.plan)
        except (NoFramesError, RenderError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"{job.done} frames are in {job.plan.folder.path}")
        for each in todo:
            self.report({"WARNING"}, each)
        return {"FINISHED"}

    def _stop_timer(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None


class CancelRender(bpy.types.Operator):
    """Stop rendering; frames that are complete are kept"""

    bl_idname = "splinescape.cancel_render"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if current_job() is None:
            cls.poll_message_set("Nothing is being rendered")
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        job = current_job()
        if job is not None:
            job.cancel()
        return {"FINISHED"}


class _NeedsFrames:
    """Mix-in: available once frames were rendered."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        why = why_no_frames(context.scene)
        if why:
            cls.poll_message_set(why)  # type: ignore[attr-defined]  # every operator has it
        return not why


class SetupBackground(_NeedsFrames, bpy.types.Operator):
    """Show the rendered frames behind everything, as seen through the scene's camera"""

    bl_idname = "splinescape.setup_background"
    bl_label = "Camera Background"
    bl_options = {"REGISTER", "UNDO"}

    movie: bpy.props.BoolProperty(
        name="Movie", description="Show the movie instead of the single frames", default=False
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        if scene.camera is None:
            self.report({"ERROR"}, "The scene has no camera: click Make Path Camera")
            return {"CANCELLED"}
        try:
            setup_background(scene, scene.camera, frame_folder(scene), self.movie)
        except (NoFramesError, RenderError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class SetupCompositor(_NeedsFrames, bpy.types.Operator):
    """Composite what Blender renders with the frames by depth, so that objects go between the splats"""

    bl_idname = "splinescape.setup_compositor"
    bl_label = "Depth Compositing"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            setup = setup_compositor(context.scene, context.view_layer, frame_folder(context.scene))
        except (NoFramesError, RenderError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if setup.todo:
            self.report({"WARNING"}, setup.todo)
        return {"FINISHED"}


class OpenFrames(_NeedsFrames, bpy.types.Operator):
    """Open the folder of the rendered frames"""

    bl_idname = "splinescape.open_frames"
    bl_label = "Open Folder"

    def execute(self, context: bpy.types.Context) -> set[str]:
        bpy.ops.wm.path_open(filepath=str(frame_folder(context.scene).path))
        return {"FINISHED"}


def _redraw(context: bpy.types.Context) -> None:
    """Show the progress: the sidebars only, as a viewport full of splats takes its time."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


_CLASSES = (
    MakePathCamera,
    UseInputCamera,
    RenderPath,
    CancelRender,
    SetupBackground,
    SetupCompositor,
    OpenFrames,
)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)
    engine.register()


def unregister() -> None:
    global _job
    if _job is not None:
        _job.cancel()
        _job = None
    engine.unregister()
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)
