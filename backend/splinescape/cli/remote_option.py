"""`--remote`: which service a command talks to, and the commands that go on with a job of that service."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splinescape.errors import InputError

if TYPE_CHECKING:
    from splinescape.client import Service
    from splinescape.client.service import OnState

LOCAL = "local"
"""What --remote takes instead of a file for the service of this machine."""

SHORT = 8
"""Digits of a job's id that are shown."""

_PATIENCE_S = 2.0

JOB_HELP = "JOB is the beginning of a job's id, as long as only one job begins so."


def remote_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --remote with this help text."""
    return click.option("--remote", metavar="FILE", help=text)


def open_service(remote: str | None, name: str, on_state: OnState | None = None) -> Service:
    """Connect to the service that --remote names; without it, to the one of this machine.

    Args:
        name: what this command is, for the service's log. on_state: told when the connection breaks and is back.

    Raises:
        InputError: there is no such connection file. ServiceError: the service does not answer or does not let us in.
    """
    from splinescape.client import connect, default_connection, read_connection
    from splinescape.protocol.errors import ServiceError

    local = remote in (None, LOCAL)
    file = default_connection() if local else Path(str(remote))
    if not file.exists():
        if local:
            raise InputError(
                "no service has been started on this machine: start one with: splinescape serve; "
                "or give the connection file of another one with --remote FILE"
            )
        raise InputError(
            f"there is no connection file {file}: it is made by splinescape keys new, where the service runs"
        )
    connection = read_connection(file)  # a file that is none is no reason to wait
    try:
        return connect(file, name, _PATIENCE_S, on_state)
    except ServiceError as error:
        if local and error.code == "lost":
            raise ServiceError("lost", f"{error}; start it with: splinescape serve") from None
        if "//127." in connection.endpoint and error.code == "lost":
            raise ServiceError("lost", f"{error}, or the SSH tunnel is closed") from None
        raise


def jobs_command(action: str, job: str, remote: str | None, *more: str) -> str:
    """What to type to go on with a job ("" for none), such as "splinescape jobs watch 1a2b --remote studio.json"."""
    words = ["splinescape", "jobs", action, *([job[:SHORT]] if job else []), *more]
    if remote not in (None, LOCAL):
        words += ["--remote", str(remote)]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
