"""The service of this machine: starts it as a process of its own, sees that it stays there, ends it.

Never waits: `tick` looks. The process outlives Blender, so that no job is lost, and ends by itself when it has had
neither jobs nor clients for a while.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

from .errors import BackendError
from .processes import kill, spawn

State = Literal["stopped", "starting", "running", "waiting", "stopping", "failed"]

IDLE_EXIT_MINUTES = 10
_READY_WITHIN_S = 120.0  # the first start on a slow disk reads a gigabyte
_STOP_WITHIN_S = 20.0
_RESTARTS = 3
_FIRST_WAIT_S = 1.0
_STEADY_S = 300.0
_LONGEST_TAIL = 20_000
_KEPT_S = 24 * 3600.0
"""For so long, what the services said that other Blenders have started stays."""


class LocalBackend:
    """A service on a folder.

    Attributes:
        data_dir: its folder. state: "waiting" is between a crash and the next start.
        pid: of the process that was started here, None when there is none.
    """

    def __init__(self, data_dir: Path, idle_exit_minutes: float = IDLE_EXIT_MINUTES) -> None:
        """Nothing is started before `start`."""
        self.data_dir = data_dir
        self.state: State = "stopped"
        self._idle_exit_minutes = idle_exit_minutes
        self._process: subprocess.Popen[bytes] | None = None
        self._command: tuple[Path, str] | None = None
        self._deadline = self._steady_at = self._start_at = 0.0
        self._restarts = 0
        self._trouble = ""

    @property
    def connection_file(self) -> Path:
        """What clients read to find it."""
        return self.data_dir / "connection.json"

    @property
    def log_file(self) -> Path:
        """What it says while it runs."""
        return self.data_dir / "logs" / "service.log"

    @property
    def start_log(self) -> Path:
        """Everything that the process which was started here has printed."""
        return self._start_file("log")

    @property
    def _ready_file(self) -> Path:
        return self._start_file("json")

    def _start_file(self, suffix: str) -> Path:
        # Of this Blender alone: another one may be starting a service on the same folder.
        return self.data_dir / "logs" / f"start-{os.getpid()}.{suffix}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def busy(self) -> bool:
        """Whether something is under way that `tick` has to look after."""
        return self.state in ("starting", "waiting", "stopping")

    @property
    def status(self) -> str:
        """One sentence; "" when there is nothing to say but that it runs or does not."""
        if self.state == "starting":
            return "Starting..."
        if self.state == "waiting":
            return f"Starting again: {self._trouble}"
        if self.state == "stopping":
            return "Stopping..."
        return self._trouble if self.state == "failed" else ""

    def start(self, python: Path, device: str = "auto") -> None:
        """Begin to start it; nothing happens while it starts or runs.

        Args:
            python: interpreter that has the backend. device: "auto", "cpu" or "cuda:N".

        Raises:
            BackendError: the process cannot be made.
        """
        if self.state == "starting" or self._alive():
            return
        self._command = (python, device)
        self._restarts = 0
        self._launch()

    def _launch(self) -> None:
        assert self._command is not None
        python, device = self._command
        options = ("--data", str(self.data_dir), "--idle-exit", f"{self._idle_exit_minutes:g}")
        command = (str(python), "-P", "-m", "splinescape.cli.main", "serve", *options, "--device", device)
        try:
            self._make_room()
            with self._ready_file.open("wb") as out, self.start_log.open("ab") as errors:
                self._process = spawn(command, out, errors, self.data_dir)
        except OSError as error:
            self.fail(f"The backend could not be started ({error.strerror or error}): see the preferences")
            raise BackendError(self._trouble) from None
        self.state, self._trouble = "starting", ""
        self._deadline = time.monotonic() + _READY_WITHIN_S

    def _make_room(self) -> None:
        """Folders and empty files for what it prints; a file that another service still writes to stays."""
        for folder in (self.data_dir, self.start_log.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in (self.start_log, self._ready_file):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
        for file in self.start_log.parent.glob("start-*"):
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > _KEPT_S:
                    file.unlink()

    def tick(self, connected: bool = False) -> None:
        """Look how it is.

        Args:
            connected: whether a client is connected to the service of this folder, whoever has started it.
        """
        now = time.monotonic()
        if self.state == "waiting" and connected:
            self.state = "running"
        elif self.state == "waiting" and now >= self._start_at:
            with contextlib.suppress(BackendError):
                self._launch()
        elif self._process is None:
            if self.state == "failed" and connected:
                self.state, self._trouble = "running", ""
        elif not self._alive():
            self._ended()
        elif self.state == "starting":
            self._look_whether_ready(now, connected)
        elif self.state == "stopping" and now >= self._deadline:
            kill(self._process)
        elif self.state == "running" and now >= self._steady_at:
            self._restarts = 0

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _look_whether_ready(self, now: float, connected: bool) -> None:
        if connected or self._said_ready():
            self.state = "running"
            self._steady_at = now + _STEADY_S
        elif now >= self._deadline:
            assert self._process is not None
            kill(self._process)
            self._process = None
            self.fail(f"The backend did not start within {_READY_WITHIN_S:.0f} s: open its log")

    def _said_ready(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            line = self._ready_file.read_bytes().partition(b"\n")[0]
            return bool(json.loads(line)["event"] == "ready")
        return False

    def _ended(self) -> None:
        """The process is gone: in order, because another one has the folder, by a mistake or by a crash."""
        assert self._process is not None
        code, self._process = self._process.returncode, None
        last = self._last_words()
        if self.state == "stopping" or code == 0:
            self.state, self._trouble = "stopped", ""
        elif code == 2 and "another service" in last:
            self._try_again(last)  # unless the client finds it meanwhile: it may as well be about to end
        elif code > 0 and self.state == "starting":  # a mistake that trying again does not mend
            self.fail(f"The backend does not start: {last or 'open its log'}")
        else:
            how = f"was killed (signal {-code})" if code < 0 else f"ended with code {code}"
            self._try_again(f"the backend {how}")

    def _try_again(self, trouble: str) -> None:
        if self._restarts >= _RESTARTS:
            self.fail(
                f"Starting the backend was tried {_RESTARTS + 1} times; at last {trouble}: open its log"
            )
            return
        self.state, self._trouble = "waiting", trouble
        self._start_at = time.monotonic() + _FIRST_WAIT_S * 4**self._restarts
        self._restarts += 1

    def fail(self, trouble: str) -> None:
        """Note why it cannot be started, for `status`."""
        self.state, self._trouble = "failed", trouble

    def forget_failure(self) -> None:
        """What failed before does not matter any more: something else is wanted."""
        if self.state == "failed":
            self.state, self._trouble = "stopped", ""

    def _last_words(self) -> str:
        """The last line that it has printed."""
        with contextlib.suppress(OSError):
            with self.start_log.open("rb") as file:
                file.seek(max(0, self.start_log.stat().st_size - _LONGEST_TAIL))
                lines = file.read().decode("utf-8", "replace").split("\n")
            said = [line.strip() for line in lines if line.strip()]
            if said:
                return said[-1].removeprefix("error: ")[:300]
        return ""

    def stop(self) -> None:
        """Have it end; a client may have asked it to already. Jobs that are not done go on with the next start."""
        self._restarts = _RESTARTS
        if not self._alive():
            self._process = None
            self.state = "stopped"
            return
        assert self._process is not None
        if sys.platform != "win32":  # where this would be a kill: there the client's request has to do
            self._process.terminate()
        self.state = "stopping"
        self._deadline = time.monotonic() + _STOP_WITHIN_S

    def forget(self) -> None:
        """Leave the process to itself; it ends when it has been idle for a while."""
        if self._process is not None:
            self._process.returncode = self._process.poll() or 0  # nobody shall wait for it
        self._process = None
        self.state = "stopped"
