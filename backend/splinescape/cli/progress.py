"""Shows what the pipeline is doing: bars with the time left on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from splinescape.events import CoarseReported, Event, FrameAdded, Note, Progress, StageStarted

PLAIN_INTERVAL_S = 5.0
OVERALL = "coarse"
"""The stage whose bar stays while the stages of its single frames come and go."""


class ProgressDisplay:
    """A listener for pipeline events that writes to stderr.

    Args:
        quiet: show warnings only.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _TimeLeft())
        self._bars = Bars(*columns, console=self._console, transient=True)
        self._live = self._console.is_terminal and not quiet
        self._tasks: dict[str, TaskID] = {}
        self._last_line = float("-inf")

    def __enter__(self) -> Self:
        if self._live:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._live:
            self._bars.stop()

    @property
    def bars(self) -> list[str]:
        """The stages that have a bar now."""
        return list(self._tasks)

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Note):
            if event.warning or not self._quiet:
                self._console.print(str(event), style="yellow" if event.warning else "")
        elif self._quiet:
            return
        elif isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, StageStarted):
            self._drop_bars(but=OVERALL)
            self._console.print(str(event))
        elif isinstance(event, CoarseReported):
            self._drop_bars()
        elif isinstance(event, FrameAdded):
            self._console.print(str(event))

    def clear(self) -> None:
        """Take all bars away: what they showed is over."""
        self._drop_bars()

    def _progress(self, event: Progress) -> None:
        if not self._live:
            now, finished = time.monotonic(), event.step >= event.total
            if finished or now - self._last_line >= PLAIN_INTERVAL_S:
                self._last_line = now
                self._console.print(str(event))
            return
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self._bars.add_task(event.stage)
        self._bars.update(
            self._tasks[event.stage], completed=event.step, total=event.total, eta_s=event.eta_s
        )

    def _drop_bars(self, but: str | None = None) -> None:
        for stage in [stage for stage in self._tasks if stage != but]:
            self._bars.remove_task(self._tasks.pop(stage))


class _TimeLeft(ProgressColumn):
    """The pipeline's own estimate, which knows more than the speed of the bar."""

    def render(self, task: Task) -> Text:
        eta = task.fields.get("eta_s")
        return Text("" if eta is None else f"{eta:.0f} s left", style="cyan")
