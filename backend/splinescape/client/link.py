"""One attempt at a connection: two encrypted sockets and what becomes of them.

A link that has failed stays failed; the session then makes a new one. ZeroMQ's own reconnecting is off, so that there
is only one way back to the service, whether it stopped, came back on another port or lost its memory of us.
"""

from __future__ import annotations

import errno
import itertools
import os
import struct
import weakref
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import zmq

from splinescape.protocol.connection import Connection
from splinescape.protocol.errors import ErrorCode

Channel = Literal["control", "bulk"]
CHANNELS: tuple[Channel, ...] = ("control", "bulk")

_MAX_MESSAGE = 2**28
_CONNECT_MS = 5_000
_HANDSHAKE_MS = 5_000
_KEEPALIVE_IDLE_S, _KEEPALIVE_EVERY_S, _KEEPALIVE_MISSES = 10, 5, 3
_SEND_QUEUE = 64
_RECEIVE_QUEUE = 1000

_WATCHED = (
    zmq.EVENT_CONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)
_MONITOR_EVENT = struct.Struct("=Hi")

_names = itertools.count()
_context: tuple[int, zmq.Context[zmq.Socket[bytes]]] | None = None


def _shared_context() -> zmq.Context[zmq.Socket[bytes]]:
    """One context for all clients of this process, made on first use and never terminated: that could block."""
    global _context
    if _context is None or _context[0] != os.getpid():
        _context = (os.getpid(), zmq.Context())
    return _context[1]


@dataclass(frozen=True)
class Trouble:
    """Why there is no connection; `code` is for programs, `text` for people."""

    code: ErrorCode
    text: str


