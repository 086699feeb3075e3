"""What the readers and writers of scene files warn about, for the artist instead of the system console."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGER = logging.getLogger("splinescape.io")


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """A list that fills with the warnings of the block."""
    collector = _Collector()
    propagated, _LOGGER.propagate = _LOGGER.propagate, False
    _LOGGER.addHandler(collector)
    try:
        yield collector.messages
    finally:
        _LOGGER.removeHandler(collector)
        _LOGGER.propagate = propagated
