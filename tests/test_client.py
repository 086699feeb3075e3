"""What the client asks, understands and tells, and what importing it costs."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest
from client_support import Proxy, StandIn, connected, error, event, finish, poll_until, reply

from splinescape.client import Client, ServiceError, connect, default_connection
from splinescape.client.calls import Call
from splinescape.errors import SplinescapeError
from splinescape.protocol.arrays import to_buffer
from splinescape.protocol.connection import write_connection
from splinescape.protocol.wire import Buffer, Message, new_id

JOB, OTHER = "0" * 32, "1" * 32


# Calls.


def test_a_newer_service_is_understood() -> None:
    with StandIn() as service, connected(service) as client:
        service.answers["status"] = lambda request: reply(
            request,
            {"id": JOB, "state": "dreaming", "frames": 3, "eta_s": 4, "mood": "good", "stage": ["new"]},
        )
        info = finish(client, client.status(JOB))
        assert (info.state, info.frames, info.eta_s, info.stage, info.final) == (
            "dreaming",
            3,
            4,
            None,
            False,
        )


def test_a_service_that_has_changed_is_asked_again_what_it_can_do() -> None:
    with StandIn() as service, connected(service) as client:
        engines = [{"role": "depth", "name": "moge", "available": True}]
        greeting = {"version": "9", "heartbeat_s": 0.2, "engines": engines, "revision": 2}
        service.answers["hello"] = lambda request: reply(request, greeting)
        service.answers["ping"] = lambda request: reply(request, {"pushed": None, "revision": 2})
        poll_until(client, lambda: client.capabilities is not None and client.capabilities.engines != ())
        asked = service.hellos
        ends = time.monotonic() + 0.6  # three heartbeats that tell nothing new
        poll_until(client, lambda: time.monotonic() > ends)
        assert client.state == "connected" and service.hellos == asked == 2


def test_errors_of_the_service_keep_their_code_and_text() -> None:
    with StandIn() as service, connected(service) as client:
        service.answers["pause"] = lambda request: error(request, "conflict", "it is over")
        call = client.pause(JOB)
        poll_until(client, lambda: call.done)
        assert isinstance(call.error, ServiceError)
        assert (call.error.code, str(call.error), call.result) == ("conflict", "it is over", None)


def test_a_call_that_is_never_answered_is_given_up_with_a_reason() -> None:
    with StandIn() as service, connected(service, deadline_s=0.3) as client:
        with pytest.raises(
            ServiceError, match=r"no answer to 'status' for 0.3 s: check the service"
        ) as caught:
            finish(client, client.status(JOB))
        assert caught.value.code == "lost" and client.state == "connected"


@pytest.mark.slow
def test_a_lost_answer_is_asked_for_again_with_the_same_id() -> None:
    with StandIn() as service, connected(service) as client:
        service.answers["cancel"] = lambda request: (
            reply(request, {"state": "cancelled"}) if len(service.asked("cancel")) > 1 else None
        )
        assert finish(client, client.cancel(JOB)) == "cancelled"
        assert len({message.id for message in service.asked("cancel")}) == 1


def test_answers_that_come_twice_are_ignored() -> None:
    with StandIn() as service, connected(service) as client:

        def cancel(request: Message) -> Message:
            service.push(reply(request, {"state": "cancelled"}))
            return reply(request, {"state": "cancelled"})

        service.answers["cancel"] = cancel
        finish(client, client.cancel(JOB))
        assert finish(client, client.cancel(JOB)) == "cancelled"
        assert client.damaged == 0


def test_too_many_messages_at_once_are_sent_again_later() -> None:
    with StandIn() as service, connected(service) as client:
        service.answers["cancel"] = lambda request: (
            reply(request, {"state": "cancelled"})
            if len(service.asked("cancel")) > 1
            else error(request, "rate", "too fast")
        )
        begun = time.monotonic()
        assert finish(client, client.cancel(JOB)) == "cancelled"
        assert time.monotonic() - begun > 0.5


def test_listeners_hear_of_the_end_once_and_may_fail() -> None:
    with StandIn() as service, connected(service) as client:
        service.answers["cancel"] = lambda request: reply(request, {"state": "cancelled"})
        heard: list[str | None] = []

        def listen(call: Call[str]) -> None:
            assert client.poll() == []  # within a poll: nothing happens
            heard.append(call.result)
            raise KeyError("a mistake of the listener")

        call = client.cancel(JOB)
        call.on_done(listen)
        finish(client, call)
        call.on_done(lambda _call: heard.append("late"))
        assert heard == ["cancelled", "late"]


def test_a_call_says_what_has_become_of_it() -> None:
    with StandIn() as service, connected(service) as client:
        call = client.status(JOB)
        with pytest.raises(RuntimeError, match="not done"):
            call.get()
        assert repr(call) == "<Call status waiting>"
        call.cancel()
        assert "given up" in repr(call)
        poll_until(client, lambda: len(service.seen) >= 1)  # it was never sent, or its answer is ignored


def test_views_are_rendered() -> None:
    with StandIn() as service, connected(service) as client:
        rgb = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
        depth = np.full((2, 3, 4), np.inf, np.float32)

        def render(request: Message) -> Message:
            assert request.content == {"width": 4, "height": 3, "buffers": ["depth", "rgb"]}
            assert request.buffer("cam_T_world").shape == (2, 4, 4)
            assert request.buffer("K_33").shape == (2, 3, 3)
            return reply(
                request, {"revision": 5, "splats": 6}, to_buffer("rgb", rgb), to_buffer("depth", depth)
            )

        service.answers["render"] = render
        views = client.render(JOB, np.stack([np.eye(4)] * 2), np.eye(3), 4, 3, ["rgb", "depth"])
        rendering = finish(client, views)
        assert (rendering.revision, rendering.splats, rendering.alpha) == (5, 6, None)
        assert np.array_equal(rendering.rgb, rgb) and np.array_equal(rendering.depth, depth)
        wrong = client.render(JOB, np.stack([np.eye(4)] * 2), np.eye(3), 4, 3, ["depth", "rgb"])
        depth = depth[:1]
        with pytest.raises(ServiceError, match="depth is float32 of shape"):
            finish(client, wrong)


def test_a_preview_has_its_camera_and_its_splats() -> None:
    with StandIn() as service, connected(service) as client:
        content = {
            "frame": 2,
            "role": "expanded",
            "stage": "coarse",
            "revision": 7,
            "splats": {"name": "scene_7.ply", "size": 9, "sha256": "a" * 64, "count": 3},
            "K_33": np.eye(3).tolist(),
            "cam_T_world": np.eye(4).tolist(),
        }
        pictures = [
            to_buffer("rgb", np.zeros((4, 5, 3), np.uint8)),
            to_buffer("depth", np.ones((4, 5), np.float32)),
        ]
        service.answers["preview"] = lambda request: reply(request, content, *pictures)
        preview = finish(client, client.preview(JOB))
        assert preview.splats is not None and preview.splats.name == "scene_7.ply"
        assert preview.rgb.shape == (4, 5, 3) and preview.cam_T_world.shape == (4, 4)


def every_call(client: Client, folder: Path) -> list[Call[Any]]:
    return [
        client.hello(),
        client.submit(b"picture"),
        client.jobs(["done"], 5),
        client.status(JOB),
        client.cancel(JOB),
        client.pause(JOB),
        client.resume(JOB),
        client.delete(JOB),
        client.pin(JOB),
        client.results(JOB),
        client.fetch(JOB, "gf.ply"),
        client.fetch(JOB, "gf.ply", folder / "gf.ply"),
        client.render(JOB, np.eye(4), np.eye(3), 4, 3),
        client.preview(JOB),
        client.log(JOB),
        client.models(),
        client.download_model("moge"),
        client.remove_model("moge"),
        client.shutdown(),
    ]


def nonsense(rng: random.Random) -> tuple[dict[str, Any], list[Buffer]]:
    """A reply that is a message but makes no sense."""
    values: list[Any] = [
        None,
        True,
        -1,
        2**70,
        1e308,
        "",
        "x" * 50,
        [],
        [[]],
        [None],
        {},
        {"a": [1]},
        [{"name": 3}],
    ]
    values += [
        [{"name": "gf.ply", "size": -5, "sha256": "z"}],
        [{"name": "gf.ply", "size": 2**60, "sha256": "a" * 64}],
    ]
    names = [
        "id",
        "state",
        "jobs",
        "files",
        "have",
        "job",
        "size",
        "offset",
        "text",
        "models",
        "limits",
        "devices",
    ]
    names += [
        "frame",
        "splats",
        "K_33",
        "cam_T_world",
        "revision",
        "version",
        "heartbeat_s",
        "last_seq",
        "engines",
    ]
    content = {name: rng.choice(values) for name in rng.sample(names, rng.randrange(len(names)))}
    buffers = [
        to_buffer(
            name,
            np.zeros(rng.choice([(0,), (3,), (4, 3), (1, 3, 4), (1, 3, 4, 3)]), rng.choice(["u1", "f4"])),
        )
        for name in rng.sample(["data", "rgb", "depth", "alpha"], rng.randrange(4))
    ]
    return content, buffers


@pytest.mark.parametrize("seed", range(20))
def test_no_answer_however_odd_gets_out_of_poll(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    with StandIn() as service, connected(service) as client:

        def odd(request: Message) -> Message:
            content, buffers = nonsense(rng)
            if rng.random() < 0.2:
                return Message("error", content, parent=request.id)
            return reply(request, content, *buffers)

        calls = every_call(client, tmp_path)
        for name in (
            "upload",
            "submit",
            "list",
            "status",
            "cancel",
            "pause",
            "resume",
            "delete",
            "pin",
            "results",
        ):
            service.answers[name] = odd
        for name in (
            "hello",
            "fetch",
            "render",
            "preview",
            "log",
            "models",
            "models.download",
            "models.remove",
        ):
            service.answers[name] = odd
        service.answers["shutdown"] = odd
        poll_until(client, lambda: all(call.done for call in calls))
        assert all(call.error is None or isinstance(call.error, SplinescapeError) for call in calls)


@pytest.mark.parametrize("seed", range(5))
def test_no_message_however_odd_gets_out_of_poll_and_the_next_good_one_is_understood(seed: int) -> None:
    rng = random.Random(seed)
    odd: list[Any] = [None, True, -1, 2**70, 1.5, "x", [], [1], {}, {"a": 1}, [None], [{}], [{"seq": "x"}]]
    with StandIn(heartbeat_s=0.2) as service, connected(service) as client:
        history = History(service)
        client.watch(JOB)
        for _ in range(200):
            fields = rng.sample(
                ["seq", "time", "kind", "data", "code", "message", "pushed", "last", "events"], 5
            )
            type = rng.choice(["event", "error", "reply", "something", "ping"])
            parent, job = rng.choice([None, new_id()]), rng.choice([None, JOB, OTHER])
            service.push(Message(type, {name: rng.choice(odd) for name in fields}, job, parent))
        for name in ("ping", "subscribe", "events"):
            good = service.answers[name]
            answered = 0

            def answer(request: Message, good: Callable[[Message], Message | None] = good) -> Message | None:
                nonlocal answered
                answered += 1
                sane = good(request)
                if answered > 3 or sane is None:
                    return sane
                return reply(request, {key: rng.choice(odd) for key in sane.content})

            service.answers[name] = answer
        told = Told(client)
        client.watch(OTHER)
        ends = time.monotonic() + 1
        told.until(lambda: time.monotonic() > ends)
        service.answers.update(ping=service.ping, subscribe=history.subscribe, events=history.past)
        service.answers["status"] = lambda request: reply(request, {"id": JOB, "state": "done"})
        assert finish(client, client.status(JOB)).state == "done"
        assert service.hellos == 1


# Events.


class History:
    """The events of a service: those of the past on request, new ones pushed to whoever has subscribed."""

    def __init__(self, service: StandIn) -> None:
        self.service = service
        self.events: list[Message] = []
        self.subscribed = False
        self.at_once = 3
        service.pushed = 0
        service.answers["subscribe"] = self.subscribe
        service.answers["unsubscribe"] = self.unsubscribe
        service.answers["events"] = self.past
        service.answers["hello"] = self.hello

    @property
    def last(self) -> int:
        return self.events[-1].content["seq"] if self.events else 0

    def add(self, job: str | None, kind: str = "note", push: bool = True, **data: Any) -> None:
        message = event(self.last + 1, job, kind, **data)
        self.events.append(message)
        if self.subscribed:
            self.service.pushed = self.last
            if push:
                self.service.push(message)

    def hello(self, request: Message) -> Message:
        self.subscribed, self.service.pushed = False, None
        answer = self.service.hello(request)
        answer.content["last_seq"] = self.last
        return answer

    def subscribe(self, request: Message) -> Message:
        self.subscribed, self.service.pushed = True, self.last
        return reply(request, {"last": self.last})

    def unsubscribe(self, request: Message) -> Message:
        self.subscribed, self.service.pushed = False, None
        return reply(request)

    def past(self, request: Message) -> Message:
        since = request.content["since"]
        wanted = [e for e in self.events if e.content["seq"] > since and request.job in (None, e.job)]
        shown, more = wanted[: self.at_once], len(wanted) > self.at_once
        events = [{**e.content, "job": e.job, "buffers": [b.name for b in e.buffers]} for e in shown]
        buffers = [b for e in shown for b in e.buffers]
        named = [Buffer(f"b{i}", b.dtype, b.shape, b.data) for i, b in enumerate(buffers)]
        last = shown[-1].content["seq"] if shown else since
        return reply(request, {"last": last, "more": more, "events": events}, *named)


class Told:
    """What a client has told so far."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.seqs: list[int] = []

    def until(self, condition: Callable[[], bool]) -> list[int]:
        ends = time.monotonic() + 15
        while not condition():
            assert time.monotonic() < ends, self.seqs
            self.seqs += [event.seq for event in self.client.poll()]
            self.client.wait(0.01)
        return self.seqs


