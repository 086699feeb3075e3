"""Finds out whether a Python that the user has named has the backend, by running it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from .processes import kill, spawn

PATIENCE_S = 20.0
_CODE = """
import importlib.util, json, sys
found = {"python": sys.version.split()[0], "new": sys.version_info >= (3, 11)}
try:
    import splinescape
    found["splinescape"] = splinescape.__version__
    import splinescape.cli.main, splinescape.service.serve
    found["torch"] = importlib.util.find_spec("torch") is not None
except Exception as error:
    found["error"] = f"{type(error).__name__}: {error}"
print("\\n" + json.dumps(found))
"""


class Probe:
    """Checks one interpreter at a time.

    Attributes:
        python: the one that was asked about last. trouble: what is wrong with it, "" when nothing is, None while that
            is not known.
    """

    def __init__(self, version: str, patience_s: float = PATIENCE_S) -> None:
        """Prepare.

        Args:
            version: of the backend that is needed. patience_s: how long an interpreter may take to answer.
        """
        self.python: Path | None = None
        self.trouble: str | None = None
        self._version = version
        self._patience_s = patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._ends = 0.0

    @property
    def running(self) -> bool:
        """Whether there is anything for `tick` to do."""
        return self._process is not None

    def begin(self, python: Path) -> None:
        """Begin to check an interpreter; what was known before is forgotten."""
        self.close()
        self.python, self.trouble = python, None
        if not python.is_file():
            self.trouble = f"There is no file {python}: choose the Python of the environment"
            return
        try:
            self._process = spawn(
                (str(python), "-c", _CODE), subprocess.PIPE, subprocess.DEVNULL, Path(tempfile.gettempdir())
            )
        except OSError:
            self.trouble = _no_python(python)
        self._ends = time.monotonic() + self._patience_s

    def tick(self) -> None:
        """Look whether it has answered."""
        if self._process is None or self.python is None:
            return
        if self._process.poll() is not None:
            said = self._output()
            self.trouble = self._judge(self.python, said) if said is not None else _no_python(self.python)
            self._end()
        elif time.monotonic() >= self._ends:
            self.trouble = (
                f"{self.python} does not answer within {self._patience_s:.0f} s: choose another Python"
            )
            self._end()

    def _output(self) -> dict[str, Any] | None:
        """What the process has said; it has ended, so that reading does not wait for it."""
        assert self._process is not None and self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError, AttributeError, IndexError, TypeError):
            os.set_blocking(self._process.stdout.fileno(), False)
            said = json.loads((self._process.stdout.read() or b"").strip().splitlines()[-1])
            return said if isinstance(said, dict) and "python" in said else None
        return None

    def _judge(self, python: Path, said: dict[str, Any]) -> str:
        version, install = said.get("splinescape"), f"pip install splinescape=={self._version}"
        if not said.get("new"):
            return f"{python} is Python {said['python']}, the backend needs 3.11 or newer: choose another one"
        if version is None:
            return f"Splinescape is not installed in the environment of {python}: {install}, or choose another one"
        if version != self._version:
            return (
                f"The environment of {python} has Splinescape {version}, this extension needs {self._version}: "
                f"{install}, or choose another one"
            )
        if "error" in said:
            return f"The backend does not start in the environment of {python} ({said['error'][:150]}): repair it"
        return "" if said.get("torch") else f"The environment of {python} lacks PyTorch: pip install torch"

    def close(self) -> None:
        """Stop checking."""
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            kill(process)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
        if process.stdout is not None:
            process.stdout.close()


def _no_python(python: Path) -> str:
    return f"{python} is not a Python that can be started: choose the Python of the environment"
