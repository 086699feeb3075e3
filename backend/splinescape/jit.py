"""One place that sets up numba: where compiled code is cached and how kernels are spread over threads.

Kernels are compiled with `nogil` and run on our own threads, because numba's default threading layer aborts
the process when two Python threads enter it at once (a service renders while it trains).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count as counter
from math import isqrt
from pathlib import Path
from typing import Any

import numba
import platformdirs

from splinescape import __version__

_cache_dir = Path(platformdirs.user_cache_dir("splinescape")) / f"jit-{__version__}-numba{numba.__version__}"
if "NUMBA_CACHE_DIR" not in os.environ:
    numba.config.CACHE_DIR = str(_cache_dir)  # type: ignore[attr-defined]

njit: Any = partial(numba.njit, cache=True, nogil=True)
"""`numba.njit` with our cache and without the GIL; for kernels that `run_chunks` calls from threads."""


def num_threads() -> int:
    """Threads that kernels use: SPLINESCAPE_THREADS, or what this process may run on."""
    wanted = os.environ.get("SPLINESCAPE_THREADS")
    if wanted and wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Lane(threading.local):
    """What a calling thread has of its own, so that two that compute at once never queue behind each other.

    Attributes:
        prepare: called first by every helper. give_way: called before every chunk.
        helpers: the threads that work beside it, made when first needed and gone with it.
    """

    prepare: Callable[[], None] | None = None
    give_way: Callable[[], None] | None = None
    helpers: ThreadPoolExecutor | None = None


_lane = _Lane()


def set_lane(prepare: Callable[[], None], give_way: Callable[[], None]) -> None:
    """Make the calling thread and its helpers considerate of other threads.

    Args:
        prepare: called by each helper when it starts: not every system hands a priority on to new threads.
        give_way: called before every chunk; may wait while others need the processor more.
    """
    _lane.prepare, _lane.give_way, _lane.helpers = prepare, give_way, None


def _helpers() -> ThreadPoolExecutor:
    if _lane.helpers is None:
        _lane.helpers = ThreadPoolExecutor(
            num_threads() - 1, thread_name_prefix="splinescape", initializer=_lane.prepare
        )
    return _lane.helpers


def run_chunks(
    kernel: Callable[..., Any], count: int, *args: Any, chunks: int | None = None, smallest: int = 1
) -> None:
    """Call `kernel(start, stop, *args)` over [0, count) in parallel and wait.

    The calling thread works too, beside helpers of its own: a rendering in one thread waits neither for the queue nor
    for the priority of a training in another.

    Args:
        kernel: compiled with `njit`; ranges must write to disjoint memory, so that the result never depends
            on the number of threads.
        count: number of work items.
        chunks: how many ranges to cut; default four per thread, so that uneven ranges balance.
        smallest: fewest items in a range, some 50 us of work. To wake a thread costs about as much, so that no more
            of them are woken than the root of the number of such ranges: with n threads the work takes 1/n of its
            time and the waking n times its own.
    """
    threads, give_way = num_threads(), _lane.give_way
    if smallest > 1:
        threads = max(1, min(threads, isqrt(count // smallest)))
    chunks = min(count // smallest, chunks or 4 * threads)
    if chunks <= 1 or (threads == 1 and give_way is None):
        if count:
            kernel(0, count, *args)
        return
    bounds = [count * i // chunks for i in range(chunks + 1)]
    todo = counter()  # `next` on it is atomic

    def work() -> None:
        for i in todo:
            if i >= chunks:
                return
            if give_way is not None:
                give_way()
            kernel(bounds[i], bounds[i + 1], *args)

    helping = [_helpers().submit(work) for _ in range(min(threads, chunks) - 1)]
    work()
    for helper in helping:
        if not helper.cancel():  # nothing was left for one that has not begun
            helper.result()
