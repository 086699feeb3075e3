"""Work that may wait steps back for work that somebody is looking at.

Two things see to that, and neither costs a job anything while nobody looks: threads of a job have a somewhat lower
priority, and they stop between the chunks of their work while a rendering is made.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator

_NICE = 5
"""At 10, another program that keeps all processors busy would leave a job with a twentieth of them."""
_NICE_OF_PROCESS = os.getpriority(os.PRIO_PROCESS, os.getpid()) if sys.platform == "linux" else 0
_LONGEST_PAUSE_S = 0.1
_CREDIT = 0.25
_THREAD_PRIORITY_BELOW_NORMAL = -1


def lower_thread_priority() -> None:
    """Let other threads of this process and machine go first; Linux and Windows can do that for one thread.

    A thread that begins later in this one has the same priority on Linux, the normal one on Windows.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(19, _NICE_OF_PROCESS + _NICE))
    elif sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32")
        kernel.GetCurrentThread.restype = ctypes.c_void_p
        kernel.SetThreadPriority(ctypes.c_void_p(kernel.GetCurrentThread()), _THREAD_PRIORITY_BELOW_NORMAL)


class Gate:
    """Lets renderings pass while a job waits, though never so long that the job does not get on.

    A job that has waited works on for a quarter as long before it waits again, so that an artist who turns the view
    without pause slows it down but does not stop it.
    """

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        self._credit_until = 0.0

    @contextlib.contextmanager
    def rendering(self) -> Iterator[None]:
        """What is in this block goes first."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def give_way(self) -> None:
        """Wait for the rendering that is being made, if there is one and it is the job's turn to wait."""
        if self._free.is_set() or time.monotonic() < self._credit_until:
            return
        began = time.monotonic()
        self._free.wait(_LONGEST_PAUSE_S)
        now = time.monotonic()
        self._credit_until = now + _CREDIT * (now - began)
