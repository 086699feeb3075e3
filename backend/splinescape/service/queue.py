"""Who is next: fair between keys, and between the sessions of one key. Pure functions of what waits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from splinescape.service.store.jobs import JobRow

Lane = tuple[str, str]
"""(owner, session) of jobs that wait one behind the other."""


def next_job(queued: Sequence[JobRow], last_started: Mapping[Lane, float]) -> JobRow | None:
    """The job to start.

    Jobs that were begun before (retried, interrupted or resumed) come first, so that what is half done gets done.
    Then the owner whose latest start is longest ago, of this owner the session whose latest start is longest ago, and
    of this session the oldest job.

    Args:
        queued: jobs that wait, oldest first. last_started: when each (owner, session) last had a job started, on any
            clock; absent = never.
    """
    return next(_in_turn(queued, last_started), None)


def order(queued: Sequence[JobRow], last_started: Mapping[Lane, float]) -> list[JobRow]:
    """The jobs in the order in which one device would start them."""
    return list(_in_turn(queued, last_started))


@dataclass(eq=False)
class _Turns:
    """What one owner, or one session, has waiting, and when it last had its turn."""

    last: float
    first: int
    sessions: dict[str, _Turns] = field(default_factory=dict)
    jobs: list[JobRow] = field(default_factory=list)

    def rank(self) -> tuple[float, int]:
        return self.last, self.first


def _in_turn(queued: Sequence[JobRow], last_started: Mapping[Lane, float]) -> Iterator[JobRow]:
    last = dict(last_started)
    now = max(last.values(), default=0.0)
    for begun in (True, False):
        owners = _by_owner([row for row in queued if _was_begun(row) is begun], last)
        while owners:
            now = math.nextafter(now, math.inf)
            owner = min(owners.values(), key=_Turns.rank)
            session = min(owner.sessions.values(), key=_Turns.rank)
            row = session.jobs.pop()
            yield row
            owner.last = session.last = last[row.owner, row.session] = now
            if not session.jobs:
                del owner.sessions[row.session]
            if not owner.sessions:
                del owners[row.owner]


def _by_owner(rows: Sequence[JobRow], last: Mapping[Lane, float]) -> dict[str, _Turns]:
    owners: dict[str, _Turns] = {}
    for number, row in enumerate(rows):
        if row.owner not in owners:
            latest = max((when for lane, when in last.items() if lane[0] == row.owner), default=-math.inf)
            owners[row.owner] = _Turns(latest, number)
        sessions = owners[row.owner].sessions
        if row.session not in sessions:
            sessions[row.session] = _Turns(last.get((row.owner, row.session), -math.inf), number)
        sessions[row.session].jobs.append(row)
    for owner in owners.values():
        for session in owner.sessions.values():
            session.jobs.reverse()
    return owners


def _was_begun(row: JobRow) -> bool:
    return row.attempts > 0 or row.started is not None
