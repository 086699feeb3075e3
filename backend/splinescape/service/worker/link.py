"""The worker's end of the line to the broker: one socket, one thread, and a sign of life that no work holds up."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zmq

from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import Message, decode, encode

_UNDER_WAY = 16
"""Messages that may wait for the broker; whoever wants to send more waits too, so that memory stays bounded."""
_LINGER_MS = 1000


@dataclass(frozen=True)
class Address:
    """Where the broker is, as it told this process.

    Attributes:
        endpoint: ZeroMQ address. worker: this worker's id, by which the broker knows the connection.
        heartbeat_s: seconds between signs of life.
        server_key, public_key, secret_key: CURVE keys (Z85); None where only the owner can reach the endpoint.
    """

    endpoint: str
    worker: str
    heartbeat_s: float
    server_key: str | None = None
    public_key: str | None = None
    secret_key: str | None = None


class Link:
    """Messages to and from the broker.

    Args:
        address: where it is.
        on_message: gets every message, in the link's own thread, and must not take long.
        beat: what to say with every sign of life.
    """

    def __init__(
        self, address: Address, on_message: Callable[[Message], None], beat: Callable[[], dict[str, Any]]
    ) -> None:
        self._address = address
        self._on_message = on_message
        self._beat = beat
        self._waiting: deque[list[Any]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    def start(self) -> None:
        """Connect and begin to give signs of life."""
        self._thread.start()

    def send(self, message: Message) -> None:
        """Send from any thread; waits while too much is under way.

        Raises:
            ValueError: the content is not JSON.
        """
        frames = encode(message)
        with self._changed:
            if threading.current_thread() is not self._thread:
                self._changed.wait_for(lambda: len(self._waiting) < _UNDER_WAY)
            self._waiting.append(frames)
        self._wake()

    def close(self, timeout_s: float) -> None:
        """Send what waits, for at most `timeout_s`, and hang up."""
        self._closing = True
        self._wake()
        self._thread.join(timeout_s)

    def _wake(self) -> None:
        with contextlib.suppress(
            BlockingIOError
        ):  # so many wake-ups are waiting already that one more adds nothing
            self._wake_out.send(b"\0")

    def _run(self) -> None:
        try:
            with zmq.Context() as context, self._connect(context) as line:
                self._serve(line)
        except BaseException:
            traceback.print_exc()
            os._exit(70)  # a worker that nobody can talk to is of no use

    def _connect(self, context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
        line = context.socket(zmq.DEALER)
        line.linger = _LINGER_MS
        line.sndhwm = _UNDER_WAY
        line.routing_id = self._address.worker.encode()
        if self._address.server_key is not None:
            line.curve_serverkey = self._address.server_key.encode()
            line.curve_publickey = (self._address.public_key or "").encode()
            line.curve_secretkey = (self._address.secret_key or "").encode()
        line.connect(self._address.endpoint)
        return line

    def _serve(self, line: zmq.Socket[bytes]) -> None:
        poller = zmq.Poller()
        poller.register(self._wake_in, zmq.POLLIN)
        next_beat = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= next_beat:
                _try_to_send(line, encode(Message("beat", self._beat())))
                next_beat = now + self._address.heartbeat_s
            sent_all = self._send_waiting(line)
            if self._closing and sent_all:
                return
            poller.register(line, zmq.POLLIN if sent_all else zmq.POLLIN | zmq.POLLOUT)
            ready = dict(poller.poll(max(0, int((next_beat - now) * 1000))))
            with contextlib.suppress(BlockingIOError):
                self._wake_in.recv(4096)
            if ready.get(line, 0) & zmq.POLLIN:
                self._receive(line)

    def _send_waiting(self, line: zmq.Socket[bytes]) -> bool:
        while self._waiting:
            if not _try_to_send(line, self._waiting[0]):
                return False
            with self._changed:
                self._waiting.popleft()
                self._changed.notify_all()
        return True

    def _receive(self, line: zmq.Socket[bytes]) -> None:
        while True:
            try:
                frames = line.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                self._on_message(decode(frames))
            except ServiceError:
                traceback.print_exc()


def _try_to_send(line: zmq.Socket[bytes], frames: list[Any]) -> bool:
    try:
        line.send_multipart(frames, zmq.NOBLOCK, copy=False)
    except zmq.Again:
        return False
    return True
