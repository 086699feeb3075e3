"""How far a download or a check of a model is: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from splinescape.availability import amount

_PLAIN_INTERVAL_S = 5.0


class ModelProgress:
    """Called with bytes done and in total; writes to stderr.

    Args:
        what: is being done, such as "fetching moge-vitl".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=self._console, transient=True)
        self._task: TaskID | None = None
        self._began: tuple[float, int] | None = None
        self._next_line = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bars.stop()

    def __call__(self, done: int, total: int) -> None:
        """Show it."""
        if self._console.is_terminal:
            if self._task is None:
                self._task = self._bars.add_task(self._what, completed=done, total=total or None)
            self._bars.update(self._task, completed=done, total=total or None)
        else:
            self._line(done, total)

    def _line(self, done: int, total: int) -> None:
        now = time.monotonic()
        began, before = self._began = self._began or (now, done)
        if now < self._next_line and done < total:
            return
        self._next_line = now + _PLAIN_INTERVAL_S
        text = f"{self._what}: {amount(done)} of {amount(total)}"
        if done > before and now > began:
            speed = (done - before) / (now - began)
            text += f", {amount(int(speed))}/s, {(total - done) / speed:.0f} s left"
        self._console.print(text)
