"""What can go wrong around a service, one function each; the tests do every one 20 times, `benchmarks/soak.py` 200.

Every round sends a job, does harm at a random moment, and demands the bytes that the library makes.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from service_support import PATH_JSON, TINY, RunningService, expected_ply, picture_png, until

from splinescape.client import connect
from splinescape.client.service import Service
from splinescape.errors import SplinescapeError
from splinescape.protocol.connection import read_connection

VARIANTS = 3
JOB_S = 2.0
"""About how long a job of these takes; harm is done at random moments in this time."""
SETTLED_S = 120.0


@dataclass(eq=False)
class Ground:
    """Where the faults happen.

    Attributes:
        folder: for the service's data and whatever else. rng: chooses the moments.
    """

    folder: Path
    rng: random.Random
    services: list[RunningService] = field(default_factory=list)

    def service(
        self, *options: str, data: Path | None = None, env: dict[str, str] | None = None
    ) -> RunningService:
        """Start a service; it is ended and looked after when all is over."""
        running = RunningService(data or self.folder / f"data{len(self.services)}", *options, env=env)
        self.services.append(running)
        return running

    def moment(self, seconds: float = JOB_S) -> None:
        """Wait for a random time."""
        time.sleep(self.rng.random() * seconds)


@contextlib.contextmanager
def ground(folder: Path, seed: int) -> Iterator[Ground]:
    """Prepare, and afterwards demand that nothing was left behind: no process, no shared memory, no temporary file."""
    shared = set(_shared_memory())
    here = Ground(folder, random.Random(seed))
    try:
        yield here
        for service in here.services:
            if service.process.poll() is None:
                assert service.stop() == 0, service.stderr()[-2000:]
            assert service.orphans() == []
            assert left_over(service.folder) == []
        assert set(_shared_memory()) <= shared
    finally:
        for service in here.services:
            service.close()


def _shared_memory() -> list[str]:
    return [path.name for path in Path("/dev/shm").glob("*")]


def left_over(data: Path) -> list[str]:
    """Temporary and half-written files below a data folder."""
    names = [str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()]
    return [n for n in names if ".tmp" in n or n.endswith(".part") or n.startswith(("trash/", "run/"))]


@cache
def _expected(variant: int) -> bytes:
    return expected_ply(picture_png(variant), PATH_JSON, TINY)


def submit(client: Service, variant: int) -> str:
    """Send one of the small jobs."""
    return client.submit(picture_png(variant), PATH_JSON, TINY, name=f"variant {variant}")


def demand(client: Service, job: str, variant: int, folder: Path) -> None:
    """The job ends well and its result is that of the library, byte for byte."""
    info = until(lambda: _final(client, job), SETTLED_S, f"the end of job {job}")
    assert info.state == "done", f"{info.state}: {info.reason}"
    path = folder / f"{job}.ply"
    client.fetch(job, "gf.ply", path)
    assert path.read_bytes() == _expected(variant)
    path.unlink()


def _final(client: Service, job: str) -> Any:
    info = client.status(job)
    return info if info.state in ("done", "failed", "cancelled") else None


def kill_worker(here: Ground, rounds: int) -> None:
    """kill -9 of the worker."""
    service = here.service("--device", "cpu")
    with connect(service.connection) as client:
        for number in range(rounds):
            job = submit(client, number % VARIANTS)
            here.moment()
            for worker in service.workers():
                with contextlib.suppress(psutil.NoSuchProcess):
                    worker.kill()
            demand(client, job, number % VARIANTS, here.folder)


def kill_broker(here: Ground, rounds: int) -> None:
    """kill -9 of the broker, then a new start."""
    service = here.service("--device", "cpu")
    with connect(service.connection) as client:
        for number in range(rounds):
            job = submit(client, number % VARIANTS)
            here.moment()
            service.kill()
            assert service.orphans() == []
            service.start()
            demand(client, job, number % VARIANTS, here.folder)


_CLIENT = """
import sys
sys.path.insert(0, sys.argv[1])
from service_faults import submit
from splinescape.client import connect
with connect(sys.argv[2]) as client:
    job = submit(client, int(sys.argv[3]))
    print(job, flush=True)
    for event in client.watch(job):
        pass
    while True:
        client.fetch(job, "gf.ply", sys.argv[4])
