"""The one client that all rooms of the extension share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from splinescape.client import Client, Event


class SharedClient(Client):
    """A client that may be polled from several places: whoever calls `poll` gets what came in between as well."""

    listener: Callable[[Event], None] | None = None
    """Sees every event before `poll` hands it out."""

    def __init__(self, connection: Path, name: str) -> None:
        """See `Client`."""
        super().__init__(connection, name)
        self._held: list[Event] = []

    def poll(self, max_ms: float = 2.0) -> list[Event]:
        """As `Client.poll`; events that came during `pump` are told first."""
        new = self._told(max_ms)
        held, self._held = self._held, []
        return [*held, *new]

    def pump(self, max_ms: float = 2.0) -> None:
        """Do what is due and keep events of jobs for the next `poll`; all others are for the listener alone."""
        self._held += [event for event in self._told(max_ms) if event.job is not None]

    def _told(self, max_ms: float) -> list[Event]:
        events = super().poll(max_ms)
        if self.listener is not None:
            for event in events:
                self.listener(event)
        return events