def test_the_past_then_the_present_each_event_once_in_order() -> None:
    with StandIn() as service, connected(service) as client:
        history, told = History(service), Told(client)
        for i in range(10):
            history.add(JOB if i % 2 else OTHER)
        call = client.watch(JOB)
        told.until(lambda: call.done)
        assert told.seqs == [2, 4, 6, 8, 10]
        for _ in range(5):
            history.add(JOB)
        assert told.until(lambda: len(told.seqs) == 10)[5:] == [11, 12, 13, 14, 15]


def test_events_that_happen_while_the_past_is_told() -> None:
    with StandIn() as service, connected(service) as client:
        history, told = History(service), Told(client)
        for _ in range(10):
            history.add(JOB)
        past = service.answers["events"]

        def slowly(request: Message) -> Message | None:
            answer = past(request)
            if history.last < 30:
                history.add(JOB)  # pushed before the answer that does not have it yet
            return answer

        service.answers["events"] = slowly
        call = client.watch(JOB)
        told.until(lambda: call.done and len(told.seqs) == history.last)
        assert told.seqs == list(range(1, history.last + 1))


@pytest.mark.parametrize(("since", "expected"), [(0, [1, 2, 3, 4]), (2, [3, 4]), (None, [4])])
def test_watching_from_an_event_on(since: int | None, expected: list[int]) -> None:
    with StandIn() as service, connected(service) as client:
        history, told = History(service), Told(client)
        for _ in range(3):
            history.add(JOB)
        call = client.watch(JOB, since=since)
        told.until(lambda: call.done)
        history.add(JOB)
        assert told.until(lambda: told.seqs[-1:] == [4]) == expected


