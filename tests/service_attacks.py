"""Attacks on a service, one function each; run in a process of its own: `service_attacks.py NAME CONNECTION`."""

from __future__ import annotations

import json
import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import zmq

from splinescape.protocol.connection import Connection, read_connection
from splinescape.protocol.wire import Message, encode, new_id

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL" + bytes(16) + bytes(32)
PATHS = ("/etc/passwd", "../../../etc/passwd", "file:///etc/passwd", "C:\\boot.ini", "\x00", "a" * 5000)
CALLS = (
    *(
        "hello",
        "ping",
        "upload",
        "submit",
        "list",
        "status",
        "events",
        "subscribe",
        "cancel",
        "pause",
        "resume",
    ),
    *(
        "delete",
        "pin",
        "results",
        "fetch",
        "render",
        "preview",
        "log",
        "models",
        "models.download",
        "models.remove",
    ),
)


def _address(connection: Connection) -> tuple[str, int]:
    host, port = connection.endpoint.removeprefix("tcp://").rsplit(":", 1)
    return host, int(port)


def dealer(connection: Connection) -> zmq.Socket[bytes]:
    """A socket with the connection's keys."""
    line = zmq.Context.instance().socket(zmq.DEALER)
    line.linger = 0
    line.curve_serverkey = connection.server_key.encode()
    line.curve_publickey = connection.public_key.encode()
    line.curve_secretkey = connection.secret_key.encode()
    line.connect(connection.endpoint)
    return line


def _read_all(line: zmq.Socket[bytes]) -> int:
    count = 0
    while line.poll(0):
        line.recv_multipart()
        count += 1
    return count


def garbage(connection: Connection) -> None:
    """Bytes that are no ZMTP, or only begin so, on a thousand connections."""
    rng = random.Random(1)
    for number in range(1000):
        with socket.create_connection(_address(connection)) as line:
            head = GREETING[: rng.randrange(65)] if number % 2 else b""
            try:
                line.sendall(head + rng.randbytes(rng.randrange(1, 65536)))
            except OSError:
                continue  # hung up on, as it should be


def wrong_keys(connection: Connection) -> None:
    """Keys that nobody knows, and the wrong key of the service."""
    public, secret = (key.decode() for key in zmq.curve_keypair())
    other, _ = (key.decode() for key in zmq.curve_keypair())
    strangers = [
        dealer(replace(connection, public_key=public, secret_key=secret)),
        dealer(replace(connection, server_key=other)),
    ]
    for line in strangers:
        for _ in range(100):
            line.send_multipart(encode(Message("shutdown", {"when": "now"})))
    time.sleep(2)
    assert not any(line.poll(0) for line in strangers)


def replayed_bytes(connection: Connection) -> None:
    """Everything that a real client sent, sent once more on new connections."""
    sent: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def record() -> None:
        near, _ = server.accept()
        far = socket.create_connection(_address(connection))

        def back() -> None:
            while data := far.recv(65536):
                near.sendall(data)

        threading.Thread(target=back, daemon=True).start()
        while data := near.recv(65536):
            sent.append(data)
            far.sendall(data)

    threading.Thread(target=record, daemon=True).start()
    line = dealer(replace(connection, endpoint=f"tcp://127.0.0.1:{server.getsockname()[1]}"))
    line.send_multipart(encode(Message("models.remove", {"id": "moge-vitl"})))
    assert line.poll(10_000)
    for _ in range(20):
        with socket.create_connection(_address(connection)) as again:
            try:
                for data in sent:
                    again.sendall(data)
                    time.sleep(0.005)
            except OSError:
                continue


def fuzz(connection: Connection) -> None:
    """Twelve thousand messages that are wrong in every way, from somebody who has a key."""
    rng = random.Random(2)
    line = dealer(connection)
    for number in range(12_000):
        line.send_multipart(_broken(rng))
        if number % 50 == 0:
            time.sleep(0.05)  # below the allowance, so that they are looked at
            _read_all(line)
    time.sleep(0.5)
    assert _read_all(line) >= 0


