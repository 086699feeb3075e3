"""The models on this disk: what is there, fetching, checking, removing, and where an engine finds its files.

Everything but `download` works without the network and without the hub's library, so a service can list models
cheaply.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from splinescape.errors import CancelledError
from splinescape.io.atomic import atomic_file
from splinescape.models.catalogue import CATALOGUE, ModelEntry, Role, model_entry
from splinescape.models.errors import ModelError
from splinescape.models.folders import Folders, default_root, disk_errors
from splinescape.models.record import Record, missing_files, read_record, write_record

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in total."""

State = Literal["absent", "partial", "complete", "damaged"]

_WEIGHTS = (".safetensors", ".gguf", ".pt", ".pth", ".bin")
_BLOCK = 2**20


@dataclass(frozen=True)
class ModelStatus:
    """One model of the catalogue as it stands on this disk; `dataclasses.asdict` makes JSON data of it.

    Attributes:
        state: "partial" while a download is not complete, "damaged" when files are gone or have changed.
        size: bytes of the whole model, None when nobody knows yet. on_disk: bytes that are here.
        path: where an engine finds it; None unless it is complete.
        local: `path` is the user's own file or folder.
        accepted: the licence was accepted, or need not be.
        problem: what is wrong with a damaged model.
    """

    id: str
    role: Role
    repo: str
    summary: str
    licence: str
    licence_url: str
    non_commercial: bool
    gated: bool
    accepted: bool
    state: State
    size: int | None
    on_disk: int
    path: str | None
    local: bool
    problem: str | None


