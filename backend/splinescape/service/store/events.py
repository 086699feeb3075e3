"""What happened, in order, for clients that were away."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import ITEM_SIZES, MAX_BUFFERS, Buffer
from splinescape.service.store.database import Database

MAX_BYTES = 2**20 - 2**12
"""JSON and buffers of one answer's events at most: it stays under 1 MiB as a whole."""

_SEQ_LEAP = 100_000
_KEPT_WITHOUT_JOB = 1000
_FRAMING = 192
_BUFFER_FRAMING = 128


@dataclass(frozen=True, eq=False)
class NewEvent:
    """Something that happened.

    Attributes:
        job: whom it concerns, None when it is about the service. kind: what it is. data: JSON data.
        buffers: thumbnails and the like.

    Raises:
        ServiceError: "bad_message" or "too_large" for what no message could carry.
    """

    job: str | None
    kind: str
    data: dict[str, Any]
    buffers: tuple[Buffer, ...] = ()

    def __post_init__(self) -> None:
        _pack(self)  # refused here, where only its sender suffers, not among others that are stored with it


@dataclass(frozen=True, eq=False)
class StoredEvent:
    """An event with its number.

    Attributes:
        seq: grows over all jobs and is never used again. time: unix seconds.
    """

    seq: int
    job: str | None
    time: float
    kind: str
    data: dict[str, Any]
    buffers: tuple[Buffer, ...] = ()


class Events:
    """The events of all jobs.

    Of the "progress" events of a stage only the newest is kept, and of the "model" events of a model: whoever was
    away needs no other.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        if database.crashed:
            # Events that clients have seen may be lost after a power failure; their numbers must not come back.
            database.write(self._leap, durable=True, vital=True)

    def _leap(self) -> None:
        self._database.run("UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'events'", (_SEQ_LEAP,))

    def add(self, events: Sequence[NewEvent]) -> list[StoredEvent]:
        """Store events in one transaction and number them.

        Raises:
            ServiceError: "disk_full"; nothing is stored then.
        """
        now = time.time()
        packed = [(event, _pack(event)) for event in events]
        return self._database.write(
            lambda: [self._insert(event, now, *parts) for event, parts in packed], durable=False
        )

    def _insert(self, event: NewEvent, now: float, data: str, buffers: str, raw: bytes) -> StoredEvent:
        slot = _slot(event)
        if slot is not None:
            self._database.run("DELETE FROM events WHERE job = ? AND slot = ?", (event.job or "", slot))
        cursor = self._database.run(
            "INSERT INTO events (job, time, kind, slot, data, buffers, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (event.job or "", now, event.kind, slot, data, buffers, raw),
        )
        assert cursor.lastrowid is not None
        return StoredEvent(cursor.lastrowid, event.job, now, event.kind, event.data, event.buffers)

    def since(
        self, seq: int, job: str | None = None, limit: int = 100, max_bytes: int = MAX_BYTES
    ) -> tuple[list[StoredEvent], bool]:
        """The events after number `seq` that fit one answer, and whether there are more; at least one if any."""
        where, values = ("AND job = ?", (job,)) if job is not None else ("", ())
        columns = "seq, job, time, kind, data, buffers, bytes"
        sql = f"SELECT {columns} FROM events WHERE seq > ? {where} ORDER BY seq LIMIT ?"
        events: list[StoredEvent] = []
        room = _Room(max_bytes)
        rows = self._database.rows(sql, (seq, *values, limit + 1))
        with self._database.decoding(), contextlib.closing(rows):
            for row in rows:
                event = _unpack(*row)
                fits = room.take(len(row[4]), len(event.buffers), len(row[6]))
                if len(events) == limit or (events and not fits):
                    return events, True
                events.append(event)
        return events, False

    def last_seq(self, job: str | None = None) -> int:
        """The newest number given out; with a job: that of its newest event, 0 when it has none."""
        if job is not None:
            return int(
                self._database.read("SELECT coalesce(max(seq), 0) FROM events WHERE job = ?", (job,))[0][0]
            )
        return int(self._database.read("SELECT seq FROM sqlite_sequence WHERE name = 'events'")[0][0])

    def told_states(self) -> dict[str, str]:
        """The state that the newest "state" event of each job tells."""
        rows = self._database.read(
            "SELECT job, data FROM events WHERE seq IN "
            "(SELECT max(seq) FROM events WHERE kind = 'state' AND job != '' GROUP BY job)"
        )
        with self._database.decoding():
            return {job: str(json.loads(data).get("state")) for job, data in rows}

    def forget_strangers(self) -> None:
        """Delete the events of jobs that are gone."""
        self._database.write(
            lambda: self._database.run(
                "DELETE FROM events WHERE job != '' AND job NOT IN (SELECT id FROM jobs)"
            ),
            durable=False,
        )

    def trim(self) -> None:
        """Forget old events that belong to no job."""
        self._database.write(
            lambda: self._database.run(
                "DELETE FROM events WHERE job = '' AND seq <= "
                "(SELECT seq FROM events WHERE job = '' ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                (_KEPT_WITHOUT_JOB,),
            ),
            durable=False,
        )


class _Room:
    """What still fits one answer."""

    def __init__(self, max_bytes: int) -> None:
        self._bytes, self._buffers = max_bytes, MAX_BUFFERS

    def take(self, text: int, buffers: int, raw: int) -> bool:
        self._bytes -= text + raw + _FRAMING + buffers * _BUFFER_FRAMING
        self._buffers -= buffers
        return min(self._bytes, self._buffers) >= 0


def _slot(event: NewEvent) -> str | None:
    if event.kind == "progress":
        return str(event.data.get("stage"))
    if event.kind == "model":
        return f"model {event.data.get('id')}"
    return None


def _pack(event: NewEvent) -> tuple[str, str, bytes]:
    try:
        data = json.dumps(event.data, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ServiceError("bad_message", f"an event '{event.kind}' is not JSON data: {error}") from None
    buffers = json.dumps([[buffer.name, buffer.dtype, buffer.shape] for buffer in event.buffers])
    raw = b"".join(memoryview(buffer.data).cast("B") for buffer in event.buffers)
    if not _Room(MAX_BYTES).take(len(data), len(event.buffers), len(raw)):
        raise ServiceError("too_large", f"an event '{event.kind}' is too large to be sent")
    return data, buffers, raw


def _unpack(seq: int, job: str, when: float, kind: str, data: str, buffers: str, raw: bytes) -> StoredEvent:
    view, start, parts = memoryview(raw), 0, []
    for name, dtype, shape in json.loads(buffers):
        end = start + math.prod(shape) * ITEM_SIZES[dtype]
        parts.append(Buffer(name, dtype, tuple(shape), view[start:end]))
        start = end
    return StoredEvent(seq, job or None, when, kind, json.loads(data), tuple(parts))
