"""The worker processes: one per device, started when there is work, watched, ended when idle.

This module knows processes and nothing of jobs. `look` says what happened to them; `Foreman` decides what that means.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from splinescape.protocol.wire import Message, encode, new_id
from splinescape.service.auth import WORKERS
from splinescape.service.discreet import discreet
from splinescape.service.settings import ServiceSettings

log = logging.getLogger(__name__)

_RUN = (sys.executable, "-m", "splinescape.service.worker.main")
_FAILED_STARTS = 3
_START_TIMEOUT_S = 180.0
_RESTART_DELAYS_S = (1.0, 3.0, 10.0, 30.0)
_UNKILLABLE_S = 10.0
_LOGS_KEPT = 20
_LONGEST_IPC_PATH = 100
_LAST_WORDS = 2**14


@dataclass(eq=False)
class Worker:
    """One running process.

    Attributes:
        heard: when it last said anything, monotonic seconds.
        job: the job it works on. used: when it last had something to do.
        info: what it said when it was ready, None until then.
        ending: it was asked to quit. kill_at: when patience with it ends.
        killed_for: why it was killed; it is gone soon after.
    """

    id: str
    device: str
    process: subprocess.Popen[bytes]
    stderr: Path
    heard: float
    used: float
    job: str | None = None
    info: dict[str, Any] | None = None
    ending: bool = False
    kill_at: float | None = None
    killed_for: str | None = None

    @property
    def ready(self) -> bool:
        """Whether it can be given work."""
        return self.info is not None and not self.ending and self.killed_for is None


@dataclass(eq=False)
class Slot:
    """A device and the process that uses it, if one is running."""

    device: str
    worker: Worker | None = None
    info: dict[str, Any] | None = None
    failed_starts: int = 0
    start_after: float = 0.0
    trouble: str = ""

    def state(self) -> str:
        """What to show: "asleep", "starting", "idle", "busy" or "broken"."""
        if self.worker is None:
            return "broken" if self.trouble else "asleep"
        if self.worker.info is None:
            return "starting"
        return "busy" if self.worker.job else "idle"


@dataclass(frozen=True, eq=False)
class Death:
    """A worker that is gone, and why as far as can be known.

    Attributes:
        reason: one line. words: the last that it wrote to stderr, such as a traceback.
    """

    worker: Worker
    reason: str
    words: str


@dataclass(eq=False)
class Supervisor:
    """Starts, watches and ends the workers; owns the socket that they talk through.

    Attributes:
        closing: no worker is started any more.
    """

    context: zmq.Context[zmq.Socket[bytes]]
    settings: ServiceSettings
    folder: Path
    slots: list[Slot] = field(default_factory=list)
    closing: bool = False

    def __post_init__(self) -> None:
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._keys = self._bind()
        self.slots = [Slot(device) for device in self.settings.devices]
        self._looked = time.monotonic()

    def _bind(self) -> dict[str, str]:
        """Local sockets need no encryption: the folder is the owner's. Elsewhere TCP gets keys for this one run."""
        run = self.folder / "run"
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = run / "workers"
        if os.name == "posix" and len(os.fsencode(path)) < _LONGEST_IPC_PATH:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            self.socket.bind(f"ipc://{path}")
            return {}
        server_public, server_secret = zmq.curve_keypair()
        public, secret = zmq.curve_keypair()
        self.socket.curve_server = True
        self.socket.curve_secretkey = server_secret
        self.socket.curve_publickey = server_public
        self.socket.setsockopt(zmq.ZAP_DOMAIN, WORKERS)
        self.socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        self.worker_key = public.decode()
        self.socket.bind("tcp://127.0.0.1:*")
        return {
            "server_key": server_public.decode(),
            "public_key": public.decode(),
            "secret_key": secret.decode(),
        }

    worker_key = ""
    """The key that workers show when they come over TCP; the authenticator lets it in to the domain "workers"."""

    @property
    def workers(self) -> list[Worker]:
        """The processes that are running."""
        return [slot.worker for slot in self.slots if slot.worker is not None]

    @property
    def trouble(self) -> str:
        """Why there is no worker on any device; "" when there is one or one may be had."""
        hopeful = any(slot.worker is not None or not slot.trouble for slot in self.slots)
        return "" if hopeful else self.slots[0].trouble

    @property
    def engines(self) -> list[dict[str, Any]]:
        """What can run here, as last said by a worker; one that runs now knows better than one that is gone."""
        alive = [worker.info for worker in self.workers]
        told = [info for info in (*alive, *(slot.info for slot in self.slots)) if info is not None]
        return list(told[0]["engines"]) if told else []

    def worker(self, worker_id: str) -> Worker | None:
        """The running worker of that id; None for one that is gone."""
        return next((worker for worker in self.workers if worker.id == worker_id), None)

    def working_on(self, job: str) -> Worker | None:
        """The worker that has the job."""
        return next((worker for worker in self.workers if worker.job == job), None)

    def start_one(self) -> bool:
        """Start a worker on a device that has none and may have one now; False when there is none such."""
        now = time.monotonic()
        for slot in self.slots:
            if slot.worker is None and now >= slot.start_after and not self.closing:
                try:
                    slot.worker = self._start(slot.device)
                except OSError as error:  # no memory, no room on the disk, too many open files
                    log.warning("no worker can be started on %s: %s", slot.device, error)
                    self._note_failed_start(slot, str(error))
                else:
                    return True
        return False

    def _start(self, device: str) -> Worker:
        worker_id = new_id()
        stderr = self.folder / "logs" / f"worker-{device.replace(':', '')}-{worker_id[:8]}.log"
        stderr.parent.mkdir(parents=True, exist_ok=True)
        self._tidy_logs(stderr.parent)
        new_group: dict[str, Any] = (
            {"start_new_session": True}
            if os.name == "posix"
            else {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        )
        with stderr.open("ab") as errors:
            process = subprocess.Popen(
                _RUN, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, **new_group
            )
        spec = {
            "endpoint": self.socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"),
            "server_key": None,
            "public_key": None,
            "secret_key": None,
            "worker": worker_id,
            "device": device,
            "heartbeat_s": self.settings.heartbeat_s,
            **self._keys,
        }
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # gone already; `look` finds out
            process.stdin.write(json.dumps(spec).encode() + b"\n")
            process.stdin.flush()
        log.info("worker %s started on %s, pid %s", worker_id[:8], device, process.pid)
        now = time.monotonic()
        return Worker(worker_id, device, process, stderr, now, now)

    def _tidy_logs(self, folder: Path) -> None:
        """Keep the last words of the latest workers only."""
        in_use = {worker.stderr for worker in self.workers}
        logs = sorted(set(folder.glob("worker-*.log")) - in_use, key=lambda path: path.stat().st_mtime)
        for path in logs[:-_LOGS_KEPT]:
            with contextlib.suppress(OSError):
                path.unlink()

    def is_ready(self, worker: Worker, info: dict[str, Any]) -> None:
        """Note what a worker said when it was ready; further devices that "auto" found get slots of their own."""
        worker.info = info
        slot = next(slot for slot in self.slots if slot.worker is worker)
        slot.info, slot.failed_starts, slot.trouble = info, 0, ""
        device = info.get("device", {})
        if slot.device == "auto":
            slot.device = worker.device = str(device.get("device", "cpu"))
            if device.get("kind") == "cuda":
                self.slots += [Slot(f"cuda:{i}") for i in range(1, int(device.get("count", 1)))]

    def send(self, worker: Worker, message: Message) -> bool:
        """Send to a worker; False when its connection is gone or stuck."""
        try:
            self.socket.send_multipart([worker.id.encode(), *encode(message)], zmq.NOBLOCK, copy=False)
        except zmq.ZMQError:
            return False
        return True

    def look(self) -> list[Death]:
        """Find workers that ended or went silent; those that are silent for too long are killed."""
        now = time.monotonic()
        if now - self._looked > self.settings.heartbeat_s + 2:  # this process itself was stopped for a while
            for paused in self.workers:
                paused.heard = now
        self._looked = now
        deaths = []
        for slot in self.slots:
            worker = slot.worker
            if worker is None:
                continue
            reason = self._why_dead(worker, now)
            if reason is not None:
                deaths.append(Death(worker, reason, _last_words(worker.stderr)))
                slot.worker = None
                self._note_death(slot, worker, reason)
        return deaths

    def _why_dead(self, worker: Worker, now: float) -> str | None:
        code = worker.process.poll()
        if code is not None:
            return worker.killed_for or _exit_reason(code, _last_words(worker.stderr))
        tired = worker.kill_at is not None and now > worker.kill_at
        if worker.killed_for is not None:
            return worker.killed_for if tired else None
        patience = self.settings.worker_timeout_s if worker.info is not None else _START_TIMEOUT_S
        if now - worker.heard > patience:
            worker.killed_for = f"it gave no sign of life for {patience:.0f} s"
        elif tired:
            worker.killed_for = "it did not stop when asked to"
        if worker.killed_for is not None:
            # Its memory may take a while to be given back: a later look finds it gone, nobody waits for that.
            worker.process.kill()
            worker.kill_at = now + _UNKILLABLE_S
        return None

    def _note_death(self, slot: Slot, worker: Worker, reason: str) -> None:
        if worker.info is None and not worker.ending:
            self._note_failed_start(slot, f"{reason}; see {worker.stderr}")
        if worker.ending:
            log.info("worker %s ended", worker.id[:8])
            with contextlib.suppress(OSError):
                worker.stderr.unlink()
        else:
            log.warning("worker %s died: %s", worker.id[:8], reason)

    def _note_failed_start(self, slot: Slot, reason: str) -> None:
        delay = _RESTART_DELAYS_S[min(slot.failed_starts, len(_RESTART_DELAYS_S) - 1)]
        slot.start_after = time.monotonic() + delay
        slot.failed_starts += 1
        if slot.failed_starts >= _FAILED_STARTS:
            log.error("workers do not start: %s", reason)
            slot.trouble = f"workers do not start: {discreet(reason)}"

    def quit(self, worker: Worker, grace_s: float) -> None:
        """Ask a worker to end; `look` kills it when it has not after `grace_s`."""
        worker.ending = True
        worker.kill_at = time.monotonic() + grace_s
        if not self.send(worker, Message("quit")):
            worker.kill_at = 0.0

    def close(self) -> None:
        """Kill what still runs and close the socket."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(5)
        self.socket.close(0)
        with contextlib.suppress(OSError):
            (self.folder / "run" / "workers").unlink()


def _last_words(path: Path) -> str:
    """The last lines that a worker wrote to stderr."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LAST_WORDS))
            return file.read().decode("utf-8", "replace").split("\nExtension modules:")[0].strip()
    except OSError:
        return ""


def _exit_reason(code: int, words: str) -> str:
    if code >= 0:
        reason = f"it ended with exit code {code}"
    else:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = ", which the system also does when memory runs out" if name == "SIGKILL" else ""
        reason = f"it was ended by {name}{hint}"
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    crash = next((line for line in lines if line.startswith("Fatal Python error")), None)
    told = crash or (lines[-1] if lines else "")
    return f"{reason} ({told})" if told else reason