def test_events_of_a_broken_connection_are_told_after_it_is_back() -> None:
    with StandIn() as service, Proxy(service.port) as line:
        history = History(service)
        with Client(service.keys.connection(line.port)) as client:
            told = Told(client)
            client.watch(JOB)
            for round in range(1, 6):
                history.add(JOB)
                told.until(lambda: len(told.seqs) == history.last)
                hellos = service.hellos
                line.cut()
                for _ in range(round):
                    history.add(JOB)  # into the void
                told.until(lambda before=hellos: service.hellos > before)  # type: ignore[misc]
            told.until(lambda: len(told.seqs) == history.last)
            assert told.seqs == list(range(1, history.last + 1))


def test_events_that_were_not_sent_are_asked_for_after_the_next_heartbeat() -> None:
    with StandIn() as service, connected(service) as client:
        history, told = History(service), Told(client)
        call = client.watch(JOB)
        told.until(lambda: call.done)
        history.add(JOB)
        history.add(JOB, push=False)
        history.add(JOB, push=False)
        assert told.until(lambda: len(told.seqs) == 3) == [1, 2, 3]


def test_a_service_that_has_forgotten_who_listens_is_told_again() -> None:
    with StandIn() as service, connected(service) as client:
        history, told = History(service), Told(client)
        call = client.watch(JOB)
        told.until(lambda: call.done)
        history.subscribed, service.pushed = False, None
        history.add(JOB)
        assert told.until(lambda: len(told.seqs) == 1) == [1]


