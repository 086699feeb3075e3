"""The broker: one loop that owns the sockets; everything that takes time happens in other processes."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import zmq

from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import MAX_BUFFERS, Message, decode
from splinescape.service.auth import Authenticator
from splinescape.service.calls import Calls
from splinescape.service.door import Door
from splinescape.service.foreman import Foreman
from splinescape.service.keys import Keyring
from splinescape.service.models_desk import ModelsDesk
from splinescape.service.publisher import Publisher
from splinescape.service.renders import Renders
from splinescape.service.sessions import Session
from splinescape.service.settings import ServiceSettings
from splinescape.service.store.store import Store
from splinescape.service.supervisor import Supervisor

log = logging.getLogger(__name__)

_ZERO_COPY_RECEIVE = 10  # of libzmq, not named by pyzmq; with it a message of 40 bytes may hold on to 18 KiB
_TICK_S = 0.05
_SLOW_TICK_S = 1.0
_AFTER_FAULT_S = 0.02
_EXPIRE_EVERY_S = 60.0
_UPLOADS_KEPT_S = 24 * 3600.0
_MESSAGES_A_TURN = 64


class Broker:
    """Answers clients, directs workers. One thread; `run` returns when the service has been shut down."""

    def __init__(self, settings: ServiceSettings, store: Store, keyring: Keyring, endpoint: str) -> None:
        """Bind the sockets.

        Args:
            endpoint: where to listen, such as "tcp://127.0.0.1:*".

        Raises:
            zmq.ZMQError: the address cannot be used.
        """
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        with contextlib.suppress(zmq.ZMQError):
            self.context.set(_ZERO_COPY_RECEIVE, 0)
        self._keyring = keyring
        self._settings = settings
        self._store = store
        self._auth = Authenticator(self.context, keyring)
        try:
            self._door = Door(self.context, settings.limits, keyring, endpoint)
        except zmq.ZMQError:
            self._auth.close()
            self.context.destroy(0)
            raise
        self.endpoint = self._door.endpoint
        self._publisher = Publisher(store.events, self._door.sessions, self._door.send)
        self._supervisor = Supervisor(self.context, settings, store.folder)
        if self._supervisor.worker_key:
            self._auth.admit_worker(self._supervisor.worker_key)
        self._foreman = Foreman(settings, store, self._supervisor, self._publisher)
        self._renders = Renders(self._supervisor, self._door.reply)
        self._models = ModelsDesk(self._publisher)
        self._calls = Calls(
            settings, store, self._supervisor, self._foreman, self._renders, self._models, self.shut_down
        )
        self._unsaid = False  # no worker has looked at the engines since models have changed
        self._finished = False
        self._stopping = False
        self._slow_tick = self._next_expiry = 0.0
        self._needed = time.monotonic()

    def run(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Serve until shut down.

        Args:
            stop: asked in every turn; once it says True the service shuts down.
        """
        poller = zmq.Poller()
        for socket in (self._auth.socket, self._supervisor.socket, self._door.socket):
            poller.register(socket, zmq.POLLIN)
        self._foreman.begin()
        self._supervisor.start_one()
        next_tick = next_look = 0.0
        while not self._finished:
            wait = min(next_tick, next_look) - time.monotonic()
            ready = dict(poller.poll(max(0, round(1000 * wait))))
            if stop() and not self._stopping:  # after "drained" too: whoever sends a signal is in a hurry
                self._stopping = True
                self.shut_down("now")
            try:
                all_shown = self._receive(ready)
                if time.monotonic() >= next_look:
                    next_look = time.monotonic() + self._door.look(all_shown)
                if time.monotonic() >= next_tick:
                    next_tick = time.monotonic() + _TICK_S
                    self._tick()
                self._publisher.flush()
            except Exception:  # a fault in one turn must not end the service for everybody
                log.exception("a turn of the loop failed")
                time.sleep(_AFTER_FAULT_S)

    def _receive(self, ready: dict[Any, int]) -> bool:
        """Deal with what has arrived; whether that was all that clients have sent."""
        if self._auth.socket in ready:
            self._auth.handle()
        if self._supervisor.socket in ready:
            self._hear_workers()
        return self._door.socket not in ready or self._door.receive(self._answer)

    def _answer(self, session: Session, message: Message) -> Message | None:
        self._needed = time.monotonic()
        return self._calls.answer(session, message)

    def close(self) -> None:
        """Kill what still runs, close every socket."""
        self._models.close()
        self._supervisor.close()
        self._auth.close()
        self._door.close()
        self.context.term()

    def shut_down(self, when: str) -> None:
        """End the service: "now" stops running jobs after their present step, "drained" lets them end first.

        Jobs that are not done continue when the service starts again.
        """
        if when == "now":
            self._foreman.stop_all()
        self._foreman.closing = self._supervisor.closing = True

    def _hear_workers(self) -> None:
        """Take what workers have said, but let clients have their turn now and then."""
        for _ in range(_MESSAGES_A_TURN):
            try:
                identity, *frames = self._supervisor.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            worker = self._supervisor.worker(identity.bytes.decode("ascii", "replace"))
            if worker is None:
                continue  # of a process that has been given up already
            try:
                message = decode([frame.buffer for frame in frames])
                worker.heard = time.monotonic()
                self._worker_says(worker, message)
            except (ServiceError, KeyError, TypeError, ValueError):
                log.exception("worker %s said something odd", worker.id[:8])

    def _worker_says(self, worker: Any, message: Message) -> None:
        content = message.content
        if message.type == "ready":
            self._supervisor.is_ready(worker, content)
            self._unsaid = False
            self._publisher.publish(None, "devices", {"devices": self._calls.devices()})
        elif message.type == "beat" and worker.info is not None:
            worker.info["device"]["memory_free"] = content.get("memory_free")
            worker.info["engines"] = content.get("engines") or worker.info["engines"]
            self._unsaid = self._unsaid and not content.get("looked")
        elif message.type == "event" and message.job is not None:
            buffers = tuple(replace(b, data=bytes(b.data)) for b in message.buffers[:MAX_BUFFERS])
            self._foreman.event(worker, message.job, content["kind"], content["data"], buffers)
        elif message.type == "finished" and message.job is not None:
            self._foreman.finished(
                worker,
                message.job,
                content["outcome"],
                content.get("reason") or "",
                content.get("files") or [],
            )
        elif message.type in ("reply", "error"):
            self._renders.answered(message)

    def _tick(self) -> None:
        deaths = self._supervisor.look()
        for death in deaths:
            self._renders.died(death.worker)
            self._foreman.died(death)
        if deaths:
            self._publisher.publish(None, "devices", {"devices": self._calls.devices()})
        self._foreman.give_work()
        self._renders.tend()
        self._models.tend()
        self._see_models()
        if self._foreman.closing and not any(w.job for w in self._supervisor.workers):
            self._wind_up()
        if time.monotonic() >= self._slow_tick:
            self._slow_tick = time.monotonic() + _SLOW_TICK_S
            self._seldom()

    def _see_models(self) -> None:
        """Only a worker can say which engines a model that came or went makes or breaks: wake one if all sleep."""
        self._unsaid = self._unsaid or self._models.changed()
        if self._unsaid and not self._supervisor.workers and not self._supervisor.trouble:
            self._supervisor.start_one()

    def _seldom(self) -> None:
        self._keyring.refresh()
        self._door.forget_revoked()
        self._foreman.save()
        self._foreman.find_lost()
        self._foreman.rest(self._renders.at_work())
        if time.monotonic() >= self._next_expiry:
            more = self._foreman.expire()
            self._next_expiry = time.monotonic() + (0 if more else _EXPIRE_EVERY_S)
            self._store.uploads.expire(_UPLOADS_KEPT_S, time.time())
        self._end_when_idle()

    def _end_when_idle(self) -> None:
        """End when nobody has asked for anything for long and nothing is left to do, if that is wanted."""
        patience = 60 * self._settings.idle_exit_min
        if not patience or self._foreman.closing or time.monotonic() - self._needed < patience:
            return
        if self._foreman.has_work() or self._models.downloading:
            self._needed = time.monotonic()
            return
        log.info("nobody needs the service: it ends")
        self.shut_down("now")

    def _wind_up(self) -> None:
        """No job runs any more: end the workers, then the loop."""
        self._foreman.stop_all()
        self._renders.refuse_all()
        if not self._supervisor.workers:
            self._finished = True
