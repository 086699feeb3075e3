"""`splinescape generate`: a picture and a camera path in; gf.ply, film and recording out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from splinescape.cli.interrupt import cancel_on_interrupt
from splinescape.cli.job import SceneJob, check_outputs, run_job
from splinescape.cli.options import config_options, given_flags, take_config
from splinescape.cli.outputs import Outputs, ply_path, recall_outputs
from splinescape.cli.remote import read_remote_job, run_remote
from splinescape.cli.remote_option import remote_option
from splinescape.config import SceneConfig
from splinescape.errors import CancelledError, InputError

DEFAULT_OUT = Path("out")
EXTRA_FORMATS = ("compressed.ply", "spz", "splat")
RERUN_URL = "rerun+http://127.0.0.1:9876/proxy"
ENGINE_OPTIONS = {"inpaint": "inpainter", "depth": "depth", "raster": "rasterizer"}
WITH_RESUME = {"--resume", "--quiet", "--verbose"}


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
@remote_option(
    "Let a service make the scene and fetch it here; FILE is its connection file, or local for the service of "
    "this machine."
)
@click.option("-q", "--quiet", is_flag=True, help="Print warnings and errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Print a traceback with errors.")
@config_options
@click.pass_context
def generate(
    context: click.Context,
    picture: Path | None,
    resume: Path | None,
    remote: str | None,
    quiet: bool,
    **parameters: Any,
) -> None:
    """Make a scene of 3D Gaussian splats from PICTURE."""
    typed = given_flags(context)
    if resume is None:
        if picture is None:
            raise click.UsageError(
                "give a picture, or --resume with the folder of an unfinished job", context
            )
        if remote is not None:
            _generate_remotely(remote, picture, parameters, typed, quiet)
            return
        job, outputs = _new_job(picture, parameters, typed)
    else:
        others = [flag for flag in typed if flag not in WITH_RESUME] + (["PICTURE"] if picture else [])
        if others:
            raise InputError(f"--resume continues a job as it was begun: leave out {', '.join(others)}")
        job, outputs = _unfinished_job(resume)
    check_outputs(job, outputs)
    with cancel_on_interrupt() as cancel:
        try:
            run_job(job, outputs, quiet, cancel)
        except (CancelledError, KeyboardInterrupt) as error:
            if not outputs.resumable:
                raise CancelledError("nothing was finished yet") from error
            kept = f"finished frames are kept; continue with: splinescape generate --resume {outputs.folder}"
            raise CancelledError(kept) from error


def _generate_remotely(
    remote: str, picture: Path, parameters: dict[str, Any], typed: list[str], quiet: bool
) -> None:
    config, outputs = _wanted(parameters, typed)
    engines = {role: parameters[option] for role, option in ENGINE_OPTIONS.items()}
    job = read_remote_job(picture, parameters["path_file"], config, engines)
    run_remote(remote, job, outputs, quiet)


def _wanted(parameters: dict[str, Any], typed: list[str]) -> tuple[SceneConfig, Outputs]:
    """The settings and what to leave behind, as far as the options agree with each other."""
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
    return config, outputs


def _new_job(picture: Path, parameters: dict[str, Any], typed: list[str]) -> tuple[SceneJob, Outputs]:
    config, outputs = _wanted(parameters, typed)
    path_file = parameters["path_file"]
    from splinescape.camera.path import CameraPath
    from splinescape.picture.load import load_picture

    path = None if path_file is None else CameraPath.from_json(path_file)
    loaded = load_picture(picture)
    engines = {
        role: None if parameters[option] == "auto" else parameters[option]
        for role, option in ENGINE_OPTIONS.items()
    }
    return SceneJob(loaded.rgb, config, path, loaded.focal_px, engines, loaded.notes), outputs


def _unfinished_job(folder: Path) -> tuple[SceneJob, Outputs]:
    outputs = recall_outputs(folder)
    from splinescape.checkpoint import open_job

    job = open_job(outputs.checkpoints)
    return SceneJob(job.rgb, job.config, job.path, job.focal_px, dict(job.engines)), outputs
