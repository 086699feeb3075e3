"""One job, from its folder to its results, whatever goes wrong on the way."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from splinescape import __version__, engines
from splinescape.checkpoint import JOB_FILE, CheckpointError, change_engines
from splinescape.config import SceneConfig
from splinescape.engines import Choice, MemoryTier
from splinescape.errors import (
    CancelledError,
    SplinescapeError,
    is_out_of_memory,
)
from splinescape.events import Note
from splinescape.pipeline import ScenePipeline, SceneResult
from splinescape.protocol.wire import Message
from splinescape.service.discreet import discreet
from splinescape.service.worker.device import free_memory, free_on_device
from splinescape.service.worker.joblog import JobLog
from splinescape.service.worker.preview import FOLDER as PREVIEW
from splinescape.service.worker.relay import Relay
from splinescape.service.worker.results import complete_results, write_results
from splinescape.service.worker.scenes import Scenes
from splinescape.service.worker.spec import Spec, read_spec

_CHECKPOINT = "checkpoint"
_DROPPED = "checkpoint-dropped-"
_LOST_DEVICE = 71
_NEXT_TIER = {
    MemoryTier.FULL: (MemoryTier.LEAN, "trying again, slower but in less memory"),
    MemoryTier.LEAN: (MemoryTier.LEAST, "trying again with the engines that need least"),
}


@dataclass(frozen=True)
class Outcome:
    """How a job ended here.

    Attributes:
        reason: one sentence, for "failed". files: name, size and sha256 of the results, for "done".
    """

    outcome: Literal["done", "failed", "stopped"]
    reason: str = ""
    files: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class _Kept:
    """An engine that was made before; `key` is what it was made from.

    `free` is how much of the device's memory was free without it, in bytes.
    """

    key: tuple[Any, ...]
    engine: Any
    free: int


class WarmEngines:
    """Keeps the latest engine of each role, so that the next job need not load its weights again."""

    def __init__(self) -> None:
        self._made: dict[str, _Kept] = {}

    def choose(self, wanted: dict[str, str], config: SceneConfig, tier: MemoryTier) -> dict[str, Choice]:
        """Role -> engine; errors as `engines.pick`."""
        tables = {
            "inpaint": engines.INPAINTERS,
            "depth": engines.DEPTH_ESTIMATORS,
            "raster": engines.RASTERIZERS,
        }
        return {role: self._engine(role, tables[role], wanted[role], config, tier) for role in tables}

    def _engine(
        self,
        role: str,
        table: list[engines.EngineEntry],
        wanted: str,
        config: SceneConfig,
        tier: MemoryTier,
    ) -> Choice:
        def look(failed: Mapping[str, str]) -> tuple[engines.EngineEntry, str]:
            if failed:  # its error no longer holds on to what was loaded before it
                free_memory()
            kept = self._made.get(role)
            # What is kept goes when another is taken: its memory counts as free.
            free = 0 if kept is None else kept.free
            return engines.pick(role, table, wanted, tier, config, free, failed)

        def take(entry: engines.EngineEntry, reason: str) -> Choice | None:
            key = (entry.name, tier, *(getattr(config, name) for name in entry.reads))
            if role in self._made and self._made[role].key != key:
                del self._made[role]
                free_memory()
                return None  # others may have taken what was free without it
            if role in self._made:
                return self._again(role, entry, config, reason)
            free = free_on_device()
            if entry.forecast is not None and tier is MemoryTier.FULL:
                reason = f"{reason}; {entry.forecast(config, free)}"
            self._made[role] = _Kept(key, entry.build(config, tier), free)
            return Choice(self._made[role].engine, entry.name, reason)

        return engines.first_that_can(look, take, wanted)

    def _again(self, role: str, entry: engines.EngineEntry, config: SceneConfig, reason: str) -> Choice:
        """The engine that was made before, for these settings."""
        engine = self._made[role].engine
        if entry.renew is not None:
            entry.renew(engine, config)
        return Choice(engine, entry.name, f"{reason}; loaded already" if entry.model else reason)

    def drop(self) -> None:
        """Give all of them up."""
        self._made.clear()


class Runner:
    """Runs jobs one after the other.

    Args:
        send: passes messages to the broker. scenes: gets the newest splats for renderings.
    """

    def __init__(self, send: Callable[[Message], None], scenes: Scenes) -> None:
        self._send = send
        self._scenes = scenes
        self._engines = WarmEngines()

    def run(self, job: str, folder: Path, attempt: int, tier: int, cancel: threading.Event) -> Outcome:
        """Make the scene of a job, or go on making it; never raises."""
        log = JobLog(folder / "log.txt")
        log.line(f"attempt {attempt + 1} begins, pid {os.getpid()}, Splinescape {__version__}")
        try:
            with log.with_warnings():
                outcome = self._run(_Job(job, folder, log, cancel, self._send, self._scenes), tier)
        except BaseException as error:
            outcome = _failure(error, folder, log)
        finally:
            self._scenes.hide()
        log.line(f"{outcome.outcome}{f': {outcome.reason}' if outcome.reason else ''}")
        return outcome

    def _run(self, job: _Job, tier: int) -> Outcome:
        files = complete_results(job.folder)
        _clean(job.folder, finished=files is not None)
        if files is None:
            files = self._make(job, MemoryTier(min(max(tier, 0), MemoryTier.LEAST)))
            _clean(job.folder, finished=True)
        return Outcome("done", files=files)

    def _make(self, job: _Job, tier: MemoryTier) -> list[dict[str, Any]]:
        spec = read_spec(job.folder)
        for note in spec.picture.notes:
            job.tell(Note(note))
        while True:
            try:
                chosen = self._engines.choose(spec.engines, spec.config, tier)
                return job.make(spec, chosen)
            except Exception as error:
                if not is_out_of_memory(error) or tier not in _NEXT_TIER:
                    raise
                job.log.error(error)
            # Out of the block, so that the error no longer holds on to what was computed when memory ran out.
            chosen = {}
            tier, what_next = _NEXT_TIER[tier]
            self._engines.drop()
            self._scenes.hide()
            self._scenes.forget()
            free_memory()
            job.tell(Note(f"there was not enough memory: {what_next}", warning=True))


@dataclass(eq=False)
class _Job:
    """A job that is being worked on."""

    id: str
    folder: Path
    log: JobLog
    cancel: threading.Event
    send: Callable[[Message], None]
    scenes: Scenes

    def make(self, spec: Spec, chosen: dict[str, Choice]) -> list[dict[str, Any]]:
        """Run the pipeline, from its checkpoint if there is one, and write the results."""
        self._open_checkpoint(chosen)
        try:
            result, relay = self._pipeline(spec, chosen)
        except CheckpointError as error:
            if is_out_of_memory(error) or not _is_damage(error.__cause__):
                raise
            self._drop_checkpoint(f"its checkpoint cannot be used ({self.public(error)})")
            result, relay = self._pipeline(spec, chosen)
        return write_results(result, spec, self.folder, relay, self.cancel)

    def _pipeline(self, spec: Spec, chosen: dict[str, Choice]) -> tuple[SceneResult, Relay]:
        relay = self._relay()
        pipeline = ScenePipeline(
            spec.config, inpainter=chosen["inpaint"], depth=chosen["depth"], rasterizer=chosen["raster"]
        )
        result = pipeline.run(
            spec.picture.rgb,
            spec.path,
            focal_px=spec.focal_px,
            on_event=relay,
            cancel=self.cancel,
            checkpoint_dir=self.folder / _CHECKPOINT,
        )
        return result, relay

    def _open_checkpoint(self, chosen: dict[str, Choice]) -> None:
        """See whether the checkpoint, if there is one, can be continued with the engines of this time."""
        folder = self.folder / _CHECKPOINT
        if not (folder / JOB_FILE).exists():
            return
        names = {role: choice.name for role, choice in chosen.items()}
        try:
            if change_engines(folder, names):
                used = ", ".join(f"{role} {name}" for role, name in names.items())
                self.tell(
                    Note(f"finished frames were made by other engines; going on with {used}", warning=True)
                )
        except CheckpointError as error:
            self._drop_checkpoint(f"its checkpoint cannot be continued: {self.public(error)}")

    def _drop_checkpoint(self, why: str) -> None:
        """Start again; the folder goes as a whole, so that nothing of it can ever be taken for another's."""
        aside = self.folder / f"{_DROPPED}{secrets.token_hex(4)}"
        (self.folder / _CHECKPOINT).rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
        self.tell(Note(f"the job starts again from the beginning: {why}", warning=True))

    def _relay(self) -> Relay:
        return Relay(
            self.id,
            self.send,
            lambda splats, revision: self.scenes.show(self.id, splats, revision),
            self.folder / PREVIEW,
            self.log,
        )

    def tell(self, note: Note) -> None:
        """Tell of a choice that was made here."""
        self.log.line(str(note))
        data = {"text": discreet(note.text), "warning": note.warning}
        self.send(Message("event", {"kind": "note", "data": data}, job=self.id))

    def public(self, error: BaseException) -> str:
        """An error in one line, without the paths of this machine."""
        return _public(error, self.folder)


