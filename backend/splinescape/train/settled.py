"""When training has settled, found out without making a GPU wait."""

from __future__ import annotations

import torch
from torch import Tensor


class Losses:
    """The losses of all steps so far.

    Args:
        share: settled = the mean loss of the last window improved by less than this share on the window before; 0 or
            less never settles.
        window: steps. every: steps between two looks. steps: after so many it is over anyway.
        one_step_late: answer about the steps until the one before, whose numbers were copied while this one ran. On a
            GPU that costs a step and never a pause.

    Attributes:
        watching: whether a loss will ever be looked at.
    """

    def __init__(self, share: float, window: int, every: int, steps: int, one_step_late: bool) -> None:
        self._share, self._window, self._every, self._late = share, window, every, one_step_late
        self.watching = share > 0 and 2 * window < steps
        self._history: list[Tensor] = []
        self._asked: tuple[Tensor, torch.cuda.Event | None] | None = None

    def add(self, loss: Tensor | None) -> None:
        """Note the loss of a step, a tensor of one number on any device; None while nobody is watching."""
        if loss is not None:
            self._history.append(loss)

    def settled(self) -> bool:
        """Whether to stop; to be called after every step."""
        if self._asked is not None:
            before, after = _arrived(*self._asked)
            self._asked = None
            if self._rests(before, after):
                return True
        if not self.watching or len(self._history) < 2 * self._window or len(self._history) % self._every:
            return False
        last = self._history[-2 * self._window :]
        if self._late:
            self._asked = _ask(torch.stack(last).view(2, -1).mean(1))
            return False
        before = float(sum(last[: self._window])) / self._window
        after = float(sum(last[self._window :])) / self._window
        return self._rests(before, after)

    def _rests(self, before: float, after: float) -> bool:
        return after > (1 - self._share) * before


def _ask(means: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    """Begin to copy two numbers to main memory."""
    if not means.is_cuda:
        return means, None
    here = torch.empty(means.shape, dtype=means.dtype, pin_memory=True)
    here.copy_(means, non_blocking=True)
    done = torch.cuda.Event()
    done.record()
    return here, done


def _arrived(here: Tensor, done: torch.cuda.Event | None) -> tuple[float, float]:
    if done is not None:
        done.synchronize()  # a step was made since: it has long arrived
    before, after = here.tolist()
    return before, after
