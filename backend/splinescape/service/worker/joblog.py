"""The log of one job: what happened when, for people."""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
from collections.abc import Iterator
from pathlib import Path


class JobLog:
    """Appends lines to log.txt; a log that cannot be written stops no job."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def line(self, text: str) -> None:
        """Write `text` with the time; further lines of it are indented."""
        text = text.rstrip("\n").replace("\n", "\n    ")
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def error(self, error: BaseException) -> None:
        """Write an error with where it came from."""
        self.line("".join(traceback.format_exception(error)))

    @contextlib.contextmanager
    def with_warnings(self) -> Iterator[None]:
        """Also write what the library logs meanwhile."""
        handler = _ToJobLog(self)
        logger = logging.getLogger("splinescape")
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)


class _ToJobLog(logging.Handler):
    def __init__(self, log: JobLog) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.line(f"{record.levelname.lower()}: {record.getMessage()}")