"""


def kill_client(here: Ground, rounds: int) -> None:
    """kill -9 of a client while it sends, watches or fetches; another one takes over."""
    service = here.service("--device", "cpu")
    with connect(service.connection) as client:
        for number in range(rounds):
            taken = here.folder / f"taken{number}.ply"
            tests = str(Path(__file__).parent)
            arguments = (tests, service.connection, str(number % VARIANTS), str(taken))
            process = subprocess.Popen(
                (sys.executable, "-c", _CLIENT, *arguments), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert process.stdout is not None
            here.moment(2 * JOB_S + 1)
            process.kill()
            process.wait()
            said = process.stdout.read().decode().split()
            process.stdout.close()
            for info in client.jobs():
                if info.state in ("queued", "running") or info.id in said:
                    demand(client, info.id, number % VARIANTS, here.folder)
            if said:
                client.fetch(said[0], "gf.ply", taken)  # goes on where the killed one stopped
                assert taken.read_bytes() == _expected(number % VARIANTS)
            for leftover in here.folder.glob("taken*"):
                leftover.unlink()
            assert not said or said[0] in {info.id for info in client.jobs()}


def stop_worker(here: Ground, rounds: int, seconds: float = 30.0, at_once: int = 5) -> None:
    """SIGSTOP of workers for half a minute: half of them are given up before that, half are waited for."""
    for settings, share in (
        ("worker_timeout_s = 10", rounds // 2),
        ("worker_timeout_s = 60", rounds - rounds // 2),
    ):
        config = here.folder / "service.toml"
        config.write_text(settings + "\n")
        devices = [part for _ in range(at_once) for part in ("--device", "cpu")]
        service = here.service("--config", str(config), *devices)
        for begin in range(0, share, at_once):
            count = min(at_once, share - begin)
            with connect(service.connection) as client:
                jobs = [submit(client, number % VARIANTS) for number in range(count)]
            with ThreadPoolExecutor(at_once) as pool:
                moments = [here.rng.random() * JOB_S * at_once for _ in range(count)]
                workers = until(lambda: _at_least(service.workers(), count), what="workers")  # noqa: B023
                list(pool.map(_stop_for, workers, moments, [seconds] * count))
            with connect(service.connection) as client:
                for number, job in enumerate(jobs):
                    _resume_if_hit_three_times(client, job)
                    demand(client, job, number % VARIANTS, here.folder)


def _resume_if_hit_three_times(client: Service, job: str) -> None:
    """A job whose worker is given up moves to another one, which may be the next to be stopped: then it waits."""
    info = until(lambda: _final(client, job), SETTLED_S, f"the end of job {job}")
    if info.state == "failed" and "died 3 times" in info.reason:
        client.resume(job)


def _at_least(processes: list[psutil.Process], count: int) -> list[psutil.Process] | None:
    return processes[:count] if len(processes) >= count else None


def _stop_for(process: psutil.Process, moment: float, seconds: float) -> None:
    time.sleep(moment)
    with contextlib.suppress(psutil.NoSuchProcess):
        process.suspend()
        time.sleep(seconds)
        process.resume()


def full_disk(here: Ground, rounds: int) -> None:
    """The disk is full for a while: jobs fail with that reason or are refused, and go on when there is room."""
    disk = here.folder / "disk"
    disk.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(disk)), check=True)
    try:
        service = here.service("--device", "cpu", data=disk / "data")
        with connect(service.connection) as client:
            for number in range(rounds):
                _one_full_disk(here, client, disk, number % VARIANTS)
        assert service.stop() == 0
    finally:
        for service in here.services:
            service.close()
        shutil.rmtree(disk / "data", ignore_errors=True)
        subprocess.run(("umount", str(disk)), check=True)
        here.services.clear()


def _one_full_disk(here: Ground, client: Service, disk: Path, variant: int) -> None:
    job = None
    if here.rng.random() < 0.8:
        job = submit(client, variant)
        here.moment()
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(2**16))
            file.flush()
    if job is None:
        with contextlib.suppress(SplinescapeError):
            job = submit(client, variant)
    here.moment()
    ballast.unlink()
    if job is None:
        job = submit(client, variant)
    info = until(lambda: _resting(client, job), SETTLED_S, "an end")
    if info.state == "failed":
        assert "space" in info.reason or "full" in info.reason, info.reason
        client.resume(job)
    demand(client, job, variant, here.folder)
    client.delete(job)


def _resting(client: Service, job: str) -> Any:
    info = client.status(job)
    return info if info.state in ("done", "failed") else None


class Proxy:
    """A TCP line to a service that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._lines: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(self._target)
                with self._lock:
                    self._lines += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Drop all connections as they are."""
        with self._lock:
            for line in self._lines:
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
                line.close()
            self._lines.clear()

    def close(self) -> None:
        """Drop all connections and accept no more."""
        self._server.close()
        self.cut()


def cut_line(here: Ground, rounds: int) -> None:
    """The connection breaks in the middle of an upload, a result or an event."""
    service = here.service("--device", "cpu")
    connection = read_connection(service.connection)
    proxy = Proxy("127.0.0.1", int(connection.endpoint.rsplit(":", 1)[1]))
    through = replace(connection, endpoint=f"tcp://127.0.0.1:{proxy.port}")
    over = threading.Event()

    def cut_now_and_then() -> None:
        while not over.wait(here.rng.random() * 0.6):
            proxy.cut()

    saboteur = threading.Thread(target=cut_now_and_then)
    saboteur.start()
    try:
        with connect(through) as client:
            for number in range(rounds):
                job = submit(client, number % VARIANTS)
                seqs = [event.seq for event in client.watch(job)]
                assert seqs == sorted(set(seqs))
                demand(client, job, number % VARIANTS, here.folder)
            assert len(client.jobs()) == rounds  # no request made two jobs
    finally:
        over.set()
        saboteur.join()
        proxy.close()


_JUMPY = """
import pathlib, time
_true, _file = time.time, pathlib.Path({file!r})
def _jumpy():
    try:
        return _true() + float(_file.read_text())
    except (OSError, ValueError):
        return _true()
