"""Renderings on request: forwarded to a worker and back, beside whatever the worker trains."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import Message, new_id
from splinescape.service.sessions import Session
from splinescape.service.store.jobs import JobRow
from splinescape.service.supervisor import Supervisor, Worker

_WAITING_PER_SESSION = 8
_TRIES = 2
_FORGET_AFTER_S = 300.0


@dataclass(eq=False)
class _Asked:
    """A rendering that somebody waits for; `worker` is None until one can take it."""

    identity: bytes
    request: str
    message: Message
    job: str
    asked: float
    worker: str | None = None
    tries: int = 0


@dataclass(eq=False)
class Renders:
    """All renderings that somebody waits for.

    Attributes:
        reply: answers a connection.
    """

    supervisor: Supervisor
    reply: Callable[[bytes, Message], None]
    _asked: dict[str, _Asked] = field(default_factory=dict)

    def ask(self, session: Session, message: Message, row: JobRow, folder: Path) -> None:
        """Forward a request; the answer goes to the session when it comes.

        Raises:
            ServiceError: "rate", the session has too many renderings waiting.
        """
        mine = [asked for asked in self._asked.values() if asked.identity == session.identity]
        if any(asked.request == message.id for asked in mine):
            return  # asked again while the first is under way
        if len(mine) >= _WAITING_PER_SESSION:
            raise ServiceError("rate", f"{len(mine)} renderings are waiting already: ask for fewer at once")
        # The message outlives this turn of the loop; its frames do too, they are its own memory.
        content = {
            **message.content,
            "folder": str(folder),
            "state": row.state,
            "requester": session.identity.hex(),
        }
        forwarded = replace(message, content=content, id=new_id(), parent=None)
        asked = _Asked(session.identity, message.id, forwarded, row.id, time.monotonic())
        self._asked[forwarded.id] = asked
        self._hand_over(asked)

    def _hand_over(self, asked: _Asked) -> None:
        worker = self._worker_for(asked.job)
        if worker is None:
            if not any(w.info is None for w in self.supervisor.workers):
                self.supervisor.start_one()
            return
        if self.supervisor.send(worker, asked.message):
            asked.worker, asked.tries = worker.id, asked.tries + 1
            worker.used = time.monotonic()

    def _worker_for(self, job: str) -> Worker | None:
        """The worker that has the scene in memory, else one that does nothing, else any."""
        ready = [worker for worker in self.supervisor.workers if worker.ready]
        return min(ready, key=lambda worker: (worker.job != job, worker.job is not None), default=None)

    def answered(self, message: Message) -> None:
        """A worker's reply or error; passed on to whoever asked."""
        asked = self._asked.pop(message.parent or "", None)
        if asked is not None:
            self.reply(asked.identity, replace(message, parent=asked.request, job=asked.job))

    def refuse_all(self) -> None:
        """Answer everybody who waits: the service ends."""
        for asked in self._asked.values():
            self.reply(
                asked.identity, _error(asked, "the service is shutting down: try again when it is back")
            )
        self._asked.clear()

    def died(self, worker: Worker) -> None:
        """Ask another worker for what this one has not answered, once."""
        for key, asked in list(self._asked.items()):
            if asked.worker == worker.id:
                asked.worker = None
                if asked.tries >= _TRIES:
                    del self._asked[key]
                    text = "the worker died while it rendered this; the job's log says more"
                    self.reply(asked.identity, _error(asked, text))

    def tend(self) -> None:
        """Hand over what waits for a worker; give up what waited for too long."""
        now = time.monotonic()
        for key, asked in list(self._asked.items()):
            if now - asked.asked > _FORGET_AFTER_S:
                del self._asked[key]
                self.reply(asked.identity, _error(asked, "no worker could render this in time"))
            elif asked.worker is None and self.supervisor.trouble:
                del self._asked[key]
                self.reply(asked.identity, _error(asked, self.supervisor.trouble))
            elif asked.worker is None:
                self._hand_over(asked)

    def at_work(self) -> set[str]:
        """The ids of the workers that are rendering."""
        return {asked.worker for asked in self._asked.values() if asked.worker is not None}


def _error(asked: _Asked, text: str) -> Message:
    return Message("error", {"code": "unavailable", "message": text}, job=asked.job, parent=asked.request)