def test_one_job_from_the_start_and_everything_else_from_now_on() -> None:
    with StandIn() as service, connected(service) as client:
        history, told = History(service), Told(client)
        for job in (JOB, OTHER, JOB):
            history.add(job)
        calls = [client.watch(JOB), client.watch(None, since=None)]
        told.until(lambda: all(call.done for call in calls))
        assert sorted(told.seqs) == [1, 3]
        for job in (OTHER, None, JOB):
            history.add(job)
        told.until(lambda: len(told.seqs) == 5)
        assert told.seqs[2:] == [4, 5, 6]
        client.unwatch(None)
        client.unwatch(JOB)
        poll_until(client, lambda: not history.subscribed)


def test_watching_a_job_that_does_not_exist() -> None:
    with StandIn() as service, connected(service) as client:
        history = History(service)
        service.answers["events"] = lambda request: (
            error(request, "not_found", "there is no such job")
            if request.job == OTHER
            else history.past(request)
        )
        good, bad = client.watch(JOB), client.watch(OTHER)
        poll_until(client, lambda: good.done and bad.done)
        assert good.error is None and isinstance(bad.error, ServiceError) and bad.error.code == "not_found"


def test_thumbnails_come_with_the_past_and_the_present() -> None:
    with StandIn() as service, connected(service) as client:
        history = History(service)
        frame = event(1, JOB, "frame", index=0)
        pictures = (Buffer.of_bytes("rgb", b"png"), Buffer.of_bytes("depth", b"jpg"))
        history.events.append(Message(frame.type, frame.content, frame.job, buffers=pictures))
        events: list[Any] = []

        def look_until(count: int) -> None:
            ends = time.monotonic() + 15
            while len(events) < count:
                assert time.monotonic() < ends
                client.wait(0.01)
                events.extend(client.poll())

        client.watch(JOB)
        look_until(1)
        service.push(Message("event", {**frame.content, "seq": 2}, job=JOB, buffers=pictures))
        look_until(2)
        assert [each.buffers for each in events] == [{"rgb": b"png", "depth": b"jpg"}] * 2


