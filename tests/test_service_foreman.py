"""Jobs never get lost between workers, wishes and a store that refuses; tried on a real store, without processes."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zmq

from splinescape.models.manager import ModelStore
from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import Message, new_id
from splinescape.service import foreman as foreman_module
from splinescape.service import supervisor as supervisor_module
from splinescape.service.calls import Calls
from splinescape.service.foreman import Foreman
from splinescape.service.models_desk import ModelsDesk
from splinescape.service.publisher import Publisher
from splinescape.service.renders import Renders
from splinescape.service.sessions import Session, Sessions
from splinescape.service.settings import Limits, ServiceSettings
from splinescape.service.store.jobs import JobRow, NewJob
from splinescape.service.store.store import Store
from splinescape.service.supervisor import Death, Supervisor, Worker

_SILENT = (sys.executable, "-c", "import sys; sys.stdin.read()")
_WORKER = (
    sys.executable,
    "-c",
    "import json, sys, zmq\n"
    "spec = json.loads(sys.stdin.readline())\n"
    "line = zmq.Context().socket(zmq.DEALER)\n"
    "line.routing_id = spec['worker'].encode()\n"
    "line.connect(spec['endpoint'])\n"
    "line.send(b'here')\n"
    "sys.stdin.read()\n",
)


@dataclass(eq=False)
class Desk:
    """A foreman with everything that it works with; its workers connect and then say and do nothing."""

    settings: ServiceSettings
    store: Store
    supervisor: Supervisor
    foreman: Foreman
    publisher: Publisher
    told: list[Message] = field(default_factory=list)

    def submit(self, session: str = "") -> str:
        job = new_id()
        picture = self.store.folder / "a picture"
        picture.write_bytes(b"picture")
        self.store.files.create(job, {}, picture, None)
        spec: dict[str, Any] = {}
        new = NewJob(job, "local", session, new_id(), "a job", spec, pinned=False, n_frames=1)
        self.foreman.added(self.store.jobs.add(new))
        return job

    def worker(self) -> Worker:
        """A worker that is ready."""
        assert self.supervisor.start_one()
        (worker,) = self.supervisor.workers
        assert self.supervisor.socket.poll(10_000)
        self.supervisor.socket.recv_multipart()
        self.supervisor.is_ready(worker, {"device": {"device": "cpu", "kind": "cpu"}})
        return worker

    def running(self) -> tuple[Worker, str]:
        """A worker and the job that it was given."""
        worker = self.worker()
        job = self.submit()
        self.foreman.give_work()
        assert worker.job == job and self.row(job).state == "running"
        return worker, job

    def row(self, job: str) -> JobRow:
        return self.foreman.row(job)

    def deaths(self, seconds: float = 10) -> list[Death]:
        """The next deaths that are seen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := self.supervisor.look():
                return found
            time.sleep(0.01)
        raise AssertionError("no worker died")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(supervisor_module, "_RUN", _WORKER)
    settings = ServiceSettings(data_dir=tmp_path / "data", devices=["cpu"])
    store = Store.open(settings.data_dir)
    sessions = Sessions(Limits())
    told: list[Message] = []
    publisher = Publisher(store.events, sessions, lambda _identity, message: told.append(message) or True)
    sessions.get(b"listener", "local").subscribed = True
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    supervisor = Supervisor(context, settings, store.folder)
    foreman = Foreman(settings, store, supervisor, publisher)
    yield Desk(settings, store, supervisor, foreman, publisher, told)
    supervisor.close()
    context.term()
    store.close()


def refuse(*_arguments: Any, **_more: Any) -> None:
    raise ServiceError("internal", "the job store cannot use the folder: it is open elsewhere")


def test_a_deletion_is_not_forgotten_for_a_later_cancel_or_pause(desk: Desk) -> None:
    worker, job = desk.running()
    assert desk.foreman.delete(job) == "deleted"
    assert desk.foreman.cancel(job) == desk.foreman.pause(job) == desk.foreman.resume(job) == "deleted"
    desk.foreman.finished(worker, job, "stopped", "", [])
    assert desk.store.jobs.get(job) is None


