"""Time of a rendering that the service makes, alone and while a job trains on the same device.

    python benchmarks/service_render.py                # 1,000 renderings of 512x384 each, one after the other
    python benchmarks/service_render.py --renders 200

Talks to one real worker process through its socket, as the broker does. The first job makes the scene that is looked
at; a second, longer one is the training that must not get in the way, begun again when it ends too soon. Stretches in
which other programs used the processors are counted, but not timed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import zmq

from splinescape.protocol.arrays import to_buffer
from splinescape.protocol.wire import Message, decode, encode, new_id

EXAMPLES = Path(__file__).parents[1] / "examples"
WIDTH, HEIGHT = 512, 384
STRETCH = 10
"""Renderings between looks at what other programs do."""


class Worker:
    """A worker process behind a socket of ours.

    Attributes:
        ended: outcome of every job that ended. stages: when each stage of a job began.
    """

    def __init__(self, device: str) -> None:
        self._socket = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.bind("tcp://127.0.0.1:*")
        self._id = new_id()
        self.ended: dict[str, str] = {}
        self.stages: list[tuple[float, str]] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "splinescape.service.worker.main"], stdin=subprocess.PIPE
        )
        spec = {
            "endpoint": self._socket.last_endpoint.decode(),
            "server_key": None,
            "public_key": None,
            "secret_key": None,
            "worker": self._id,
            "device": device,
            "heartbeat_s": 1.0,
        }
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(spec).encode() + b"\n")
        self.process.stdin.flush()

    def send(self, message: Message) -> Message:
        """Send to the worker."""
        self._socket.send_multipart([self._id.encode(), *encode(message)], copy=False)
        return message

    def until(self, wanted: Callable[[Message], bool]) -> Message:
        """Hear until a message is the wanted one."""
        while True:
            while not self._socket.poll(1000):
                if self.process.poll() is not None:
                    raise SystemExit("the worker ended")
            message = decode(self._socket.recv_multipart(copy=False)[1:])
            if message.type == "finished":
                self.ended[message.job or ""] = message.content["outcome"]
            if message.type == "event" and message.content["kind"] == "stage":
                self.stages.append((time.perf_counter(), message.content["data"]["stage"]))
            if wanted(message):
                return message

    def begin(self, folder: Path, **settings: Any) -> str:
        """Start a job on the example picture."""
        job = new_id()
        folder.mkdir()
        (folder / "picture").write_bytes((EXAMPLES / "room.png").read_bytes())
        (folder / "path.json").write_bytes((EXAMPLES / "room_path.json").read_bytes())
        spec = {
            "name": "benchmark",
            "focal_px": None,
            "settings": {"stage": "coarse", "traj_type": "json", **settings},
            "engines": {"inpaint": "auto", "depth": "auto", "raster": "auto"},
            "formats": [],
            "film": False,
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        self.send(Message("run", {"folder": str(folder), "attempt": 0, "tier": 0}, job=job))
        return job

    def render(self, job: str, folder: Path, cam_T_world: np.ndarray) -> Message:
        """One rendering; waits for it."""
        content = {
            "folder": str(folder),
            "state": "done",
            "width": WIDTH,
            "height": HEIGHT,
            "buffers": ["rgb", "depth", "alpha"],
            "requester": "benchmark",
        }
        K = np.array([[460, 0, WIDTH / 2], [0, 460, HEIGHT / 2], [0, 0, 1.0]])
        buffers = (to_buffer("cam_T_world", cam_T_world[None]), to_buffer("K_33", K[None]))
        asked = self.send(Message("render", content, job=job, buffers=buffers))
        answer = self.until(lambda m: m.parent == asked.id)
        if answer.type != "reply":
            raise SystemExit(answer.content["message"])
        return answer


@dataclass(frozen=True)
class Times:
    """When renderings began and how long they took, seconds."""

    began: np.ndarray
    took: np.ndarray

    def show(self, label: str, own_ms: float) -> None:
        """Print percentiles in milliseconds, and p95 in units of the rendering's own time."""
        if not len(self.took):
            raise SystemExit(f"{label}: the machine was never quiet; try again, or with --noise")
        ms = self.took * 1e3
        p50, p95, p99 = np.percentile(ms, [50, 95, 99])
        print(
            f"{label:24} {len(ms):6} {p50:8.1f} {p95:8.1f} {p99:8.1f} {ms.max():8.1f} {p95 / own_ms:8.2f}",
            flush=True,
        )


