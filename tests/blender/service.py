"""A real service in processes of its own, started with the main environment's Python."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import ROOT

TINY = {"stage": "coarse", "n_frames": 4, "max_resolution": 64, "coarse_dense_multiplier": 4}
"""Settings of a job that takes a second or two."""

LONGER = {"stage": "coarse", "n_frames": 8, "max_resolution": 192, "coarse_dense_multiplier": 4}
"""Settings of a job that takes long enough to be interrupted."""


def main_python() -> str:
    """The interpreter of the environment in which the whole of Splinescape is installed."""
    return os.environ.get("SPLINESCAPE_PYTHON") or str(ROOT / ".venv" / "bin" / "python")


def until(
    condition: Callable[[], Any], seconds: float = 90.0, turn: Callable[[], object] | None = None
) -> Any:
    """Wait for a condition, doing a `turn` again and again; what the condition returned when it came true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        if turn is not None:
            turn()
        time.sleep(0.02)
    return value


class RunningService:
    """`splinescape serve` on a folder; may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        """Start it and wait for its ready line."""
        with (self.folder.parent / f"{self.folder.name}.stderr").open("ab") as errors:
            self.process = subprocess.Popen(
                [
                    main_python(),
                    "-m",
                    "splinescape.cli.main",
                    "serve",
                    "--data",
                    str(self.folder),
                    "--device",
                    "cpu",
                ],
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**_clean(os.environ), **dict.fromkeys(_THREADS, "1")},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.folder.parent / f"{self.folder.name}.stderr").read_text()[-2000:]
        self.connection = Path(json.loads(line)["connection"])

    def workers(self) -> list[int]:
        """Process ids of the workers that run now."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def kill_workers(self) -> None:
        """End the workers as a crash would."""
        for pid in self.workers():
            os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the broker as a crash would; its workers end with it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


_THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "SPLINESCAPE_THREADS")


def _clean(environment: Any) -> dict[str, str]:
    """Without what was meant for Blender's own Python."""
    return {name: value for name, value in environment.items() if not name.startswith(("PYTHON", "BLENDER_"))}


def use(connection: Path) -> None:
    """Have the extension use the service of a connection file."""
    from bl_ext.user_default.splinescape import preferences

    wanted = preferences.preferences()
    wanted.backend = "FILE"
    wanted.connection_file = str(connection)