def _broken(rng: random.Random) -> list[bytes]:
    value: Callable[[], object] = lambda: rng.choice(  # noqa: E731
        (
            None,
            -1,
            2**70,
            1e308,
            "",
            [],
            {},
            True,
            rng.choice(PATHS),
            [[[]]],
            {"a": {"b": []}},
            "\u202e",
            new_id(),
        )
    )
    names = (
        "name",
        "picture",
        "settings",
        "engines",
        "id",
        "sha256",
        "offset",
        "size",
        "since",
        "limit",
        "jobs",
    )
    content = {rng.choice(names): value() for _ in range(rng.randrange(5))}
    message = Message(rng.choice(CALLS), content, job=rng.choice((None, new_id())))
    frames = [bytes(frame) for frame in encode(message)]
    kind = rng.randrange(8)
    if kind == 0:
        frames[0] = rng.randbytes(rng.randrange(2000))
    elif kind == 1:
        text = bytearray(frames[0])
        for _ in range(rng.randrange(1, 8)):
            text[rng.randrange(len(text))] = rng.randrange(256)
        frames[0] = bytes(text)
    elif kind == 2:
        frames[0] = b'{"content":' + b"[" * 30_000
    elif kind == 3:
        frames += [rng.randbytes(rng.randrange(3000)) for _ in range(rng.randrange(30))]
    elif kind == 4:
        header = json.loads(frames[0])
        header["buffers"] = [{"name": "data", "dtype": "float64", "shape": [2**31 - 1] * 4}]
        frames = [json.dumps(header).encode(), b"x"]
    elif kind == 5:
        header = json.loads(frames[0])
        header[rng.choice(list(header))] = value()
        frames[0] = json.dumps(header).encode()
    elif kind == 6:
        frames[0] = frames[0].replace(b"}", b',"x":NaN}', 1)
    return frames


def huge_frame(connection: Connection) -> None:
    """A header of 1 GB, encrypted as it should be; and one that is only announced, by a stranger."""
    with socket.create_connection(_address(connection)) as line:
        line.sendall(GREETING + b"\x02" + (2**30).to_bytes(8, "big") + bytes(2**16))
    line = dealer(connection)
    line.send(bytearray(2**30), copy=False)
    time.sleep(5)


def flood(connection: Connection) -> None:
    """A million tiny messages as fast as they go."""
    line = dealer(connection)
    for _ in range(1_000_000):
        line.send(b"x")
        if line.poll(0):
            line.recv_multipart()


def same_again(connection: Connection) -> None:
    """One message of every kind, a hundred times with the same id."""
    line = dealer(connection)
    for call in CALLS:
        frames = encode(Message(call, {}, job=new_id()))
        for _ in range(100):
            line.send_multipart(frames)
            time.sleep(0.001)
        _read_all(line)


def deaf(connection: Connection) -> None:
    """Somebody asks and subscribes, and never reads a word of the answers."""
    line = dealer(connection)
    line.send_multipart(encode(Message("subscribe", {"jobs": None, "thumbnails": True})))
    for _ in range(20_000):
        try:
            line.send_multipart(encode(Message("hello", _HELLO)), zmq.NOBLOCK)
        except zmq.Again:
            time.sleep(0.001)
    time.sleep(1)


def endless(connection: Connection) -> None:
    """A message that never ends: frame after frame of 1 MiB, and none is the last."""
    line = dealer(connection)
    line.sndhwm = 4
    line.send_multipart(encode(Message("hello", _HELLO)))
    frame, ends = bytes(2**20), time.monotonic() + 15
    while time.monotonic() < ends:
        try:
            line.send(frame, zmq.SNDMORE | zmq.NOBLOCK)
        except zmq.Again:
            time.sleep(0.001)


_HELLO = {"client": "deaf", "session": new_id(), "version": "0"}

ATTACKS = {
    each.__name__: each
    for each in (garbage, wrong_keys, replayed_bytes, fuzz, huge_frame, flood, same_again, deaf, endless)
}

if __name__ == "__main__":
    ATTACKS[sys.argv[1]](read_connection(sys.argv[2]))
