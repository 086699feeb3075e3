"""A job of the command line: everything it is computed from, what it leaves behind, and doing it."""

from __future__ import annotations

import shutil
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from splinescape.cli.listeners import to_all
from splinescape.cli.outputs import BYTES_PER_SPLAT, Outputs, check_writable
from splinescape.config import SceneConfig
from splinescape.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from splinescape.camera.path import CameraPath
    from splinescape.events import Event, OnEvent
    from splinescape.pipeline import SceneResult
    from splinescape.viewer.rerun_log import RerunLog


@dataclass(frozen=True, eq=False)
class SceneJob:
    """What a scene is made from, loaded and checked.

    Attributes:
        rgb: (H, W, 3) uint8 picture. config: settings. path: camera path, None for the spiral.
        focal_px: focal length of the picture in its pixels, if known.
        engines: role ("inpaint", "depth", "raster") -> engine name, None for the best available.
        notes: what was done to the picture while loading it, for the user.
    """

    rgb: NDArray[np.uint8]
    config: SceneConfig
    path: CameraPath | None
    focal_px: float | None
    engines: dict[str, str | None]
    notes: tuple[str, ...] = ()


def check_outputs(job: SceneJob, outputs: Outputs) -> None:
    """Find out before any long work whether the results can be written and shown.

    Raises:
        InputError: the picture is too small, a folder cannot be written, or a viewer cannot be reached.
        EngineUnavailableError: Rerun is wanted but not installed.
    """
    if outputs.rerun != "off":
        from splinescape.viewer.rerun_sink import check_rerun

        check_rerun(outputs.rerun, outputs.rerun_url)
    from splinescape.picture.fit import fit_picture

    height, width = fit_picture(job.rgb, job.config.max_resolution).rgb.shape[:2]
    if outputs.ply.is_dir():
        raise InputError(f"{outputs.ply} is a folder: give another --export-gaussians-ply-path")
    for folder in {outputs.folder, outputs.ply.parent}:
        check_writable(folder, width * height * BYTES_PER_SPLAT)


def run_job(job: SceneJob, outputs: Outputs, quiet: bool, cancel: threading.Event) -> None:
    """Make the scene, write everything that was asked for, and say where it is.

    Args:
        quiet: show warnings only.
        cancel: set it to stop after the current step.

    Raises:
        CancelledError: `cancel` was set. InputError: an engine or a result is not possible.
    """
    from splinescape.cli.progress import ProgressDisplay
    from splinescape.deliver import final_render, save_scene_files
    from splinescape.events import Note
    from splinescape.pipeline import ScenePipeline

    with ExitStack() as stack:
        display = stack.enter_context(ProgressDisplay(quiet))
        for note in job.notes:
            display(Note(note))
        engines = job.engines
        pipeline = ScenePipeline(
            job.config, inpainter=engines["inpaint"], depth=engines["depth"], rasterizer=engines["raster"]
        )
        listeners: list[OnEvent] = [display, _RememberOnce(outputs)]
        viewer = None
        if outputs.rerun != "off":
            viewer, place = _open_viewer(outputs, stack)
            listeners.append(viewer)
            if outputs.rerun == "serve":
                display(Note(f"watch at {place}"))
        result = pipeline.run(
            job.rgb,
            job.path,
            focal_px=job.focal_px,
            on_event=to_all(listeners),
            cancel=cancel,
            checkpoint_dir=outputs.checkpoints,
        )
        save_scene_files(result, outputs.ply, map(outputs.extra, outputs.formats))
        if viewer is not None:
            viewer.scene(result.scene.splats)
        if viewer is not None or outputs.video:
            film = outputs.film if outputs.video else None
            listeners_of_frames = [] if viewer is None else [viewer.final_frame]
            final_render(result, display, film=film, listeners=listeners_of_frames, cancel=cancel)
        if outputs.rerun == "serve":
            display(Note(f"finished; {place} is served until Ctrl-C"))
            while not cancel.wait(0.5):  # without a timeout, Windows would not notice Ctrl-C
                pass
    shutil.rmtree(outputs.checkpoints)
    if not quiet:
        _report(result, job.config, outputs)


class _RememberOnce:
    """Stores the wanted outputs when work begins: by then the pipeline has taken the folder as its own."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs: Outputs | None = outputs

    def __call__(self, event: Event) -> None:
        from splinescape.events import FrameAdded, StageStarted

        if self._outputs is not None and isinstance(event, StageStarted | FrameAdded):
            self._outputs.remember()
            self._outputs = None


def _open_viewer(outputs: Outputs, stack: ExitStack) -> tuple[RerunLog, str]:
    from splinescape.viewer.rerun_log import RerunLog
    from splinescape.viewer.rerun_sink import open_recording

    recording = stack.enter_context(open_recording(outputs.rerun, outputs.recording, outputs.rerun_url))
    return RerunLog(recording.stream), recording.place


def _report(result: SceneResult, config: SceneConfig, outputs: Outputs) -> None:
    if config.coarse_print_summary and config.stage in ("coarse", "fine"):
        click.echo(result.summary.text())
    click.echo(f"scene: {outputs.ply} ({result.scene.num_splats:,} splats)")
    for suffix in outputs.formats:
        click.echo(f"scene: {outputs.extra(suffix)}")
    if outputs.video:
        click.echo(f"film: {outputs.film}")
    if outputs.rerun == "save":
        viewer = "rerun" if shutil.which("rerun") else f"{sys.executable} -m rerun"
        click.echo(f"recording: {outputs.recording} (see it with: {viewer} {outputs.recording})")
