"""The life of jobs: who works on what, and what happens when something goes wrong.

Every change of a job's state is on disk before anybody is told, and so is what clients wish for a job that has yet
to stop: should the service be killed before, the job does not come back to life. While the disk is full, changes are
kept in memory and written as soon as there is room.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import Buffer, Message
from splinescape.service.discreet import discreet
from splinescape.service.publisher import Publisher
from splinescape.service.queue import next_job, order
from splinescape.service.settings import ServiceSettings
from splinescape.service.store.jobs import JobRow
from splinescape.service.store.store import Store
from splinescape.service.supervisor import Death, Supervisor, Worker

log = logging.getLogger(__name__)

Wish = Literal["cancelled", "paused", "queued", "deleted"]
FINAL = ("done", "failed", "cancelled")
_LOWER_TIER_FROM = 2
_TURNS_REMEMBERED = 1000
_KEPT_PROGRESS = ("frames", "splats")
_PROGRESS_FIELDS = ("stage", "detail", "step", "total", "eta_s", "frames", "splats")


@dataclass(eq=False)
class Foreman:
    """Gives jobs to workers and keeps their books.

    Attributes:
        closing: nothing new is started.
    """

    settings: ServiceSettings
    store: Store
    supervisor: Supervisor
    publisher: Publisher
    closing: bool = False
    _wishes: dict[str, Wish] = field(default_factory=dict)
    _unsaved: dict[str, dict[str, Any]] = field(default_factory=dict)
    _live: dict[str, dict[str, Any]] = field(default_factory=dict)
    _last_started: dict[tuple[str, str], float] = field(default_factory=dict)

    def begin(self) -> None:
        """Take up what an earlier run left unfinished."""
        for row in self.store.recover():
            self._tell_state(row.id, "queued", "the service was restarted")

    # What clients ask for.

    def row(self, job: str) -> JobRow:
        """The job as it is now; raises ServiceError("not_found")."""
        row = self.store.jobs.get(job)
        if row is None:
            raise ServiceError("not_found", f"there is no job {job}")
        unsaved = self._unsaved.get(job)
        row = replace(row, **unsaved) if unsaved else row
        if job in self._wishes and self.supervisor.working_on(job) is not None:
            row = replace(row, state="running")  # until its worker has stopped
        return replace(row, progress=self._live.get(job, row.progress))

    def positions(self) -> dict[str, int]:
        """Place in the queue, from 1, of every job that waits."""
        waiting = [row for row in self.store.jobs.queued() if self._is_queued(row)]
        return {row.id: i + 1 for i, row in enumerate(order(waiting, self._last_started))}

    def added(self, row: JobRow) -> None:
        """A new job is in the store."""
        self._tell_state(row.id, "queued", "")

    def cancel(self, job: str) -> str:
        """Stop a job for good, though its checkpoints stay; returns its state."""
        return self._stop(job, "cancelled")

    def pause(self, job: str) -> str:
        """Stop a job so that its device is free for others; it continues from its last finished frame."""
        return self._stop(job, "paused")

    def _stop(self, job: str, wish: Wish) -> str:
        row = self.row(job)
        before = self._wishes.get(job)
        if before in ("cancelled", "deleted"):
            return before
        if row.state in (wish, "cancelled"):
            return row.state
        worker = self.supervisor.working_on(job)
        if worker is not None:
            self._ask_to_stop(worker, job, wish)
        elif row.state in FINAL:
            raise ServiceError("conflict", f"the job is {row.state} already")
        else:
            self._grant(job, wish)
        return wish

    def resume(self, job: str) -> str:
        """Let a paused, failed or cancelled job continue from its last finished frame."""
        row = self.row(job)
        if self._wishes.get(job) == "deleted":
            return "deleted"
        if job in self._wishes:
            self._note_wish(job, "queued")
            return "queued"
        if row.state in ("queued", "running"):
            return row.state
        if row.state == "done":
            raise ServiceError("conflict", "the job is done already")
        self._set_state(job, "queued", "", attempts=0, ended=None)
        return "queued"

    def delete(self, job: str) -> str:
        """Remove a job and its files, after stopping it when it runs."""
        self.row(job)
        worker = self.supervisor.working_on(job)
        if worker is None:
            self._remove(job)
        else:
            self._ask_to_stop(worker, job, "deleted")
        return "deleted"

    def _remove(self, job: str) -> None:
        self.store.jobs.remove(job)
        self._tell_state(job, "deleted", "")
        for memory in (self._live, self._unsaved, self._wishes):
            memory.pop(job, None)

    def _ask_to_stop(self, worker: Worker, job: str, wish: Wish) -> None:
        self._note_wish(job, wish)
        if worker.kill_at is None:
            worker.kill_at = time.monotonic() + self.settings.stop_grace_s
        self.supervisor.send(worker, Message("stop_job", job=job))

    def _note_wish(self, job: str, wish: Wish) -> None:
        """Keep in mind what shall become of a job once it has stopped, and on disk what this comes to until then."""
        self._wishes[job] = wish
        self._set(job, state={"queued": "running", "deleted": "cancelled"}.get(wish, wish))

    # What workers say.

    def event(
        self, worker: Worker, job: str, kind: str, data: dict[str, Any], buffers: tuple[Buffer, ...]
    ) -> None:
        """Keep what a worker tells about its job and pass it on."""
        if worker.job != job:
            return
        live = self._live.setdefault(job, {})
        live |= {name: data[name] for name in _PROGRESS_FIELDS if name in data}
        if kind == "stage":
            live |= {"step": None, "total": None, "eta_s": None}
        if kind == "frame":
            live["frames"] = int(data.get("index", 0)) + 1
        splats = data.get("splats")
        if isinstance(splats, dict):
            live["splats"] = splats.get("count")
        if kind in ("frame", "scene"):
            self._set(job, progress=dict(live))
        self.publisher.publish(job, kind, data, buffers)

    def finished(self, worker: Worker, job: str, outcome: str, reason: str, files: list[Any]) -> None:
        """A worker is through with its job: done, failed or stopped."""
        if worker.job != job:
            return
        self._release(worker)
        wish = self._wishes.pop(job, None)
        if outcome == "done" and wish != "deleted":
            self.publisher.publish(job, "results", {"files": files})
            self._set_state(job, "done", "", ended=time.time())
        elif outcome == "failed" and wish is None:
            self._set_state(job, "failed", reason, ended=time.time())
        else:
            self._grant(job, wish or "queued")

    def died(self, death: Death) -> None:
        """A worker is gone: its job goes on elsewhere, unless it has cost too many workers already."""
        worker, job = death.worker, death.worker.job
        if job is None:
            return
        self._release(worker)
        self.store.files.tidy(job)
        wish = self._wishes.pop(job, None)
        if wish is not None or self.closing:
            self._grant(job, wish or "queued")
            return
        self.store.files.append_log(job, f"the worker died: {death.reason}\n{death.words}".rstrip())
        self._try_again(job, discreet(death.reason))

    def _try_again(self, job: str, reason: str) -> None:
        attempts = self.row(job).attempts + 1
        if attempts > self.settings.max_retries:
            reason = f"the worker died {attempts} times, last because {reason}"
            self._set_state(job, "failed", reason, attempts=attempts, ended=time.time())
            return
        text = f"the worker died: {reason}; continuing after the last finished frame"
        self.publisher.publish(job, "note", {"text": text, "warning": True})
        self._set_state(job, "queued", reason, attempts=attempts)

    def _grant(self, job: str, wish: Wish) -> None:
        reason = ""
        if wish == "deleted":
            try:
                self._remove(job)
                return
            except ServiceError as error:  # nobody works on it any more, so it must not count as running
                wish, reason = "cancelled", f"it could not be deleted: {error}"
        self._set_state(job, wish, reason, **({"ended": time.time()} if wish == "cancelled" else {}))

    def _release(self, worker: Worker) -> None:
        worker.job = None
        worker.used = time.monotonic()
        if not worker.ending:
            worker.kill_at = None

    # What is done all the time.

    def give_work(self) -> None:
        """Let idle workers begin what is next, and wake devices when more waits than workers can take."""
        idle = [worker for worker in self.supervisor.workers if worker.ready and worker.job is None]
        asleep = any(slot.worker is None for slot in self.supervisor.slots)
        if self.closing or not (idle or asleep):
            return
        waiting = [row for row in self.store.jobs.queued() if self._is_queued(row)]
        for worker in idle:
            row = next_job(waiting, self._last_started)
            if row is None:
                return
            waiting.remove(row)
            self._run(worker, row)
        starting = sum(worker.info is None for worker in self.supervisor.workers)
        for _ in range(len(waiting) - starting):
            if not self.supervisor.start_one():
                break

    def _is_queued(self, row: JobRow) -> bool:
        return self._unsaved.get(row.id, {}).get("state", "queued") == "queued"

    def _run(self, worker: Worker, row: JobRow) -> None:
        content = {
            "folder": str(self.store.files.folder(row.id)),
            "attempt": row.attempts,
            "tier": max(0, row.attempts - _LOWER_TIER_FROM + 1),
        }
        if not self.supervisor.send(worker, Message("run", content, job=row.id)):
            return
        worker.job = row.id
        self._note_turn(row)
        self._live[row.id] = {name: row.progress[name] for name in _KEPT_PROGRESS if name in row.progress}
        started = row.started or time.time()
        self._set_state(row.id, "running", row.reason or "", started=started, device=worker.device)

    def _note_turn(self, row: JobRow) -> None:
        """The latest last, so that those forgotten are those whose turn is longest ago, as if they never had one."""
        lane = row.owner, row.session
        self._last_started.pop(lane, None)
        self._last_started[lane] = time.monotonic()
        if len(self._last_started) > _TURNS_REMEMBERED:
            del self._last_started[next(iter(self._last_started))]

    def has_work(self) -> bool:
        """Whether a job runs or waits."""
        return any(worker.job for worker in self.supervisor.workers) or bool(self.store.jobs.queued())

    def rest(self, rendering: set[str]) -> None:
        """End workers that had nothing to do for so long that their memory is better given back.

        Args:
            rendering: ids of workers that have renderings to make, which no job tells.
        """
        now = time.monotonic()
        for worker in self.supervisor.workers:
            idle = worker.ready and worker.job is None and worker.id not in rendering
            if idle and now - worker.used > self.settings.idle_unload_s:
                log.info("worker %s is idle and gives its memory back", worker.id[:8])
                self.supervisor.quit(worker, self.settings.stop_grace_s)

    def stop_all(self) -> None:
        """Stop what runs so that it continues with the next start of the service."""
        self.closing = True
        for worker in self.supervisor.workers:
            if worker.job is not None:
                self._wishes.setdefault(worker.job, "queued")
            if not worker.ending:
                self.supervisor.quit(worker, self.settings.stop_grace_s)

    def find_lost(self) -> None:
        """Let jobs continue that count as running though no worker has them: a fault came in between."""
        for row in self.store.jobs.with_state("running"):
            if self.supervisor.working_on(row.id) is None and self.row(row.id).state == "running":
                self._try_again(row.id, "the service lost sight of it")

    def save(self) -> None:
        """Write changes that a full disk held back."""
        for job, columns in list(self._unsaved.items()):
            try:
                self.store.jobs.set(job, **columns)
            except ServiceError as error:
                if error.code != "not_found":
                    return
            self._unsaved.pop(job, None)

    def expire(self) -> bool:
        """Delete some of what is too old or too much; whether there may be more to delete."""
        busy = {worker.job for worker in self.supervisor.workers if worker.job} | self._unsaved.keys()
        try:
            gone = self.store.expire(self.settings.retention.policy(), busy, time.time())
        except ServiceError as error:
            log.error("old jobs cannot be deleted: %s", error)
            return False
        for job in gone:
            log.info("job %s was deleted: kept long enough", job)
            self.publisher.publish(job, "state", {"state": "deleted", "reason": "it was kept long enough"})
            self._live.pop(job, None)
        return bool(gone)

    def _set_state(self, job: str, state: str, reason: str, **columns: Any) -> None:
        live = self._live.pop(job, None) if state != "running" else None
        if live is not None:
            columns["progress"] = live
        self._set(job, state=state, reason=reason, **columns)
        self._tell_state(job, state, reason)

    def _set(self, job: str, **columns: Any) -> None:
        columns = {**self._unsaved.pop(job, {}), **columns}
        try:
            self.store.jobs.set(job, **columns)
        except ServiceError as error:
            log.error("job %s: %s cannot be stored yet: %s", job, ", ".join(columns), error)
            self._unsaved[job] = columns

    def _tell_state(self, job: str, state: str, reason: str) -> None:
        log.info("job %s is %s%s", job, state, f": {reason}" if reason else "")
        self.publisher.publish(job, "state", {"state": state, "reason": reason})
