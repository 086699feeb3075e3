"""Time as the client counts it."""

from __future__ import annotations

import time


class Clock:
    """Seconds that were polled through.

    While nobody polls (the computer sleeps, the caller computes), nothing can be received either; such a gap counts
    as one second at most, so that it does not look like a service that has stopped answering.
    """

    _LONGEST_GAP_S = 1.0

    def __init__(self) -> None:
        self.now = 0.0
        self._real = time.monotonic()

    def tick(self) -> None:
        """Go on to the present moment."""
        real = time.monotonic()
        self.now += min(max(real - self._real, 0.0), self._LONGEST_GAP_S)
        self._real = real


class Budget:
    """The time that one poll may take, spent in pieces of work.

    Another piece is begun only when one that takes as long as pieces lately did still fits; one is always allowed.
    """

    _WEIGHT = 0.2

    def __init__(self) -> None:
        self._usual = 0.0
        self._piece = self._end = 0.0
        self._pieces = 0

    def begin(self, seconds: float) -> None:
        """A poll begins."""
        self._piece = time.perf_counter()
        self._end = self._piece + seconds
        self._pieces = 0

    def allows(self) -> bool:
        """Whether to go on; to be asked before every piece."""
        now = time.perf_counter()
        if self._pieces:
            # Not the longest: that one was as a rule held up by other programs, which says nothing about the next.
            self._usual += self._WEIGHT * (now - self._piece - self._usual)
        self._piece = now
        self._pieces += 1
        return self._pieces == 1 or now + self._usual < self._end
