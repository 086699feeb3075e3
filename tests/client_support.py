"""A service that does what a test tells it to, in ways that the real one cannot be made to; and a line that breaks."""

from __future__ import annotations

import contextlib
import hashlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import zmq

from splinescape.client import Client
from splinescape.client.calls import Call
from splinescape.protocol.connection import Connection
from splinescape.protocol.wire import Buffer, Message, decode, encode

Answer = Callable[[Message], "Message | None"]


def reply(request: Message, content: dict[str, Any] | None = None, *buffers: Buffer) -> Message:
    return Message("reply", content or {}, job=request.job, parent=request.id, buffers=buffers)


def error(request: Message, code: str, text: str) -> Message:
    return Message("error", {"code": code, "message": text}, job=request.job, parent=request.id)


def event(seq: int, job: str | None, kind: str = "note", **data: Any) -> Message:
    return Message("event", {"seq": seq, "time": 1.7e9, "kind": kind, "data": data}, job=job)


@dataclass(frozen=True)
class Keys:
    server_public: bytes
    server_secret: bytes
    public: bytes
    secret: bytes

    @staticmethod
    def make() -> Keys:
        return Keys(*zmq.curve_keypair(), *zmq.curve_keypair())

    def connection(self, port: int) -> Connection:
        return Connection(
            f"tcp://127.0.0.1:{port}",
            self.server_public.decode(),
            self.public.decode(),
            self.secret.decode(),
        )


class StandIn:
    """A ROUTER with CURVE in a thread that answers by `answers`, and notes all it was asked.

    Attributes:
        answers: call -> what makes the answer; None for no answer at all. Replace them at any time.
        seen: every request in the order of arrival, pings left out.
        silent: nothing is answered, not even pings.
    """

    def __init__(self, keys: Keys | None = None, port: int = 0, heartbeat_s: float = 0.2) -> None:
        self.keys = keys or Keys.make()
        self.heartbeat_s = heartbeat_s
        self.answers: dict[str, Answer] = {"hello": self.hello, "ping": self.ping}
        self.seen: list[Message] = []
        self.silent = False
        self.pushed: int | None = None
        self.connections: set[bytes] = set()
        self.hellos = 0
        self._last: dict[str, bytes] = {}
        self._out: queue.Queue[list[Any]] = queue.Queue()
        self._stop = threading.Event()
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.linger = 0
        self._router.curve_server = True
        self._router.curve_secretkey = self.keys.server_secret
        self._router.bind(f"tcp://127.0.0.1:{port or '*'}")
        self.port = int(self._router.last_endpoint.decode().rsplit(":", 1)[1].rstrip("\0"))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def connection(self) -> Connection:
        return self.keys.connection(self.port)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def hello(self, request: Message) -> Message:
        return reply(request, {"version": "9", "heartbeat_s": self.heartbeat_s, "limits": {"chunk": 2**16}})

    def ping(self, request: Message) -> Message:
        return reply(request, {"time": time.time(), "pushed": self.pushed})

    def asked(self, type: str) -> list[Message]:
        return [message for message in list(self.seen) if message.type == type]

    def push(self, message: Message, channel: str = "control") -> None:
        """Send something that is not an answer to the connection that said hello last, or that spoke on bulk last."""
        self.push_frames(encode(message), channel)

    def push_frames(self, frames: list[Any], channel: str = "control") -> None:
        self._out.put([self._last[channel], *frames])

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._router.poll(2):
                identity, *frames = self._router.recv_multipart()
                self._handle(identity, decode(frames))
            with contextlib.suppress(queue.Empty):
                while True:
                    self._router.send_multipart(self._out.get_nowait())
        self._router.close(0)
        self._context.term()

    def _handle(self, identity: bytes, message: Message) -> None:
        self.connections.add(identity)
        if message.type != "ping":
            self.seen.append(message)
        if message.type == "hello":
            self.hellos += 1
            self._last["control"] = identity
        elif message.type in ("upload", "submit", "fetch", "render", "preview", "log"):
            self._last["bulk"] = identity
        if self.silent or message.type not in self.answers:
            return
        answer = self.answers[message.type](message)
        if answer is not None:
            self._router.send_multipart([identity, *encode(answer)])


@dataclass
class Files:
    """Files that a stand-in gives out by "results" and "fetch"."""

    contents: dict[str, bytes]
    asked: list[tuple[int, int]] = field(default_factory=list)

    def serve_from(self, service: StandIn) -> None:
        service.answers["results"] = self.results
        service.answers["fetch"] = self.fetch

    def results(self, request: Message) -> Message:
        files = [
            {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in self.contents.items()
        ]
        return reply(request, {"files": files})

    def fetch(self, request: Message) -> Message:
        offset, length = request.content["offset"], request.content["length"]
        self.asked.append((offset, length))
        data = self.contents[request.content["name"]]
        part = Buffer.of_bytes("data", data[offset : offset + length])
        return reply(request, {"size": len(data), "offset": offset}, part)


@dataclass
class Inbox:
    """Uploads and jobs that a stand-in takes."""

    data: bytearray = field(default_factory=bytearray)
    jobs: dict[str, str] = field(default_factory=dict)

    def serve_from(self, service: StandIn) -> None:
        service.answers["upload"] = self.upload
        service.answers["submit"] = self.submit

    def upload(self, request: Message) -> Message:
        part = request.buffer("data").data
        if len(part) and request.content["offset"] == len(self.data):
            self.data += part
        return reply(request, {"have": len(self.data)})

    def submit(self, request: Message) -> Message:
        assert hashlib.sha256(self.data).hexdigest() == request.content["picture"]
        return reply(request, {"job": self.jobs.setdefault(request.id, request.id)})


class Proxy:
    """A TCP line to a port that can be cut and stopped, and that counts what comes back."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.received = 0
        self.flowing = threading.Event()
        self.flowing.set()
        self._pairs: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.flowing.set()
        self.cut()

    def cut(self) -> None:
        """Break every connection there is; new ones are possible."""
        pairs, self._pairs = self._pairs, []
        for each in pairs:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            self._pairs += [near, far]
            threading.Thread(target=self._copy, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._copy, args=(far, near, True), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, back: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                self.flowing.wait()
                self.received += len(data) if back else 0
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def poll_until(client: Client, condition: Callable[[], bool], seconds: float = 15.0) -> list[Any]:
    """Poll as a program with other work would, until the condition holds; returns the events."""
    ends = time.monotonic() + seconds
    events: list[Any] = []
    while not condition():
        assert time.monotonic() < ends, f"nothing came of it: {client.state} {client.reason}"
        events += client.poll(2.0)
        client.wait(0.01)
    return events


def finish(client: Client, call: Call[Any], seconds: float = 15.0) -> Any:
    """Poll until a call is done and return its result."""
    poll_until(client, lambda: call.done, seconds)
    return call.get()


@contextlib.contextmanager
def connected(service: StandIn, **options: Any) -> Iterator[Client]:
    with Client(service.connection, **options) as client:
        poll_until(client, lambda: client.state == "connected")
        yield client
