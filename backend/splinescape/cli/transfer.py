"""Pictures on their way to a service, and results on their way back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from splinescape.errors import CancelledError
from splinescape.events import Progress
from splinescape.protocol.errors import ServiceError

if TYPE_CHECKING:
    from splinescape.cli.progress import ProgressDisplay
    from splinescape.client import Service

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class Transfer:
    """Shows what has arrived of an upload or a download."""

    def __init__(self, display: ProgressDisplay, stage: str) -> None:
        self._display = display
        self._stage = f"{stage}, kB"

    def __call__(self, done: int, total: int) -> None:
        self._display(Progress(self._stage, -(-done // 1000), -(-total // 1000)))


def fetch_files(
    service: Service, job: str, places: Mapping[str, Path], display: ProgressDisplay, again: str
) -> None:
    """Fetch results of a job.

    Args:
        places: name of a result -> where it shall lie. again: the command with which to go on.

    Raises:
        ServiceError: there is no such result, or the service does not answer any more.
        InputError: it cannot be written. CancelledError: Ctrl-C.
    """
    try:
        for name, path in places.items():
            service.fetch(job, name, path, Transfer(display, f"fetching {name}"))
    except KeyboardInterrupt:
        raise CancelledError(f"the results stay at the service; fetch them with: {again}") from None
    except ServiceError as error:
        if error.code != "lost":
            raise
        raise ServiceError("lost", f"{error}; the results stay there, fetch them with: {again}") from None


def is_plain_name(name: str) -> bool:
    """Whether a result's name can be that of a file here, whatever the service is."""
    return _PLAIN_NAME.fullmatch(name) is not None
