"""`splinescape jobs`: what a service has done, does and is going to do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splinescape.errors import InputError

if TYPE_CHECKING:
    from splinescape.client import JobInfo, Service

_SHORT = 8
_PAGE = 100


def _remote(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--remote",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Connection file of the service.  [default: the one on this machine]",
    )(command)


@click.group()
def jobs() -> None:
    """List, watch, cancel, fetch and delete jobs of a service.

    JOB is the beginning of a job's id, as long as only one job begins so.
    """


@jobs.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option("--all", "everything", is_flag=True, help="All jobs instead of the latest 100.")
@_remote
def list_jobs(remote: Path | None, as_json: bool, everything: bool) -> None:
    """List jobs, the latest first."""
    with _connect(remote) as service:
        infos = list(service.jobs(limit=_PAGE))
        while everything and len(infos) % _PAGE == 0 and infos:
            page = service.jobs(limit=_PAGE, before=infos[-1].id)
            if not page:
                break
            infos += page
    if as_json:
        for info in infos:
            click.echo(json.dumps(asdict(info)))
    elif infos:
        _print_table(infos)
    else:
        click.echo("no jobs")


@jobs.command()
@click.argument("job")
@_remote
def watch(job: str, remote: Path | None) -> None:
    """Show a job until it is over; Ctrl-C cancels it, a second one leaves it running."""
    from splinescape.cli.progress import ProgressDisplay
    from splinescape.cli.remote import follow

    with _connect(remote) as service, ProgressDisplay() as display:
        found = find_job(service, job)
        follow(service, found.id, display)


@jobs.command()
@click.argument("job", nargs=-1, required=True)
@_remote
def cancel(job: tuple[str, ...], remote: Path | None) -> None:
    """Stop jobs for good; what is finished of them stays."""
    _change(job, remote, lambda service, found: service.cancel(found))


@jobs.command()
@click.argument("job", nargs=-1, required=True)
@_remote
def pause(job: tuple[str, ...], remote: Path | None) -> None:
    """Stop jobs for now, so that others have the device."""
    _change(job, remote, lambda service, found: service.pause(found))


@jobs.command()
@click.argument("job", nargs=-1, required=True)
@_remote
def resume(job: tuple[str, ...], remote: Path | None) -> None:
    """Continue paused, cancelled or failed jobs after their last finished frame."""
    _change(job, remote, lambda service, found: service.resume(found))


@jobs.command()
@click.argument("job", nargs=-1, required=True)
@_remote
def rm(job: tuple[str, ...], remote: Path | None) -> None:
    """Delete jobs with all their files."""
    _change(job, remote, lambda service, found: service.delete(found))


@jobs.command()
@click.argument("job", nargs=-1, required=True)
@click.option("--off", is_flag=True, help="Let them be deleted when they are old, as other jobs are.")
@_remote
def pin(job: tuple[str, ...], off: bool, remote: Path | None) -> None:
    """Keep jobs from being deleted when they are old."""
    _change(job, remote, lambda service, found: "pinned" if service.pin(found, not off) else "not pinned")


@jobs.command()
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
def fetch(job: str, names: tuple[str, ...], out: Path, remote: Path | None) -> None:
    """Fetch the results of a job: all of them, or those named."""
    from splinescape.cli.outputs import check_writable
    from splinescape.cli.progress import ProgressDisplay
    from splinescape.cli.remote import fetch_files

    with _connect(remote) as service:
        found = find_job(service, job)
        there = {file.name: file.size for file in service.results(found.id)}
        if not there:
            raise InputError(f"job {job} has no results: it is {found.state}")
        for name in names:
            if name not in there:
                raise InputError(f"job {job} has no {name}, only: {', '.join(there)}")
        places = {name: out / name for name in names or there}
        check_writable(out, sum(there[name] for name in places))
        with ProgressDisplay() as display:
            fetch_files(service, found.id, places, display)
    for path in places.values():
        click.echo(path)


@jobs.command()
@click.argument("job")
@_remote
def log(job: str, remote: Path | None) -> None:
    """Print the log of a job."""
    with _connect(remote) as service:
        found, offset = find_job(service, job).id, 0
        while True:
            part = service.log(found, offset)
            click.echo(part.text, nl=False)
            if part.offset >= part.size or part.offset == offset:
                return
            offset = part.offset


def _connect(remote: Path | None) -> Service:
    from splinescape.client import connect

    return connect(remote, name="splinescape jobs")


def find_job(service: Service, start: str) -> JobInfo:
    """The one job whose id begins so; raises InputError when there are none or several."""
    before = None
    found: list[JobInfo] = []
    while True:
        page = service.jobs(limit=_PAGE, before=before)
        found += [info for info in page if info.id.startswith(start.lower())]
        if len(page) < _PAGE:
            break
        before = page[-1].id
    if not found:
        raise InputError(f"no job begins with {start}; see them with: splinescape jobs list")
    if len(found) > 1:
        raise InputError(f"{len(found)} jobs begin with {start}: give more of the id")
    return found[0]


def _change(starts: tuple[str, ...], remote: Path | None, do: Callable[[Service, str], str]) -> None:
    with _connect(remote) as service:
        found = [find_job(service, start).id for start in starts]
        for job in found:
            click.echo(f"{job[:_SHORT]}: {do(service, job)}")


def _print_table(infos: list[JobInfo]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("job", "name", "state", "progress", "splats", "age", "device"):
        table.add_column(column, justify="right" if column in ("splats", "age") else "left", no_wrap=True)
    for info in infos:
        splats = f"{info.splats:,}" if info.splats else ""
        row = (
            info.id[:_SHORT],
            info.name,
            info.state,
            _progress(info),
            splats,
            _age(info),
            info.device or "",
        )
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)


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
