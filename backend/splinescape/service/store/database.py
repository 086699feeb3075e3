"""The SQLite file: opening, migrating, transactions, and its errors in words."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

from splinescape.errors import InputError
from splinescape.io.atomic import atomic_path, write_error
from splinescape.protocol.errors import ServiceError
from splinescape.service.store.disk import Reserve, disk_full
from splinescape.service.store.schema import MIGRATIONS

T = TypeVar("T")

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DENIED = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY)
_CHECKPOINT_PAGES = 512
_LOG_BYTES = 8 * 2**20
_LITTLE_ROOM = 2**16
_WORDS = 160


class Database:
    """One connection to jobs.sqlite.

    Attributes:
        path: the file.
        crashed: the last user did not close it, so the newest commits without `durable` may be lost if the power
            failed.
    """

    def __init__(self, path: Path, reserve: Reserve) -> None:
        """Open the file, making or migrating it.

        Raises:
            InputError: it is newer than this program, no job store, or it cannot be opened.
            ServiceError: "disk_full", or "internal" when it is damaged or in use.
        """
        self.path = path
        self._reserve = reserve
        log = path.with_name(path.name + "-wal")
        self.crashed = log.exists() and log.stat().st_size > 0
        _make_private(path)
        self._connection = sqlite3.connect(path, timeout=1.0, isolation_level=None)
        try:
            with self._errors():
                # Alone in the file: no shared memory beside it, which a full disk could not hold.
                self._connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
                version = self._version()
                self._set_up()
                self._migrate(version)
        except BaseException:
            self._connection.close()
            raise

    def _version(self) -> int:
        version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise InputError(
                f"{self.path} was made by a newer version of Splinescape (store version {version}, this program "
                f"knows {len(MIGRATIONS)}): update Splinescape, or choose another folder for the service's data"
            )
        tables = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master")}
        if version == 0 and tables:
            raise InputError(f"{self.path} is no job store of Splinescape: choose another folder")
        if version and not {"jobs", "events"} <= tables:
            raise self._damaged("tables are missing")
        if version:
            found = self._connection.execute("PRAGMA integrity_check(jobs)").fetchone()[0]
            if found != "ok":
                raise self._damaged(str(found))
        return version

    def _set_up(self) -> None:
        for pragma in (
            "auto_vacuum = INCREMENTAL",
            "journal_mode = WAL",
            f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
            f"journal_size_limit = {_LOG_BYTES}",
            "temp_store = MEMORY",
            "trusted_schema = OFF",
        ):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()

    def _migrate(self, version: int) -> None:
        if 0 < version < len(MIGRATIONS):
            self._back_up(version)
        for number in range(version, len(MIGRATIONS)):
            self._connection.executescript(
                f"PRAGMA synchronous = FULL; BEGIN IMMEDIATE; {MIGRATIONS[number]} "
                f"PRAGMA user_version = {number + 1}; COMMIT;"
            )

    def _back_up(self, version: int) -> None:
        with atomic_path(self.path.with_name(f"{self.path.name}.v{version}")) as copy:
            self._connection.execute("VACUUM INTO ?", (str(copy),))

    def read(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._errors():
            return self._connection.execute(sql, values).fetchall()

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> Generator[tuple[Any, ...], None, None]:
        """The rows of a query one by one, for those that may be large; close the iterator when not all are taken."""
        with self._errors(), contextlib.closing(self._connection.execute(sql, values)) as cursor:
            yield from cursor

    @contextlib.contextmanager
    def decoding(self) -> Iterator[None]:
        """Around the reading of values: what makes no sense was damaged on the disk, ServiceError("internal")."""
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._damaged(f"a value makes no sense: {error}") from error

    def run(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """One statement, inside `write` only, which translates its errors."""
        return self._connection.execute(sql, values)

    def write(self, work: Callable[[], T], durable: bool, vital: bool = False) -> T:
        """Run `work` in one transaction and return its result; an error undoes all of it.

        Inside another `write`, it becomes a part of that one.

        Args:
            work: what to do; runs a second time when `vital` and the disk was full at first.
            durable: on disk when this returns, so that even a power failure keeps it; otherwise it survives the
                end of any process.
            vital: may use the room kept in reserve.

        Raises:
            ServiceError: "disk_full", or "internal" when the file or its disk is damaged.
        """
        if self._connection.in_transaction:
            return work()
        try:
            return self._transaction(work, durable)
        except ServiceError as error:
            if not (vital and error.code == "disk_full" and self._reserve.give_up()):
                raise
        return self._transaction(work, durable)

    def _transaction(self, work: Callable[[], T], durable: bool) -> T:
        with self._errors():
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                result = work()
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            return result

    def shrink(self, pages: int) -> None:
        """Give up to that many unused pages of the file back to the disk."""
        with self._errors():
            # A script, because `execute` takes one step only, which is one page.
            self._connection.executescript(
                f"PRAGMA synchronous = NORMAL; PRAGMA incremental_vacuum({pages:d});"
            )

    def close(self) -> None:
        """Put everything into the one file and let go of it."""
        self._connection.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if self._connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            raise self._translated(error) from error

    def _translated(self, error: sqlite3.DatabaseError | UnicodeDecodeError) -> ServiceError:
        if isinstance(error, UnicodeDecodeError):
            return self._damaged("text that is none")
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and self._no_room()):
            return disk_full(self.path)
        if code in _DAMAGED:
            return self._damaged(str(error))
        if code in _BUSY:
            return ServiceError("internal", f"another program has {self.path} open: close it")
        if code in _DENIED:
            return ServiceError(
                "internal", f"cannot write {self.path}: {error}; check its owner and permissions"
            )
        if code == sqlite3.SQLITE_IOERR:
            return ServiceError("internal", f"the disk of {self.path} fails: {error}")
        return ServiceError("internal", f"the job store's database {self.path} refuses: {error}")

    def _no_room(self) -> bool:
        with contextlib.suppress(OSError):
            return shutil.disk_usage(self.path.parent).free < _LITTLE_ROOM
        return False

    def _damaged(self, how: str) -> ServiceError:
        how = " ".join(how.split())[:_WORDS]
        return ServiceError(
            "internal",
            f"the job store's database {self.path} is damaged ({how}): move {self.path.parent} away to begin with "
            "an empty store; finished scenes stay in its folder jobs",
        )


def _make_private(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise write_error(path, error) from error
