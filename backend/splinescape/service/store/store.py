"""The job store as a whole: its folder, its lock, its start and end, and what happens to it over time."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from filelock import FileLock, Timeout

from splinescape.errors import InputError
from splinescape.io.atomic import write_error
from splinescape.protocol.errors import ServiceError
from splinescape.service.store.clock import StoreClock
from splinescape.service.store.database import Database
from splinescape.service.store.disk import Reserve, disk_full, is_full
from splinescape.service.store.events import Events
from splinescape.service.store.folders import JobFiles
from splinescape.service.store.jobs import JobRow, Jobs
from splinescape.service.store.mending import mend
from splinescape.service.store.retention import Retention, expired
from splinescape.service.store.trash import Trash
from splinescape.service.store.uploads import UploadLimits, Uploads

_FOLDERS = ("jobs", "uploads", "trash", "run", "logs", "keys")
# What one call of `expire` does at most: clients wait for its caller.
_REMOVED_AT_ONCE = 1
_MEASURING_S = 0.01
_SHRUNK_PAGES = 256


class Store:
    """Everything that the service keeps, in one folder that belongs to one process at a time.

    Attributes:
        folder: with jobs.sqlite, jobs/, uploads/ and more. jobs, events, uploads, files: its parts.
    """

    folder: Path
    jobs: Jobs
    events: Events
    uploads: Uploads
    files: JobFiles

    def __init__(self, folder: Path, limits: UploadLimits, closing: contextlib.ExitStack) -> None:
        """See `open`, which also takes the lock; `closing` undoes what is begun here."""
        self.folder = folder
        self._closing = closing
        self._reserve = Reserve(folder / "reserve")
        self._reserve.give_up_if_full()
        self._measured: dict[str, tuple[str, int]] = {}
        trash = Trash(folder / "trash")
        closing.callback(trash.close)
        self.files = JobFiles(folder / "jobs", trash)
        path = folder / "jobs.sqlite"
        _refuse_jobs_without_database(path, self.files)
        self._database = Database(path, self._reserve)
        closing.callback(self._database.close)
        seconds, wall = self._database.read("SELECT seconds, wall FROM clock")[0]
        with self._database.decoding():
            self._clock = StoreClock(float(seconds), float(wall), time.time())
        self._save_clock(durable=True)
        closing.callback(self._save_clock_if_possible)
        self.jobs = Jobs(self._database, self._clock, self.files)
        self.events = Events(self._database)
        self.uploads = Uploads(folder / "uploads", self._clock, limits)
        mend(self.jobs, self.events, self.files)
        trash.empty()
        self._reserve.fill()

    @classmethod
    def open(cls, folder: Path, upload_limits: UploadLimits | None = None) -> Store:
        """Open or make a store, bring it to this version and repair what a crash left behind.

        Raises:
            InputError: another service uses it, the folder cannot be written, the database is damaged, newer than
                this program or missing beside jobs.
            ServiceError: "disk_full".
        """
        folder = Path(folder).absolute()
        try:
            _make_folders(folder)
            with contextlib.ExitStack() as closing:
                lock = _take_lock(folder)
                closing.callback(lock.release)
                store = cls(folder, upload_limits or UploadLimits(), closing)
                store._closing = closing.pop_all()
                return store
        except ServiceError as error:
            if error.code == "disk_full":
                raise
            raise InputError(str(error)) from error
        except OSError as error:
            raise (disk_full(folder) if is_full(error) else write_error(folder, error)) from error

    def close(self) -> None:
        """Put everything in order and let others use the store; a second time does nothing."""
        self._closing.close()

    def recover(self) -> list[JobRow]:
        """Queue again what ran when the service ended, and say which jobs these are."""
        running = self.jobs.with_state("running")
        return self._database.write(
            lambda: [self.jobs.set(row.id, state="queued") for row in running], durable=True, vital=True
        )

    def expire(self, policy: Retention, busy: set[str], now: float) -> list[str]:
        """Delete finished jobs that are too old or too much, one at a time: call again soon after it did.

        Jobs that are queued, running, paused, pinned or in `busy` stay. Call it every minute or so: it also keeps the
        store's clock, see `StoreClock` for what becomes of a wall clock that jumps.

        Args:
            now: wall time, unix seconds.

        Returns:
            the ids of the deleted jobs.
        """
        at = self._clock.now(now)
        sizes = self._sizes() if policy.max_bytes is not None else {}
        finished = [job for job in self.jobs.finished() if job.id not in busy]
        gone = expired(finished, sizes, policy, at)[:_REMOVED_AT_ONCE]
        if gone:
            self.jobs.remove(*gone)
        self._reserve.fill()
        with contextlib.suppress(ServiceError):  # a disk without room for more: next time
            self._save_clock_if_possible()
            self.events.trim()
            self._database.shrink(_SHRUNK_PAGES)
        return gone

    def _sizes(self) -> dict[str, int]:
        """Bytes of the jobs; measured when their state changed or while they run, as far as there is time."""
        deadline = time.monotonic() + _MEASURING_S
        states = self.jobs.states()
        self._measured = {job: known for job, known in self._measured.items() if job in states}
        for job, state in sorted(states.items(), key=lambda each: each[0] in self._measured):
            if state == "running" or self._measured.get(job, ("", 0))[0] != state:
                self._measured[job] = state, self.files.size(job)
                if time.monotonic() > deadline:
                    break
        return {job: size for job, (_, size) in self._measured.items()}

    def _save_clock(self, durable: bool = False) -> None:
        values = (self._clock.now(), self._clock.wall)
        self._database.write(
            lambda: self._database.run("UPDATE clock SET seconds = ?, wall = ?", values),
            durable,
            vital=durable,
        )

    def _save_clock_if_possible(self) -> None:
        with contextlib.suppress(ServiceError):
            self._save_clock()


def _make_folders(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _FOLDERS:
        (folder / name).mkdir(mode=0o700, exist_ok=True)
        if os.name == "posix":
            (folder / name).chmod(0o700)


def _take_lock(folder: Path) -> FileLock:
    # The number stands in a file of its own: Windows lets nobody read a locked one.
    pid = folder / "pid"
    lock = FileLock(folder / "lock", timeout=0, thread_local=False, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        with contextlib.suppress(OSError):
            holder = pid.read_text().strip()
            raise InputError(
                f"another service (process {holder}) uses {folder}: stop it, or choose another folder"
            ) from None
        raise InputError(f"another service uses {folder}: stop it, or choose another folder") from None
    with contextlib.suppress(OSError):
        pid.write_text(f"{os.getpid()}\n")
    return lock


def _refuse_jobs_without_database(database: Path, files: JobFiles) -> None:
    """An empty database beside jobs would take them all for leftovers."""
    if (not database.exists() or database.stat().st_size == 0) and files.ids():
        raise InputError(
            f"{database} is missing, but {database.parent / 'jobs'} holds jobs: put it back, or move that folder away "
            "to begin with an empty store"
        )
