"""The answers to requests: one short method per call; `requests` has checked what comes in here.

`docs/protocol.md` describes every call with its content and its reply.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from splinescape import __version__
from splinescape.config import SceneConfig
from splinescape.picture.header import check_picture
from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import MAJOR, MAX_BUFFERS, MINOR, Buffer, Message, new_id, unpack
from splinescape.service import requests as req
from splinescape.service.foreman import Foreman
from splinescape.service.models_desk import ModelsDesk
from splinescape.service.publisher import event_message
from splinescape.service.renders import Renders
from splinescape.service.sessions import Session
from splinescape.service.settings import ServiceSettings
from splinescape.service.status import job_info
from splinescape.service.store.jobs import JobRow, NewJob
from splinescape.service.store.store import Store
from splinescape.service.supervisor import Supervisor

log = logging.getLogger(__name__)

_REPLY_BYTES = 2**20
_LOG_CHUNK = 2**15


@dataclass(eq=False)
class Calls:
    """Answers requests.

    Attributes:
        shut_down: called with "now" or "drained".
    """

    settings: ServiceSettings
    store: Store
    supervisor: Supervisor
    foreman: Foreman
    renders: Renders
    models: ModelsDesk
    shut_down: Callable[[str], None]
    _offered: tuple[int, Any] = (0, None)

    def answer(self, session: Session, message: Message) -> Message | None:
        """Check and do what is asked; None when the answer comes later.

        Raises:
            ServiceError: it cannot be done; the text says why.
        """
        request = req.parse_request(message, self.settings.limits)
        reply = self._handlers[message.type](session, message, request)
        if reply is None:
            return None
        content, buffers = reply
        return Message("reply", content, job=message.job, parent=message.id, buffers=buffers)

    @cached_property
    def _handlers(self) -> dict[str, Callable[[Session, Message, Any], Any]]:
        return {
            "hello": self._hello,
            "ping": self._ping,
            "upload": self._upload,
            "submit": self._submit,
            "list": self._list,
            "status": self._status,
            "events": self._events,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "cancel": self._cancel,
            "pause": self._pause,
            "resume": self._resume,
            "delete": self._delete,
            "pin": self._pin,
            "results": self._results,
            "fetch": self._fetch,
            "render": self._render,
            "preview": self._preview,
            "log": self._log,
            "models": self._models,
            "models.download": self._download_model,
            "models.remove": self._remove_model,
            "shutdown": self._shutdown,
        }

    # Connections.

    def _hello(self, session: Session, _message: Message, request: req.Hello) -> Any:
        session.client = request.session
        limits = self.settings.limits
        models = self.models.list()
        return {
            "version": __version__,
            "protocol": f"{MAJOR}.{MINOR}",
            "session": request.session,
            "server": "splinescape",
            "user": session.user,
            "limits": limits.model_dump(),
            "heartbeat_s": self.settings.heartbeat_s,
            "last_seq": self.store.events.last_seq(),
            "devices": self.devices(),
            "engines": self.supervisor.engines,
            "models": models,
            "revision": self._revision(),
            "settings": self._schema,
        }, ()

    def _revision(self) -> int:
        """Counts up when `hello` has other devices, engines or models to tell than when this was asked last."""
        slots = [(slot.device, slot.info is None, slot.trouble) for slot in self.supervisor.slots]
        offered = (slots, self.supervisor.engines, dict(self.models.states))
        if offered != self._offered[1]:
            self._offered = (self._offered[0] + 1, offered)
        return self._offered[0]

    @cached_property
    def _schema(self) -> dict[str, Any]:
        return SceneConfig.model_json_schema()

    def devices(self) -> list[dict[str, Any]]:
        """What every device is and does."""
        return [
            {
                "device": slot.device,
                "worker": slot.worker.id if slot.worker else None,
                "state": slot.state(),
                "job": slot.worker.job if slot.worker else None,
                "trouble": slot.trouble,
                **{
                    key: (slot.info or {}).get("device", {}).get(key)
                    for key in ("name", "kind", "memory_total", "memory_free")
                },
            }
            for slot in self.supervisor.slots
        ]

    def _ping(self, session: Session, _message: Message, _request: Any) -> Any:
        pushed = session.pushed if session.subscribed else None
        return {"time": time.time(), "pushed": pushed, "revision": self._revision()}, ()

    # Jobs.

    def _upload(self, session: Session, message: Message, request: req.Upload) -> Any:
        data = message.buffer("data").data
        have = self.store.uploads.append(session.user, request.sha256, request.size, request.offset, data)
        return {"have": have}, ()

    def _submit(self, session: Session, message: Message, request: req.Submit) -> Any:
        known = self.store.jobs.find(session.user, message.id)
        if known is not None:
            return {"job": known.id}, ()
        if self.foreman.closing:
            raise ServiceError("unavailable", "the service is shutting down: try again when it is back")
        waiting = self.store.jobs.count(session.user, ("queued", "running", "paused"))
        if waiting >= self.settings.limits.jobs:
            raise ServiceError(
                "too_large", f"this key has {waiting} unfinished jobs already: wait, or cancel some of them"
            )
        path = next((bytes(buffer.data) for buffer in message.buffers if buffer.name == "path"), None)
        if path is None and request.settings.traj_type != "spiral":
            raise ServiceError(
                "bad_input",
                f"traj_type {request.settings.traj_type} needs a camera path: send one, or take spiral",
            )
        picture = self.store.uploads.path(request.picture)
        try:
            check_picture(picture, self.settings.limits.picture_pixels)
        except ValueError as error:
            raise ServiceError("bad_input", str(error).replace(str(picture), "the picture")) from None
        job = new_id()
        spec = {"id": job, "version": __version__, **request.model_dump(mode="json", exclude={"session"})}
        self.store.files.create(job, spec, picture, path)
        new = NewJob(
            id=job,
            owner=session.user,
            session=request.session or session.client,
            request=message.id,
            name=request.name,
            spec=spec,
            pinned=request.pinned,
            n_frames=request.settings.n_frames,
        )
        try:
            row = self.store.jobs.add(new)
        except ServiceError:
            self.store.files.discard(job)
            raise
        self.foreman.added(row)
        return {"job": row.id}, ()

    def _list(self, _session: Session, _message: Message, request: req.List) -> Any:
        rows = self.store.jobs.list(request.states, request.limit, request.before)
        shown = [self.foreman.row(row.id) for row in rows]
        return {"jobs": self._infos(shown)}, ()

    def _status(self, _session: Session, message: Message, _request: Any) -> Any:
        return self._infos([self.foreman.row(_job(message))])[0], ()

    def _infos(self, rows: list[JobRow]) -> list[dict[str, Any]]:
        # Finding the places in a long queue takes a while, so it is done for jobs that have one only.
        positions = self.foreman.positions() if any(row.state == "queued" for row in rows) else {}
        last_seq = self.store.events.last_seq
        return [
            job_info(row, positions.get(row.id), self._count_files(row), last_seq(row.id)) for row in rows
        ]

    def _count_files(self, row: JobRow) -> int:
        if row.state != "done":
            return 0
        try:
            return len(self.store.files.results(row.id))
        except ServiceError:  # damaged on disk; `results` says so, a list of jobs still has to be possible
            return 0

    def _cancel(self, _session: Session, message: Message, _request: Any) -> Any:
        return {"state": self.foreman.cancel(_job(message))}, ()

    def _pause(self, _session: Session, message: Message, _request: Any) -> Any:
        return {"state": self.foreman.pause(_job(message))}, ()

    def _resume(self, _session: Session, message: Message, _request: Any) -> Any:
        return {"state": self.foreman.resume(_job(message))}, ()

    def _delete(self, _session: Session, message: Message, _request: Any) -> Any:
        return {"state": self.foreman.delete(_job(message))}, ()

    def _pin(self, _session: Session, message: Message, request: req.Pin) -> Any:
        self.foreman.row(_job(message))
        self.store.jobs.set(_job(message), pinned=request.pinned)
        return {"pinned": request.pinned}, ()

    # Events.

    def _events(self, _session: Session, message: Message, request: req.Events) -> Any:
        events, more = self.store.events.since(request.since, message.job, request.limit, _REPLY_BYTES // 2)
        if not events and message.job is not None:
            self.foreman.row(_job(message))  # or nobody would ever know that there is no such job
        shown: list[dict[str, Any]] = []
        buffers: list[Buffer] = []
        for event in events:
            if len(buffers) + len(event.buffers) > MAX_BUFFERS:
                more = True
                break
            content = event_message(event).content
            names = [buffer.name for buffer in event.buffers]
            shown.append({**content, "job": event.job, "buffers": names})
            buffers += [
                Buffer(f"b{len(buffers) + i}", b.dtype, b.shape, b.data) for i, b in enumerate(event.buffers)
            ]
        last = shown[-1]["seq"] if shown else request.since
        return {"last": last, "more": more, "events": shown}, tuple(buffers)

    def _subscribe(self, session: Session, _message: Message, request: req.Subscribe) -> Any:
        session.subscribed = True
        session.jobs = None if request.jobs is None else frozenset(request.jobs)
        session.thumbnails = request.thumbnails
        session.behind = False
        session.pushed = self.store.events.last_seq()
        return {"last": session.pushed}, ()

    def _unsubscribe(self, session: Session, _message: Message, _request: Any) -> Any:
        session.subscribed = False
        return {}, ()

    # Results and pictures.

    def _results(self, _session: Session, message: Message, _request: Any) -> Any:
        self.foreman.row(_job(message))
        files = self.store.files.results(_job(message))
        return {"files": [{"name": f.name, "size": f.size, "sha256": f.sha256} for f in files]}, ()

    def _fetch(self, _session: Session, message: Message, request: req.Fetch) -> Any:
        data, size = self.store.files.read(
            _job(message), request.name, request.sha256, request.offset, request.length
        )
        return {"size": size, "offset": request.offset}, (Buffer.of_bytes("data", data),)

    def _render(self, session: Session, message: Message, _request: Any) -> None:
        row = self.foreman.row(_job(message))
        self.renders.ask(session, message, row, self.store.files.folder(row.id))

    def _preview(self, _session: Session, message: Message, _request: Any) -> Any:
        self.foreman.row(_job(message))
        packed = self.store.files.preview(_job(message))
        if packed is None:
            raise ServiceError("not_found", "there is nothing to see of this job yet")
        preview = unpack(packed)
        return preview.content, preview.buffers

    def _log(self, _session: Session, message: Message, request: req.Log) -> Any:
        self.foreman.row(_job(message))
        text, size = self.store.files.log(_job(message), request.offset, _LOG_CHUNK)
        # The offset counts bytes; a character that the chunk cuts in two is left for the next one.
        whole = text if request.offset + len(text) >= size else text[: _last_whole(text)]
        content = {"text": whole.decode("utf-8", "replace"), "offset": request.offset + len(whole)}
        return {**content, "size": size}, ()

    # Models and the service itself.

    def _models(self, _session: Session, _message: Message, _request: Any) -> Any:
        return {"models": self.models.list()}, ()

    def _download_model(self, _session: Session, _message: Message, request: req.DownloadModel) -> Any:
        self.models.download(request.id, request.accept_licence)
        return {}, ()

    def _remove_model(self, _session: Session, _message: Message, request: req.RemoveModel) -> Any:
        self.models.remove(request.id)
        return {}, ()

    def _shutdown(self, session: Session, _message: Message, request: req.Shutdown) -> Any:
        log.info("%s asks to shut down (%s)", session.user, request.when)
        self.shut_down(request.when)
        return {}, ()


def _job(message: Message) -> str:
    if message.job is None:
        raise ServiceError("bad_message", f"'{message.type}' needs the id of a job")
    return message.job


def _last_whole(text: bytes) -> int:
    """Where the last character of `text` ends, or begins when it is cut off."""
    for back in range(1, min(4, len(text)) + 1):
        lead = text[-back]
        if lead & 0xC0 != 0x80:
            needs = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return len(text) if needs <= back else len(text) - back
    return len(text)
