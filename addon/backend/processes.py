"""Starting processes of another Python, cleanly on every system."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

_BLENDERS_OWN = {
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONEXECUTABLE",
    "PYTHONUSERBASE",
    "PYTHONSAFEPATH",
    "VIRTUAL_ENV",
    "__PYVENV_LAUNCHER__",
}


def clean_environment() -> dict[str, str]:
    """The environment for another Python, without what was set for Blender's own."""
    kept = {name: value for name, value in os.environ.items() if name not in _BLENDERS_OWN}
    return {**kept, "PYTHONUTF8": "1"}


def spawn(
    command: Sequence[str], out: IO[bytes] | int, errors: IO[bytes] | int, folder: Path, tied: bool = False
) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own, which outlives this one and has no console window.

    Longer output belongs into files: pipes cannot be read everywhere without waiting, and break with this process.

    Args:
        folder: where it runs. tied: give it a standard input, by whose end it learns that this process is gone.

    Raises:
        OSError: it cannot be started.
    """
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
        stdout=out,
        stderr=errors,
        cwd=folder,
        env=clean_environment(),
        start_new_session=sys.platform != "win32",
        creationflags=flags,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process of `spawn` at once, with what it has started; harmless when it has ended. Does not wait."""
    if process.poll() is not None:
        return
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
