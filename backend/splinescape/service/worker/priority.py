"""Work that may wait steps back for work that somebody is looking at."""

from __future__ import annotations

import ctypes
import os
import sys
import threading

_NICE = 10
_THREAD_PRIORITY_BELOW_NORMAL = -1


def lower_thread_priority() -> None:
    """Let other threads of this process and machine go first; Linux and Windows can do that for one thread.

    A thread that begins later in this one has the same priority on Linux, the normal one on Windows.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
    elif sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32")
        kernel.GetCurrentThread.restype = ctypes.c_void_p
        kernel.SetThreadPriority(ctypes.c_void_p(kernel.GetCurrentThread()), _THREAD_PRIORITY_BELOW_NORMAL)
