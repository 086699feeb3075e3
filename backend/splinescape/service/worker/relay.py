"""Pipeline events on their way out: to the broker, to the preview folder, to the renderer and into the log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from splinescape.coarse.report import CoarseSummary
from splinescape.events import CoarseReported, Event, FrameAdded, Note, Progress, SceneChanged, StageStarted
from splinescape.io.frames import to_uint8
from splinescape.protocol.wire import Buffer, Message
from splinescape.scene.meta import SceneMeta
from splinescape.scene.splats import Splats
from splinescape.service.discreet import discreet
from splinescape.service.worker.joblog import JobLog
from splinescape.service.worker.preview import PreviewFolder, Shown, depth_picture, thumbnail

_PROGRESS_INTERVAL_S = 0.25
_LONGEST_EVENT = 48 * 2**10
_FRAMES = "coarse"
"""The stage whose steps are frames; the pipeline does not guess how long they take."""


class Relay:
    """Listens to one run of the pipeline.

    Args:
        job: its id. send: passes messages to the broker.
        show: takes the newest splats and their revision, for renderings.
        folder: for the preview. log: gets every event but the steps.
    """

    def __init__(
        self,
        job: str,
        send: Callable[[Message], None],
        show: Callable[[Splats, int], None],
        folder: Path,
        log: JobLog,
    ) -> None:
        self._job = job
        self._send = send
        self._show = show
        self._log = log
        self._preview = PreviewFolder(folder)
        self._meta = SceneMeta()
        self._waiting: list[tuple[Shown, int]] = []
        self._latest: Shown | None = None
        self._stage = ""
        self._pace = _Pace()
        self._last_progress = float("-inf")

    def __call__(self, event: Event) -> None:
        """Pass one event on."""
        if not isinstance(event, Progress):
            self._log.line(str(event))
        match event:
            case Note():
                self._tell("note", {"text": discreet(event.text), "warning": event.warning})
            case StageStarted():
                self._stage = event.stage
                self._tell("stage", {"stage": event.stage, "detail": event.detail})
            case Progress():
                self._progress(event)
            case FrameAdded():
                self._waiting.append((Shown(event.role, event.index, event.frame), len(event.splats)))
            case SceneChanged():
                self._scene(event.splats)
            case CoarseReported():
                self._tell("summary", _shortened(summary_facts(event.summary)))

    def _progress(self, event: Progress) -> None:
        now = time.monotonic()
        eta_s, important = event.eta_s, event.step == event.total
        if event.stage == _FRAMES:
            eta_s, important = self._pace.left(event.step, event.total), True
        if now - self._last_progress < _PROGRESS_INTERVAL_S and not important:
            return
        self._last_progress = now
        facts = {"stage": event.stage, "step": event.step, "total": event.total, "eta_s": eta_s}
        self._tell("progress", facts)

    def _scene(self, splats: Splats) -> None:
        """New splats, and the frames that brought them: those are told only now that both can be fetched."""
        if self._waiting:
            self._latest = self._waiting[-1][0]
        assert self._latest is not None  # the picture is a frame, and it comes first
        self._meta = self._meta if self._meta.K_33 is not None else _meta(self._waiting[0][0])
        info = self._preview.write(splats, self._meta, self._latest, self._stage)
        self._show(splats, info["revision"])
        for shown, new_splats in self._waiting:
            pictures = (
                Buffer.of_bytes("rgb", thumbnail(to_uint8(shown.frame.rgb))),
                Buffer.of_bytes("depth", thumbnail(depth_picture(shown.frame.depth))),
            )
            self._tell("frame", {**shown.facts(), "new_splats": new_splats, "splats": info}, pictures)
        self._waiting.clear()
        self._tell("scene", {"splats": info})

    def _tell(self, kind: str, data: dict[str, Any], buffers: tuple[Buffer, ...] = ()) -> None:
        self._send(Message("event", {"kind": kind, "data": data}, job=self._job, buffers=buffers))


def _meta(first: Shown) -> SceneMeta:
    """What the preview's files say about themselves: the picture's camera."""
    return SceneMeta(K_33=first.frame.K_33, width=first.frame.width, height=first.frame.height)


class _Pace:
    """Time left at the pace since it was first asked."""

    def __init__(self) -> None:
        self._began: tuple[int, float] | None = None

    def left(self, step: int, total: int) -> float | None:
        """Seconds for the steps that are left; None before one was seen to end."""
        now = time.monotonic()
        if self._began is None:
            self._began = (step, now)
        first, began = self._began
        return None if step <= first else (now - began) / (step - first) * (total - step)


def summary_facts(summary: CoarseSummary) -> dict[str, Any]:
    """The coarse summary as text and as JSON data."""
    return {"text": summary.text(), "data": asdict(summary)}


def _shortened(facts: dict[str, Any]) -> dict[str, Any]:
    """The same with less text where it would not fit the header of a message; summary.json has all of it."""
    room = _LONGEST_EVENT - len(json.dumps(facts["data"]))
    if len(facts["text"]) <= room:
        return facts
    return {**facts, "text": facts["text"][: max(0, room)].rpartition("\n")[0] + "\n..."}