class Link:
    """Two sockets on their way to the service; nothing here ever blocks.

    Attributes:
        trouble: why it has failed, None while it has not.
    """

    def __init__(self, connection: Connection) -> None:
        self.trouble: Trouble | None = None
        self._endpoint = connection.endpoint
        self._sockets: dict[Channel, zmq.Socket[bytes]] = {}
        self._monitors: dict[Channel, zmq.Socket[bytes]] = {}
        self._finalizer = weakref.finalize(self, _close, self._sockets, self._monitors, os.getpid())
        self._reached: set[Channel] = set()
        self._up: set[Channel] = set()
        try:
            for channel in CHANNELS:
                self._open(channel, connection)
        except (zmq.ZMQError, ValueError) as error:
            self.close()
            self.fail(
                "bad_input", f"cannot connect to {self._endpoint}: {error}; ask for a new connection file"
            )

    def _open(self, channel: Channel, connection: Connection) -> None:
        context = _shared_context()
        socket = context.socket(zmq.DEALER)
        self._sockets[channel] = socket
        options: dict[int, int | bytes] = {
            zmq.LINGER: 0,
            zmq.RECONNECT_IVL: -1,
            zmq.IMMEDIATE: 1,
            zmq.CONNECT_TIMEOUT: _CONNECT_MS,
            zmq.HANDSHAKE_IVL: _HANDSHAKE_MS,
            zmq.MAXMSGSIZE: _MAX_MESSAGE,
            zmq.SNDHWM: _SEND_QUEUE,
            zmq.RCVHWM: _RECEIVE_QUEUE,
            zmq.TCP_KEEPALIVE: 1,
            zmq.TCP_KEEPALIVE_IDLE: _KEEPALIVE_IDLE_S,
            zmq.TCP_KEEPALIVE_INTVL: _KEEPALIVE_EVERY_S,
            zmq.TCP_KEEPALIVE_CNT: _KEEPALIVE_MISSES,
            zmq.IPV6: int("[" in connection.endpoint),
            zmq.CURVE_SERVERKEY: connection.server_key.encode(),
            zmq.CURVE_PUBLICKEY: connection.public_key.encode(),
            zmq.CURVE_SECRETKEY: connection.secret_key.encode(),
        }
        for option, value in options.items():
            socket.setsockopt(option, value)
        # pyzmq names the monitor after a file descriptor, which may still be in use by one that is being closed.
        address = f"inproc://splinescape-client-{next(_names)}"
        socket.monitor(address, _WATCHED)
        monitor = context.socket(zmq.PAIR)
        self._monitors[channel] = monitor
        monitor.linger = 0
        monitor.connect(address)
        socket.connect(connection.endpoint)

    def close(self) -> None:
        """Let go of the sockets; what has not been sent is dropped."""
        self._finalizer()

    @property
    def ready(self) -> bool:
        """Whether both sockets are connected, each side having proved who it is."""
        return len(self._up) == len(CHANNELS) and self.trouble is None

    @property
    def waitable(self) -> list[zmq.Socket[bytes]]:
        """The sockets on which something may arrive."""
        return [*self._sockets.values(), *self._monitors.values()]

    def look(self) -> None:
        """Find out what has become of the sockets."""
        for channel, monitor in self._monitors.items():
            while self.trouble is None:
                try:
                    event = monitor.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                except zmq.ZMQError as error:
                    self.fail("lost", f"the connection broke: {error}")
                    break
                self._note(channel, *_MONITOR_EVENT.unpack(event[0][: _MONITOR_EVENT.size]))

    def _note(self, channel: Channel, event: int, value: int) -> None:
        where = self._endpoint
        if event == zmq.EVENT_CONNECTED:
            self._reached.add(channel)
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._up.add(channel)
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            text = f"the service at {where} does not accept this key ({value}): ask for a new connection file"
            self.fail("not_allowed", text)
        elif channel in self._up:
            self.fail(
                "lost", f"the connection to {where} broke: the service has stopped, or the network is down"
            )
        elif channel in self._reached and value == errno.EAGAIN:
            self.fail("lost", f"the service at {where} does not answer: it hangs, or the network does")
        elif channel in self._reached:
            text = (
                f"what answers at {where} is not the service of this connection file: the file has a wrong or old "
                "key, another program uses the port, or a tunnel leads nowhere"
            )
            self.fail("not_allowed", text)
        else:
            self.fail(
                "lost", f"nothing answers at {where}: the service is not running, or a firewall is in between"
            )

    def give_up(self, seconds: float) -> None:
        """Nothing has come of it for so long: say how far it got."""
        where = urlsplit(self._endpoint).hostname
        if self._reached:
            self.fail(
                "lost", f"{where} does not answer for {seconds:g} s: the service hangs, or the network does"
            )
        else:
            self.fail(
                "lost", f"{where} cannot be reached or found: check the name, the network and the firewall"
            )

    def send(self, channel: Channel, frames: list[Any]) -> bool:
        """Hand over a message; False when it cannot be taken now."""
        try:
            self._sockets[channel].send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        except (zmq.ZMQError, KeyError) as error:
            self.fail("lost", f"the connection broke: {error}")
            return False
        return True

    def receive(self, channel: Channel) -> list[memoryview] | None:
        """The frames of a message, not copied, or None when none has arrived."""
        try:
            frames = self._sockets[channel].recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return None
        except (zmq.ZMQError, KeyError) as error:
            self.fail("lost", f"the connection broke: {error}")
            return None
        return [frame.buffer for frame in frames]

    def fail(self, code: ErrorCode, text: str) -> None:
        """Note why it has failed; what was noted first stays."""
        if self.trouble is None:
            self.trouble = Trouble(code, text)


def _close(
    sockets: dict[Channel, zmq.Socket[bytes]], monitors: dict[Channel, zmq.Socket[bytes]], process: int
) -> None:
    """Close everything, unless this is a forked process to which it does not belong.

    The monitors come last: ZeroMQ's thread, which all clients share, would wait for ever to tell one that is gone
    about the closing of its socket. For the same reason this is not left to the garbage collector.
    """
    if process == os.getpid():
        for socket in sockets.values():
            socket.disable_monitor()
            socket.close(0)
        for monitor in monitors.values():
            monitor.close(0)
    sockets.clear()
    monitors.clear()
