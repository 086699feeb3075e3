"""A real service in processes of its own, for tests."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

TINY: dict[str, Any] = {"stage": "coarse", "n_frames": 4, "max_resolution": 64, "coarse_dense_multiplier": 4}
"""Settings of a job that takes about a second."""

PATH_JSON = json.dumps(
    {
        "version": 1,
        "control_points": [
            {"position": [0, 0, 0], "look_at": [0, 0, 5]},
            {"position": [1.5, -0.3, 1.2], "look_at": [0, 0, 5]},
        ],
    }
)


def picture_png(seed: int = 0, width: int = 64, height: int = 48) -> bytes:
    """A small picture with structure: a bright ground, a dark wall, some noise."""
    rng = np.random.default_rng(seed)
    rgb = np.zeros((height, width, 3), np.float64)
    rgb[: height // 2] = (90, 120, 160)
    rgb[height // 2 :] = (150, 130, 100)
    rgb[height // 4 : 3 * height // 4, width // 3 : width // 2] = (60, 40, 30)
    rgb += rng.normal(0, 12, rgb.shape)
    file = io.BytesIO()
    Image.fromarray(rgb.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def until(condition: Callable[[], Any], seconds: float = 60.0, what: str = "") -> Any:
    """Wait for a condition; what it returned when it came true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what or condition}")


class RunningService:
    """`splinescape serve` on a folder; may be killed and started again."""

    def __init__(self, folder: Path, *options: str, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.options = options
        self.env = env or {}
        self.seen: set[int] = set()
        self.start()

    def start(self) -> None:
        """Start it and wait for its ready line."""
        command = (
            sys.executable,
            "-m",
            "splinescape.cli.main",
            "serve",
            "--data",
            str(self.folder),
            *self.options,
        )
        self.errors = (self.folder.parent / f"{self.folder.name}.stderr").open("ab")
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env={**os.environ, "OMP_NUM_THREADS": "1", **self.env},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the service did not start: {self.stderr()[-2000:]}"
        self.ready: dict[str, Any] = json.loads(line)
        assert self.ready["event"] == "ready"

    @property
    def connection(self) -> str:
        """The connection file."""
        return self.ready["connection"]

    def stderr(self) -> str:
        """Everything logged so far."""
        return (self.folder.parent / f"{self.folder.name}.stderr").read_text()

    def workers(self) -> list[psutil.Process]:
        """The worker processes that run now."""
        try:
            children = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        self.seen |= {child.pid for child in children}
        return children

    def kill(self) -> None:
        """End the broker as a crash would."""
        self.workers()
        self.process.kill()
        self.process.wait()
        self._close_pipes()

    def stop(self, number: int = signal.SIGTERM, seconds: float = 30) -> int:
        """End it politely; its exit code."""
        self.workers()
        self.process.send_signal(number)
        code = self.process.wait(seconds)
        self._close_pipes()
        return code

    def _close_pipes(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.errors.close()

    def orphans(self, seconds: float = 10) -> list[int]:
        """Workers of this service that outlived it by `seconds`."""
        deadline = time.monotonic() + seconds
        alive = self._alive()
        while alive and time.monotonic() < deadline:
            time.sleep(0.05)
            alive = self._alive()
        return alive

    def _alive(self) -> list[int]:
        alive = []
        for pid in self.seen:
            try:
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE and "splinescape" in " ".join(process.cmdline()):
                    alive.append(pid)
            except psutil.NoSuchProcess:
                pass
        return alive

    def close(self) -> None:
        """End it whatever state it is in."""
        if self.process.poll() is None:
            self.kill()


def expected_ply(picture: bytes, path_json: str, settings: dict[str, Any]) -> bytes:
    """What the library makes of a job, in this process."""
    from splinescape import CameraPath, SceneConfig, ScenePipeline

    rgb = np.array(Image.open(io.BytesIO(picture)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gf.ply"
        ScenePipeline(SceneConfig(**settings)).run(rgb, CameraPath.from_json(path_json)).save_ply(path)
        return path.read_bytes()
