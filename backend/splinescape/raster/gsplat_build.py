"""gsplat's compiled code: it comes without, and compiles itself on first use.

gsplat 1.5 looks for code that was compiled when it was installed and otherwise compiles with nvcc into torch's folder
for extensions. That takes a minute without a word in a log, and two processes that begin at once delete each other's
files. So we say what happens, let one process at a time do it, and keep the result in a folder of its own per version
of gsplat, torch and Python, where another environment's build cannot replace it.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import platformdirs
import torch
from filelock import FileLock

_log = logging.getLogger(__name__)

_FOLDER = "TORCH_EXTENSIONS_DIR"
_SUFFIXES = ("*.so", "*.pyd", "*.lib")
_failed: list[str] = []


def missing() -> str | None:
    """Say in one line why gsplat cannot run here, or None when it can; imports and compiles nothing."""
    if importlib.util.find_spec("gsplat") is None:
        return "the package gsplat is not installed (pip install 'splinescape[cuda]')"
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    if torch.version.hip is not None:
        return "gsplat's published code is for NVIDIA's CUDA, and this torch is built for AMD's ROCm"
    if not ready() and shutil.which("nvcc") is None and "CUDA_HOME" not in os.environ:
        return "gsplat has no compiled code and there is no nvcc to compile it (install the CUDA toolkit)"
    return _failed[0] if _failed else None


def folder() -> Path:
    """Where the compiled code is kept: `TORCH_EXTENSIONS_DIR` where that is set, else our own cache."""
    chosen = os.environ.get(_FOLDER)
    if chosen:
        return Path(chosen)
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    name = f"gsplat{_gsplat_version()}-torch{torch.__version__}-{python}"
    return Path(platformdirs.user_cache_dir("splinescape")) / "cuda" / name


def ready() -> bool:
    """Whether compiled code is there, from the installation or from an earlier first use."""
    spec = importlib.util.find_spec("gsplat")
    places = [] if spec is None else [Path(p) for p in spec.submodule_search_locations or []]
    if any(True for place in places for _ in place.glob("csrc.*")):
        return True
    return any(True for suffix in _SUFFIXES for _ in (folder() / "gsplat_cuda").glob(suffix))


def load(import_code: Callable[[], object] | None = None) -> str | None:
    """Load gsplat's compiled code, compiling it when it is not there yet.

    A failure is remembered, so that `missing` reports it and nobody waits for the same failure again.

    Args:
        import_code: imports and returns gsplat's extension module; its own by default.

    Returns:
        None, or one line that says why it cannot be used.
    """
    if _failed:
        return _failed[0]
    where, new = folder(), not ready()
    started = time.monotonic()
    try:
        where.mkdir(parents=True, exist_ok=True)
        if new:
            _log.info(
                "compiling gsplat's CUDA code, once per version, about a minute; it is kept in %s", where
            )
        with FileLock(where / "splinescape.lock"), _kept_in(where):
            code = (import_code or _import_code)()
        if code is None:
            raise RuntimeError("there is no CUDA toolkit to compile it with")
    except Exception as error:  # whatever a compiler, a linker or a driver may do
        _failed.append(_reason(error, where))
        _log.warning("%s", _failed[0])
        return _failed[0]
    if new:
        _log.info("gsplat's CUDA code is ready after %.0f s", time.monotonic() - started)
    return None


def _import_code() -> object:
    from gsplat.cuda._backend import _C

    return _C


def _reason(error: Exception, where: Path) -> str:
    """The line of a build log that says most, without the hundreds around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() and not line.startswith("Error building")]
    said = (telling or lines or [type(error).__name__])[0]
    return f"gsplat's CUDA code cannot be built or loaded: {said[:300]} (build folder: {where})"


@contextmanager
def _kept_in(where: Path) -> Iterator[None]:
    """Only gsplat's own build goes there; other extensions of this process keep their place."""
    before = os.environ.get(_FOLDER)
    os.environ[_FOLDER] = str(where)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FOLDER]
        else:
            os.environ[_FOLDER] = before


def _gsplat_version() -> str:
    try:
        return version("gsplat")
    except PackageNotFoundError:
        return "unknown"
