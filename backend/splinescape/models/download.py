"""Fetch a model file by file. Whatever moment this is killed at, nothing half received counts as complete.

A file grows as `.parts/<hash>`, named after the contents it shall have, and gets its own name when it has that hash
and is on disk. The folder gets its own name when every file has.
"""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from splinescape.models.catalogue import ModelEntry
from splinescape.models.errors import ModelError
from splinescape.models.folders import Folders, disk_errors
from splinescape.models.hub import Listing, TransientError, list_files
from splinescape.models.manager import Progress
from splinescape.models.record import RECORD_NAME, Record, missing_files, read_record, write_record
from splinescape.models.transfer import PARTS, Transfer, check_cancel, sync_folder


def fetch_model(folders: Folders, entry: ModelEntry, on_progress: Progress, cancel: threading.Event) -> None:
    """Make a model complete; the caller holds its lock. Arguments and errors as of `ModelStore.download`."""
    check_cancel(entry, cancel)
    with disk_errors(folders.root):
        listing = _ask(entry)
        folder = _reopen(folders, entry)
        record = _take_stock(folder, entry, listing)
        _check_space(folder, entry, listing, record)
        total = sum(file.size for file in listing.files)
        on_progress(record.size, total)
        have = {file.path for file in record.files}
        for file in listing.files:
            if file.path in have:
                continue
            show = partial(_show, on_progress, record.size, total)
            arrived = Transfer(entry, listing.commit, file, folder, cancel).run(show)
            record = replace(record, files=(*record.files, arrived))
            write_record(folder, record)
        shutil.rmtree(folder / PARTS)
        sync_folder(folder)
        folder.rename(folders.complete(entry.id))
        sync_folder(folders.root)


def _show(on_progress: Progress, before: int, total: int, size: int) -> None:
    on_progress(before + size, total)


def _ask(entry: ModelEntry) -> Listing:
    """The files that are needed, with their sizes."""
    try:
        listing = list_files(entry)
    except TransientError as error:
        raise ModelError("unavailable", str(error)) from None
    files = tuple(f for f in listing.files if any(fnmatchcase(f.path, pattern) for pattern in entry.files))
    if not files:
        raise ModelError("not_found", f"{entry.repo} no longer has the files that {entry.id} needs")
    return Listing(listing.commit, files)


def _reopen(folders: Folders, entry: ModelEntry) -> Path:
    """The folder of the download. A damaged model becomes one, so that its good files are kept."""
    folders.check_ours(entry.id)
    complete, growing = folders.complete(entry.id), folders.partial(entry.id)
    record = read_record(complete)
    if record is None or record.local is not None or growing.exists():
        folders.discard(complete, entry.id)
    growing.parent.mkdir(parents=True, exist_ok=True)
    if complete.exists():
        complete.rename(growing)
    (growing / PARTS).mkdir(parents=True, exist_ok=True)
    return growing


def _take_stock(folder: Path, entry: ModelEntry, listing: Listing) -> Record:
    """Write down which files are here and still wanted, and delete those that are not.

    A wanted file that nobody vouches for stays: `Transfer` looks into it.
    """
    old = read_record(folder) or Record(entry.id, entry.repo)
    known = {file.path: file for file in old.files}
    unsure = set(missing_files(folder, old))
    keep = {RECORD_NAME, *(f"{PARTS}/{file.key}" for file in listing.files)}
    sure = []
    for file in listing.files:
        mine = known.get(file.path)
        if mine is None or mine.key == file.key:
            keep.add(file.path)
            if mine is not None and file.path not in unsure:
                sure.append(mine)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.relative_to(folder).as_posix() not in keep:
            path.unlink()
    record = Record(entry.id, entry.repo, listing.commit, tuple(sure))
    write_record(folder, record)
    return record


def _check_space(folder: Path, entry: ModelEntry, listing: Listing, record: Record) -> None:
    have = {file.path for file in record.files}
    needed = sum(
        file.size - min(file.size, _size(folder / PARTS / file.key) + _size(folder / file.path))
        for file in listing.files
        if file.path not in have
    )
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ModelError(
            "disk_full",
            f"{entry.id} needs {_amount(needed)} more, but {folder.parent.parent} has only {_amount(free)} free: "
            "free some space, or set SPLINESCAPE_MODELS to a folder on another disk",
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
