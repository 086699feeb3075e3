"""How long `Client.poll` takes while a large result arrives and is checked and written, with a busy neighbour.

    python benchmarks/client_poll.py                  # 100 MB from a real service, one core kept busy
    python benchmarks/client_poll.py --hog thread     # a Python thread of the same process, which holds the GIL
    python benchmarks/client_poll.py --hog none

Polls come 60 times a second, as a timer of Blender would, then as often as possible. "plain loop" receives the same
with the same number of requests on their way, but handles all that has arrived at once, as one would write it first.
"held up" are polls in which the system gave the processor to another program; "max of rest" is that of the others.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import zmq
from PIL import Image

from splinescape.client import Client, Connection, FileInfo, connect, read_connection
from splinescape.client.link import Link
from splinescape.protocol.wire import Message, decode, encode

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

CHUNK = 2**18
ON_THEIR_WAY = 16
TICK_S = 1 / 60


@contextlib.contextmanager
def service_with_a_large_result(folder: Path, size: int) -> Iterator[tuple[Path, str, FileInfo]]:
    """A real service, a job that is done, and a file of `size` bytes among its results."""
    command = [
        sys.executable,
        "-m",
        "splinescape.cli.main",
        "serve",
        "--data",
        str(folder),
        "--device",
        "cpu",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        connection = Path(json.loads(process.stdout.readline())["connection"])
        try:
            with connect(connection) as service:
                settings = {
                    "stage": "coarse",
                    "n_frames": 2,
                    "max_resolution": 64,
                    "coarse_dense_multiplier": 4,
                }
                job = service.submit(_picture(), settings=settings)
                for _ in service.watch(job):
                    pass
                yield connection, job, _add_result(folder / "jobs" / job, size)
        finally:
            process.terminate()
            process.wait()


def _picture() -> bytes:
    """A small grey picture."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(90, 160, (48, 64), np.uint8)).save(file, "PNG")
    return file.getvalue()


def _add_result(folder: Path, size: int) -> FileInfo:
    data = np.random.default_rng(1).bytes(size)
    file = FileInfo("gf.ply", size, hashlib.sha256(data).hexdigest())
    (folder / "results" / file.name).write_bytes(data)
    listed = {"files": [{"name": file.name, "size": file.size, "sha256": file.sha256}]}
    temp = folder / "results.json.tmp"
    temp.write_text(json.dumps(listed))
    temp.replace(folder / "results.json")
    os.sync()  # it is not this file's way to the disk that shall be measured
    return file


def _spin() -> None:
    while True:
        sum(range(10_000))


@contextlib.contextmanager
def busy(kind: str) -> Iterator[None]:
    """Keep one core busy: by a process, by a Python thread of this one, or not at all."""
    if kind == "process":
        process = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
        process.start()
        yield
        process.kill()
        process.join()
    elif kind == "thread":
        stop = threading.Event()

        def spin() -> None:
            while not stop.is_set():
                sum(range(1000))

        thread = threading.Thread(target=spin, daemon=True)
        thread.start()
        yield
        stop.set()
        thread.join()
    else:
        yield