def test_a_job_that_is_being_cancelled_cannot_be_paused_but_resumed(desk: Desk) -> None:
    worker, job = desk.running()
    assert desk.foreman.pause(job) == "paused"
    assert desk.foreman.cancel(job) == desk.foreman.pause(job) == "cancelled"
    assert desk.foreman.resume(job) == "queued"
    desk.foreman.finished(worker, job, "stopped", "", [])
    assert desk.row(job).state == "queued"


@pytest.mark.parametrize(
    ("wish", "stored"), [("cancel", "cancelled"), ("pause", "paused"), ("delete", "cancelled")]
)
def test_what_was_wished_for_a_running_job_outlives_a_killed_service(
    desk: Desk, wish: str, stored: str
) -> None:
    _, job = desk.running()
    getattr(desk.foreman, wish)(job)
    assert desk.row(job).state == "running"  # as long as its worker has not stopped
    assert desk.store.recover() == []  # what the next service would take up
    row = desk.store.jobs.get(job)
    assert row is not None and row.state == stored
    if wish != "delete":
        desk.foreman.resume(job)
        assert [row.id for row in desk.store.recover()] == [job]


def test_a_job_cancelled_in_the_queue_has_ended(desk: Desk) -> None:
    job = desk.submit()
    desk.foreman.cancel(job)
    assert desk.row(job).state == "cancelled" and desk.row(job).ended is not None


def test_a_running_job_that_cannot_be_deleted_is_cancelled_and_says_why(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, job = desk.running()
    desk.foreman.delete(job)
    with monkeypatch.context() as patch:
        patch.setattr(desk.store.files, "hide", refuse)
        desk.foreman.finished(worker, job, "stopped", "", [])
    row = desk.row(job)
    assert row.state == "cancelled" and "could not be deleted" in (row.reason or "")
    assert desk.foreman.delete(job) == "deleted" and desk.store.jobs.get(job) is None


def test_nobody_is_told_of_a_deletion_that_failed_and_everybody_of_one_that_succeeded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = desk.submit()
    with monkeypatch.context() as patch:
        patch.setattr(desk.store.files, "hide", refuse)
        with pytest.raises(ServiceError):
            desk.foreman.delete(job)
    desk.publisher.flush()
    assert [m.content["data"]["state"] for m in desk.told if m.job == job] == ["queued"]
    desk.foreman.delete(job)
    desk.publisher.flush()
    assert [m.content["data"]["state"] for m in desk.told if m.job == job] == ["queued", "deleted"]
    events, _ = desk.store.events.since(0, job)  # what a client that was away gets
    assert [event.data["state"] for event in events] == ["deleted"]


def test_a_job_that_no_worker_has_does_not_count_as_running_for_long(desk: Desk) -> None:
    worker, job = desk.running()
    desk.foreman.find_lost()
    assert desk.row(job).state == "running"
    worker.job = None  # whatever fault it was
    desk.foreman.find_lost()
    assert desk.row(job).state == "queued" and desk.row(job).attempts == 1
    desk.foreman.give_work()
    assert worker.job == job


def test_a_change_of_a_job_that_is_gone_does_not_hold_up_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, kept = desk.submit(), desk.submit()
    with monkeypatch.context() as patch:
        patch.setattr(desk.store.jobs, "set", refuse)
        desk.foreman.pause(gone)
        desk.foreman.pause(kept)
    desk.store.jobs.remove(gone)
    desk.foreman.save()
    stored = desk.store.jobs.get(kept)
    assert stored is not None and stored.state == "paused"


def test_turns_are_remembered_of_the_latest_sessions_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreman_module, "_TURNS_REMEMBERED", 3)
    worker = desk.worker()
    for session in "abcabde":
        job = desk.submit(session)
        desk.foreman.give_work()
        desk.foreman.finished(worker, job, "done", "", [])
    assert [lane[1] for lane in desk.foreman._last_started] == ["b", "d", "e"]


def test_a_worker_that_does_not_stop_is_killed_without_the_loop_waiting_for_its_end(desk: Desk) -> None:
    worker, job = desk.running()
    desk.foreman.pause(job)
    worker.kill_at = 0.0
    assert desk.supervisor.look() == [] and not worker.ready
    (death,) = desk.deaths()
    assert death.reason == "it did not stop when asked to" and worker.process.returncode is not None
    desk.foreman.died(death)
    assert desk.row(job).state == "paused"