time.time = _jumpy
"""


def jump_clock(here: Ground, rounds: int) -> None:
    """The wall clock of broker and worker jumps by up to ten years either way; nothing is lost or reordered."""
    site = here.folder / "site"
    site.mkdir()
    offset = here.folder / "offset"
    (site / "sitecustomize.py").write_text(_JUMPY.format(file=str(offset)))
    service = here.service("--device", "cpu", env={"PYTHONPATH": str(site)})
    made = []
    with connect(service.connection) as client:
        for number in range(rounds):
            job = submit(client, number % VARIANTS)
            made.append(job)
            here.moment()
            offset.write_text(str(here.rng.choice((-1, 1)) * 10 ** here.rng.uniform(1, 8.5)))
            demand(client, job, number % VARIANTS, here.folder)
            seqs = [event.seq for event in client.watch(job, since=0)]
            assert seqs == sorted(set(seqs))
        assert {info.id for info in client.jobs()} == set(made)


def two_brokers(here: Ground, rounds: int) -> None:
    """A second service on the same folder refuses with a sentence, whenever it comes; the first does not notice."""
    service = here.service("--device", "cpu")
    command = (sys.executable, "-m", "splinescape.cli.main", "serve", "--data", str(service.folder))
    with connect(service.connection) as client:
        for number in range(rounds):
            job = submit(client, number % VARIANTS)
            here.moment()
            second = subprocess.run(command, capture_output=True, text=True, timeout=30)
            assert second.returncode == 2
            assert second.stdout == "" and "another service" in second.stderr
            assert str(service.process.pid) in second.stderr
            demand(client, job, number % VARIANTS, here.folder)
    both = [_start_bare(here.folder / "fresh") for _ in range(2)]
    lines = [process.stdout.readline() for process in both if process.stdout is not None]
    assert sum(bool(line) for line in lines) == 1
    for process in both:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def _start_bare(folder: Path) -> subprocess.Popen[bytes]:
    command = (
        sys.executable,
        "-m",
        "splinescape.cli.main",
        "serve",
        "--data",
        str(folder),
        "--device",
        "cpu",
    )
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


FAULTS: dict[str, Callable[[Ground, int], None]] = {
    "kill -9 of the worker": kill_worker,
    "kill -9 of the broker": kill_broker,
    "kill -9 of the client": kill_client,
    "SIGSTOP of the worker": stop_worker,
    "full disk": full_disk,
    "line cut": cut_line,
    "clock jumps": jump_clock,
    "two brokers": two_brokers,
}
