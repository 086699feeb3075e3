"""The client finds its service, loses it, says why in words, and finds it again, without ever waiting."""

from __future__ import annotations

import contextlib
import gc
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zmq
from client_support import Keys, Proxy, StandIn, connected, error, finish, poll_until, reply
from zmq.auth.thread import ThreadAuthenticator

from splinescape.client import Client, ServiceError, connect
from splinescape.errors import InputError
from splinescape.protocol.connection import Connection, write_connection
from splinescape.protocol.wire import Message, encode

JOB = "0" * 32


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def lost(client: Client) -> Callable[[], bool]:
    return lambda: client.state == "lost"


def test_it_connects_and_learns_what_the_service_can_do() -> None:
    with StandIn() as service, Client(service.connection) as client:
        assert (client.state, client.reason, client.capabilities) == ("connecting", "", None)
        poll_until(client, lambda: client.state == "connected")
        assert client.capabilities is not None
        assert (client.capabilities.version, client.capabilities.limits.chunk) == ("9", 2**16)
        (hello,) = service.asked("hello")
        assert len(hello.content["session"]) == 32 and hello.content["client"] == "python"


def test_a_service_that_is_not_running(free_port: int) -> None:
    with Client(Keys.make().connection(free_port)) as client:
        poll_until(client, lost(client))
        assert "the service is not running" in client.reason and f"127.0.0.1:{free_port}" in client.reason
        assert client.reason_code == "lost"


def test_waiting_for_a_service_that_is_not_running_costs_no_processor_time(free_port: int) -> None:
    with Client(Keys.make().connection(free_port)) as client:
        poll_until(client, lost(client))
        before, ends = time.process_time(), time.monotonic() + 0.5
        while time.monotonic() < ends:
            client.wait(0.25)
            client.poll()
        assert time.process_time() - before < 0.1


def test_it_connects_when_the_service_is_started_later(free_port: int) -> None:
    keys = Keys.make()
    with Client(keys.connection(free_port)) as client:
        poll_until(client, lost(client))
        with StandIn(keys, free_port):
            poll_until(client, lambda: client.state == "connected")
            assert client.reason == ""


def test_a_connection_file_that_appears_later(tmp_path: Path) -> None:
    file = tmp_path / "connection.json"
    with StandIn() as service, Client(file) as client:
        poll_until(client, lost(client))
        assert "is the service running?" in client.reason and str(file) in client.reason
        write_connection(file, service.connection)
        poll_until(client, lambda: client.state == "connected")


def test_a_connection_file_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "connection.json"
    file.write_text("{}")
    with Client(file) as client:
        poll_until(client, lost(client))
        assert "is not a connection file" in client.reason


def test_a_service_that_comes_back_on_another_port_gets_what_was_asked_meanwhile(tmp_path: Path) -> None:
    file = tmp_path / "connection.json"
    first = StandIn()
    write_connection(file, first.connection)
    with Client(file) as client:
        poll_until(client, lambda: client.state == "connected")
        unanswered = client.status(JOB)
        poll_until(client, lambda: bool(first.asked("status")))
        first.stop()
        poll_until(client, lost(client))
        meanwhile = client.cancel(JOB)
        with StandIn(first.keys) as second:
            assert second.port != first.port
            second.answers["status"] = lambda request: reply(request, {"id": JOB, "state": "done"})
            second.answers["cancel"] = lambda request: reply(request, {"state": "cancelled"})
            write_connection(file, second.connection)
            assert finish(client, unanswered).state == "done"
            assert finish(client, meanwhile) == "cancelled"
            assert second.asked("status")[0].id == first.asked("status")[0].id


def test_a_wrong_server_key() -> None:
    with StandIn() as service:
        wrong = replace(service.connection, server_key=Keys.make().server_public.decode())
        with Client(wrong) as client:
            poll_until(client, lost(client))
            assert "wrong or old key" in client.reason
            assert client.reason_code == "not_allowed"


