"""Generate Scene and what can be told to a job."""

from pathlib import Path
from typing import Any

import bpy

from ..backend import connect
from . import api, jobs, logs, offers, presets, request, scene_splats, timer

_rpt = getattr(bpy.app.translations, "pgettext_rpt", bpy.app.translations.pgettext_tip)

_QUALITIES = (
    ("DRAFT", "Draft", "Small and fast, to see whether picture and path go together"),
    ("PREVIEW", "Preview", "Enough to judge the scene"),
    ("HIGH", "High", "Large pictures, more frames and refinement; takes several times as long"),
)


def why_no_job(scene: bpy.types.Scene) -> str:
    """Why Generate Scene is unavailable, in one sentence; "" when it is available."""
    if jobs.is_working(scene):
        return "A scene is being generated already"
    missing = request.why_not(scene)
    if missing:
        return missing
    client = connect.current_client()
    if client is not None and client.state == "connecting":
        return ""  # the job waits for the connection
    return connect.why_unavailable()


class GenerateScene(bpy.types.Operator):
    """Make a scene of Gaussian splats from the image along the camera path"""

    bl_idname = "splinescape.generate"
    bl_label = "Generate Scene"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        why = why_no_job(context.scene)
        if why:
            cls.poll_message_set(why)
        return not why

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            api.generate(context.scene, wait=bpy.app.background)
        except ValueError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if bpy.app.background:
            made = scene_splats.splats_object(context.scene)
            self.report({"INFO"}, _rpt("The scene is ready: {}").format(made.name if made else ""))
        return {"FINISHED"}


def _poll_state(operator: Any, context: bpy.types.Context, states: tuple[str, ...], otherwise: str) -> bool:
    """Whether the scene's job is in one of the states; if not, the operator says so."""
    view = jobs.view_of(context.scene)
    why = "No scene is being generated" if view is None else "" if view.state in states else otherwise
    if why:
        operator.poll_message_set(why)
    return not why


class CancelJob(bpy.types.Operator):
    """Stop making the scene; the splats that are there already stay"""

    bl_idname = "splinescape.cancel_job"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _poll_state(
            cls, context, ("waiting", "sending", "queued", "running", "paused"), "The job is over"
        )

    def execute(self, context: bpy.types.Context) -> set[str]:
        jobs.tell(context.scene, "cancel")
        timer.hurry()
        return {"FINISHED"}


class PauseJob(bpy.types.Operator):
    """Stop after the present step and free the backend for others; Resume goes on from there"""

    bl_idname = "splinescape.pause_job"
    bl_label = "Pause"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _poll_state(cls, context, ("queued", "running"), "The job does not run")

    def execute(self, context: bpy.types.Context) -> set[str]:
        jobs.tell(context.scene, "pause")
        timer.hurry()
        return {"FINISHED"}


class ResumeJob(bpy.types.Operator):
    """Let the job go on after its last finished frame"""

    bl_idname = "splinescape.resume_job"
    bl_label = "Resume"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not _poll_state(
            cls, context, ("paused", "failed", "cancelled"), "The job is neither paused nor stopped"
        ):
            return False
        view = jobs.view_of(context.scene)
        if view is not None and view.job:
            return True
        cls.poll_message_set("Nothing was sent: click Generate Scene")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        jobs.tell(context.scene, "resume")
        timer.hurry()
        return {"FINISHED"}


