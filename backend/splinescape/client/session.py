"""Keeps one connection alive: connects, says hello, feels the pulse, and starts again when it is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from splinescape import __version__
from splinescape.client.clock import Clock
from splinescape.client.infos import Capabilities, read_capabilities
from splinescape.client.link import Channel, Link, Trouble
from splinescape.client.requests import error_of
from splinescape.errors import InputError
from splinescape.protocol.connection import Connection, read_connection
from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import Message, encode, new_id

State = Literal["connecting", "connected", "lost"]

_ATTEMPT_S = 10.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_LOOK_AT_FILE_EVERY_S = 0.25
_CONTROL_MISSES = 3
_BULK_PATIENCE_S = 20.0  # a large message on a slow line is not heard before it is complete


class _Pulse:
    """Heartbeats of one channel: a ping every interval, and how many of them nothing was heard after."""

    def __init__(self, interval: float, patience: int) -> None:
        self._interval = interval
        self._patience = patience
        self._pinged = float("-inf")
        self._misses = 0

    @property
    def stopped(self) -> bool:
        return self._misses > self._patience

    def heard(self) -> None:
        self._misses = 0

    def due(self, now: float) -> bool:
        """Whether it is time for a ping, which counts as missed until something is heard."""
        if now - self._pinged < self._interval:
            return False
        self._pinged = now
        self._misses += 1
        return True


class Session:
    """The connection of a client.

    Attributes:
        id: of this client, whatever its connections.
        link: the sockets, None while waiting for the next attempt.
        state: "connecting" until the first attempt has succeeded or failed, then "connected" or "lost".
        trouble: why there is no connection, None when there is one or nothing is known yet.
        capabilities: what the service said when it was reached last.
    """

    def __init__(
        self,
        where: Connection | Path,
        name: str,
        clock: Clock,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_pong: Callable[[Message], None],
    ) -> None:
        """Prepare; the first attempt is made by `tick`.

        Args:
            where: a connection, or the file that holds it, which is read before every attempt.
            name: what the client is, for the service's log.
            on_connected: called after every hello. on_lost: called when the connection or an attempt has failed.
            on_pong: gets every reply to a ping on "control".
        """
        self.link: Link | None = None
        self.state: State = "connecting"
        self.trouble: Trouble | None = None
        self.capabilities: Capabilities | None = None
        self._where = where
        self._name = name
        self._clock = clock
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._on_pong = on_pong
        self.id = new_id()
        self._hello: str | None = None
        self._pings: set[str] = set()
        self._pulses: dict[Channel, _Pulse] = {}
        self._wait = _FIRST_WAIT_S
        self._retry_at = self._attempt_ends = self._look_at = 0.0
        self._stamp: object = None

    def tick(self, bulk_busy: bool) -> None:
        """Do what is due.

        Args:
            bulk_busy: whether an answer is expected on "bulk", so that its silence means something.
        """
        if self.link is None and (self._clock.now >= self._retry_at or self._file_changed()):
            self._attempt()
        if self.link is None:
            return
        self.link.look()
        if self.state == "connected":
            self._feel_pulse(self.link, bulk_busy)
        else:
            self._get_on(self.link)
        if self.link.trouble is not None:
            self.lose(self.link.trouble)

    @property
    def hello_content(self) -> dict[str, str]:
        """What this client says of itself."""
        return {"client": self._name, "session": self.id, "version": __version__}

    def _attempt(self) -> None:
        self._stamp = self._file_stamp()
        try:
            connection = read_connection(self._where) if isinstance(self._where, Path) else self._where
        except InputError as error:
            self.lose(Trouble("lost", str(error)))
            return
        self._hello = None
        self._attempt_ends = self._clock.now + _ATTEMPT_S
        self.link = Link(connection)

    def _file_stamp(self) -> object:
        if not isinstance(self._where, Path):
            return None
        try:
            status = self._where.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _file_changed(self) -> bool:
        """Whether the connection file is another one than at the last attempt; then there is no need to wait."""
        if self._clock.now < self._look_at:
            return False
        self._look_at = self._clock.now + _LOOK_AT_FILE_EVERY_S
        return self._file_stamp() != self._stamp

    def _get_on(self, link: Link) -> None:
        if link.ready and self._hello is None:
            # A service with too many connections ends those first on which nobody has said anything.
            link.send("bulk", encode(Message("ping")))
            message = Message("hello", self.hello_content)
            if link.send("control", encode(message)):
                self._hello = message.id
        if self._clock.now > self._attempt_ends:
            link.give_up(_ATTEMPT_S)

    def _feel_pulse(self, link: Link, bulk_busy: bool) -> None:
        for channel, pulse in self._pulses.items():
            if channel == "bulk" and not bulk_busy:
                pulse.heard()
                continue
            if pulse.due(self._clock.now) and not pulse.stopped:
                ping = Message("ping")
                if link.send(channel, encode(ping)) and channel == "control":
                    self._pings.add(ping.id)
            if pulse.stopped:
                link.fail("lost", "the service has stopped answering: it hangs, or the network is down")

    def heard(self, channel: Channel) -> None:
        """Something has arrived."""
        if channel in self._pulses:
            self._pulses[channel].heard()

    def take(self, message: Message) -> bool:
        """Deal with a message when it is about the connection itself; returns whether it was."""
        if message.parent is None:
            return False
        if message.parent == self._hello:
            self._hello = None
            self._greeted(message)
            return True
        if message.parent in self._pings:
            self._pings.discard(message.parent)
            if message.type == "reply":
                self._on_pong(message)
            return True
        return False

    def _greeted(self, message: Message) -> None:
        try:
            if message.type == "error":
                raise error_of(message)
            capabilities = read_capabilities(message.content)
        except ServiceError as error:
            self.refuse(error)
            return
        except ValueError as error:
            text = f"the service's greeting makes no sense ({error}): install the same version on both sides"
            self.lose(Trouble("version", text))
            return
        interval = min(max(capabilities.heartbeat_s, 0.2), 30.0)
        self.capabilities = capabilities
        self._pings.clear()
        self._pulses = {
            "control": _Pulse(interval, _CONTROL_MISSES),
            "bulk": _Pulse(interval, max(_CONTROL_MISSES, round(_BULK_PATIENCE_S / interval))),
        }
        self._wait = _FIRST_WAIT_S
        self.state, self.trouble = "connected", None
        self._on_connected()

    def refuse(self, error: ServiceError) -> None:
        """The service does not want this client, or this client does not understand the service."""
        self.lose(Trouble(error.code, str(error)))

    def lose(self, trouble: Trouble) -> None:
        """Drop the connection, say why, and try again after a while that grows from attempt to attempt."""
        self.close()
        self.state, self.trouble = "lost", trouble
        self._retry_at = self._clock.now + self._wait
        self._wait = min(2 * self._wait, _LONGEST_WAIT_S)
        self._on_lost()

    def close(self) -> None:
        """Let go of the sockets; a later `tick` would connect anew."""
        link, self.link = self.link, None
        if link is not None:
            link.close()