class Others:
    """Processor time that programs other than this benchmark took.

    Attributes:
        at_most: how much of one processor they may take in a stretch that counts.
    """

    def __init__(self, worker: Worker, at_most: float) -> None:
        self.at_most = at_most
        self._ours = [psutil.Process(), psutil.Process(worker.process.pid)]
        self.restart()

    def restart(self) -> None:
        """Begin to watch."""
        self._began, self._at = self._seconds(), time.perf_counter()

    def share(self) -> float:
        """Of one processor, since then."""
        return (self._seconds() - self._began) / (time.perf_counter() - self._at)

    def _seconds(self) -> float:
        times = psutil.cpu_times()
        busy = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
        return busy - sum(sum(process.cpu_times()[:2]) for process in self._ours)


def measure(
    worker: Worker,
    others: Others,
    scene: tuple[str, Path],
    count: int,
    limit_s: float,
    trains: Callable[[], str] | None = None,
) -> Times:
    """Render `count` views one after the other, beside the job that `trains` begins if there is to be one.

    Stops after `limit_s` seconds with fewer when the machine is hardly ever quiet.
    """
    began: list[float] = []
    took: list[float] = []
    left_out, view = 0, 0
    until = time.perf_counter() + limit_s
    job = None
    while len(took) < count and time.perf_counter() < until:
        if trains is not None and (job is None or job in worker.ended):
            job = trains()
            worker.until(lambda m: m.type == "event" and m.content["kind"] == "stage")
        starts, ends = [], []
        others.restart()
        for _ in range(STRETCH):
            cam_T_world = np.eye(4)
            cam_T_world[0, 3] = 0.2 * np.sin(view / 20)
            view += 1
            starts.append(time.perf_counter())
            worker.render(*scene, cam_T_world)
            ends.append(time.perf_counter())
        if others.share() > others.at_most or (job is not None and job in worker.ended):
            left_out += STRETCH
            continue
        began += starts
        took += [end - start for start, end in zip(starts, ends, strict=True)]
    if left_out:
        print(f"({left_out} renderings left out: other programs were busy)")
    if job is not None and job not in worker.ended:
        worker.send(Message("stop_job", job=job))
        worker.until(lambda m: m.type == "finished" and m.job == job)
    return Times(np.array(began), np.array(took))


def by_stage(times: Times, stages: list[tuple[float, str]]) -> dict[str, Times]:
    """The same, by what the job did when a rendering began."""
    names = np.array([name for _, name in stages])
    at = np.searchsorted([when for when, _ in stages], times.began) - 1
    return {
        str(name): Times(times.began[names[at] == name], times.took[names[at] == name])
        for name in dict.fromkeys(names[at])
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--renders", type=int, default=1000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for each half at most")
    parser.add_argument("--noise", type=float, default=0.1, help="share of one processor that others may use")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        worker = Worker(options.device)
        worker.until(lambda m: m.type == "ready")
        seen = worker.begin(folder / "seen", n_frames=4)
        worker.until(lambda m: m.type == "finished")
        splats = worker.render(seen, folder / "seen", np.eye(4)).content["splats"]
        print(f"{splats:,} splats, {WIDTH}x{HEIGHT}, rgb + depth + alpha; milliseconds")
        print("                          count      p50      p95      p99      max   p95/own")
        scene, others = (seen, folder / "seen"), Others(worker, options.noise)
        alone = measure(worker, others, scene, options.renders // 2, options.limit)
        own_ms = float(np.median(alone.took)) * 1e3
        alone.show("alone", own_ms)
        names = (folder / f"trains{i}" for i in range(100))
        busy = measure(
            worker,
            others,
            scene,
            options.renders,
            options.limit,
            lambda: worker.begin(next(names), stage="fine", n_frames=20, coarse_min_inpaint_ratio=0.01),
        )
        busy.show("beside a job", own_ms)
        for stage, times in by_stage(busy, worker.stages).items():
            times.show(f"  while it does '{stage}'", own_ms)
        worker.send(Message("quit"))
        worker.process.wait()


if __name__ == "__main__":
    main()
