"""Watching a job of a service to its end: live progress, and Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from splinescape.cli.remote_option import jobs_command
from splinescape.errors import CancelledError
from splinescape.events import Event as PipelineEvent
from splinescape.events import Note, Progress, StageStarted
from splinescape.protocol.errors import ServiceError

if TYPE_CHECKING:
    from splinescape.cli.progress import ProgressDisplay
    from splinescape.client import Event, JobInfo, Service

SECOND_CHANCE_S = 2.0
"""How long after Ctrl-C a second one may come before the job is cancelled."""


def tell_connection(display: ProgressDisplay) -> Callable[[str, str], None]:
    """Show when the connection breaks, and when it is back."""

    def tell(state: str, reason: str) -> None:
        if state == "lost":
            display(Note(f"{reason}; trying again", warning=True))
        else:
            display(Note("connected again", warning=True))

    return tell


def follow(
    service: Service,
    job: str,
    display: ProgressDisplay,
    remote: str | None,
    also: Callable[[Event], None] | None = None,
) -> JobInfo:
    """Show a job until it is done. Ctrl-C cancels it, a second one leaves it alone.

    Args:
        remote: how the service was named on the command line. also: is told the events too.

    Raises:
        ServiceError: it failed, with its reason, or was deleted. CancelledError: Ctrl-C, or it was cancelled.
    """
    stopped = False
    try:
        _watch(service, job, display, also)
    except KeyboardInterrupt:
        stopped = True
        _cancel_unless_pressed_again(service, job, display, remote)
    except ServiceError as error:
        if error.code != "lost":
            raise
        see = jobs_command("watch", job, remote)
        raise ServiceError("lost", f"{error}; the job goes on, see it with: {see}") from None
    info = service.status(job)
    if info.state == "cancelled":
        again = jobs_command("resume", job, remote)
        raise CancelledError(f"the job was cancelled; to continue it after its last finished frame: {again}")
    if info.state != "done":
        log = jobs_command("log", job, remote)
        raise ServiceError(
            "conflict", f"the job {info.state}: {info.reason or 'no reason given'} (see: {log})"
        )
    if stopped:
        fetch = jobs_command("fetch", job, remote)
        raise CancelledError(
            f"the job was done before it could be cancelled; fetch its results with: {fetch}"
        )
    return info


def _watch(
    service: Service, job: str, display: ProgressDisplay, also: Callable[[Event], None] | None = None
) -> None:
    """Show a job until it is over, however long the connection may be gone meanwhile."""
    waiting, last = service.status(job).position, 0
    if waiting is not None and waiting > 1:
        display(Note(f"the job is number {waiting} in the queue"))
    while True:
        try:
            for event in service.watch(job, last, thumbnails=False):
                last = event.seq
                if also is not None:
                    also(event)
                _show(event, display)
            return
        except ServiceError as error:
            if error.code != "lost" or service.client.reason_code not in (None, "lost"):
                raise


def _show(event: Event, display: ProgressDisplay) -> None:
    if event.kind == "state" and event.data.get("state") == "deleted":
        raise ServiceError("not_found", "the job was deleted")
    if event.kind in ("summary", "state"):
        display.clear()
    told = as_pipeline_event(event)
    if told is not None:
        display(told)


def _cancel_unless_pressed_again(
    service: Service, job: str, display: ProgressDisplay, remote: str | None
) -> None:
    """Give a second Ctrl-C some time to come, then cancel the job and wait until it has stopped.

    Raises:
        CancelledError: it came, or there is no connection.
    """
    see = f"see it with: {jobs_command('watch', job, remote)}"
    if service.client.state != "connected":
        raise CancelledError(f"there is no connection; the job goes on, {see}")
    click.echo("cancelling the job; Ctrl-C again leaves it running", err=True)
    try:
        time.sleep(SECOND_CHANCE_S)
    except KeyboardInterrupt:
        raise CancelledError(f"the job goes on; {see}") from None
    try:
        service.cancel(job)
        _watch(service, job, display)
    except KeyboardInterrupt:
        raise CancelledError(f"the service has not said yet that the job has stopped; {see}") from None
    except ServiceError as error:
        if error.code != "conflict":  # it was over already
            raise


def as_pipeline_event(event: Event) -> PipelineEvent | None:
    """What the pipeline would have told here; None for events that a terminal has no use for."""
    data: dict[str, Any] = event.data
    if event.kind == "note":
        return Note(str(data.get("text", "")), bool(data.get("warning")))
    if event.kind == "stage":
        return StageStarted(str(data.get("stage", "")), str(data.get("detail", "")))
    if event.kind == "progress":
        step, total = int(data.get("step", 0)), int(data.get("total", 0))
        return Progress(str(data.get("stage", "")), step, total, data.get("eta_s"))
    if event.kind == "state" and data.get("state") not in ("failed", "cancelled"):  # `follow` ends with these
        reason = f": {data['reason']}" if data.get("reason") else ""
        return Note(f"the job is {data.get('state')}{reason}")
    if event.kind == "frame":
        size = f"{data.get('width')}x{data.get('height')}"
        return Note(
            f"frame {data.get('index')} ({data.get('role')}): {size}, {data.get('new_splats')} new splats"
        )
    return None
