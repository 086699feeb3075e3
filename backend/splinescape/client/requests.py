"""Requests that wait for their answers: sent, sent again with the same id, given up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from splinescape.client.clock import Clock
from splinescape.client.link import CHANNELS, Channel, Link
from splinescape.errors import InputError
from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import MAX_HEADER, Message, encode

log = logging.getLogger(__name__)

_AGAIN_AFTER_S = 5.0
_AGAIN_AT_MOST_S = 40.0
_TOO_FAST_S = 1.0


@dataclass(eq=False)
class Request:
    """A message that wants an answer.

    Attributes:
        on_reply: gets the reply; may raise ValueError or ServiceError when it makes no sense, which is then the
            error. on_error: gets the reason why there will be none.
        deadline: when to give up, on the client's clock.
        sent: when it was sent last, None when it has to be. wait: how long to wait before sending it again.
        not_before: when it may be sent.
    """

    id: str
    type: str
    channel: Channel
    frames: list[Any]
    on_reply: Callable[[Message], None]
    on_error: Callable[[ServiceError], None]
    deadline: float
    sent: float | None = None
    wait: float = _AGAIN_AFTER_S
    not_before: float = 0.0


class Requests:
    """All requests that are not answered yet, in the order in which they were made."""

    def __init__(self, clock: Clock, deadline_s: float) -> None:
        self._clock = clock
        self._deadline_s = deadline_s
        self._waiting: dict[str, Request] = {}
        self.max_frame = MAX_HEADER
        self.trouble = ""

    def __len__(self) -> int:
        return len(self._waiting)

    def waiting_on(self, channel: Channel) -> bool:
        """Whether an answer is expected there."""
        return any(
            request.channel == channel and request.sent is not None for request in self._waiting.values()
        )

    def ask(
        self,
        message: Message,
        channel: Channel,
        on_reply: Callable[[Message], None],
        on_error: Callable[[ServiceError], None],
        lasting: bool = False,
    ) -> None:
        """Have a request sent as soon as there is a connection.

        Args:
            lasting: never give it up; who asks drops it.

        Raises:
            InputError: its content is not JSON.
        """
        frames = frames_of(message)
        deadline = float("inf") if lasting else self._clock.now + self._deadline_s
        self._waiting[message.id] = Request(
            message.id, message.type, channel, frames, on_reply, on_error, deadline
        )

    def drop(self, id: str) -> None:
        """Expect no answer to this any more; it may be unknown."""
        self._waiting.pop(id, None)

    def restart(self) -> None:
        """There is a new connection: everything has to be sent again."""
        for request in self._waiting.values():
            request.sent, request.wait = None, _AGAIN_AFTER_S

    def fail_all(self, error: ServiceError) -> None:
        """Give up everything."""
        while self._waiting:
            self._waiting.pop(next(iter(self._waiting))).on_error(error)

    def send_one(self, link: Link) -> bool:
        """Send what has waited longest, on whichever channel takes it; returns whether anything was sent."""
        full: set[str] = set()
        for request in self._waiting.values():
            if not self._due(request) or request.channel in full:
                continue
            if self._too_large(request):
                return True
            if link.send(request.channel, request.frames):
                if request.sent is not None:
                    request.wait = min(2 * request.wait, _AGAIN_AT_MOST_S)
                request.sent = self._clock.now
                return True
            full.add(request.channel)
            if len(full) == len(CHANNELS):
                break
        return False

    def _due(self, request: Request) -> bool:
        now = self._clock.now
        if now < request.not_before:
            return False
        return request.sent is None or now - request.sent >= request.wait

    def _too_large(self, request: Request) -> bool:
        """The service would close the connection, so such a request fails here."""
        sizes = [memoryview(frame).nbytes for frame in request.frames]
        for size, most in ((sizes[0], MAX_HEADER), (max(sizes[1:], default=0), self.max_frame)):
            if size > most:
                self.drop(request.id)
                text = f"'{request.type}' has {size:,} bytes in one piece, the service takes {most:,} at most"
                request.on_error(ServiceError("too_large", text))
                return True
        return False

    def expire(self) -> None:
        """Give up what has waited for too long."""
        late = [request for request in self._waiting.values() if self._clock.now > request.deadline]
        for request in late:
            if self._waiting.pop(request.id, None) is None:
                continue  # dropped when the one before it was given up
            why = f" ({self.trouble})" if self.trouble else ""
            text = f"no answer to '{request.type}' for {self._deadline_s:g} s{why}: check the service and try again"
            request.on_error(ServiceError("lost", text))

    def answered(self, message: Message) -> None:
        """Hand a reply or an error to whoever asked; one that nobody waits for any more is ignored."""
        request = self._waiting.get(message.parent or "")
        if request is None:
            return
        if message.type == "error":
            error = error_of(message)
            if error.code == "rate":
                request.sent, request.not_before = None, self._clock.now + _TOO_FAST_S
                return
            self.drop(request.id)
            request.on_error(error)
            return
        self.drop(request.id)
        try:
            request.on_reply(message)
        except ServiceError as error:
            request.on_error(error)
        except (ValueError, KeyError, TypeError, IndexError, OverflowError, MemoryError) as error:
            log.warning("the answer to '%s' makes no sense: %r", request.type, error)
            text = f"the answer to '{request.type}' makes no sense ({error}): install the same version on both sides"
            request.on_error(ServiceError("bad_message", text))

    def slow_down(self, channel: Channel) -> None:
        """The service says that there are too many messages, and has dropped some of them."""
        for request in self._waiting.values():
            if request.channel == channel:
                request.not_before = self._clock.now + _TOO_FAST_S
                request.wait = _TOO_FAST_S


def error_of(message: Message) -> ServiceError:
    """The error that a message of type "error" tells."""
    code, text = message.content.get("code"), message.content.get("message")
    if not isinstance(code, str) or not isinstance(text, str):
        return ServiceError("internal", "the service reports an error that this version does not understand")
    return ServiceError(code, text)  # type: ignore[arg-type]  # a newer service may know more codes


def frames_of(message: Message) -> list[Any]:
    """A request as frames; raises InputError when its content is not JSON data."""
    try:
        return encode(message)
    except (TypeError, ValueError) as error:
        raise InputError(f"'{message.type}' cannot be sent: {error}") from None
