"""`generate --remote`: a service makes the scene; the results come here."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from splinescape.cli.following import follow, tell_connection
from splinescape.cli.interrupt import cancel_on_interrupt
from splinescape.cli.outputs import Outputs, check_writable
from splinescape.cli.remote_option import SHORT, jobs_command, open_service
from splinescape.cli.transfer import Transfer, fetch_files
from splinescape.errors import CancelledError, InputError
from splinescape.events import Note

if TYPE_CHECKING:
    from splinescape.cli.progress import ProgressDisplay
    from splinescape.client import Event, Service
    from splinescape.config import SceneConfig

FILM = "film.mp4"


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
    return RemoteJob(data, _shown(picture.name), config, path_json, focal_px, engines)


def _as_png(picture: Path) -> tuple[bytes, float | None]:
    from PIL import Image

    from splinescape.picture.load import load_picture

    loaded = load_picture(picture)
    file = io.BytesIO()
    Image.fromarray(loaded.rgb).save(file, "PNG")
    return file.getvalue(), loaded.focal_px


def _shown(name: str) -> str:
    """A file's name without what no terminal should be sent."""
    return "".join(letter if letter.isprintable() else "_" for letter in name)


def run_remote(remote: str, job: RemoteJob, outputs: Outputs, quiet: bool) -> None:
    """Send a job, show its progress, fetch its results.

    Raises:
        InputError, ServiceError: it cannot be sent, failed there, or its results cannot be written.
        CancelledError: Ctrl-C; the job was cancelled, or goes on when it was pressed twice.
    """
    from splinescape.cli.progress import ProgressDisplay

    if outputs.rerun != "off":
        raise InputError("--rerun shows work on this machine only: leave out --rerun or --remote")
    places = _places(outputs)
    for path in places.values():
        if path.is_dir():
            raise InputError(f"{path} is a folder: choose another place for the results")
        check_writable(path.parent)
    with (
        ProgressDisplay(quiet) as display,
        open_service(remote, "splinescape generate", tell_connection(display)) as service,
    ):
        sent = _submit(service, job, outputs, display)
        display(Note(f"the service has it as job {sent[:SHORT]}"))
        summary = _Summary()
        info = follow(service, sent, display, remote, summary)
        again = jobs_command("fetch", sent, remote, "--out", str(outputs.folder))
        fetch_files(service, sent, places, display, again)
    if not quiet:
        if summary.text and job.config.coarse_print_summary:
            click.echo(summary.text)
        click.echo(f"scene: {outputs.ply} ({info.splats:,} splats)")
        for name, path in places.items():
            if path != outputs.ply:
                click.echo(f"{'film' if name == FILM else 'scene'}: {path}")
        click.echo(f"job: {sent}")


def _places(outputs: Outputs) -> dict[str, Path]:
    """Name of each result at the service, where the scene is always gf.*, and where it goes here."""
    places = {"gf.ply": outputs.ply} | {f"gf.{suffix}": outputs.extra(suffix) for suffix in outputs.formats}
    return places | ({FILM: outputs.film} if outputs.video else {})


def _submit(service: Service, job: RemoteJob, outputs: Outputs, display: ProgressDisplay) -> str:
    """Send the job. Ctrl-C stops the sending; one that comes when the job is as good as sent cancels it."""
    with cancel_on_interrupt() as stop:
        sending = Transfer(display, "sending the picture")

        def on_progress(done: int, total: int) -> None:
            sending(done, total)
            if stop.is_set() and done < total:
                raise CancelledError("the picture was not sent completely; nothing was begun")

        sent = service.submit(
            job.picture,
            job.path_json,
            job.config.model_dump(mode="json"),
            engines=job.engines,
            formats=outputs.formats,
            film=outputs.video,
            name=job.name,
            focal_px=job.focal_px,
            on_progress=on_progress,
        )
        if stop.is_set():
            service.cancel(sent)
        return sent


class _Summary:
    """Remembers the coarse summary that passes by."""

    text = ""

    def __call__(self, event: Event) -> None:
        if event.kind == "summary":
            self.text = str(event.data.get("text", ""))
