"""How old things are, on a machine whose clock may be set to anything at any time."""

from __future__ import annotations

import time

LONGEST_GAP_S = 7 * 86400.0
"""Time while no service ran counts for at most this much: nobody knows whether it passed or the clock was set."""


def steady_s() -> float:
    """Seconds on a clock that nobody can set and that goes on while the machine sleeps, where there is one."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class StoreClock:
    """Seconds for which the store has existed, as far as they plausibly passed; never goes back.

    While the service runs, the wall clock may advance this one only by what the steady clock allows, so a jump
    forward counts for nothing. From one run to the next only the wall clock tells; it is believed up to
    `LONGEST_GAP_S`. Both err towards younger, so that nothing is deleted too early.
    """

    def __init__(self, seconds: float, saved_wall: float, wall: float) -> None:
        gap = min(max(wall - saved_wall, 0.0), LONGEST_GAP_S) if saved_wall else 0.0
        self._seconds = seconds + gap
        self.wall = wall
        self._steady = steady_s()

    def now(self, wall: float | None = None) -> float:
        """Advance to the wall time (unix seconds; None = the present one) and say where this clock stands."""
        wall = time.time() if wall is None else wall
        steady = steady_s()
        self._seconds += max(min(wall - self.wall, steady - self._steady), 0.0)
        self.wall, self._steady = wall, steady
        return self._seconds
