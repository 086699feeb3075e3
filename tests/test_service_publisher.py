"""Whoever listens gets every event in order, or notices that one is missing."""

from __future__ import annotations

from pathlib import Path

from splinescape.protocol.wire import Message
from splinescape.service.publisher import Publisher
from splinescape.service.sessions import Sessions
from splinescape.service.settings import Limits
from splinescape.service.store.store import Store


def test_a_listener_whose_pipe_was_full_gets_nothing_after_the_gap_until_it_subscribes_anew(
    tmp_path: Path,
) -> None:
    store = Store.open(tmp_path)
    sessions = Sessions(Limits())
    sent: dict[bytes, list[int]] = {b"quick": [], b"slow": []}
    full = False

    def send(identity: bytes, message: Message) -> bool:
        if full and identity == b"slow":
            return False
        sent[identity].append(message.content["seq"])
        return True

    publisher = Publisher(store.events, sessions, send)
    quick, slow = (sessions.get(identity, "local") for identity in (b"quick", b"slow"))
    quick.subscribed = slow.subscribed = True

    def tell() -> None:
        publisher.publish(None, "note", {"text": "something", "warning": False})
        publisher.flush()

    tell()
    full = True
    tell()
    full = False
    tell()
    assert sent == {b"quick": [1, 2, 3], b"slow": [1]}
    assert quick.pushed == slow.pushed == 3  # what the next "ping" tells, and what it has not got
    slow.behind = False  # as "subscribe" does
    tell()
    assert sent[b"slow"] == [1, 4]
    store.close()
