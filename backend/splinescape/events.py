"""What the pipeline tells its caller while it works.

The pipeline knows no progress bar, viewer or film: it calls `on_event` with these, and leaves listen.
`print` is a valid listener: every event has a readable `str()`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from splinescape.coarse.report import CoarseSummary
    from splinescape.scene.frame import Frame
    from splinescape.scene.splats import Splats

FrameRole = Literal["input", "outpaint", "expanded", "closing"]


@dataclass(frozen=True)
class Note:
    """A choice the pipeline made, with its reason (an engine, a crop, a fallback)."""

    text: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{'warning: ' if self.warning else ''}{self.text}"


@dataclass(frozen=True)
class StageStarted:
    """A named stage of work begins."""

    stage: str
    detail: str = ""

    def __str__(self) -> str:
        return f"[{self.stage}] {self.detail}".rstrip()


@dataclass(frozen=True)
class Progress:
    """Step `step` of `total` of a stage is done; `eta_s` seconds are left in this stage, if known."""

    stage: str
    step: int
    total: int
    eta_s: float | None = None

    def __str__(self) -> str:
        eta = "" if self.eta_s is None else f", {self.eta_s:.0f} s left"
        return f"[{self.stage}] {self.step}/{self.total}{eta}"


@dataclass(frozen=True, eq=False)
class FrameAdded:
    """A frame is finished: picture, depth and camera are final.

    `index` counts frames from 0 in the order they were added; `splats` are the new ones this frame brought.
    """

    role: FrameRole
    index: int
    frame: Frame
    splats: Splats

    def __str__(self) -> str:
        return (
            f"frame {self.index} ({self.role}): {self.frame.width}x{self.frame.height}, "
            f"{len(self.splats)} new splats"
        )


@dataclass(frozen=True, eq=False)
class SceneChanged:
    """The whole scene after training; what a viewer shows from now on."""

    splats: Splats

    def __str__(self) -> str:
        return f"scene: {len(self.splats)} splats"


@dataclass(frozen=True, eq=False)
class CoarseReported:
    """Coarse expansion is over; the summary says what was chosen and why."""

    summary: CoarseSummary

    def __str__(self) -> str:
        return self.summary.text()


Event = Note | StageStarted | Progress | FrameAdded | SceneChanged | CoarseReported
OnEvent = Callable[[Event], None]
