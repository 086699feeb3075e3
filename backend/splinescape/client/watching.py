"""Subscriptions that survive reconnects: no event is missed, none is told twice, each job's come in order.

After connecting, and whenever something may have been missed, the client subscribes, which tells up to which event
nothing will be pushed, asks for the past up to there, and holds back what is pushed meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from splinescape.client.calls import Call
from splinescape.client.clock import Clock
from splinescape.client.infos import Event, read_past_events
from splinescape.client.requests import Requests
from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import Message

log = logging.getLogger(__name__)

_EVENTS_AT_ONCE = 100
_AGAIN_AFTER_S = 5.0


@dataclass(eq=False)
class _Watch:
    """Whose events are wanted.

    Attributes:
        last: number of the newest event that was told; None: start with whatever comes next.
        live: whether everything up to the newest pushed event was told.
    """

    job: str | None
    last: int | None
    thumbnails: bool
    call: Call[None]
    live: bool = False


class Watches:
    """All that is watched; what happens gathers in `events`."""

    def __init__(self, requests: Requests, clock: Clock) -> None:
        self.events: list[Event] = []
        self._clock = clock
        self._again_at: float | None = None
        self._requests = requests
        self._watches: dict[str | None, _Watch] = {}
        self._pending: set[str] = set()
        self._subscribed = False
        self._pushed = 0
        self._held: list[Event] = []
        self._connected = False

    def add(self, job: str | None, since: int | None, thumbnails: bool, call: Call[None]) -> None:
        """Watch a job, or everything that is not watched by itself; `call` is done when the past was told."""
        before = self._watches.get(job)
        if before is not None:
            before.call.cancel()
        self._watches[job] = _Watch(job, since, thumbnails, call)
        self.catch_up()

    def remove(self, job: str | None) -> None:
        """Watch it no longer."""
        watch = self._watches.pop(job, None)
        if watch is not None:
            watch.call.cancel()
            self.catch_up()

    def connected(self, last_seq: int) -> None:
        """There is a new connection to a service whose newest event is `last_seq`."""
        self._connected = True
        for watch in self._watches.values():
            if watch.last is not None and watch.last > last_seq:
                log.warning("the service's events start anew: it has another store than before")
                watch.last = 0
        self.catch_up()

    def lost(self) -> None:
        """The connection is gone."""
        self._connected = False
        self._forget_requests()

    def _forget_requests(self) -> None:
        for id in self._pending:
            self._requests.drop(id)
        self._pending.clear()
        self._subscribed = False
        self._held.clear()

    def catch_up(self) -> None:
        """Subscribe anew and ask for all that was not told yet."""
        if not self._connected:
            return
        self._forget_requests()
        for watch in self._watches.values():
            watch.live = False
        if not self._watches:
            self._ask(Message("unsubscribe"), lambda _message: None)
            return
        jobs = None if None in self._watches else sorted(str(job) for job in self._watches)
        thumbnails = any(watch.thumbnails for watch in self._watches.values())
        self._ask(Message("subscribe", {"jobs": jobs, "thumbnails": thumbnails}), self._on_subscribed)

    def _on_subscribed(self, message: Message) -> None:
        last = message.content.get("last")
        if not isinstance(last, int):
            raise ValueError("it does not say which event was the last")
        self._subscribed, self._pushed = True, last
        for watch in list(self._watches.values()):
            if not self._subscribed:
                return  # a listener has changed what is watched
            if watch.last is None:
                watch.last = last
                self._go_live(watch)
            else:
                self._ask_past(watch)

    def _ask_past(self, watch: _Watch) -> None:
        def replied(message: Message) -> None:
            if self._watches.get(watch.job) is watch:
                self._on_past(watch, message)

        def failed(error: ServiceError) -> None:
            if error.code == "not_found" and self._watches.get(watch.job) is watch:
                del self._watches[watch.job]
                watch.call._fail(error)
            else:
                self._trouble(error)

        content = {"since": watch.last, "limit": _EVENTS_AT_ONCE}
        self._ask(Message("events", content, job=watch.job), replied, failed)

    def _on_past(self, watch: _Watch, message: Message) -> None:
        events = read_past_events(message)
        before = watch.last
        for event in events:
            if self._watch_of(event) is watch:
                self._tell(watch, event)
            watch.last = max(watch.last or 0, event.seq)
        if message.content.get("more") and watch.last != before:
            self._ask_past(watch)
        else:
            self._go_live(watch)

    def _go_live(self, watch: _Watch) -> None:
        watch.live = True
        own = [event for event in self._held if self._watch_of(event) is watch]
        self._held = [event for event in self._held if self._watch_of(event) is not watch]
        for event in sorted(own, key=lambda event: event.seq):
            self._tell(watch, event)
        watch.call._succeed(None)

    def take(self, event: Event) -> None:
        """An event was pushed."""
        if not self._subscribed:
            return  # of an earlier subscription; the past that is asked for next has it
        self._pushed = max(self._pushed, event.seq)
        watch = self._watch_of(event)
        if watch is not None and watch.live:
            self._tell(watch, event)
        elif watch is not None:
            self._held.append(event)

    def on_pong(self, message: Message) -> None:
        """The service says which event it has pushed last; it pushes no more after one that could not be sent."""
        pushed = message.content.get("pushed", self._pushed)
        missed = pushed is None or (isinstance(pushed, int) and pushed > self._pushed)
        if missed and self._watches and self._subscribed:
            self.catch_up()

    def tick(self) -> None:
        """Try again what failed a while ago."""
        if self._again_at is not None and self._clock.now >= self._again_at:
            self._again_at = None
            self.catch_up()

    def _watch_of(self, event: Event) -> _Watch | None:
        return self._watches.get(event.job) or self._watches.get(None)

    def _tell(self, watch: _Watch, event: Event) -> None:
        if watch.last is None or event.seq > watch.last:
            watch.last = event.seq
            self.events.append(event)

    def _trouble(self, error: ServiceError) -> None:
        log.warning("events cannot be followed at the moment: %s", error)
        self._again_at = self._clock.now + _AGAIN_AFTER_S

    def _ask(
        self,
        message: Message,
        on_reply: Callable[[Message], None],
        on_error: Callable[[ServiceError], None] | None = None,
    ) -> None:
        def replied(reply: Message) -> None:
            self._pending.discard(message.id)
            on_reply(reply)

        def failed(error: ServiceError) -> None:
            self._pending.discard(message.id)
            (on_error or self._trouble)(error)

        self._pending.add(message.id)
        self._requests.ask(message, "control", replied, failed, lasting=True)
