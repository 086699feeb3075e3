"""Rendering frames into a folder: a piece of work that can go on over many turns of Blender's event loop."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Protocol

import bpy

from .backend_frames import BackendFrames
from .files import Frame, FrameFolder
from .own_frames import OwnFrames, is_rendering
from .plan import RenderError, RenderPlan, Scope, plan_render

log = logging.getLogger(__name__)

Engine = Literal["OWN", "BACKEND"]
State = Literal["running", "done", "cancelled", "failed"]

BUSY = "Blender is rendering: wait until it is done"


class Renderer(Protocol):
    """Makes one frame after the other."""

    def begin(self, number: int) -> None:
        """Start on a frame."""

    def result(self) -> Frame | None:
        """The frame that was begun, None while it is not there yet; raises RenderError."""

    def close(self) -> None:
        """Let go of everything; called once, at the end."""


class RenderJob:
    """Renders the frames of a plan. Whatever happens, frames that are complete stay.

    Attributes:
        plan: what is rendered. done, total: frames. state: where it stands. error: why it failed, for people.
    """

    def __init__(self, plan: RenderPlan, renderer: Renderer, keep_existing: bool = False) -> None:
        """Begin, with everything left to do.

        Args:
            keep_existing: leave out the frames that are in the folder already.
        """
        self.plan = plan
        self.state: State = "running"
        self.error = ""
        self._renderer = renderer
        self._left = [each for each in plan.frames if not (keep_existing and plan.folder.has(each))]
        self._begun = False
        self._writer = ThreadPoolExecutor(1, "splinescape-frames")
        self._writing: Future[None] | None = None
        self._started = time.monotonic()
        self.total = len(self._left)

    @property
    def done(self) -> int:
        """Frames that are complete."""
        return self.total - len(self._left)

    @property
    def seconds_left(self) -> float | None:
        """About how long it will take; None before the first frame is there."""
        if not self.done:
            return None
        return (time.monotonic() - self._started) / self.done * len(self._left)

    def step(self) -> bool:
        """Do a little: begin a frame, or fetch and write one. Returns whether it goes on."""
        if self.state == "running":
            try:
                self._step()
            except (RenderError, OSError) as error:
                self._end("failed", str(error))
            except Exception as error:
                # Nothing may leave a step: whoever drives the job would never end it.
                log.exception("rendering frames")
                self._end("failed", f"The frames could not be rendered: {error}")
        return self.state == "running"

    def cancel(self) -> None:
        """Stop; the frame in progress is given up."""
        if self.state == "running":
            self._end("cancelled")

    def _step(self) -> None:
        if self._writing is not None:
            self._finish_writing(wait=bpy.app.background)
        elif not self._left:
            self._end("done")
        elif not self._begun:
            self._renderer.begin(self._left[0])
            self._begun = True
        else:
            frame = self._renderer.result()
            if frame is not None:
                self._begun = False
                # Beside Blender's main thread, which it would keep for a third of a second at 1920 x 1080.
                self._writing = self._writer.submit(self.plan.folder.write, self._left[0], frame)

    def _finish_writing(self, wait: bool) -> None:
        """Count the frame that was written, if it is complete; raises OSError when it could not be written."""
        if self._writing is not None and (wait or self._writing.done()):
            writing, self._writing = self._writing, None
            writing.result()
            self._left.pop(0)

    def _end(self, state: State, error: str = "") -> None:
        try:
            self._finish_writing(wait=True)
        except Exception as failure:
            state, error = "failed", str(failure)
        self.state, self.error = state, error
        self._writer.shutdown()
        try:
            self._renderer.close()
        except Exception:
            log.exception("ending the rendering of frames")


def start_render(
    scene: bpy.types.Scene,
    scope: Scope,
    engine: Engine,
    *,
    percentage: int = 100,
    folder: Path | None = None,
    keep_existing: bool = False,
) -> RenderJob:
    """Prepare a job, to be driven with `step`.

    Args:
        scope: what is rendered, see `plan_render`. engine: the extension's own, or the backend.
        folder: where to; None for the folder of the scene's settings.

    Raises:
        RenderError, PathError: something is missing, or Blender is rendering.
    """
    if is_rendering():
        raise RenderError(BUSY)
    plan = plan_render(scene, scope, percentage=percentage, folder=folder)
    renderer: Renderer = BackendFrames(plan) if engine == "BACKEND" else OwnFrames(plan)
    return RenderJob(plan, renderer, keep_existing)


def render_frames(
    scene: bpy.types.Scene,
    scope: Scope = "PATH",
    engine: Engine = "OWN",
    *,
    percentage: int = 100,
    folder: Path | None = None,
    keep_existing: bool = False,
) -> FrameFolder:
    """Render frames and wait for them; for scripts. The arguments are those of `start_render`.

    Raises:
        RenderError, PathError: they could not be rendered; frames that were complete by then are in the folder.
    """
    job = start_render(
        scene, scope, engine, percentage=percentage, folder=folder, keep_existing=keep_existing
    )
    try:
        while job.step():
            pass
    finally:
        job.cancel()
    if job.state == "failed":
        raise RenderError(job.error)
    return job.plan.folder
