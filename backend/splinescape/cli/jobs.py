"""`splinescape jobs`: what a service has done, does and is going to do."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from splinescape.cli.remote_option import JOB_HELP, SHORT, jobs_command, open_service, remote_option
from splinescape.errors import InputError

if TYPE_CHECKING:
    from splinescape.client import JobInfo, Service
    from splinescape.client.service import OnState

_PAGE = 100
_WIDE = 1000

_remote = remote_option("Connection file of the service.  [default: the service of this machine]")


@click.group(epilog=JOB_HELP)
def jobs() -> None:
    """List, watch, cancel, fetch and delete jobs of a service."""


@jobs.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, with full ids.")
@click.option("--all", "everything", is_flag=True, help="All jobs instead of the latest 100.")
@_remote
def list_jobs(remote: str | None, as_json: bool, everything: bool) -> None:
    """List jobs, the latest first."""
    with _connect(remote) as service:
        infos = list(_all_jobs(service)) if everything else list(service.jobs(limit=_PAGE))
        devices = service.capabilities.devices
    if as_json:
        for info in infos:
            click.echo(json.dumps(asdict(info)))
    elif infos:
        _print_table(infos)
    else:
        click.echo("no jobs")
    for device in devices:
        if device.trouble:
            click.echo(f"warning: {device.device}: {device.trouble}", err=True)


@jobs.command(epilog=JOB_HELP)
@click.argument("job")
@_remote
def watch(job: str, remote: str | None) -> None:
    """Show a job until it is over.

    Ctrl-C cancels the job, a second one within two seconds leaves it running.
    """
    from splinescape.cli.following import follow, tell_connection
    from splinescape.cli.progress import ProgressDisplay

    with ProgressDisplay() as display, _connect(remote, tell_connection(display)) as service:
        info = follow(service, find_job(service, job, remote).id, display, remote)
        if info.files:
            click.echo(f"fetch its results with: {jobs_command('fetch', info.id, remote)}", err=True)


@jobs.command(epilog=JOB_HELP)
@click.argument("job", nargs=-1, required=True)
@_remote
def cancel(job: tuple[str, ...], remote: str | None) -> None:
    """Stop jobs; what is finished of them stays.

    They can be continued later with: splinescape jobs resume
    """
    _change(job, remote, lambda service, found: service.cancel(found))


@jobs.command(epilog=JOB_HELP)
@click.argument("job", nargs=-1, required=True)
@_remote
def pause(job: tuple[str, ...], remote: str | None) -> None:
    """Stop jobs for now, so that others get the device."""
    _change(job, remote, lambda service, found: service.pause(found))


@jobs.command(epilog=JOB_HELP)
@click.argument("job", nargs=-1, required=True)
@_remote
def resume(job: tuple[str, ...], remote: str | None) -> None:
    """Continue paused, cancelled or failed jobs.

    They go on after their last finished frame.
    """
    _change(job, remote, lambda service, found: service.resume(found))


@jobs.command(epilog=JOB_HELP)
@click.argument("job", nargs=-1, required=True)
@_remote
def rm(job: tuple[str, ...], remote: str | None) -> None:
    """Delete jobs with all their files, at once."""
    _change(job, remote, lambda service, found: service.delete(found))


@jobs.command(epilog=JOB_HELP)
@click.argument("job", nargs=-1, required=True)
@click.option("--off", is_flag=True, help="Let them be deleted when they are old, as other jobs are.")
@_remote
def pin(job: tuple[str, ...], off: bool, remote: str | None) -> None:
    """Keep jobs from being deleted when they are old."""
    _change(job, remote, lambda service, found: "pinned" if service.pin(found, not off) else "not pinned")


@jobs.command(epilog=JOB_HELP)
@click.argument("job")
@click.argument("names", nargs=-1, metavar="[FILE]...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    default=Path("out"),
    show_default=True,
    help="Folder for the files.",
)
@_remote
def fetch(job: str, names: tuple[str, ...], out: Path, remote: str | None) -> None:
    """Fetch the results of a job: all, or each FILE named.

    What was interrupted goes on where it stopped.
    """
    from splinescape.cli.following import tell_connection
    from splinescape.cli.outputs import check_writable
    from splinescape.cli.progress import ProgressDisplay
    from splinescape.cli.transfer import fetch_files, is_plain_name

    with ProgressDisplay() as display, _connect(remote, tell_connection(display)) as service:
        found = find_job(service, job, remote)
        there = [file.name for file in service.results(found.id) if is_plain_name(file.name)]
        if not there:
            raise InputError(f"job {found.id[:SHORT]} has no results: it is {found.state}")
        for name in names:
            if name not in there:
                raise InputError(f"job {found.id[:SHORT]} has no {name}, only: {', '.join(there)}")
        check_writable(out)
        places = {name: out / name for name in names or there}
        again = jobs_command("fetch", found.id, remote, *names, "--out", str(out))
        fetch_files(service, found.id, places, display, again)
    for path in places.values():
        click.echo(path)


@jobs.command(epilog=JOB_HELP)
@click.argument("job")
@_remote
def log(job: str, remote: str | None) -> None:
    """Print the log of a job: what was done when, and what went wrong."""
    with _connect(remote) as service:
        found, offset = find_job(service, job, remote).id, 0
        while True:
            part = service.log(found, offset)
            click.echo(part.text, nl=False)
            if part.offset >= part.size or part.offset == offset:
                return
            offset = part.offset


def _connect(remote: str | None, on_state: OnState | None = None) -> Service:
    return open_service(remote, "splinescape jobs", on_state)


def _all_jobs(service: Service) -> Iterator[JobInfo]:
    before = None
    while page := service.jobs(limit=_PAGE, before=before):
        yield from page
        before = page[-1].id


def find_job(service: Service, start: str, remote: str | None) -> JobInfo:
    """The one job whose id begins so.

    Args:
        remote: how the service was named on the command line.

    Raises:
        InputError: there are none or several.
    """
    found = [info for info in _all_jobs(service) if info.id.startswith(start.lower())]
    if not found:
        listing = jobs_command("list", "", remote)
        raise InputError(f"no job begins with {start}; see them with: {listing}")
    if len(found) > 1:
        raise InputError(f"{len(found)} jobs begin with {start}: give more of the id")
    return found[0]


def _change(starts: tuple[str, ...], remote: str | None, do: Callable[[Service, str], str]) -> None:
    """Do something with each of several jobs, also with those behind one with which it is not possible."""
    from splinescape.protocol.errors import ServiceError

    refused = []
    with _connect(remote) as service:
        found = [find_job(service, start, remote).id for start in starts]
        for job in dict.fromkeys(found):
            try:
                click.echo(f"{job[:SHORT]}: {do(service, job)}")
            except ServiceError as error:
                if error.code not in ("conflict", "not_found"):
                    raise
                refused.append(f"{job[:SHORT]}: {error}")
    if refused:
        raise InputError("; ".join(refused))


def _print_table(infos: list[JobInfo]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def cut(text: str) -> Text:
        return Text(text, no_wrap=True, overflow="ellipsis")

    table = Table(box=None, pad_edge=False, header_style="")
    for column in ("job", "name", "owner", "state", "age", "splats", "device", "progress"):
        numbers = column in ("splats", "age")
        # What is too long for a terminal is cut in these two columns only.
        table.add_column(
            column, justify="right" if numbers else "left", no_wrap=column not in ("name", "progress")
        )
    for info in infos:
        table.add_row(
            info.id[:SHORT],
            cut(info.name),
            info.owner,
            f"{info.state}, pinned" if info.pinned else info.state,
            _age(info),
            f"{info.splats:,}" if info.splats else "",
            info.device or "",
            cut(_progress(info)),
        )
    width = None if sys.stdout.isatty() else _WIDE
    Console(markup=False, highlight=False, width=width).print(table)


def _progress(info: JobInfo) -> str:
    if info.state == "queued":
        return f"number {info.position} in the queue" if info.position else ""
    if info.state == "running":
        step = f" {info.step}/{info.total}" if info.total else ""
        eta = f", {info.eta_s:.0f} s left" if info.eta_s is not None else ""
        return f"frame {info.frames}/{info.n_frames}, {info.stage or 'starting'}{step}{eta}"
    return info.reason or ""


def _age(info: JobInfo) -> str:
    seconds = max(0.0, time.time() - (info.created or time.time()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
