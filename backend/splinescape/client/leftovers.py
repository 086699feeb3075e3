"""Large files that nobody needs any more, given back to the disk bit by bit: at once, it takes tens of milliseconds."""

from __future__ import annotations

import contextlib
import os
from collections import deque

from splinescape.client.clock import Clock

_SMALL = 2**22
_STEP = 2**20
_REST_S = 40.0  # what was written a moment ago is on its way to the disk; cutting it off would wait for that


class Leftovers:
    """Open files without a name, to be cut off from their end; `step` cuts one piece."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._files: deque[tuple[float, int]] = deque()

    def add(self, handle: int) -> None:
        """Take over a file that was opened for writing and whose name is gone.

        One that somebody else reads is only closed; whoever closes it last then has the work.
        """
        try:
            if os.fstat(handle).st_size > _SMALL and _is_ours_alone(handle):
                self._files.append((self._clock.now + _REST_S, handle))
                return
        except OSError:
            pass
        os.close(handle)

    def step(self) -> bool:
        """Cut a piece off; returns whether there was anything to do."""
        if not self._files or self._clock.now < self._files[0][0]:
            return False
        handle = self._files[0][1]
        with contextlib.suppress(OSError):
            size = os.fstat(handle).st_size
            if size > _STEP:
                os.ftruncate(handle, size - _STEP)
                return True
        self._files.popleft()
        os.close(handle)
        return True

    def close(self) -> None:
        """Let go of all of them at once."""
        while self._files:
            os.close(self._files.popleft()[1])


def _is_ours_alone(handle: int) -> bool:
    """Whether the file has no name left and nobody else has it open, this program included; False when unknown."""
    if os.fstat(handle).st_nlink:
        return False
    try:
        import fcntl

        lease = (
            fcntl.F_SETLEASE
        )  # Linux grants a lease for writing only while nobody else has the file open or mapped
    except (ImportError, AttributeError):
        return False
    try:
        fcntl.fcntl(handle, lease, fcntl.F_WRLCK)
        fcntl.fcntl(handle, lease, fcntl.F_UNLCK)
    except OSError:
        return False
    return True