# Scripts.


def test_a_script_watches_until_the_job_is_over() -> None:
    with StandIn() as service:
        history = History(service)
        states = ["running", "cancelled", "running", "done"]  # it was resumed once
        for state in states[:3]:
            history.add(JOB, "state", state=state)
        current = "running"
        service.answers["status"] = lambda request: reply(
            request, {"id": JOB, "state": current, "last_seq": history.last}
        )
        with connect(service.connection) as remote:
            told = []
            for each in remote.watch(JOB):
                told.append(each.data["state"])
                if len(told) == 3:
                    current = "done"
                    history.add(JOB, "state", state="done")
            assert told == states
            assert [each.seq for each in remote.watch(JOB, since=2)] == [3, 4]
            assert list(remote.watch(JOB, since=4)) == []
            assert list(remote.watch(JOB, since=None)) == []


def test_a_script_gets_results_and_errors() -> None:
    with StandIn() as service, connect(service.connection) as remote:
        service.answers["cancel"] = lambda request: reply(request, {"state": "cancelled"})
        service.answers["status"] = lambda request: error(request, "not_found", "no such job")
        assert remote.capabilities.version == "9"
        assert remote.cancel(JOB) == "cancelled"
        with pytest.raises(ServiceError, match="no such job"):
            remote.status(JOB)
        with pytest.raises(ServiceError, match="no such job"):
            list(remote.watch(JOB))


