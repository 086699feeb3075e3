"""The broker: one loop that owns the sockets; everything that takes time happens in other processes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import zmq

from splinescape.errors import SplinescapeError
from splinescape.protocol.errors import ErrorCode, ServiceError
from splinescape.protocol.wire import MAX_BUFFERS, MAX_HEADER, Message, decode, encode
from splinescape.service.auth import Authenticator, guard, user_of
from splinescape.service.calls import Calls
from splinescape.service.foreman import Foreman
from splinescape.service.keys import Keyring
from splinescape.service.models_desk import ModelsDesk
from splinescape.service.publisher import Publisher
from splinescape.service.renders import Renders
from splinescape.service.sessions import Sessions
from splinescape.service.settings import ServiceSettings
from splinescape.service.store.store import Store
from splinescape.service.supervisor import Supervisor

log = logging.getLogger(__name__)

_FRAME_OVERHEAD = 1024  # what encryption adds
_RECEIVE_QUEUE = 16
_SEND_QUEUE = 32
_TICK_S = 0.05
_SLOW_TICK_S = 1.0
_AFTER_FAULT_S = 0.02
_EXPIRE_EVERY_S = 60.0
_UPLOADS_KEPT_S = 24 * 3600.0
_MESSAGES_A_TURN = 64
_MOST_FRAMES = MAX_BUFFERS + 2  # one more than a message may have, by which `decode` knows


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
        self._keyring = keyring
        self._settings = settings
        self._store = store
        self._auth = Authenticator(self.context, keyring)
        try:
            self._public = self._listen(endpoint)
        except zmq.ZMQError:
            self._auth.close()
            self.context.destroy(0)
            raise
        self.endpoint = self._public.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self._sessions = Sessions(settings.limits)
        self._publisher = Publisher(store.events, self._sessions, self._send)
        self._supervisor = Supervisor(self.context, settings, store.folder)
        if self._supervisor.worker_key:
            self._auth.admit_worker(self._supervisor.worker_key)
        self._foreman = Foreman(settings, store, self._supervisor, self._publisher)
        self._renders = Renders(self._supervisor, self._send)
        self._models = ModelsDesk(self._publisher)
        self._calls = Calls(
            settings, store, self._supervisor, self._foreman, self._renders, self._models, self.shut_down
        )
        self._finished = False
        self._stopping = False
        self._slow_tick = self._next_expiry = 0.0

    def _listen(self, endpoint: str) -> zmq.Socket[bytes]:
        socket = self.context.socket(zmq.ROUTER)
        socket.linger = 1000  # the last replies, such as the one to "shutdown", still leave
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, self._settings.limits.frame + _FRAME_OVERHEAD)
        socket.setsockopt(zmq.RCVHWM, _RECEIVE_QUEUE)
        socket.setsockopt(zmq.SNDHWM, _SEND_QUEUE)
        socket.setsockopt(zmq.HANDSHAKE_IVL, 10_000)
        # Not ZeroMQ's own heartbeats: libzmq 4.3.5 aborts when a connection breaks whose input it has paused with a
        # ping among it.
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 10)
        socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 5)
        socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
        guard(socket, self._keyring)
        socket.bind(endpoint)
        return socket

    def run(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Serve until shut down.

        Args:
            stop: asked in every turn; once it says True the service shuts down.
        """
        poller = zmq.Poller()
        for socket in (self._auth.socket, self._supervisor.socket, self._public):
            poller.register(socket, zmq.POLLIN)
        self._foreman.begin()
        self._supervisor.start_one()
        next_tick = 0.0
        while not self._finished:
            ready = dict(poller.poll(max(0, round(1000 * (next_tick - time.monotonic())))))
            if stop() and not self._stopping:  # after "drained" too: whoever sends a signal is in a hurry
                self._stopping = True
                self.shut_down("now")
            due = time.monotonic() >= next_tick
            if due:
                next_tick = time.monotonic() + _TICK_S
            try:
                self._turn(ready, due)
            except Exception:  # a fault in one turn must not end the service for everybody
                log.exception("a turn of the loop failed")
                time.sleep(_AFTER_FAULT_S)

    def _turn(self, ready: dict[Any, int], due: bool) -> None:
        if self._auth.socket in ready:
            self._auth.handle()
        if self._supervisor.socket in ready:
            self._drain(self._supervisor.socket, self._from_worker)
        if self._public in ready:
            self._drain(self._public, self._from_client)
        if due:
            self._tick()
        self._publisher.flush()

    def close(self) -> None:
        """Kill what still runs, close every socket."""
        self._models.close()
        self._supervisor.close()
        self._auth.close()
        self._public.close()
        self.context.term()

    def shut_down(self, when: str) -> None:
        """End the service: "now" stops running jobs after their present step, "drained" lets them end first.

        Jobs that are not done continue when the service starts again.
        """
        if when == "now":
            self._foreman.stop_all()
        self._foreman.closing = self._supervisor.closing = True

    @staticmethod
    def _drain(
        socket: zmq.Socket[bytes], take: Callable[[bytes, Callable[[], list[zmq.Frame]]], None]
    ) -> None:
        """Take what has arrived, but let the other sockets have their turn now and then."""
        for _ in range(_MESSAGES_A_TURN):
            try:
                identity = socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return

            def rest() -> list[zmq.Frame]:
                frames: list[zmq.Frame] = []
                while socket.rcvmore and len(frames) < _MOST_FRAMES:
                    frames.append(socket.recv(copy=False))
                return frames

            try:
                take(identity, rest)
            finally:
                while socket.rcvmore:
                    socket.recv()

    def _from_client(self, identity: bytes, rest: Callable[[], list[zmq.Frame]]) -> None:
        if not self._sessions.admit(identity):
            self._complain_about_rate(identity)
            return
        frames = rest()
        user = user_of(frames[0], self._keyring) if frames else None
        if user is None:
            self._sessions.drop(identity)
            self._refuse(identity, None, "not_allowed", "this key was revoked: ask for a new connection file")
            return
        session = self._sessions.get(identity, user)
        message: Message | None = None
        try:
            message = decode([frame.buffer for frame in frames], MAX_HEADER)
            reply = self._calls.answer(session, message)
        except SplinescapeError as error:  # errors of models have codes of their own
            self._refuse(identity, message, getattr(error, "code", "bad_input"), str(error))
        except Exception:
            log.exception("request %s failed", message.type if message else "?")
            self._refuse(identity, message, "internal", "the service failed at this; its log says more")
        else:
            if reply is not None:
                self._send(identity, reply)

    def _complain_about_rate(self, identity: bytes) -> None:
        """Once a second, so that answers cannot become a flood of their own."""
        session = self._sessions.known(identity)
        now = time.monotonic()
        if session is not None and now - session.told_rate > 1:
            session.told_rate = now
            limit = self._settings.limits.messages_per_s
            self._refuse(identity, None, "rate", f"more than {limit} messages a second: send fewer")

    def _refuse(self, identity: bytes, message: Message | None, code: ErrorCode, text: str) -> None:
        parent, job = (message.id, message.job) if message is not None else (None, None)
        self._send(identity, Message("error", {"code": code, "message": text}, job=job, parent=parent))

    def _send(self, identity: bytes, message: Message) -> bool:
        """Send unless the connection is gone or its pipe is full; its client asks again then."""
        try:
            self._public.send_multipart([identity, *encode(message)], zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        except zmq.ZMQError:
            self._sessions.drop(identity)
            return False
        return True

    def _from_worker(self, identity: bytes, rest: Callable[[], list[zmq.Frame]]) -> None:
        frames = rest()
        worker = self._supervisor.worker(identity.decode("ascii", "replace"))
        if worker is None:
            return  # of a process that has been given up already
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
            self._publisher.publish(None, "devices", {"devices": self._calls.devices()})
        elif message.type == "beat" and worker.info is not None:
            worker.info["device"]["memory_free"] = content.get("memory_free")
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
        if self._foreman.closing and not any(w.job for w in self._supervisor.workers):
            self._wind_up()
        if time.monotonic() >= self._slow_tick:
            self._slow_tick = time.monotonic() + _SLOW_TICK_S
            self._seldom()

    def _seldom(self) -> None:
        self._keyring.refresh()
        for listener in self._sessions.listeners(None):
            if not self._keyring.knows(listener.user):
                self._sessions.drop(listener.identity)
        self._sessions.forget_silent()
        self._foreman.save()
        self._foreman.find_lost()
        self._foreman.rest(self._renders.at_work())
        if time.monotonic() >= self._next_expiry:
            more = self._foreman.expire()
            self._next_expiry = time.monotonic() + (0 if more else _EXPIRE_EVERY_S)
            self._store.uploads.expire(_UPLOADS_KEPT_S, time.time())

    def _wind_up(self) -> None:
        """No job runs any more: end the workers, then the loop."""
        self._foreman.stop_all()
        self._renders.refuse_all()
        if not self._supervisor.workers:
            self._finished = True
