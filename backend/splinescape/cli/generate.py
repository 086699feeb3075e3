"""`splinescape generate`: a picture and a camera path in; gf.ply, film and recording out."""

from __future__ import annotations

import shutil
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splinescape.cli.interrupt import cancel_on_interrupt
from splinescape.cli.listeners import to_all
from splinescape.cli.options import config_options, given_flags, take_config
from splinescape.cli.outputs import BYTES_PER_SPLAT, Outputs, check_writable, ply_path, recall_outputs
from splinescape.config import SceneConfig
from splinescape.errors import CancelledError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from splinescape.camera.path import CameraPath
    from splinescape.cli.progress import ProgressDisplay
    from splinescape.events import Event, OnEvent
    from splinescape.pipeline import SceneResult
    from splinescape.viewer.rerun_log import RerunLog

DEFAULT_OUT = Path("out")
EXTRA_FORMATS = ("compressed.ply", "spz", "splat")
RERUN_URL = "rerun+http://127.0.0.1:9876/proxy"
WITH_RESUME = {"--resume", "--quiet", "--verbose"}


@dataclass(frozen=True, eq=False)
class _Job:
    """Everything that is computed from, loaded and checked."""

    rgb: NDArray[np.uint8]
    config: SceneConfig
    path: CameraPath | None
    focal_px: float | None
    engines: dict[str, str | None]
    notes: tuple[str, ...] = ()