def test_a_client_key_that_the_service_does_not_know() -> None:
    keys = Keys.make()
    context = zmq.Context()
    doorman = ThreadAuthenticator(context)
    doorman.start()
    doorman.configure_curve_callback(credentials_provider=_Nobody())
    router = context.socket(zmq.ROUTER)
    router.curve_server, router.curve_secretkey, router.linger = True, keys.server_secret, 0
    port = router.bind_to_random_port("tcp://127.0.0.1")
    try:
        with Client(keys.connection(port)) as client:
            poll_until(client, lost(client))
            assert "does not accept this key" in client.reason and client.reason_code == "not_allowed"
    finally:
        router.close()
        doorman.stop()
        context.term()


class _Nobody:
    def callback(self, _domain: str, _key: bytes) -> bool:
        return False


def test_a_service_of_another_version() -> None:
    with StandIn() as service:
        newer = (
            b'{"protocol":"2.0","id":"%s","type":"reply","parent":null,"job":null,"content":{},"buffers":[]}'
        )
        service.answers["hello"] = lambda _request: service.push_frames([newer % (b"a" * 32)])
        with Client(service.connection) as client:
            poll_until(client, lost(client))
            assert "install the same version" in client.reason and client.reason_code == "version"


def test_a_service_that_refuses_this_version() -> None:
    with StandIn() as service, Client(service.connection) as client:
        service.answers["hello"] = lambda request: error(request, "version", "too old: install 9")
        poll_until(client, lost(client))
        assert (client.reason, client.reason_code) == ("too old: install 9", "version")


def test_another_program_on_the_port() -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        client = stack.enter_context(Client(Keys.make().connection(listener.getsockname()[1])))
        client.poll()
        stranger = stack.enter_context(listener.accept()[0])
        with contextlib.suppress(OSError):  # it may hang up in the middle
            stranger.sendall(b"SSH-2.0-OpenSSH_9.6\r\n" + bytes(100))
            stranger.shutdown(socket.SHUT_RDWR)
        poll_until(client, lost(client))
        assert "another program uses the port" in client.reason


@pytest.mark.parametrize(
    "endpoint", ["tcp://no-such-host.invalid:1", "tcp://nonsense", "tcp://127.0.0.1:99999"]
)
def test_an_address_that_is_none_never_blocks(endpoint: str) -> None:
    connection = replace(Keys.make().connection(1), endpoint=endpoint)
    client = Client(connection)
    begun = time.monotonic()
    for _ in range(20):
        client.poll()
        client.wait(0.01)
    client.close()
    assert time.monotonic() - begun < 2
    assert client.state != "connected"


def test_keys_that_are_none() -> None:
    with Client(Connection("tcp://127.0.0.1:1", "\0" * 40, "b" * 40, "c" * 40)) as client:
        poll_until(client, lost(client))
        assert "ask for a new connection file" in client.reason


def test_a_service_that_hangs_is_noticed_after_three_heartbeats_and_found_again() -> None:
    with StandIn() as service, connected(service) as client:
        service.silent = True
        begun = time.monotonic()
        poll_until(client, lost(client))
        assert 3 * service.heartbeat_s <= time.monotonic() - begun < 10 * service.heartbeat_s
        assert "stopped answering" in client.reason
        service.silent = False
        poll_until(client, lambda: client.state == "connected")
        assert service.hellos >= 2


def test_a_broken_line_is_noticed_at_once() -> None:
    with (
        StandIn() as service,
        Proxy(service.port) as line,
        Client(service.keys.connection(line.port)) as client,
    ):
        poll_until(client, lambda: client.state == "connected")
        line.cut()
        poll_until(client, lost(client), seconds=2)
        assert "broke" in client.reason
        poll_until(client, lambda: client.state == "connected")


@pytest.mark.slow
def test_a_service_that_hangs_before_it_lets_anybody_in() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(ServiceError, match="does not answer: it hangs") as caught:
            connect(Keys.make().connection(listener.getsockname()[1]), wait_s=6)
        assert caught.value.code == "lost"


