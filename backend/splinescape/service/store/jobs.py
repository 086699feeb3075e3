"""One row for each job."""

from __future__ import annotations

import builtins
import json
import time
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

from splinescape.protocol.errors import ServiceError
from splinescape.service.store.clock import StoreClock
from splinescape.service.store.database import Database
from splinescape.service.store.folders import JobFiles
from splinescape.service.store.retention import Finished

STATES = ("queued", "running", "paused", "done", "failed", "cancelled")
FINISHED = ("done", "failed", "cancelled")

_SETTABLE = frozenset(
    ("name", "state", "reason", "started", "ended", "attempts", "pinned", "device", "progress")
)
_MAY_BE_LOST = frozenset(("device", "progress"))
"""Columns whose change need not survive a power failure: the job that goes on sets them anew."""


@dataclass(frozen=True)
class NewJob:
    """A job to be accepted.

    Attributes:
        id: 32 hexadecimal digits. owner: name of the key that sent it. session: the client's program run.
        request: id of the request; the same owner's request makes one job only.
        spec: what was asked for, JSON data. pinned: never deleted by itself.
    """

    id: str
    owner: str
    session: str
    request: str
    name: str
    spec: dict[str, Any]
    pinned: bool
    n_frames: int


@dataclass(frozen=True)
class JobRow:
    """Where a job stands.

    Attributes:
        state: one of `STATES`. reason: why it is in that state, None when there is nothing to say.
        created, started, ended: unix seconds, for people; the clock may have been wrong.
        attempts: workers that died of it. device: where it runs or ran last.
        progress: stage, detail, step, total, eta_s, frames, splats, as far as they are known.
    """

    id: str
    owner: str
    session: str
    request: str
    name: str
    state: str
    reason: str | None
    created: float
    started: float | None
    ended: float | None
    attempts: int
    pinned: bool
    device: str | None
    n_frames: int
    progress: dict[str, Any]


_FIELDS = tuple(field.name for field in fields(JobRow))