def test_a_waiting_script_does_not_spin() -> None:
    with StandIn(heartbeat_s=1) as service, connect(service.connection) as remote:
        timer = threading.Timer(0.8, service.answers.update, [{"cancel": lambda r: reply(r, {"state": "x"})}])
        timer.start()
        threading.Timer(1.0, lambda: service.push(reply(service.asked("cancel")[0], {"state": "x"}))).start()
        begun = time.thread_time()
        remote.cancel(JOB)
        assert time.thread_time() - begun < 0.2


INTERRUPTED = """
import sys
from splinescape.client import connect
with connect(sys.argv[1]) as service:
    print("waiting", flush=True)
    try:
        service.status("0" * 32)
    except KeyboardInterrupt:
        print("interrupted", service.cancel("0" * 32), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_ctrl_c_interrupts_a_script_which_can_then_go_on(tmp_path: Path) -> None:
    with StandIn() as service:
        service.answers["cancel"] = lambda request: reply(request, {"state": "cancelled"})
        write_connection(tmp_path / "c.json", service.connection)
        command = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "c.json")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None and child.stdout.readline() == "waiting\n"
            ends = time.monotonic() + 10
            while not service.asked("status"):
                assert time.monotonic() < ends
                time.sleep(0.01)
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == "interrupted cancelled\n"
            assert child.wait(5) == 0


# Importing.

LIGHT = """
import sys, time
import numpy, zmq
before = set(sys.modules)
begun = time.process_time()
import splinescape.client
took = time.process_time() - begun
tops = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
print(__import__("json").dumps([took, tops, sorted(name for name in sys.modules if name.startswith("splinescape"))]))
"""


def test_importing_it_is_quick_and_needs_numpy_and_pyzmq_only() -> None:
    times = []
    for _ in range(5):
        output = subprocess.run(
            [sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True
        ).stdout
        took, tops, ours = json.loads(output)
        times.append(took)
        assert {name for name in tops if name not in sys.stdlib_module_names} <= {
            "splinescape",
            "numpy",
            "zmq",
        }
        allowed = ("splinescape.client", "splinescape.protocol", "splinescape.errors")
        assert [name for name in ours if name != "splinescape" and not name.startswith(allowed)] == []
    assert min(times) < 0.15


def test_the_default_place_is_that_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for base in ("", "/somewhere/else"):
        monkeypatch.setenv("XDG_DATA_HOME", base)
        folder = Path(platformdirs.user_data_dir("splinescape", appauthor=False))
        assert default_connection() == folder / "connection.json"


def test_jobs_have_ids_of_their_own() -> None:
    with StandIn() as service, connected(service) as client:
        assert client.status(JOB).id != client.status(JOB).id
        assert len(new_id()) == 32
