"""What is known of a job, as plain data that a panel can show at any time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal[
    "waiting",
    "sending",
    "queued",
    "running",
    "paused",
    "done",
    "failed",
    "cancelled",
    "refused",
    "gone",
]
"""Those of the service, and: "waiting" for a connection, "sending" the picture, "refused" by the service, "gone" when
the service has no such job."""

ENDED: frozenset[str] = frozenset({"done", "failed", "cancelled", "refused", "gone"})
_NOTES_KEPT = 30


@dataclass(frozen=True)
class Arrived:
    """Splats that were fetched and wait to be shown.

    Attributes:
        path: a .ply file. revision: which state of the scene it is. count: splats in it, 0 if unknown.
        final: whether it is the job's result, `gf.ply`, and not a preview.
    """

    path: Path
    revision: int
    count: int
    final: bool


@dataclass(frozen=True)
class InputFrame:
    """The picture's camera as the service has worked with it.

    Attributes:
        K_33: three rows in pixels, pixel centres at +0.5. width, height: of the working picture in pixels.
    """

    K_33: tuple[tuple[float, ...], ...]
    width: int
    height: int


@dataclass(frozen=True)
class Told:
    """A note of the service about the job."""

    text: str
    warning: bool


@dataclass
class JobView:
    """Where a job stands.

    Attributes:
        name: what people call it. job: its id, "" until the service has accepted it.
        reason: why it is in this state, in the service's words.
        stage, detail: what is done now. step, total: of that stage, 0 when unknown; while one frame is added, of all
            frames. part: how much of the step that is under way is done, from 0 to 1.
        eta: time (monotonic seconds) at which the stage will probably end; None when unknown.
        position: place in the queue from 1 on.
        frames, n_frames: frames that are finished, and as many as it may become. splats: of the scene so far.
        thumbnails: newest encoded pictures, "rgb" and "depth". pictures: counts their changes.
        sent: bytes of the picture that were sent, of how many. fetched: the same for the result.
        connection: "connecting", "connected" or "lost". trouble: what does not work at the moment, a sentence.
        changes: counts up with every change, so that who shows it knows when to do so again.
    """

    name: str
    job: str = ""
    state: State = "waiting"
    reason: str = ""
    stage: str = ""
    detail: str = ""
    step: int = 0
    total: int = 0
    part: float = 0.0
    eta: float | None = None
    position: int | None = None
    device: str = ""
    frames: int = 0
    n_frames: int = 0
    splats: int = 0
    notes: list[Told] = field(default_factory=list)
    thumbnails: dict[str, bytes] = field(default_factory=dict)
    pictures: int = 0
    input_frame: InputFrame | None = None
    summary: dict[str, Any] | None = None
    sent: tuple[int, int] = (0, 0)
    fetched: tuple[int, int] = (0, 0)
    arrived: Arrived | None = None
    connection: str = "connecting"
    trouble: str = ""
    changes: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.state in ENDED

    @property
    def fraction(self) -> float | None:
        """How much of the present stage, or transfer, is done, from 0 to 1; None when unknown."""
        done: float
        done, total = self.step + self.part, self.total
        if self.state == "sending":
            done, total = self.sent
        elif self.state == "done":
            done, total = self.fetched
        return min(1.0, done / total) if total else None

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the present stage will probably end, at the time `now` (monotonic); None when unknown."""
        return None if self.eta is None else max(0.0, self.eta - now)

    def note(self, text: str, warning: bool) -> None:
        """Remember what the service says; of the same only the last."""
        told = Told(text, warning)
        self.notes = [*[each for each in self.notes if each != told][-_NOTES_KEPT + 1 :], told]

    @property
    def warnings(self) -> list[str]:
        """What the artist should know."""
        return [each.text for each in self.notes if each.warning]

    def problem(self) -> str:
        """What is wrong, in a sentence with the next step; "" when nothing is."""
        if self.state in _PROBLEMS:
            before, after = _PROBLEMS[self.state]
            reason = f": {self.reason.rstrip('. ')}" if self.reason else ""
            return f"{before}{reason}. {after}"
        if self.connection == "lost":
            reason = f" ({self.trouble.rstrip('. ')})" if self.trouble else ""
            promise = "The job is safe there" if self.job else "Nothing is lost"
            return f"The backend does not answer{reason}. {promise}: click Reconnect"
        return self.trouble


_PROBLEMS: dict[str, tuple[str, str]] = {
    "failed": ("The scene could not be finished", "Open the log, then Resume or change the settings"),
    "refused": ("The backend did not take the job", "Change what it says and generate again"),
    "gone": (
        "This backend has no such job",
        "Choose the one where it runs in the preferences, or generate again",
    ),
    "cancelled": ("Cancelled", "What was finished stays; Resume goes on from there"),
}
