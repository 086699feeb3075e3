"""Nobody gets in without a known key: real sockets, real CURVE handshakes on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from splinescape.service.auth import WORKERS, Authenticator, guard, user_of
from splinescape.service.keys import KeyPair, Keyring

PATIENCE_S = 30.0
Socket = zmq.Socket[bytes]


@dataclass
class Door:
    """A ROUTER that is guarded as the broker's is, and clients in a context of their own, as other processes have."""

    keyring: Keyring
    inside: zmq.Context[Socket] = field(default_factory=zmq.Context)
    outside: zmq.Context[Socket] = field(default_factory=zmq.Context)

    def __post_init__(self) -> None:
        self.auth = Authenticator(self.inside, self.keyring)
        self.router = self.inside.socket(zmq.ROUTER)
        self.router.linger = 0
        guard(self.router, self.keyring)
        self.router.bind("tcp://127.0.0.1:*")
        self.poller = zmq.Poller()
        self.poller.register(self.auth.socket, zmq.POLLIN)
        self.poller.register(self.router, zmq.POLLIN)
        self.endpoint = self.router.last_endpoint.decode()

    def close(self) -> None:
        self.auth.close()
        self.inside.destroy(0)
        self.outside.destroy(0)

    def turn(self) -> list[zmq.Frame] | None:
        """One turn of the broker's loop: a message, if one has come."""
        ready = dict(self.poller.poll(20))
        if self.auth.socket in ready:
            self.auth.handle()
        return self.router.recv_multipart(copy=False) if self.router in ready else None

    def receive(self) -> list[zmq.Frame]:
        """The next message, waiting for it."""
        return self.until(self.turn)

    def until(self, happens: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            result = happens()
            if result is not None:
                return result
        raise AssertionError("it did not happen")

    def dealer(self, pair: KeyPair | None, server_key: str | None = None) -> Socket:
        """A client that sends b"hello" as soon as it is let in."""
        dealer = self.outside.socket(zmq.DEALER)
        dealer.linger = 0
        if pair is not None:
            dealer.curve_serverkey = (server_key or self.keyring.server_public_text).encode()
            dealer.curve_publickey = pair.public.encode()
            dealer.curve_secretkey = pair.secret.encode()
        return dealer

    def connected(self, pair: KeyPair) -> Socket:
        dealer = self.dealer(pair)
        dealer.connect(self.endpoint)
        dealer.send(b"hello")
        return dealer

    def refuses(self, dealer: Socket) -> set[int]:
        """Connect, wait until the handshake failed, and see to it that no message came through; what was seen."""
        monitor = dealer.get_monitor_socket()
        failures = {
            zmq.EVENT_HANDSHAKE_FAILED_AUTH,
            zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
            zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
            zmq.EVENT_DISCONNECTED,
        }
        seen: set[int] = set()
        dealer.connect(self.endpoint)
        dealer.send(b"let me in")

        def failed() -> bool | None:
            assert self.turn() is None
            while monitor.poll(0):
                seen.add(recv_monitor_message(monitor)["event"])
            return True if seen & failures else None

        self.until(failed)
        for _ in range(10):
            assert self.turn() is None
        assert zmq.EVENT_HANDSHAKE_SUCCEEDED not in seen
        dealer.disable_monitor()
        return seen


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = Door(Keyring.open(tmp_path / "keys"))
    yield door
    door.close()


def stranger() -> KeyPair:
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode(), secret.decode())


def test_a_known_key_gets_in_and_every_message_says_whose_it_is(door: Door) -> None:
    clients = {name: door.connected(door.keyring.new(name)) for name in ("laptop", "studio.2")}
    identities = {}
    for _ in clients:
        identity, body = door.receive()
        assert body.bytes == b"hello"
        identities[user_of(body, door.keyring)] = identity
    assert identities.keys() == clients.keys()
    for name, client in clients.items():
        door.router.send_multipart([identities[name], f"hello {name}".encode()])
        assert client.poll(1000 * PATIENCE_S)
        assert client.recv() == f"hello {name}".encode()
        client.send(b"again")
        assert user_of(door.receive()[1], door.keyring) == name
    assert body.get("User-Id") in clients


def test_a_key_that_was_made_while_the_service_runs_gets_in(door: Door) -> None:
    pair = Keyring.open(door.keyring.folder).new("new")  # as another process does
    client = door.connected(pair)
    assert user_of(door.receive()[1], door.keyring) == "new"
    client.close()
    assert next(key.seen for key in door.keyring.list() if key.name == "new") is not None


