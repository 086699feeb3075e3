"""Jobs of the command line that a service does: `generate --remote` and watching any job to its end."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splinescape.cli.outputs import Outputs, check_writable
from splinescape.errors import CancelledError, InputError

if TYPE_CHECKING:
    from splinescape.cli.progress import ProgressDisplay
    from splinescape.client import Event, JobInfo, Service
    from splinescape.config import SceneConfig
    from splinescape.events import Event as PipelineEvent

REMOTE_HELP = "Let a service do it; FILE is its connection file."


@dataclass(frozen=True)
class RemoteJob:
    """What is sent to a service.

    Attributes:
        picture: an encoded picture. name: what people call the job. path_json: text of a camera path file or None.
        focal_px: focal length of the picture in its pixels, if known and the picture does not say so itself.
        engines: role ("inpaint", "depth", "raster") -> engine name or "auto".
    """

    picture: bytes
    name: str
    config: SceneConfig
    path_json: str | None
    focal_px: float | None
    engines: Mapping[str, str]


def read_remote_job(
    picture: Path, path_file: Path | None, config: SceneConfig, engines: Mapping[str, str]
) -> RemoteJob:
    """Read what is to be sent; a picture that services do not take is converted first.

    Raises:
        InputError: the picture or the path cannot be read or used.
    """
    from splinescape.camera.path_file import read_path_file
    from splinescape.picture.header import check_picture

    path_json = None
    if path_file is not None:
        path_json = read_path_file(path_file).model_dump_json(exclude_none=True)
    focal_px = None
    try:
        check_picture(picture)
        data = picture.read_bytes()
    except InputError:
        data, focal_px = _as_png(picture)
    except OSError as error:
        raise InputError(f"{picture} cannot be read: {error.strerror}") from None
    return RemoteJob(data, picture.name, config, path_json, focal_px, engines)


def _as_png(picture: Path) -> tuple[bytes, float | None]:
    from PIL import Image

    from splinescape.picture.load import load_picture

    loaded = load_picture(picture)
    file = io.BytesIO()
    Image.fromarray(loaded.rgb).save(file, "PNG")
    return file.getvalue(), loaded.focal_px


def run_remote(connection: Path, job: RemoteJob, outputs: Outputs, quiet: bool) -> None:
    """Send a job, show its progress, fetch its results.

    Raises:
        InputError, ServiceError: it cannot be sent, failed there, or its results cannot be written.
        CancelledError: Ctrl-C; the job was cancelled, or goes on when it was pressed twice.
    """
    from splinescape.cli.progress import ProgressDisplay
    from splinescape.client import connect

    if outputs.rerun != "off":
        raise InputError("--rerun shows work on this machine only: leave out --rerun or --remote")
    for folder in {outputs.folder, outputs.ply.parent}:
        check_writable(folder)
    with connect(connection, name="splinescape generate") as service:
        with ProgressDisplay(quiet) as display:
            sent = service.submit(
                job.picture,
                job.path_json,
                job.config.model_dump(mode="json"),
                engines=job.engines,
                formats=outputs.formats,
                film=outputs.video,
                name=job.name,
                focal_px=job.focal_px,
                on_progress=_Transfer(display, "upload"),
            )
            summary = _Summary()
            follow(service, sent, display, summary)
            places = {"gf.ply": outputs.ply}
            places |= {outputs.extra(suffix).name: outputs.extra(suffix) for suffix in outputs.formats}
            if outputs.video:
                places["film.mp4"] = outputs.film
            fetch_files(service, sent, _named_there(places, outputs), display)
        if not quiet:
            if summary.text and job.config.coarse_print_summary:
                click.echo(summary.text)
            click.echo(f"job: {sent}")
            for path in places.values():
                click.echo(f"{'film' if path == outputs.film else 'scene'}: {path}")


def _named_there(places: dict[str, Path], outputs: Outputs) -> dict[str, Path]:
    """The service calls the scene gf.*, whatever it is called here."""
    stem = outputs.ply.name.removesuffix(outputs.ply.suffix)
    return {
        name if name in ("gf.ply", "film.mp4") else f"gf{name.removeprefix(stem)}": path
        for name, path in places.items()
    }


class _Transfer:
    """Shows the bytes of an upload or a download."""

    def __init__(self, display: ProgressDisplay, stage: str) -> None:
        self._display = display
        self._stage = stage

    def __call__(self, done: int, total: int) -> None:
        from splinescape.events import Progress

        self._display(Progress(self._stage, done, total))


class _Summary:
    """Remembers the coarse summary that passes by."""

    text = ""

    def __call__(self, event: Event) -> None:
        if event.kind == "summary":
            self.text = str(event.data.get("text", ""))


def follow(service: Service, job: str, display: ProgressDisplay, also: _Summary | None = None) -> None:
    """Show a job until it is over. Ctrl-C cancels it, a second one leaves it alone.

    Raises:
        ServiceError: it failed, with its reason, or was deleted. CancelledError: it was cancelled, or left alone.
    """
    try:
        _watch(service, job, display, also)
    except KeyboardInterrupt:
        click.echo("cancelling the job; Ctrl-C again leaves it running", err=True)
        try:
            service.cancel(job)
            _watch(service, job, display, also)
        except KeyboardInterrupt:
            raise CancelledError(f"the job goes on; see it with: splinescape jobs watch {job[:8]}") from None
    _check_end(service.status(job))


def _watch(service: Service, job: str, display: ProgressDisplay, also: _Summary | None) -> None:
    for event in service.watch(job, thumbnails=False):
        if also is not None:
            also(event)
        told = as_pipeline_event(event)
        if told is not None:
            display(told)


def _check_end(info: JobInfo) -> None:
    from splinescape.protocol.errors import ServiceError

    short = info.id[:8]
    if info.state == "cancelled":
        raise CancelledError(f"the job was cancelled; continue it with: splinescape jobs resume {short}")
    if info.state != "done":
        log = f"see: splinescape jobs log {short}"
        raise ServiceError(
            "conflict", f"the job {info.state}: {info.reason or 'no reason was given'} ({log})"
        )


def as_pipeline_event(event: Event) -> PipelineEvent | None:
    """What the pipeline would have told here; None for events that a terminal has no use for."""
    from splinescape.events import Note, Progress, StageStarted

    data: dict[str, Any] = event.data
    if event.kind == "note":
        return Note(str(data.get("text", "")), bool(data.get("warning")))
    if event.kind == "stage":
        return StageStarted(str(data.get("stage", "")), str(data.get("detail", "")))
    if event.kind == "progress":
        return Progress(str(data.get("stage", "")), int(data["step"]), int(data["total"]), data.get("eta_s"))
    if event.kind == "state":
        reason = f": {data['reason']}" if data.get("reason") else ""
        return Note(f"the job is {data.get('state')}{reason}")
    if event.kind == "frame":
        size = f"{data.get('width')}x{data.get('height')}"
        return Note(
            f"frame {data.get('index')} ({data.get('role')}): {size}, {data.get('new_splats')} new splats"
        )
    return None


def fetch_files(service: Service, job: str, places: Mapping[str, Path], display: ProgressDisplay) -> None:
    """Fetch results of a job.

    Args:
        places: name of a result -> where it shall lie.

    Raises:
        ServiceError: there is no such result. InputError: it cannot be written.
    """
    for name, path in places.items():
        service.fetch(job, name, path, _Transfer(display, f"fetch {name}"))