@click.command()
@click.argument("picture", type=click.Path(path_type=Path), required=False)
@click.option(
    "--path", "path_file", type=click.Path(path_type=Path), metavar="FILE", help="Camera path (JSON)."
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder for the results.  [default: out]"
)
@click.option(
    "--export-gaussians-ply-path",
    "ply",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where the scene goes; without .ply at the end, a folder for gf.ply.  [default: the --out folder]",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(EXTRA_FORMATS),
    multiple=True,
    help="Also write this format; may be repeated.",
)
@click.option("--video", is_flag=True, help="Also film the scene along the path: film.mp4.")
@click.option(
    "--rerun",
    type=click.Choice(["off", "save", "serve", "spawn", "connect"]),
    default="off",
    show_default=True,
    help="Show the work in Rerun: as scene.rrd, on a local web page, in a new viewer, in a running one.",
)
@click.option(
    "--rerun-url", default=RERUN_URL, show_default=True, metavar="URL", help="The viewer to connect to."
)
@click.option(
    "--inpainter", default="auto", show_default=True, metavar="ENGINE", help="Engine that fills holes."
)
@click.option(
    "--depth", default="auto", show_default=True, metavar="ENGINE", help="Engine that predicts depth."
)
@click.option(
    "--rasterizer", default="auto", show_default=True, metavar="ENGINE", help="Engine that renders splats."
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Continue the unfinished job in this --out folder; takes no other options.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print warnings and errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Print a traceback with errors.")
@config_options
@click.pass_context
def generate(
    context: click.Context, picture: Path | None, resume: Path | None, quiet: bool, **parameters: Any
) -> None:
    """Make a scene of 3D Gaussian splats from PICTURE."""
    typed = given_flags(context)
    if resume is None:
        if picture is None:
            raise click.UsageError(
                "give a picture, or --resume with the folder of an unfinished job", context
            )
        job, outputs = _new_job(picture, parameters, typed)
    else:
        others = [flag for flag in typed if flag not in WITH_RESUME] + (["PICTURE"] if picture else [])
        if others:
            raise InputError(f"--resume continues a job as it was begun: leave out {', '.join(others)}")
        job, outputs = _unfinished_job(resume)
    _check_outputs(job, outputs)
    with cancel_on_interrupt() as cancel:
        try:
            _run(job, outputs, quiet, cancel)
        except (CancelledError, KeyboardInterrupt) as error:
            if not outputs.resumable:
                raise CancelledError("nothing was finished yet") from error
            kept = f"finished frames are kept; continue with: splinescape generate --resume {outputs.folder}"
            raise CancelledError(kept) from error


def _new_job(picture: Path, parameters: dict[str, Any], typed: list[str]) -> tuple[_Job, Outputs]:
    path_file = parameters["path_file"]
    if path_file is not None and "--traj-type" not in typed:
        parameters["traj_type"] = "json"
    config = take_config(parameters)
    if path_file is None and config.traj_type != "spiral":
        raise InputError(f"--traj-type {config.traj_type} needs a camera path: add --path FILE")
    if path_file is not None and config.traj_type == "spiral":
        raise InputError("--traj-type spiral makes its own camera path: leave out --path or --traj-type")
    out, ply = parameters["out"], parameters["ply"]
    folder = out or (ply_path(ply).parent if ply else DEFAULT_OUT)
    outputs = Outputs(
        folder=folder,
        ply=ply_path(ply or folder),
        formats=tuple(dict.fromkeys(parameters["formats"])),
        video=parameters["video"],
        rerun=parameters["rerun"],
        rerun_url=parameters["rerun_url"],
    )
    from splinescape.camera.path import CameraPath
    from splinescape.picture.load import load_picture

    path = None if path_file is None else CameraPath.from_json(path_file)
    loaded = load_picture(picture)
    engines = {
        role: None if parameters[option] == "auto" else parameters[option]
        for role, option in (("inpaint", "inpainter"), ("depth", "depth"), ("raster", "rasterizer"))
    }
    return _Job(loaded.rgb, config, path, loaded.focal_px, engines, loaded.notes), outputs


def _unfinished_job(folder: Path) -> tuple[_Job, Outputs]:
    outputs = recall_outputs(folder)
    from splinescape.checkpoint import open_job

    job = open_job(outputs.checkpoints)
    return _Job(job.rgb, job.config, job.path, job.focal_px, dict(job.engines)), outputs


def _check_outputs(job: _Job, outputs: Outputs) -> None:
    if outputs.rerun != "off":
        from splinescape.viewer.rerun_sink import check_rerun

        check_rerun(outputs.rerun, outputs.rerun_url)
    from splinescape.picture.fit import fit_picture

    height, width = fit_picture(job.rgb, job.config.max_resolution).rgb.shape[:2]
    if outputs.ply.is_dir():
        raise InputError(f"{outputs.ply} is a folder: give another --export-gaussians-ply-path")
    for folder in {outputs.folder, outputs.ply.parent}:
        check_writable(folder, width * height * BYTES_PER_SPLAT)


def _run(job: _Job, outputs: Outputs, quiet: bool, cancel: threading.Event) -> None:
    from splinescape.cli.progress import ProgressDisplay
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
        _save_scene(result, outputs)
        if viewer is not None:
            viewer.scene(result.scene.splats)
        if viewer is not None or outputs.video:
            _final_render(result, outputs, viewer, display, cancel)
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


def _save_scene(result: SceneResult, outputs: Outputs) -> None:
    from splinescape.io.formats import save_scene

    result.save_ply(outputs.ply)
    for suffix in outputs.formats:
        save_scene(outputs.extra(suffix), result.scene.splats, result.scene.meta)


def _final_render(
    result: SceneResult,
    outputs: Outputs,
    viewer: RerunLog | None,
    display: ProgressDisplay,
    cancel: threading.Event,
) -> None:
    from splinescape.cli.progress import RenderProgress
    from splinescape.io.film import film_writer
    from splinescape.render import RenderedFrame, final_frame_count, render_path, views_along

    picture = result.frames[0]
    count = final_frame_count(len(result.frames))
    views = views_along(result.path, count, picture.K_33, picture.width, picture.height)
    with ExitStack() as stack:
        listeners: list[Callable[[RenderedFrame], None]] = [RenderProgress(display)]
        if outputs.video:
            film = stack.enter_context(film_writer(outputs.film))
            listeners.append(lambda frame: film.add(frame.rgb))
        if viewer is not None:
            listeners.append(viewer.final_frame)
        render_path(result.scene, views, to_all(listeners), cancel)


def _report(result: SceneResult, config: SceneConfig, outputs: Outputs) -> None:
    if config.coarse_print_summary and config.stage in ("coarse", "fine"):
        click.echo(result.summary.text())
    click.echo(f"scene: {outputs.ply} ({result.scene.num_splats:,} splats)")
    for suffix in outputs.formats:
        click.echo(f"scene: {outputs.extra(suffix)}")
    if outputs.video:
        click.echo(f"film: {outputs.film}")
    if outputs.rerun == "save":
        click.echo(f"recording: {outputs.recording} (see it with: rerun {outputs.recording})")
