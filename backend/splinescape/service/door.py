"""The public socket: whom it lets in, how much each may send, and how much may wait for him.

Whatever clients send, the loop that calls this comes round again within some milliseconds, and the memory that it costs
stays within fixed bounds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import zmq

from splinescape.errors import SplinescapeError
from splinescape.protocol.errors import ErrorCode, ServiceError
from splinescape.protocol.wire import MAX_BUFFERS, MAX_HEADER, Message, decode, encode
from splinescape.service.auth import guard, user_of
from splinescape.service.discreet import discreet
from splinescape.service.keys import Keyring
from splinescape.service.lines import HAS_COUNTERS, NARROW, Lines, wire_size
from splinescape.service.sessions import Session, Sessions
from splinescape.service.settings import Limits

log = logging.getLogger(__name__)

_FRAME_OVERHEAD = 1024  # what encryption adds
_RECEIVE_QUEUE = 16
_SEND_QUEUE = 32
_HANDSHAKE_MS = 10_000
_KEEPALIVE_IDLE_S, _KEEPALIVE_EVERY_S, _KEEPALIVE_MISSES = 10, 5, 3
_STUCK_MS = 30_000
_LINGER_MS = 1000  # the last replies, such as the one to "shutdown", still leave
_MESSAGES_A_TURN = 64
_TURN_S = 0.01
_MOST_FRAMES = MAX_BUFFERS + 2  # one more than a message may have, by which `decode` knows
_FAR_TOO_MANY_FRAMES = 1000

Answer = Callable[[Session, Message], Message | None]
"""Does what a message asks for; the reply, None when it comes later. Raises SplinescapeError when it cannot be done."""


class Door:
    """What all clients connect to.

    Attributes:
        socket: to be polled. endpoint: where it listens. sessions: who is there.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], limits: Limits, keyring: Keyring, endpoint: str
    ) -> None:
        """Listen.

        Args:
            endpoint: where, such as "tcp://127.0.0.1:*".

        Raises:
            zmq.ZMQError: the address cannot be used.
        """
        self._limits = limits
        self._keyring = keyring
        self.sessions = Sessions(limits)
        self.socket = context.socket(zmq.ROUTER)
        self._set_up(self.socket)
        self._lines = Lines(self.socket)
        try:
            self.socket.bind(endpoint)
        except zmq.ZMQError:
            self.close()
            raise
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def _set_up(self, socket: zmq.Socket[bytes]) -> None:
        options = {
            # With counters, `Lines` does it better.
            zmq.RCVHWM: 0 if HAS_COUNTERS else _RECEIVE_QUEUE,
            zmq.RCVBUF: NARROW if HAS_COUNTERS else -1,
            zmq.LINGER: _LINGER_MS,
            zmq.ROUTER_MANDATORY: 1,
            zmq.MAXMSGSIZE: self._limits.frame + _FRAME_OVERHEAD,
            zmq.SNDHWM: _SEND_QUEUE,
            zmq.HANDSHAKE_IVL: _HANDSHAKE_MS,
            # Heartbeats of TCP's own: with ZeroMQ's, a timer runs into the fault that `Lines` speaks of.
            zmq.TCP_KEEPALIVE: 1,
            zmq.TCP_KEEPALIVE_IDLE: _KEEPALIVE_IDLE_S,
            zmq.TCP_KEEPALIVE_INTVL: _KEEPALIVE_EVERY_S,
            zmq.TCP_KEEPALIVE_CNT: _KEEPALIVE_MISSES,
            zmq.TCP_MAXRT: _STUCK_MS,
        }
        for option, value in options.items():
            socket.setsockopt(option, value)
        guard(socket, self._keyring)

    def close(self) -> None:
        """Listen no more; what was sent last still leaves."""
        self._lines.close()
        self.socket.close()

    def look(self, all_shown: bool) -> float:
        """Look after the connections, to be done every now and then.

        Args:
            all_shown: `receive` has just dealt with all that had arrived.

        Returns:
            Seconds until it should be done again.
        """
        self.sessions.forget_ended()
        return self._lines.look(all_shown)

    def forget_revoked(self) -> None:
        """Whose key was revoked hears no more, though he may be silent."""
        for listener in self.sessions.listeners(None):
            if not self._keyring.knows(listener.user):
                self.sessions.drop(listener.identity)

    # In.

    def receive(self, answer: Answer) -> bool:
        """Answer what has arrived, as much as one turn of a loop may take; whether that was all."""
        ends = time.monotonic() + _TURN_S
        for _ in range(_MESSAGES_A_TURN):
            try:
                identity = self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return True
            self._take(identity, answer)
            if time.monotonic() > ends:
                break
        return False

    def _take(self, identity: bytes, answer: Answer) -> None:
        frames, count, size = self._rest()
        session = self._enter(identity, frames[0])
        if session is None:
            return
        session.line.shown += size
        session.line.frames += count
        if session.line.cut:
            return
        if count > _FAR_TOO_MANY_FRAMES:
            self._lines.cut(session.line, f"a message had {count} frames")
        elif self.sessions.admit(session, count):
            begun = time.monotonic()
            self._answer(session, frames, answer)
            self.sessions.spent(session, time.monotonic() - begun)
        else:
            self._complain_about_rate(session)

    def _rest(self) -> tuple[list[zmq.Frame], int, int]:
        """A message after its first frame: frames, how many there were, and how many bytes they took on the line."""
        frames: list[zmq.Frame] = []
        count = size = 0
        while self.socket.rcvmore:
            frame = self.socket.recv(copy=False)
            count, size = count + 1, size + wire_size(len(frame))
            if count <= _MOST_FRAMES:
                frames.append(frame)
        return frames, count, size

    def _enter(self, identity: bytes, frame: zmq.Frame) -> Session | None:
        """The session that a message belongs to; None when its sender may not, or no longer, come in."""
        user = user_of(frame, self._keyring)
        if user is None:
            self.sessions.drop(identity)
            self._refuse(identity, None, "not_allowed", "this key was revoked: ask for a new connection file")
            return None
        session = self.sessions.known(identity)
        if session is not None and session.user == user and session.line.ended is None:
            return session
        line = self._lines.find(frame)
        if line is None:  # its sender has left, and still means what it said
            return session or self.sessions.get(identity, user)
        return self.sessions.get(identity, user, line)

    def _complain_about_rate(self, session: Session) -> None:
        """Once a second, so that answers cannot become a flood of their own."""
        now = time.monotonic()
        if now - session.told_rate > 1:
            session.told_rate = now
            text = f"too much too fast, {self._limits.messages_per_s:g} messages a second at most: send fewer"
            self._refuse(session.identity, None, "rate", text)

    def _answer(self, session: Session, frames: list[zmq.Frame], answer: Answer) -> None:
        message: Message | None = None
        try:
            message = decode([frame.buffer for frame in frames], MAX_HEADER)
            reply = answer(session, message)
        except SplinescapeError as error:  # errors of models have codes of their own
            text = str(error) if isinstance(error, ServiceError) else discreet(str(error))
            self._refuse(session.identity, message, getattr(error, "code", "bad_input"), text)
        except Exception:
            log.exception("request %s failed", message.type if message else "?")
            text = "the service failed at this; its log says more"
            self._refuse(session.identity, message, "internal", text)
        else:
            if reply is not None:
                self.reply(session.identity, reply)

    # Out.

    def _refuse(self, identity: bytes, message: Message | None, code: ErrorCode, text: str) -> None:
        parent, job = (message.id, message.job) if message is not None else (None, None)
        self.send(identity, Message("error", {"code": code, "message": text}, job=job, parent=parent))

    def reply(self, identity: bytes, message: Message) -> None:
        """Send an answer; if there is no room for it, say so, and the client asks again later."""
        if not self.send(identity, message):
            content = {"code": "rate", "message": "too many answers are waiting: read them, then ask again"}
            self.send(identity, Message("error", content, job=message.job, parent=message.parent))

    def send(self, identity: bytes, message: Message) -> bool:
        """Send unless the connection has ended or too much is waiting for it already."""
        frames = encode(message)
        session = self.sessions.known(identity)
        size = sum(wire_size(memoryview(frame).nbytes) for frame in frames)
        if session is not None and not self._lines.has_room(session.line, size):
            return False
        try:
            self.socket.send_multipart([identity, *frames], zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        except zmq.ZMQError:
            self.sessions.drop(identity)
            return False
        if session is not None:
            session.line.handed += size
        return True