def _public(error: BaseException, folder: Path) -> str:
    text = " ".join(str(error).split())
    names = ((folder / "picture", "the picture"), (folder / "path.json", "the camera path"))
    for path, name in names:
        text = text.replace(str(path), name)
    return discreet(text.replace(f"{folder}{os.sep}", "").replace(str(folder), "the job's folder"))


def _failure(error: BaseException, folder: Path, log: JobLog) -> Outcome:
    """What to tell of an error that ended a job; the log gets the rest of it."""
    if isinstance(error, CancelledError):
        return Outcome("stopped")
    log.error(error)
    if _is_disk_full(error):
        return Outcome("failed", "the disk of the service is full: make room there, then resume the job")
    if is_out_of_memory(error):
        return Outcome(
            "failed", "there is not enough memory, whatever was tried: lower max_resolution or n_frames"
        )
    if isinstance(error, SplinescapeError):
        return Outcome("failed", _public(error, folder))
    if "CUDA error" in str(error):
        # A device that failed once fails whatever comes next in this process.
        print(f"the device failed: {_public(error, folder)}", file=sys.stderr, flush=True)
        os._exit(_LOST_DEVICE)
    what = f"{type(error).__name__}: {_public(error, folder)}".removesuffix(": ")
    return Outcome("failed", f"something unexpected went wrong ({what}); the job's log says where")


def _is_damage(cause: BaseException | None) -> bool:
    """Whether a checkpoint itself is at fault, and not the disk under it."""
    return not isinstance(cause, OSError) or isinstance(cause, FileNotFoundError)


def _is_disk_full(error: BaseException | None) -> bool:
    while error is not None:
        numbers = (errno.ENOSPC, errno.EDQUOT)
        # numpy reports a short write without a number
        if isinstance(error, OSError) and (error.errno in numbers or "requested and" in str(error)):
            return True
        error = error.__cause__
    return False


def _clean(folder: Path, finished: bool) -> None:
    """Remove what a process that was killed left behind, and the checkpoint of a job that is finished."""
    for temp in folder.rglob(".splinescape-*.tmp"):
        with contextlib.suppress(OSError):
            temp.unlink()
    if finished and (folder / _CHECKPOINT).exists():
        (folder / _CHECKPOINT).rename(folder / f"{_DROPPED}{secrets.token_hex(4)}")
    for dropped in folder.glob(f"{_DROPPED}*"):
        shutil.rmtree(dropped, ignore_errors=True)