def test_a_worker_that_cannot_even_be_started_is_tried_again_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_arguments: Any, **_more: Any) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", no_memory)
        for _ in range(3):
            desk.supervisor.slots[0].start_after = 0.0
            assert not desk.supervisor.start_one()
    assert "Cannot allocate memory" in desk.supervisor.slots[0].trouble
    assert not desk.supervisor.start_one()  # not at once
    desk.supervisor.slots[0].start_after = 0.0
    assert desk.supervisor.start_one()


def test_the_logs_of_old_workers_do_not_pile_up(desk: Desk) -> None:
    logs = desk.store.folder / "logs"
    for number in range(50):
        (logs / f"worker-cpu-{number}.log").touch()
    assert desk.supervisor.start_one()
    assert len(list(logs.glob("worker-*.log"))) == 21


def test_no_worker_is_started_for_a_rendering_while_the_service_ends(desk: Desk) -> None:
    job = desk.submit()
    answers: list[Message] = []
    renders = Renders(desk.supervisor, lambda _identity, message: answers.append(message) or True)
    desk.supervisor.closing = True
    message = Message("render", {}, job=job)
    renders.ask(Session(b"viewer", "local", 1, 0), message, desk.row(job), desk.store.folder)
    renders.tend()
    assert desk.supervisor.workers == [] and answers == []
    renders.refuse_all()
    assert [(m.parent, m.content["code"]) for m in answers] == [(message.id, "unavailable")]


def test_a_rendering_that_no_worker_can_ever_make_is_refused_with_the_reason(desk: Desk) -> None:
    job = desk.submit()
    answers: list[Message] = []
    renders = Renders(desk.supervisor, lambda _identity, message: answers.append(message) or True)
    (slot,) = desk.supervisor.slots
    slot.trouble, slot.start_after = "workers do not start: no torch", time.monotonic() + 60
    renders.ask(Session(b"viewer", "local", 1, 0), Message("render", {}, job=job), desk.row(job), Path())
    renders.tend()
    assert [m.content["message"] for m in answers] == ["workers do not start: no torch"]


def test_a_worker_that_renders_is_not_idle(desk: Desk) -> None:
    worker, job = desk.worker(), desk.submit()
    renders = Renders(desk.supervisor, lambda _identity, _message: True)
    renders.ask(Session(b"viewer", "local", 1, 0), Message("render", {}, job=job), desk.row(job), Path())
    worker.used = float("-inf")
    desk.foreman.rest(renders.at_work())
    assert worker.ready
    desk.foreman.rest(set())
    assert worker.ending


def test_a_second_request_to_shut_down_gives_workers_no_longer_time(desk: Desk) -> None:
    worker, _ = desk.running()
    desk.foreman.stop_all()
    kill_at = worker.kill_at
    desk.foreman.stop_all()
    assert kill_at is not None and worker.kill_at == kill_at


def test_events_of_a_job_that_never_was_are_refused(desk: Desk) -> None:
    models = ModelsDesk(desk.publisher)
    renders = Renders(desk.supervisor, lambda _identity, _message: True)
    calls = Calls(
        desk.settings, desk.store, desk.supervisor, desk.foreman, renders, models, lambda _when: None
    )
    session = Session(b"client", "local", 1, 0)
    with pytest.raises(ServiceError, match="there is no job"):
        calls.answer(session, Message("events", {"since": 0, "limit": 10}, job=new_id()))
    job = desk.submit()
    desk.publisher.flush()
    reply = calls.answer(session, Message("events", {"since": 10**6, "limit": 10}, job=job))
    assert reply is not None and reply.content["events"] == []


def test_a_download_that_is_killed_is_told_as_failed_and_an_old_one_does_not_end_a_new_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("splinescape.service.models_desk._FETCH", _SILENT)
    models = ModelsDesk(desk.publisher, ModelStore(desk.store.folder / "models"))
    name = models.list()[0]["id"]
    models.download(name, True)
    models.remove(name)
    models.download(name, True)
    new = models._running[name].process

    def told() -> list[str]:
        models.tend()
        desk.publisher.flush()
        return [m.content["data"]["state"] for m in desk.told if m.content["kind"] == "model"]

    deadline = time.monotonic() + 10
    while told() != ["absent"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert new.poll() is None and models.list()[0]["downloading"]
    new.kill()
    while told() != ["absent", "failed"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert told() == ["absent", "failed"] and not models.list()[0]["downloading"]
