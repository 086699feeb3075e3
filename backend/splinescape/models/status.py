"""How a model stands on this disk, found out from names and sizes alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from splinescape.models.catalogue import ModelEntry, Role
from splinescape.models.files import folder_size
from splinescape.models.folders import Folders
from splinescape.models.record import missing_files, read_record

State = Literal["absent", "partial", "complete", "damaged"]


@dataclass(frozen=True)
class ModelStatus:
    """One model of the catalogue as it stands on this disk; `dataclasses.asdict` makes JSON data of it.

    Attributes:
        state: "partial" while a download is not complete, "damaged" when files are gone or have changed.
        size: bytes of the whole model, None when nobody knows yet. on_disk: bytes that are here.
        path: where an engine finds it; None unless it is complete.
        local: it is the user's own file or folder.
        accepted: the licence was accepted, or need not be.
        problem: what is wrong with a damaged model and what to do.
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


@dataclass(frozen=True)
class _Found:
    """The part of a status that depends on the disk."""

    state: State
    size: int | None
    on_disk: int
    path: str | None = None
    local: bool = False
    problem: str | None = None


def model_status(folders: Folders, entry: ModelEntry, accepted: bool) -> ModelStatus:
    """Look at one model."""
    found = _look(folders, entry)
    return ModelStatus(
        id=entry.id,
        role=entry.role,
        repo=entry.repo,
        summary=entry.summary,
        licence=entry.licence.name,
        licence_url=entry.licence.url,
        non_commercial=entry.licence.non_commercial,
        gated=entry.gated,
        accepted=accepted,
        state=found.state,
        size=found.size,
        on_disk=found.on_disk,
        path=found.path,
        local=found.local,
        problem=found.problem,
    )


def _look(folders: Folders, entry: ModelEntry) -> _Found:
    folder = folders.complete(entry.id)
    record = read_record(folder)
    if record is None:
        got = folder_size(folders.partial(entry.id))
        return _Found("partial" if got else "absent", entry.size, got)
    if record.local is not None:
        return _look_local(entry, Path(record.local))
    gone = missing_files(folder, record)
    if gone:
        problem = f"damaged or gone: {', '.join(gone)}; download it again to repair it"
        return _Found("damaged", record.size, folder_size(folder), problem=problem)
    return _Found("complete", record.size, record.size, str(folder))


def _look_local(entry: ModelEntry, path: Path) -> _Found:
    gone = ""
    try:
        if not path.exists():
            gone = "is gone; bring it back"
        size = path.stat().st_size if path.is_file() else folder_size(path)
    except OSError as error:  # a share that is not connected, a disk that fails, a folder that is not ours
        gone = f"cannot be reached ({error.strerror}); see to it that it can"
    if gone:
        problem = f"{path}, which was to be used, {gone}, or remove the model and download it"
        return _Found("damaged", entry.size, 0, local=True, problem=problem)
    return _Found("complete", size, size, str(path), local=True)
