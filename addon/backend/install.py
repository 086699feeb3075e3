"""Installs the backend: a process of its own does it, `tick` looks how far it is."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any, Literal

from .environment import Plan, plan_as_json
from .errors import BackendError
from .pip_errors import sentence
from .processes import kill, spawn

State = Literal["idle", "running", "done", "failed", "cancelled"]

_CHILD = Path(__file__).with_name("install_child.py")
_LONGEST_LOG = 400_000
_GIVES_UP_AFTER_S = 3.0


class Installer:
    """One installation at a time.

    Attributes:
        state: where it stands. text: what it does, or why it failed. fraction: how far it is, from 0 to 1.
        log_file: of the latest installation, None before the first.
    """

    def __init__(self) -> None:
        self.state: State = "idle"
        self.text = ""
        self.fraction = 0.0
        self.log_file: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._output: Path | None = None
        self._read = 0
        self._failed_step = ""
        self._kill_at = 0.0

    @property
    def running(self) -> bool:
        """Whether there is anything for `tick` to do."""
        return self.state == "running"

    @property
    def status(self) -> str:
        """One sentence while it runs, "" otherwise."""
        return f"{self.text} ({self.fraction:.0%})" if self.running else ""

    def begin(self, plan: Plan, python: Path) -> None:
        """Start to install.

        Args:
            python: interpreter to make the environment with.

        Raises:
            BackendError: it cannot be started, or another one runs.
        """
        if self.running:
            raise BackendError("The backend is being installed already: wait, or click Cancel")
        try:
            plan.home.mkdir(parents=True, exist_ok=True)
            self.log_file = plan.home / "install.log"
            output = plan.home / f"install-{os.getpid()}.json"
            with output.open("wb") as out:
                self._process = spawn(
                    (str(python), "-I", str(_CHILD), plan_as_json(plan)), out, out, plan.home, tied=True
                )
        except OSError as error:
            self.state, self.text = "failed", _why_not(python, plan.home, error)
            raise BackendError(self.text) from None
        self._output, self._read, self._failed_step = output, 0, ""
        self.state, self.text, self.fraction = "running", "Starting", 0.0

    def tick(self) -> None:
        """Look how far it is."""
        if self._process is None:
            return
        ended = self._process.poll() is not None  # before reading, so that nothing is missed
        self._hear()
        if self.state == "cancelled" and not ended and time.monotonic() >= self._kill_at:
            kill(self._process)
        if ended:
            self._close()
            if self.state == "running":
                self.state = "failed"
                self.text = self._reason()

    def _hear(self) -> None:
        for line in self._new_lines():
            with contextlib.suppress(ValueError, AttributeError):
                self._take(json.loads(line))

    def _new_lines(self) -> list[bytes]:
        assert self._output is not None
        with contextlib.suppress(OSError), self._output.open("rb") as file:
            file.seek(self._read)
            *lines, _incomplete = file.read().split(b"\n")
            self._read += sum(len(line) + 1 for line in lines)
            return lines
        return []

    def _take(self, said: dict[str, Any]) -> None:
        if self.state != "running":
            return
        self.fraction = float(said.get("fraction", self.fraction))
        self.text = str(said.get("error") or said.get("text") or self.text)
        self._failed_step = str(said.get("failed", self._failed_step))
        if "error" in said:
            self.state = "failed"
        elif said.get("done"):
            self.state = "done"

    def _reason(self) -> str:
        if self._failed_step and self.log_file is not None:
            with contextlib.suppress(OSError):
                return sentence(self.log_file.read_text("utf-8", "replace")[-_LONGEST_LOG:])
        return "The installation was ended from outside, or the chosen Python is none: click Install Backend again"

    def cancel(self) -> None:
        """End it; what was installed before stays as it was, and what has been downloaded is kept for the next time."""
        if not self.running or self._process is None:
            return
        self.state, self.text = "cancelled", "Cancelled"
        self._kill_at = time.monotonic() + _GIVES_UP_AFTER_S
        self._let_go()

    def _let_go(self) -> None:
        """The process ends, with all below it, when its standard input is closed."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _close(self) -> None:
        self._let_go()
        self._process = None
        if self._output is not None:
            with contextlib.suppress(OSError):
                self._output.unlink()

    def close(self) -> None:
        """End it when it runs; called when the extension is switched off."""
        self.cancel()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GIVES_UP_AFTER_S)
            kill(self._process)
            self._close()


def _why_not(python: Path, home: Path, error: OSError) -> str:
    if not python.is_file() or not os.access(python, os.X_OK) or error.errno == 8:
        return f"{python} is not a Python that can be started: choose another one"
    return f"The backend cannot be installed in {home} ({error.strerror or error}): choose another folder"