def _switches() -> int:
    """How often the system has taken the processor away from this thread."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw if resource is not None else 0


class Ticks:
    """Calls `tick` until it says that it is done, timing each call."""

    def __init__(self, tick: Callable[[], bool], every_s: float) -> None:
        self.seconds: list[float] = []
        self.held_up: list[bool] = []
        begun = time.perf_counter()
        done = False
        while not done:
            switches = _switches()
            start = time.perf_counter()
            done = tick()
            self.seconds.append(time.perf_counter() - start)
            self.held_up.append(_switches() > switches)
            if every_s:
                time.sleep(max(0.0, every_s - self.seconds[-1]))
        self.total = time.perf_counter() - begun

    def report(self, name: str, size: int) -> None:
        ms = 1000 * np.array(self.seconds)
        held_up = np.array(self.held_up)
        p50, p99 = np.percentile(ms, [50, 99])
        undisturbed = ms[~held_up].max()
        print(
            f"{name:48} {len(ms):6,} {p50:7.3f} {p99:7.3f} {ms.max():7.2f} {int((ms > 5).sum()):6}"
            f" {int(held_up.sum()):8} {undisturbed:11.2f} {size / self.total / 1e6:6.0f}",
            flush=True,
        )


def with_client(where: Path, job: str, file: FileInfo, dest: Path | None, every_s: float) -> Ticks:
    """Connect, fetch, disconnect; everything but making the client is timed."""
    client = Client(where)
    call = client.fetch(job, file, dest)

    def tick() -> bool:
        client.poll()
        return call.done

    ticks = Ticks(tick, every_s)
    call.get()
    client.close()
    return ticks


def nothing_but_a_loop() -> Ticks:
    """What this machine makes of a loop of 2 ms that does nothing, 300 times."""
    left = 300

    def tick() -> bool:
        nonlocal left
        left -= 1
        ends = time.perf_counter() + 0.002
        while time.perf_counter() < ends:
            pass
        return left == 0

    return Ticks(tick, TICK_S)


class PlainLoop:
    """The same without a budget: every call takes all that has arrived, counts it and writes it."""

    def __init__(self, connection: Connection, job: str, file: FileInfo, dest: Path) -> None:
        self._link = Link(connection)
        self._job, self._file = job, file
        self._out = dest.open("wb")
        self._digest = hashlib.sha256()
        self._asked = self._there = 0

    def tick(self) -> bool:
        """Take what has arrived, ask for more; True when all is there."""
        self._link.look()
        while (frames := self._link.receive("bulk")) is not None:
            data = decode(frames).buffer("data").data
            self._digest.update(data)
            self._out.write(data)
            self._there += len(data)
        while self._asked < self._file.size and self._asked - self._there < ON_THEIR_WAY * CHUNK:
            length = min(CHUNK, self._file.size - self._asked)
            content = {
                "name": self._file.name,
                "sha256": self._file.sha256,
                "offset": self._asked,
                "length": length,
            }
            if not self._link.send("bulk", encode(Message("fetch", content, job=self._job))):
                break
            self._asked += length
        if self._there < self._file.size:
            return False
        self._out.close()
        self._link.close()
        assert self._digest.hexdigest() == self._file.sha256
        return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mb", type=int, default=100, help="size of the result in megabytes")
    parser.add_argument("--hog", choices=("process", "thread", "none"), default="process")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    size = options.mb * 1_000_000
    print(
        f"{options.mb} MB, busy neighbour: {options.hog}, pyzmq {zmq.__version__}; milliseconds of one poll"
    )
    print(f"{'':48}  polls     p50     p99     max  >5 ms  held up  max of rest   MB/s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with service_with_a_large_result(folder / "data", size) as (where, job, file), busy(options.hog):
            for _ in range(options.repeats):
                nothing_but_a_loop().report("a loop of 2 ms that does nothing", 0)
                for every_s, how in ((TICK_S, "60 times a second"), (0.0, "as often as possible")):
                    _measure(folder, where, job, file, every_s, how)


def _measure(folder: Path, where: Path, job: str, file: FileInfo, every_s: float, how: str) -> None:
    new, old = folder / "new.ply", folder / "old.ply"
    if not old.exists():
        old.write_bytes(bytes(file.size))
        os.sync()
    with_client(where, job, file, new, every_s).report(f"to disk, {how}", file.size)
    with_client(where, job, file, old, every_s).report(f"in place of an older file, {how}", file.size)
    with_client(where, job, file, None, every_s).report(f"to memory, {how}", file.size)
    plain = PlainLoop(read_connection(where), job, file, folder / "plain.ply")
    Ticks(plain.tick, every_s).report(f"plain loop to disk, {how}", file.size)
    new.unlink()


if __name__ == "__main__":
    main()