def test_a_strangers_key_does_not_get_in(door: Door) -> None:
    door.keyring.new("somebody")
    assert zmq.EVENT_HANDSHAKE_FAILED_AUTH in door.refuses(door.dealer(stranger()))


def test_without_a_key_nobody_gets_in(door: Door) -> None:
    door.refuses(door.dealer(None))


def test_with_a_password_nobody_gets_in(door: Door) -> None:
    dealer = door.dealer(None)
    dealer.plain_username, dealer.plain_password = b"local", b"secret"
    door.refuses(dealer)


def test_the_public_half_of_a_known_key_is_not_enough(door: Door) -> None:
    known = door.keyring.new("laptop")
    door.refuses(door.dealer(KeyPair(known.public, stranger().secret)))


def test_a_client_does_not_talk_to_another_server_than_its_own(door: Door) -> None:
    door.refuses(door.dealer(door.keyring.new("laptop"), server_key=stranger().public))


def test_a_revoked_key_does_not_get_in(door: Door) -> None:
    pair = door.keyring.new("laptop")
    Keyring.open(door.keyring.folder).revoke("laptop")
    assert zmq.EVENT_HANDSHAKE_FAILED_AUTH in door.refuses(door.dealer(pair))


def test_a_key_that_is_revoked_is_refused_on_its_open_connection(door: Door) -> None:
    client = door.connected(door.keyring.new("laptop"))
    assert user_of(door.receive()[1], door.keyring) == "laptop"
    Keyring.open(door.keyring.folder).revoke("laptop")
    door.keyring.refresh()
    client.send(b"still here")
    message = door.receive()[1]
    assert message.bytes == b"still here"
    assert user_of(message, door.keyring) is None
    # A new key of the same name is another key: the old connection stays refused.
    door.keyring.new("laptop")
    client.send(b"and now?")
    assert user_of(door.receive()[1], door.keyring) is None


def test_workers_get_in_by_keys_of_their_own_and_only_where_workers_belong(door: Door) -> None:
    pair = stranger()
    door.auth.admit_worker(pair.public)
    internal = door.inside.socket(zmq.ROUTER)
    guard(internal, door.keyring)
    internal.setsockopt(zmq.ZAP_DOMAIN, WORKERS)
    internal.bind("tcp://127.0.0.1:*")
    door.poller.register(internal, zmq.POLLIN)
    worker = door.dealer(pair)
    worker.connect(internal.last_endpoint.decode())
    worker.send(b"ready")

    def arrived() -> zmq.Frame | None:
        door.turn()
        return internal.recv_multipart(copy=False)[1] if internal.poll(0) else None

    frame = door.until(arrived)
    assert frame.bytes == b"ready"
    assert user_of(frame, door.keyring) is None
    door.poller.unregister(internal)
    assert zmq.EVENT_HANDSHAKE_FAILED_AUTH in door.refuses(door.dealer(pair))


def test_nobody_gets_in_while_nobody_answers(door: Door) -> None:
    pair = door.keyring.new("laptop")
    door.poller.unregister(door.auth.socket)
    door.auth.close()
    door.refuses(door.dealer(pair))


def test_questions_that_make_no_sense_are_answered_no(door: Door) -> None:
    key = bytes(32)
    with door.inside.socket(zmq.REQ) as asker:
        asker.connect("inproc://zeromq.zap.01")
        for question in (
            [b"1.0", b"7", b"clients", b"1.2.3.4", b"", b"NULL"],
            [b"1.0", b"7", b"clients", b"1.2.3.4", b"", b"PLAIN", b"local", b"secret"],
            [b"1.0", b"7", b"clients", b"1.2.3.4", b"", b"CURVE", key],
            [b"1.0", b"7", b"clients", b"1.2.3.4", b"", b"CURVE", b"short"],
            [b"1.0", b"7", b"elsewhere", b"1.2.3.4", b"", b"CURVE", key],
            [b"1.0", b"7"],
            [b"?"],
        ):
            asker.send_multipart(question)
            door.turn()
            assert asker.poll(1000 * PATIENCE_S)
            answer = asker.recv_multipart()
            assert answer[2] == b"400"
            assert answer[4:] == [b"", b""]


def test_a_frame_of_another_socket_has_no_user(door: Door) -> None:
    assert user_of(zmq.Frame(b"x"), door.keyring) is None
