"""Follows one job from the picture to the fetched scene, a little at a time; needs no Blender.

Whoever uses it polls the client, hands every event of the job to `take` and calls `step` after each poll. What comes of
it stands in `view`. Nothing here waits or raises because of the service or the connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from splinescape.client import Call, Client, Event, FileInfo, JobInfo
from splinescape.errors import InputError, SplinescapeError

from .job_view import Arrived, InputFrame, JobView, State

RESULT = "gf.ply"
_PARTS = frozenset({"expanded", "closing"})
"""Stages that are one frame each, a step of the progress over all frames, which stays while they last."""
_AGAIN_AFTER_S = 2.0
_ASK_STATUS_EVERY_S = 2.0
_WRITE_TRIES = 3
"""So often a result is written in vain: another Blender may be fetching it to the same place."""


@dataclass(frozen=True)
class Order:
    """What a scene is to be made from.

    Attributes:
        picture: an encoded picture. focal_px: its focal length in pixels if known; None leaves it to EXIF.
        path_json: camera path file, None for the spiral of the settings.
        settings: fields of the service's `SceneConfig`. engines: role -> engine name or "auto".
    """

    name: str
    picture: bytes
    focal_px: float | None = None
    path_json: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    engines: Mapping[str, str] = field(default_factory=dict)


class Follower:
    """One job.

    Attributes:
        view: where it stands; only to be read.
        result: tells where the finished scene shall lie, asked when it is fetched.
    """

    def __init__(
        self,
        view: JobView,
        previews: Path,
        result: Callable[[JobView], Path],
        order: Order | None = None,
    ) -> None:
        """Prepare; the first `step` begins. See `submitted` and `attached`.

        Args:
            previews: folder for splats that are shown while the job runs.
            order: what is to be submitted; None for a job that the service has already.
        """
        self.view = view
        self._previews = previews
        self.result = result
        self._order = order
        self._client: Client | None = None
        self._submit: Call[str] | None = None
        self._watch: Call[None] | None = None
        self._status: Call[JobInfo] | None = None
        self._change: Call[str] | None = None
        self._fetch: Call[Path | memoryview] | None = None
        self._fetching: Arrived | None = None
        self._fetch_at = 0.0
        self._status_at = 0.0
        self._last_seq = 0
        self._wanted: FileInfo | None = None
        self._shown_revision = -1
        self._delivered = False
        self._gave_up = False
        self._in_vain = 0
        self._cancel_wanted = False
        self._before_gone: State = view.state
        self._next_change = ""

    @classmethod
    def submitted(cls, order: Order, previews: Path, result: Callable[[JobView], Path]) -> Follower:
        """Follow a job that is still to be submitted."""
        return cls(JobView(order.name), previews, result, order)

    @classmethod
    def attached(cls, job: str, name: str, previews: Path, result: Callable[[JobView], Path]) -> Follower:
        """Follow a job that was submitted before, from its first event on."""
        return cls(JobView(name, job, "queued"), previews, result)

    # What happens.

    def step(self, client: Client) -> None:
        """Do what is due; to be called after every poll of the client.

        Args:
            client: the one in use; when it is another than before, the job is looked for there.
        """
        if client is not self._client:
            self._use(client)
        self._look_at_connection(client)
        if not self.view.job:
            self._step_submit(client)
            return
        self._step_watch(client)
        self._step_status(client)
        self._step_change()
        self._step_fetch(client)

    def _use(self, client: Client) -> None:
        self._drop_calls()
        self._client = client
        if self.view.state == "gone":
            self._set(state=self._before_gone, reason="")

    def _drop_calls(self) -> None:
        for call in (self._submit, self._watch, self._status, self._change, self._fetch):
            if call is not None:
                call.cancel()
        self._submit = self._watch = self._status = self._change = self._fetch = None

    def _look_at_connection(self, client: Client) -> None:
        if client.state != self.view.connection or (client.reason and client.reason != self.view.trouble):
            self._set(connection=client.state, trouble=client.reason)

    def _step_submit(self, client: Client) -> None:
        if self.view.ended:
            return
        if self._submit is None:
            if self._cancel_wanted:
                self._set(state="cancelled", reason="nothing was sent")
            elif client.state == "connected" and self._order is not None:
                order = self._order
                self._submit = client.submit(
                    order.picture,
                    order.path_json,
                    order.settings,
                    engines=order.engines,
                    name=order.name,
                    focal_px=order.focal_px,
                )
                self._set(state="sending")
        elif not self._submit.done:
            if self._submit.progress != self.view.sent:
                self._set(sent=self._submit.progress)
        elif self._submit.error is not None:
            self._set(state="refused", reason=str(self._submit.error))
        else:
            self._set(job=self._submit.get(), state="queued")
            self._order = self._submit = None

    def _step_watch(self, client: Client) -> None:
        if self._watch is None:
            self._watch = client.watch(self.view.job, since=self._last_seq)
        elif self._watch.done and self._watch.error is not None and self.view.state != "gone":
            self._failed_to_watch(self._watch.error)

    def _failed_to_watch(self, error: SplinescapeError) -> None:
        if getattr(error, "code", "") == "not_found":
            self._before_gone = self.view.state
            self._set(state="gone", reason="")
        elif time.monotonic() >= self._fetch_at:
            self._fetch_at = time.monotonic() + _AGAIN_AFTER_S
            self._watch = None

    def _step_status(self, client: Client) -> None:
        """Ask now and then for what no event tells: the place in the queue, the number of frames to come."""
        if self._status is None:
            wanted = self.view.state == "queued" or not self.view.n_frames
            if wanted and not self.view.ended and time.monotonic() >= self._status_at:
                self._status = client.status(self.view.job)
                self._status_at = time.monotonic() + _ASK_STATUS_EVERY_S
        elif self._status.done:
            info, self._status = self._status.result, None
            if info is not None:
                self._set(position=info.position, n_frames=info.n_frames, device=info.device or "")

    def take(self, event: Event) -> None:
        """An event of this job, as the client's `poll` has returned it."""
        self._last_seq = max(self._last_seq, event.seq)
        listener = getattr(self, f"_on_{event.kind}", None)
        if listener is not None:
            listener(event)
            self.view.changes += 1

    def _on_state(self, event: Event) -> None:
        state = str(event.data.get("state", ""))
        self.view.reason = str(event.data.get("reason") or "")
        if state == "deleted":
            self._before_gone, self.view.state = self.view.state, "gone"
        else:
            self.view.state = state  # type: ignore[assignment]
        self.view.eta = None
        if state in ("queued", "running"):
            self._delivered = self._gave_up = False
        if state != "running":
            self.view.step = self.view.total = 0
            self.view.part = 0.0

    def _on_stage(self, event: Event) -> None:
        view = self.view
        view.stage, view.detail = str(event.data.get("stage", "")), str(event.data.get("detail", ""))
        view.part = 0.0
        if view.stage not in _PARTS:
            view.step, view.total, view.eta = 0, 0, None

    def _on_progress(self, event: Event) -> None:
        view, data = self.view, event.data
        view.stage = str(data.get("stage", view.stage))
        step, total = int(data.get("step") or 0), int(data.get("total") or 0)
        if view.stage in _PARTS:
            view.part = min(1.0, step / total) if total else 0.0
            return
        view.step, view.total, view.part = step, total, 0.0
        eta_s = data.get("eta_s")
        view.eta = None if eta_s is None else time.monotonic() + float(eta_s)

    def _on_note(self, event: Event) -> None:
        self.view.note(str(event.data.get("text", "")), bool(event.data.get("warning")))

    def _on_frame(self, event: Event) -> None:
        view, data = self.view, event.data
        view.frames = max(view.frames, int(data.get("index", 0)) + 1)
        if event.buffers:
            view.thumbnails = dict(event.buffers)
            view.pictures += 1
        if data.get("role") == "input":
            rows = tuple(tuple(float(each) for each in row) for row in data["K_33"])
            view.input_frame = InputFrame(rows, int(data["width"]), int(data["height"]))
        self._want(data.get("splats"))

    def _on_scene(self, event: Event) -> None:
        self._want(event.data.get("splats"))

    def _want(self, splats: Mapping[str, Any] | None) -> None:
        if not splats:
            return
        known = {
            name: splats[name] for name in ("name", "size", "sha256", "count", "revision") if name in splats
        }
        info = FileInfo(**known)
        if self._wanted is None or (info.revision or 0) >= (self._wanted.revision or 0):
            self._wanted = info
            self.view.splats = info.count or self.view.splats

    def _on_summary(self, event: Event) -> None:
        self.view.summary = dict(event.data)

    # Fetching.

    def _step_fetch(self, client: Client) -> None:
        if self._fetch is not None:
            self._look_at_fetch()
        elif self.view.arrived is None and self._caught_up() and time.monotonic() >= self._fetch_at:
            self._begin_fetch(client)

    def _caught_up(self) -> bool:
        """Whether the past was told, so that nothing old is fetched that is out of date already."""
        return self._watch is not None and self._watch.done and self._watch.error is None

    def _begin_fetch(self, client: Client) -> None:
        if self.view.state == "done":
            if not self._delivered and not self._gave_up:
                try:
                    path = self.result(self.view)
                except OSError as error:
                    self._give_up(str(error))
                    return
                self._fetching = Arrived(path, self._shown_revision + 1, 0, final=True)
                self._fetch = client.fetch(self.view.job, RESULT, path)
            return
        wanted = self._wanted
        if wanted is None or (wanted.revision or 0) <= self._shown_revision:
            return
        path = self._previews / f"{self.view.job}_{wanted.revision}_{id(self):x}.ply"
        self._fetching = Arrived(path, wanted.revision or 0, wanted.count or 0, final=False)
        self._fetch = client.fetch(self.view.job, wanted, path)

    def _look_at_fetch(self) -> None:
        call, arriving = self._fetch, self._fetching
        assert call is not None and arriving is not None
        if not call.done:
            if arriving.final and call.progress != self.view.fetched:
                self._set(fetched=call.progress)
            return
        self._fetch = None
        if call.error is None:
            self._shown_revision = arriving.revision
            self._delivered = self._delivered or arriving.final
            done, total = call.progress
            self._set(
                arrived=arriving, trouble="", fetched=(max(done, total),) * 2 if arriving.final else (0, 0)
            )
        elif arriving.final:
            self._final_fetch_failed(call.error)
        elif getattr(call.error, "code", "") in ("superseded", "not_found"):
            self._shown_revision = max(
                self._shown_revision, arriving.revision
            )  # a newer one is, or will be, told
        else:
            self._fetch_at = time.monotonic() + _AGAIN_AFTER_S

    def _final_fetch_failed(self, error: SplinescapeError) -> None:
        """Try again what may be better soon, which a full disk or a result that was deleted is not."""
        self._in_vain += isinstance(error, InputError)
        if self._in_vain >= _WRITE_TRIES or getattr(error, "code", "") == "not_found":
            self._give_up(str(error))
        else:
            self._fetch_at = time.monotonic() + _AGAIN_AFTER_S
            self._set(trouble=f"The finished scene cannot be fetched: {error}")

    def _give_up(self, why: str) -> None:
        self._gave_up, self._in_vain = True, 0
        reason = why.rstrip(". ")
        self._set(
            trouble=f"The finished scene cannot be fetched: {reason}. Import Scene tries again",
        )

    def imported(self) -> None:
        """What `view.arrived` tells was taken over: the next splats may be fetched."""
        arrived = self.view.arrived
        if arrived is None:
            return
        self._set(arrived=None)
        _tidy_up(arrived)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to follow or to fetch, or it cannot be fetched."""
        if self.view.state == "done":
            return (self._delivered or self._gave_up) and self.view.arrived is None
        return self.view.ended

    # Telling the service.

    def cancel(self) -> None:
        """Stop the job, or what was to become one."""
        if self.view.job:
            self._tell("cancel")
        elif self._submit is not None:
            self._cancel_wanted = True
            self._submit.on_done(self._cancel_submitted)
        elif not self.view.ended:
            self._set(state="cancelled", reason="nothing was sent")

    def _cancel_submitted(self, submit: Call[str]) -> None:
        if submit.error is None and self._client is not None:
            self._change = self._client.cancel(submit.get())

    def pause(self) -> None:
        """Stop the job after its present step."""
        self._tell("pause")

    def resume(self) -> None:
        """Let the job go on after its last finished frame."""
        self._tell("resume")

    def _tell(self, what: str) -> None:
        if self._change is not None:
            self._next_change = what  # what was wanted last shall come to pass
        elif self._client is not None and self.view.job:
            self._change = getattr(self._client, what)(self.view.job)

    def _step_change(self) -> None:
        if self._change is None or not self._change.done:
            return
        change, self._change = self._change, None
        wanted, self._next_change = self._next_change, ""
        if wanted:
            self._tell(wanted)
        elif change.error is not None:
            self._set(trouble=f"The job could not be told to {change.name}: {change.error}")

    @property
    def last_seq(self) -> int:
        """Number of the newest event that was taken."""
        return self._last_seq

    def close(self, unwatch: bool = True) -> None:
        """Follow it no longer; the job goes on.

        Args:
            unwatch: False where somebody else follows it through the same client.
        """
        self._drop_calls()
        if unwatch and self._client is not None and self.view.job:
            self._client.unwatch(self.view.job)
        self._client = None
        if self.view.arrived is not None:
            _tidy_up(self.view.arrived)

    def _set(self, **facts: Any) -> None:
        for name, value in facts.items():
            if getattr(self.view, name) != value:
                setattr(self.view, name, value)
                self.view.changes += 1


def _tidy_up(arrived: Arrived) -> None:
    """Delete a preview; Windows refuses that while somebody looks into it."""
    if not arrived.final:
        with suppress(OSError):
            arrived.path.unlink(missing_ok=True)
