"""Events on their way: first into the store, then to everybody who listens."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import Buffer, Message
from splinescape.service.sessions import Sessions
from splinescape.service.store.events import Events, NewEvent, StoredEvent

log = logging.getLogger(__name__)

_RETRY_S = 1.0
_WAITING_AT_MOST = 2000


class Publisher:
    """Collects events during one turn of the broker's loop; `flush` commits them together and sends them out."""

    def __init__(self, events: Events, sessions: Sessions, send: Callable[[bytes, Message], bool]) -> None:
        self._events = events
        self._sessions = sessions
        self._send = send
        self._waiting: list[NewEvent] = []
        self._retry_at = 0.0

    def publish(
        self, job: str | None, kind: str, data: dict[str, Any], buffers: tuple[Buffer, ...] = ()
    ) -> None:
        """Tell everybody; takes effect with the next `flush`."""
        self._waiting.append(NewEvent(job, kind, data, buffers))

    def flush(self) -> None:
        """Commit and send what waits; while the disk is full, keep what matters and try again every second."""
        if not self._waiting or time.monotonic() < self._retry_at:
            return
        try:
            stored = self._events.add(self._waiting)
        except ServiceError as error:
            log.error("events are held back: %s", error)
            self._retry_at = time.monotonic() + _RETRY_S
            important = [event for event in self._waiting if event.kind != "progress"]
            self._waiting = important[-_WAITING_AT_MOST:]
            return
        self._waiting = []
        for event in stored:
            self._push(event)

    def _push(self, event: StoredEvent) -> None:
        full = event_message(event)
        light = event_message(event, thumbnails=False) if event.buffers else full
        for session in self._sessions.listeners(event.job):
            session.pushed = event.seq
            # A listener whose pipe is full learns from the next "ping" that it missed something, and asks for it.
            # Until then it gets nothing: what comes after a gap would hide the gap.
            if not session.behind:
                session.behind = not self._send(session.identity, full if session.thumbnails else light)


def event_message(event: StoredEvent, thumbnails: bool = True) -> Message:
    """The event as it travels."""
    content = {"seq": event.seq, "time": event.time, "kind": event.kind, "data": event.data}
    return Message("event", content, job=event.job, buffers=event.buffers if thumbnails else ())
