"""Where model files lie.

    <root>/<id>/            a complete model as in its repository, and its record; nothing else ever has this name
    <root>/.partial/<id>/   a download that is not complete
    <root>/.licences/       which licences were accepted
    <root>/.locks/          one lock per model, held by whoever changes it
    <root>/.trash/          on the way out

A model becomes complete, and goes, by one renaming of its folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from splinescape.errors import InputError
from splinescape.io.atomic import write_error
from splinescape.models.errors import ModelError
from splinescape.models.record import read_record
from splinescape.protocol.errors import ErrorCode


def default_root() -> Path:
    """SPLINESCAPE_MODELS, or "models" in the user's data folder."""
    wanted = os.environ.get("SPLINESCAPE_MODELS")
    if wanted:
        return Path(wanted).expanduser().absolute()
    return Path(platformdirs.user_data_dir("splinescape", appauthor=False)) / "models"


class Folders:
    """The places of one models folder; nothing is created before it is needed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def complete(self, id: str) -> Path:
        """Where a model lies once all of it is there."""
        return self.root / id

    def partial(self, id: str) -> Path:
        """Where a download grows."""
        return self.root / ".partial" / id

    def licence(self, id: str) -> Path:
        """The note that a model's licence was accepted."""
        return self.root / ".licences" / f"{id}.json"

    @contextlib.contextmanager
    def lock(self, id: str) -> Iterator[None]:
        """Be the only one, on this machine, who changes a model; what earlier owners left in the trash goes.

        Raises:
            ModelError: "conflict" when another process is at it, or the folder cannot be written to.
        """
        path = self.root / ".locks" / f"{id}.lock"
        with disk_errors(self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, timeout=0)
            try:
                lock.acquire()
            except Timeout:
                raise ModelError(
                    "conflict", f"another process is fetching or changing {id}: wait for it, or stop it"
                ) from None
        try:
            self._empty_trash(id)
            yield
        finally:
            lock.release()

    def check_ours(self, id: str) -> None:
        """Refuse to touch what somebody put where a model would lie.

        Raises:
            ModelError: "conflict"; there are files without our record.
        """
        folder = self.complete(id)
        if folder.exists() and read_record(folder) is None and any(folder.iterdir()):
            raise ModelError(
                "conflict",
                f"{folder} was not made by Splinescape: move it elsewhere, and name that place to have it used",
            )

    def discard(self, folder: Path, id: str) -> None:
        """Delete a folder so that it is never seen half deleted; does nothing when it is not there.

        Raises:
            ModelError: "conflict" when a program holds a file of it open (Windows).
        """
        if not folder.exists():
            return
        target = self.root / ".trash" / f"{id}.{secrets.token_hex(4)}"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(target)
        except PermissionError as error:
            raise ModelError(
                "conflict", f"cannot remove {folder}: {error.strerror}; close what uses it"
            ) from None
        self._empty_trash(id)

    def _empty_trash(self, id: str) -> None:
        for left in (self.root / ".trash").glob(f"{id}.*"):
            shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a ModelError that names `path`, the cause and what to do."""
    try:
        yield
    except OSError as error:
        where = Path(error.filename) if isinstance(error.filename, str) else path
        raise ModelError(_code(error), str(write_error(where, error))) from error
    except InputError as error:  # from atomic writing, which has found the words already
        raise ModelError(_code(error.__cause__), str(error)) from error


def _code(error: BaseException | None) -> ErrorCode:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "disk_full" if full else "bad_input"