class Jobs:
    """The table of jobs. Accepting, state changes and removal are on disk when the call returns."""

    def __init__(self, database: Database, clock: StoreClock, files: JobFiles) -> None:
        self._database = database
        self._clock = clock
        self._files = files

    def add(self, new: NewJob) -> JobRow:
        """Accept a job; when the owner's request made one already, that one is returned instead.

        Raises:
            ServiceError: "conflict" when another request made a job of this id; "disk_full".
        """

        def work() -> JobRow:
            known = self.find(new.owner, new.request)
            if known is not None:
                return known
            if self.get(new.id) is not None:
                raise ServiceError("conflict", f"there is a job {new.id} already")
            self._database.run(
                "INSERT INTO jobs (id, owner, session, request, name, spec, state, created, pinned, n_frames) "
                "VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?)",
                (
                    *(new.id, new.owner, new.session, new.request, new.name, _to_json(new.spec)),
                    *(time.time(), new.pinned, new.n_frames),
                ),
            )
            return self._present(new.id)

        return self._database.write(work, durable=True)

    def get(self, job: str) -> JobRow | None:
        """The job of that id."""
        return _first(self._select("WHERE id = ?", (job,)))

    def find(self, owner: str, request: str) -> JobRow | None:
        """The job that this request made."""
        return _first(self._select("WHERE owner = ? AND request = ?", (owner, request)))

    def spec(self, job: str) -> dict[str, Any]:
        """What was asked for; raises ServiceError("not_found")."""
        rows = self._database.read("SELECT spec FROM jobs WHERE id = ?", (job,))
        if not rows:
            raise _not_found(job)
        with self._database.decoding():
            spec: dict[str, Any] = json.loads(rows[0][0])
        return spec

    def list(
        self, states: Collection[str] | None = None, limit: int = 100, before: str | None = None
    ) -> builtins.list[JobRow]:
        """The newest jobs first, at most `limit`; `before` continues after the last job of an earlier answer."""
        where, values = _in_states(states)
        if before is not None:
            where += " AND number < (SELECT number FROM jobs WHERE id = ?)"
            values += (before,)
        return self._select(f"WHERE {where} ORDER BY number DESC LIMIT ?", (*values, limit))

    def queued(self) -> builtins.list[JobRow]:
        """The jobs that wait, oldest first."""
        return self.with_state("queued")

    def with_state(self, *states: str) -> builtins.list[JobRow]:
        """All jobs in these states, oldest first."""
        where, values = _in_states(states)
        return self._select(f"WHERE {where} ORDER BY number", values)

    def count(self, owner: str | None = None, states: Collection[str] | None = None) -> int:
        """How many jobs there are."""
        where, values = _in_states(states)
        if owner is not None:
            where += " AND owner = ?"
            values += (owner,)
        return int(self._database.read(f"SELECT count(*) FROM jobs WHERE {where}", values)[0][0])

    def set(self, job: str, **columns: Any) -> JobRow:
        """Change columns of a job; `progress` is replaced as a whole.

        Raises:
            ServiceError: "not_found", "disk_full". ValueError: there is no such column or state.
        """
        unknown = columns.keys() - _SETTABLE
        if unknown or not columns:
            raise ValueError(f"not columns of a job that can be set: {sorted(unknown)}")
        if "progress" in columns:
            columns["progress"] = _to_json(columns["progress"])
        if "state" in columns:
            if columns["state"] not in STATES:
                raise ValueError(f"not a state of a job: {columns['state']!r}")
            columns["finished_at"] = self._clock.now() if columns["state"] in FINISHED else None
        assignments = ", ".join(f"{name} = ?" for name in columns)
        matters = not columns.keys() <= _MAY_BE_LOST

        def work() -> JobRow:
            self._database.run(f"UPDATE jobs SET {assignments} WHERE id = ?", (*columns.values(), job))
            return self._present(job)

        return self._database.write(work, durable=matters, vital=matters)

    def remove(self, *jobs: str) -> None:
        """Remove jobs: rows and events in one transaction, their folders at once from sight and soon from the disk.

        Raises:
            ServiceError: "not_found", "disk_full", "internal" when a folder cannot be moved. Nothing is removed then.
        """
        for job in jobs:
            self._present(job)

        def work() -> None:
            for job in jobs:
                self._database.run("DELETE FROM events WHERE job = ?", (job,))
                self._database.run("DELETE FROM jobs WHERE id = ?", (job,))

        try:
            # Hidden first: a folder in the trash tells the next start that its job was being removed.
            for job in jobs:
                self._files.hide(job)
            self._files.keep_names()
            self._database.write(work, durable=True, vital=True)
        except BaseException:
            for job in jobs:
                self._files.unhide(job)
            raise
        for job in jobs:
            self._files.forget(job)

    def finished(self) -> builtins.list[Finished]:
        """The finished jobs that are not pinned, oldest first."""
        where, values = _in_states(FINISHED)
        rows = self._database.read(
            f"SELECT id, finished_at FROM jobs WHERE {where} AND NOT pinned ORDER BY finished_at, number",
            values,
        )
        return [Finished(*row) for row in rows]

    def states(self) -> dict[str, str]:
        """The state of every job by its id."""
        return dict(self._database.read("SELECT id, state FROM jobs ORDER BY number"))

    def _present(self, job: str) -> JobRow:
        row = self.get(job)
        if row is None:
            raise _not_found(job)
        return row

    def _select(self, rest: str, values: tuple[Any, ...]) -> builtins.list[JobRow]:
        rows = self._database.read(f"SELECT {', '.join(_FIELDS)} FROM jobs {rest}", values)
        with self._database.decoding():
            return [_row(columns) for columns in rows]


def _row(columns: tuple[Any, ...]) -> JobRow:
    values = dict(zip(_FIELDS, columns, strict=True))
    return JobRow(**{**values, "pinned": bool(values["pinned"]), "progress": json.loads(values["progress"])})


def _first(rows: list[JobRow]) -> JobRow | None:
    return rows[0] if rows else None


def _in_states(states: Collection[str] | None) -> tuple[str, tuple[Any, ...]]:
    if states is None:
        return "1", ()
    return f"state IN ({', '.join('?' * len(states))})", tuple(states)


def _to_json(data: dict[str, Any]) -> str:
    return json.dumps(data, allow_nan=False, separators=(",", ":"))


def _not_found(job: str) -> ServiceError:
    return ServiceError("not_found", f"there is no job {job}")
