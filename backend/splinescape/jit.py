"""One place that sets up numba: where compiled code is cached and how kernels are spread over threads.

Kernels are compiled with `nogil` and run on our own thread pool, because numba's default threading layer aborts
the process when two Python threads enter it at once (a service renders while it trains).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numba
import platformdirs

_cache_dir = (
    Path(platformdirs.user_cache_dir("splinescape"))
    / f"jit-{version('splinescape')}-numba{numba.__version__}"
)
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


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_threads(), thread_name_prefix="splinescape")


def run_chunks(kernel: Callable[..., Any], count: int, *args: Any, chunks: int | None = None) -> None:
    """Call `kernel(start, stop, *args)` over [0, count) in parallel and wait.

    Args:
        kernel: compiled with `njit`; ranges must write to disjoint memory, so that the result never depends
            on the number of threads.
        count: number of work items.
        chunks: how many ranges to cut; default four per thread, so that uneven ranges balance.
    """
    chunks = min(count, chunks or 4 * num_threads())
    if chunks <= 1:
        if count:
            kernel(0, count, *args)
        return
    bounds = [count * i // chunks for i in range(chunks + 1)]
    jobs = [_pool().submit(kernel, a, b, *args) for a, b in pairwise(bounds)]
    for job in jobs:
        job.result()