class ReattachJob(bpy.types.Operator):
    """Follow a job of this scene that is at the backend, such as after Blender has crashed"""

    bl_idname = "splinescape.reattach_job"
    bl_label = "Reattach"
    bl_options = {"REGISTER", "UNDO"}

    job: bpy.props.StringProperty(
        name="Job", description="The service's name for the job; empty: the newest one of this scene"
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if jobs.is_working(context.scene):
            cls.poll_message_set("A scene is being generated already")
            return False
        if connect.current_client() is None:
            cls.poll_message_set(connect.status_text() or "There is no backend")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        found = offers.offer(scene, jobs.followed())
        job = self.job or (found.id if found is not None else scene.splinescape.generate.job)
        if not job:
            self.report({"ERROR"}, "There is no job of this scene at the backend: click Generate Scene")
            return {"CANCELLED"}
        try:
            jobs.attach(scene, job, found.name if found is not None and found.id == job else "")
            timer.hurry()
            if bpy.app.background:
                api.wait_for(scene)
        except ValueError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class ImportResult(bpy.types.Operator):
    """Put the splats of the finished job into the scene again"""

    bl_idname = "splinescape.import_result"
    bl_label = "Import Scene"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        own = context.scene.splinescape.generate
        if not own.job:
            cls.poll_message_set("No scene was generated yet")
            return False
        if jobs.is_working(context.scene):
            cls.poll_message_set("The scene is still being generated")
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        own = scene.splinescape.generate
        path = Path(bpy.path.abspath(own.result)) if own.result else None
        try:
            if path is not None and path.is_file():
                jobs.import_saved(scene, path)
                return {"FINISHED"}
            jobs.attach(scene, own.job)
            timer.hurry()
            if bpy.app.background:
                api.wait_for(scene)
        except (ValueError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class Reconnect(bpy.types.Operator):
    """Connect to the backend again, and start it if it is this machine's"""

    bl_idname = "splinescape.reconnect"
    bl_label = "Reconnect"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if connect.current_backend() is None:
            cls.poll_message_set("The extension is being switched off")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:  # noqa: ARG002
        try:
            api.start_backend()
        except ValueError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        offers.refresh()
        jobs.reattach_lost()
        timer.seen()
        timer.hurry()
        return {"FINISHED"}


class OpenLog(bpy.types.Operator):
    """Show the log of the scene's job in a text editor"""

    bl_idname = "splinescape.open_log"
    bl_label = "Open Log"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not context.scene.splinescape.generate.job:
            cls.poll_message_set("No job was submitted yet")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        own = context.scene.splinescape.generate
        try:
            content = logs.read_log(own.job)
        except ValueError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        text = logs.show_text(f"Splinescape Log {own.job[:8]}", content)
        if not bpy.app.background and not logs.is_shown(text):
            logs.open_window(text)
        return {"FINISHED"}


class ShowSummary(bpy.types.Operator):
    """Show the whole report on the expansion in a text editor"""

    bl_idname = "splinescape.show_summary"
    bl_label = "Show Report"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not context.scene.splinescape.generate.summary:
            cls.poll_message_set("There is no report: it comes when a scene was expanded along a path")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        from .summary import read_summary

        table = read_summary(context.scene.splinescape.generate.summary)
        if table is None:
            self.report({"ERROR"}, "The report is damaged: generate the scene again")
            return {"CANCELLED"}
        text = logs.show_text("Splinescape Report", table.text)
        if not bpy.app.background and not logs.is_shown(text):
            logs.open_window(text)
        return {"FINISHED"}


class SetQuality(bpy.types.Operator):
    """Set stage, resolution, frames and steps together"""

    bl_idname = "splinescape.set_quality"
    bl_label = "Quality"
    bl_options = {"REGISTER", "UNDO"}

    quality: bpy.props.EnumProperty(
        name="Quality", description="How much time the scene may take", items=_QUALITIES, default="PREVIEW"
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        presets.apply_preset(context.scene.splinescape.generate, self.quality)
        return {"FINISHED"}


_CLASSES = (
    GenerateScene,
    CancelJob,
    PauseJob,
    ResumeJob,
    ReattachJob,
    ImportResult,
    Reconnect,
    OpenLog,
    ShowSummary,
    SetQuality,
)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)


def unregister() -> None:
    for each in reversed(_CLASSES):
        if each.is_registered:
            bpy.utils.unregister_class(each)
