"""Lets in whoever shows a key that is known, and tells whose message it is.

libzmq asks a socket at a fixed address about every connection (ZAP, RFC 27). The broker's own loop answers there, so
that neither a thread nor a lock is needed. A connection that is refused never reaches the broker's sockets.
"""

from __future__ import annotations

import logging
import time

import zmq
from zmq.utils import z85

from splinescape.service.keys import Keyring

log = logging.getLogger(__name__)

CLIENTS = b"clients"
WORKERS = b"workers"
_ADDRESS = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_KEY = "X-Splinescape-Key"


class Authenticator:
    """Answers libzmq's questions who may connect to the sockets of one context.

    Make it before any other socket of the context is bound: without it libzmq would let everybody in.

    Attributes:
        socket: to be polled; call `handle` when it can be read.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keyring: Keyring) -> None:
        self._keyring = keyring
        self._workers: set[str] = set()
        self._told = 0.0
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(_ADDRESS)

    def admit_worker(self, public_key: str) -> None:
        """Let in a key (Z85) to the domain "workers"."""
        self._workers.add(public_key)

    def handle(self) -> None:
        """Answer all questions that have come."""
        while True:
            try:
                question = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self.socket.send_multipart(self._answer(question))

    def close(self) -> None:
        """Answer no more; whoever connects from now on is refused."""
        self.socket.close(0)

    def _answer(self, question: list[bytes]) -> list[bytes]:
        """The reply to [version, number, domain, address, identity, mechanism, public key]."""
        number = question[1] if len(question) > 1 else b""
        if len(question) == 7 and question[5] == b"CURVE" and len(question[6]) == 32:
            key = z85.encode(question[6]).decode()
            user = self._user(question[2], key)
            if user is not None:
                return [_VERSION, number, b"200", b"OK", user.encode(), _property(_KEY, key)]
        self._tell_refused(question)
        return [_VERSION, number, b"400", b"unknown key", b"", b""]

    def _tell_refused(self, question: list[bytes]) -> None:
        """Once a second, so that nobody fills the log."""
        if time.monotonic() - self._told > 1:
            self._told = time.monotonic()
            address = question[3].decode("ascii", "replace") if len(question) > 3 else "?"
            log.warning("refused a connection from %s: its key is not known", address)

    def _user(self, domain: bytes, key: str) -> str | None:
        if domain == WORKERS:
            return "worker" if key in self._workers else None
        if domain != CLIENTS:
            return None
        self._keyring.refresh()
        name = self._keyring.name_of(key)
        if name is not None:
            self._keyring.mark_seen(name)
        return name


def guard(socket: zmq.Socket[bytes], keyring: Keyring) -> None:
    """Have a socket, before it is bound, speak with known clients only, encrypted."""
    socket.setsockopt(zmq.ZAP_DOMAIN, CLIENTS)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # nobody gets in while nobody answers
    socket.curve_server = True
    socket.curve_secretkey = keyring.server_secret


def user_of(frame: zmq.Frame, keyring: Keyring) -> str | None:
    """Name of the key that a message of a client came with; None when the key was revoked meanwhile.

    It goes by the key itself, so that a new key of the same name does not help an old connection.

    Args:
        frame: any frame of the message, received with `copy=False`.
    """
    try:
        return keyring.name_of(str(frame.get(_KEY)))
    except zmq.ZMQError:
        return None


def _property(name: str, value: str) -> bytes:
    """A name and a value as ZMTP writes metadata."""
    return bytes([len(name)]) + name.encode() + len(value).to_bytes(4, "big") + value.encode()
