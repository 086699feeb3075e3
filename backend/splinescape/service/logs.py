"""The service's log: a file that is rotated, and stderr."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import queue
import sys
import threading
from collections.abc import Iterator

from splinescape.service.settings import ServiceSettings

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_LINES_WAITING = 1000
_LAST_LINES_S = 1.0


class _ToStderr(logging.Handler):
    """Writes to stderr on a thread of its own, because a pipe that nobody reads would hold up the service.

    Lines that find too many others waiting are lost; the file has them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="stderr", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines.qsize() < _LINES_WAITING:
            self._lines.put(self.format(record))

    def close(self) -> None:
        """Write what waits, if somebody reads it."""
        self._lines.put(None)
        self._thread.join(_LAST_LINES_S)
        super().close()

    def _work(self) -> None:
        while (line := self._lines.get()) is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or never there
                _write(sys.stderr.fileno(), f"{line}\n".encode("utf-8", "replace"))


def _write(number: int, data: bytes) -> None:
    """Past Python's own buffer: its lock, held by a thread that is stuck, would not let the process end."""
    while data:
        data = data[os.write(number, data) :]


@contextlib.contextmanager
def service_log(settings: ServiceSettings) -> Iterator[None]:
    """Write what the package logs to stderr and to `<data_dir>/logs/service.log` meanwhile."""
    folder = settings.data_dir / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(
            folder / "service.log",
            maxBytes=settings.log_bytes,
            backupCount=settings.log_files,
            encoding="utf-8",
        ),
        _ToStderr(),
    ]
    root = logging.getLogger("splinescape")
    root.setLevel(logging.INFO)
    root.propagate = False
    for handler in handlers:
        handler.setFormatter(logging.Formatter(_FORMAT))
        root.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
