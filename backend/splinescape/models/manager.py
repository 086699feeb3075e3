"""The models on this disk: what is there, fetching, checking, removing, and where an engine finds its files.

Everything but `download` works without the network and without the hub's library, so a service can list models
cheaply.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from splinescape.io.atomic import atomic_file
from splinescape.models.catalogue import CATALOGUE, model_entry
from splinescape.models.errors import ModelError
from splinescape.models.files import check_local, folder_size, hash_file
from splinescape.models.folders import Folders, default_root, disk_errors
from splinescape.models.record import Record, read_record, write_record
from splinescape.models.status import ModelStatus, model_status

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in total."""


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
        return model_status(self.folders, model_entry(id), self.accepted(id))

    def path(self, id: str) -> Path:
        """The folder with the files of the model's repository, or the file or folder given to `use`.

        Raises:
            ModelError: "not_found" unless the model is complete; the text says what is missing.
        """
        status = self.status(id)
        if status.path is not None:
            return Path(status.path)
        why = {
            "absent": "is not on this disk: download it, or name a folder that has it",
            "partial": "is only half downloaded: continue the download",
        }
        command = f"(splinescape models download {id})"
        reason = (
            f"{why[status.state]} {command}" if status.state in why else f"cannot be used: {status.problem}"
        )
        raise ModelError("not_found", f"the model {id} {reason}")

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
                f"{entry.licence.url} and accept it first (splinescape models accept {id})",
            )
        from splinescape.models.download import fetch_model  # takes time to load

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
        folder = self.folders.complete(model_entry(id).id)
        with self.folders.lock(id):
            record = read_record(folder)
            if record is None or record.local is not None:
                self.path(id)
                return ()
            bad = _bad_files(folder, record, on_progress or _ignore, cancel or threading.Event())
            if bad != record.damaged:
                with disk_errors(folder):
                    write_record(folder, replace(record, damaged=bad))
        return bad

    def remove(self, id: str) -> int:
        """Delete a model's files, and those of a download that is not complete; files given to `use` stay.

        Returns:
            Bytes that were freed; 0 when there was nothing.

        Raises:
            ModelError: another process is fetching the model or has its files open.
        """
        places = (self.folders.complete(model_entry(id).id), self.folders.partial(id))
        with self.folders.lock(id), disk_errors(self.folders.root):
            self.folders.check_ours(id)
            freed = sum(folder_size(folder) for folder in places)
            for folder in places:
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
        check_local(entry, path)
        folder = self.folders.complete(id)
        with self.folders.lock(id), disk_errors(self.folders.root):
            self.folders.check_ours(id)
            record = read_record(folder)
            if record is not None and record.local is None:
                raise ModelError("conflict", f"{id} has been downloaded to {folder}: remove it first")
            write_record(folder, Record(id, entry.repo, local=str(path)))


def _bad_files(
    folder: Path, record: Record, on_progress: Progress, cancel: threading.Event
) -> tuple[str, ...]:
    bad, done = [], 0
    for file in record.files:
        show = partial(_show, on_progress, done, record.size)
        if hash_file(folder / file.path, show, cancel) != file.sha256:
            bad.append(file.path)
        done += file.size
    return tuple(bad)


def _show(on_progress: Progress, before: int, total: int, size: int) -> None:
    on_progress(min(before + size, total), total)


def _ignore(_done: int, _total: int) -> None:
    pass