class ModelStore:
    """A folder of models.

    Args:
        root: the folder; default SPLINESCAPE_MODELS, or "models" in the user's data folder.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self.folders = Folders(default_root() if root is None else Path(root).expanduser().absolute())

    def list(self) -> tuple[ModelStatus, ...]:
        """Every model of the catalogue. Looks at names and sizes only."""
        return tuple(self.status(id) for id in CATALOGUE)

    def status(self, id: str) -> ModelStatus:
        """One model as it stands. Raises ModelError("not_found") when the catalogue does not have it."""
        entry = model_entry(id)
        folder = self.folders.complete(id)
        record = read_record(folder)
        if record is None:
            got = folder_size(self.folders.partial(id))
            return self._status(entry, "partial" if got else "absent", entry.size, got)
        if record.local is not None:
            return self._local_status(entry, record.local)
        gone = missing_files(folder, record)
        if gone:
            problem = f"damaged or gone: {', '.join(gone)}; download it again to repair it"
            return self._status(entry, "damaged", record.size, folder_size(folder), problem=problem)
        return self._status(entry, "complete", record.size, record.size, path=str(folder))

    def _local_status(self, entry: ModelEntry, local: str) -> ModelStatus:
        path = Path(local)
        if not path.exists():
            problem = (
                f"{local}, which was to be used, is gone; bring it back, or remove the model and download it"
            )
            return self._status(entry, "damaged", entry.size, 0, local=True, problem=problem)
        size = path.stat().st_size if path.is_file() else folder_size(path)
        return self._status(entry, "complete", size, size, path=local, local=True)

    def _status(
        self,
        entry: ModelEntry,
        state: State,
        size: int | None,
        on_disk: int,
        path: str | None = None,
        local: bool = False,
        problem: str | None = None,
    ) -> ModelStatus:
        return ModelStatus(
            id=entry.id,
            role=entry.role,
            repo=entry.repo,
            summary=entry.summary,
            licence=entry.licence.name,
            licence_url=entry.licence.url,
            non_commercial=entry.licence.non_commercial,
            gated=entry.gated,
            accepted=self.accepted(entry.id),
            state=state,
            size=size,
            on_disk=on_disk,
            path=path,
            local=local,
            problem=problem,
        )

    def path(self, id: str) -> Path:
        """The folder with the files of the model's repository, or the file or folder given to `use`.

        Raises:
            ModelError: "not_found" unless the model is complete; the text says what is missing.
        """
        status = self.status(id)
        if status.path is not None:
            return Path(status.path)
        if status.state == "damaged":
            raise ModelError("not_found", f"the model {id} cannot be used: {status.problem}")
        half = (
            "only half downloaded: continue the download" if status.state == "partial" else "not on this disk"
        )
        hint = "" if status.state == "partial" else ": download it, or name a folder that has it"
        raise ModelError("not_found", f"the model {id} is {half}{hint}")

    def accepted(self, id: str) -> bool:
        """Whether the licence was accepted, or allows commercial use and need not be."""
        licence = model_entry(id).licence
        if not licence.non_commercial:
            return True
        try:
            note = json.loads(self.folders.licence(id).read_bytes())
            return bool(note["licence"] == licence.name)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def accept(self, id: str) -> None:
        """Note, once and for all downloads to come, that the user accepts the model's licence.

        Raises:
            ModelError: no such model, or the folder cannot be written to.
        """
        licence = model_entry(id).licence
        note = {"licence": licence.name, "url": licence.url, "accepted": time.time()}
        with disk_errors(self.folders.root), atomic_file(self.folders.licence(id)) as file:
            file.write(json.dumps(note).encode())

    def download(
        self, id: str, on_progress: Progress | None = None, cancel: threading.Event | None = None
    ) -> Path:
        """Fetch what is missing of a model and return where it lies; nothing to do when it is complete.

        What has arrived stays when this ends early, however it ends, and the next call continues there. A damaged
        model is repaired.

        Args:
            on_progress: called with bytes done and in total, often.
            cancel: may be set by another thread to stop.

        Raises:
            ModelError: the licence is not accepted, the hub refuses or cannot be reached, the disk is full, another
                process is fetching the same model, or the hub's library is not installed.
            CancelledError: `cancel` was set.
        """
        entry = model_entry(id)
        if self.status(id).state == "complete":
            return self.path(id)
        if not self.accepted(id):
            raise ModelError(
                "not_allowed",
                f"{id} is under the {entry.licence.name}, which forbids commercial use: read "
                f"{entry.licence.url} and accept it first",
            )
        from splinescape.models.download import fetch_model

        with self.folders.lock(id):
            if self.status(id).state != "complete":  # another process may have fetched it meanwhile
                fetch_model(self.folders, entry, on_progress or _ignore, cancel or threading.Event())
        return self.path(id)

    def verify(
        self, id: str, on_progress: Progress | None = None, cancel: threading.Event | None = None
    ) -> tuple[str, ...]:
        """Read every file of a downloaded model again and compare it with its hash.

        Files that differ are noted, so that the model counts as damaged and a download repairs it. Files given to
        `use` have no known hash; they pass when they are there.

        Returns:
            Paths of the files that are gone or differ; empty when all is well.

        Raises:
            ModelError: the model is not on this disk, or another process is changing it.
            CancelledError: `cancel` was set.
        """
        cancel = cancel or threading.Event()
        with self.folders.lock(id):
            folder = self.folders.complete(model_entry(id).id)
            record = read_record(folder)
            if record is None or record.local is not None:
                self.path(id)
                return ()
            bad, done = [], 0
            for file in record.files:
                if hash_file(folder / file.path, cancel) != file.sha256:
                    bad.append(file.path)
                done += file.size
                (on_progress or _ignore)(done, record.size)
            if tuple(bad) != record.damaged:
                with disk_errors(folder):
                    write_record(folder, replace(record, damaged=tuple(bad)))
        return tuple(bad)

    def remove(self, id: str) -> int:
        """Delete a model's files, and those of a download that is not complete; files given to `use` stay.

        Returns:
            Bytes that were freed; 0 when there was nothing.

        Raises:
            ModelError: another process is fetching the model or has its files open.
        """
        model_entry(id)
        with self.folders.lock(id), disk_errors(self.folders.root):
            self.folders.check_ours(id)
            freed = 0
            for folder in (self.folders.complete(id), self.folders.partial(id)):
                freed += folder_size(folder)
                self.folders.discard(folder, id)
        return freed

    def use(self, id: str, path: str | os.PathLike[str]) -> None:
        """Use a file or folder that is already on this disk instead of a download. It is never changed or deleted.

        Raises:
            ModelError: "bad_input" when it does not look like the model; "conflict" when the model has been
                downloaded, or another process is fetching it.
        """
        entry = model_entry(id)
        path = Path(path).expanduser().absolute()
        _check_local(entry, path)
        with self.folders.lock(id), disk_errors(self.folders.root):
            self.folders.check_ours(id)
            folder = self.folders.complete(id)
            record = read_record(folder)
            if record is not None and record.local is None:
                raise ModelError("conflict", f"{id} has been downloaded to {folder}: remove it first")
            folder.mkdir(parents=True, exist_ok=True)
            write_record(folder, Record(id, entry.repo, local=str(path)))


def _check_local(entry: ModelEntry, path: Path) -> None:
    if path.is_file():
        if path.suffix not in _WEIGHTS:
            raise ModelError(
                "bad_input", f"{path} is no file of weights: it should end in {', '.join(_WEIGHTS)}"
            )
        return
    if not path.is_dir():
        raise ModelError("bad_input", f"there is no file or folder {path}")
    names = (file.relative_to(path).as_posix() for file in path.rglob("*"))
    if not any(fnmatchcase(name, pattern) for name in names for pattern in entry.files):
        wanted = ", ".join(entry.files[:3]) + (" ..." if len(entry.files) > 3 else "")
        raise ModelError("bad_input", f"{path} has none of the files of {entry.id} ({wanted})")


def folder_size(folder: Path) -> int:
    """Bytes of all files in a folder; 0 when there is no such folder."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(where) / name).stat().st_size
            except OSError:  # gone meanwhile
                continue
    return total


def hash_file(path: Path, cancel: threading.Event) -> str | None:
    """SHA-256 of a file, None when it cannot be read. Raises CancelledError when `cancel` is set."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                if cancel.is_set():
                    raise CancelledError("stopped")
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()


def _ignore(_done: int, _total: int) -> None:
    pass