def test_not_polling_for_long_is_no_loss() -> None:
    with StandIn(heartbeat_s=0.2) as service, connected(service) as client:
        client.poll()
        time.sleep(1.2)  # six heartbeats; what the caller does meanwhile is its business
        client.poll()
        assert client.state == "connected"
        assert service.hellos == 1


def test_a_quiet_connection_is_kept_alive_by_pings() -> None:
    with StandIn(heartbeat_s=0.2) as service, connected(service) as client:
        answered = 0

        def ping(request: Message) -> Message:
            nonlocal answered
            answered += 1
            return reply(request)

        service.answers["ping"] = ping
        poll_until(client, lambda: answered >= 5)
        assert client.state == "connected" and service.hellos == 1


def test_a_revoked_key_is_said_so() -> None:
    with StandIn() as service, connected(service) as client:
        service.answers["hello"] = lambda _request: None
        service.push(Message("error", {"code": "not_allowed", "message": "this key was revoked"}))
        poll_until(client, lost(client))
        assert client.reason == "this key was revoked"


def test_damaged_messages_are_dropped_and_counted() -> None:
    with StandIn() as service, connected(service) as client:
        header = encode(Message("event"))[0]
        for frames in ([b"\xff\xfe"], [b"{}"], [header, b"a buffer too many"], [b"[" * 30000], [b""]):
            service.push_frames(frames)
        poll_until(client, lambda: client.damaged == 5)
        assert client.state == "connected"


def test_connections_that_come_and_go_do_not_harm_others(free_port: int) -> None:
    with StandIn() as service, connected(service) as other:
        answers = [
            service.connection,
            Keys.make().connection(service.port),
            Keys.make().connection(free_port),
        ]
        for round in range(150):
            client = Client(answers[round % 3])
            for _ in range(round % 7):
                client.poll()
            if round % 2:
                client.close()
            del client  # the others are left to the garbage collector
        gc.collect()
        service.answers["status"] = lambda request: reply(request, {"id": JOB, "state": "done"})
        assert finish(other, other.status(JOB)).state == "done"
        with connected(service):
            pass


def test_closing_never_waits_and_ends_what_is_open() -> None:
    with StandIn() as service, connected(service) as client:
        calls = [client.status(JOB) for _ in range(10)]
        client.poll()
        begun = time.monotonic()
        client.close()
        assert time.monotonic() - begun < 0.1
        for call in [*calls, client.status(JOB)]:
            with pytest.raises(ServiceError, match="closed"):
                call.get()
        assert client.poll() == []


def test_connecting_in_a_script_says_why_it_failed(free_port: int) -> None:
    with pytest.raises(ServiceError, match="not running") as caught:
        connect(Keys.make().connection(free_port), wait_s=0.3)
    assert caught.value.code == "lost"


def test_a_script_does_not_wait_for_a_service_that_will_never_let_it_in() -> None:
    with StandIn() as service:
        wrong = replace(service.connection, server_key=Keys.make().server_public.decode())
        begun = time.monotonic()
        with pytest.raises(ServiceError) as caught:
            connect(wrong, wait_s=30)
        assert caught.value.code == "not_allowed" and time.monotonic() - begun < 5


def test_nothing_is_raised_by_asking_for_nonsense() -> None:
    with StandIn() as service, connected(service) as client:
        calls = [
            client.status("nonsense"),
            client.watch("nonsense"),
            client.fetch("nonsense", "gf.ply"),
            client.render(JOB, [[1, 2], [3, 4]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]], 8, 8),
            client.render(JOB, [[float("nan")] * 4] * 4, [[1, 0, 0], [0, 1, 0], [0, 0, 1]], 8, 8),
            client.render(JOB, "cameras", 3, 8, 8),
            client.submit("/nowhere/picture.png"),
            client.submit(b""),
            client.submit(b"x", settings={"seed": float("nan")}),
            client.pin(JOB, {1, 2}),  # type: ignore[arg-type]
        ]
        poll_until(client, lambda: all(call.done for call in calls))
        for call in calls:
            assert isinstance(call.error, InputError), call
            assert "\n" not in str(call.error)
