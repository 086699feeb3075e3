"""A broker for tests that is only its socket, and jobs in folders as the real one leaves them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from splinescape import CameraPath, SceneConfig, ScenePipeline, __version__
from splinescape.picture.load import load_picture
from splinescape.protocol.arrays import to_array, to_buffer
from splinescape.protocol.wire import Message, decode, encode, new_id

SITE = Path(__file__).parent / "worker_site"
PATIENCE_S = 120.0

SMALL: dict[str, Any] = {
    "stage": "coarse",
    "n_frames": 4,
    "max_resolution": 32,
    "traj_type": "json",
    "coarse_min_inpaint_ratio": 0.01,
    "coarse_max_inpaint_ratio": 0.6,
}
"""Settings of a job of about a second."""


@dataclass(eq=False)
class Job:
    """A job's folder and id."""

    folder: Path
    id: str = field(default_factory=new_id)

    def results(self) -> dict[str, bytes]:
        """Name -> bytes of the results."""
        return {path.name: path.read_bytes() for path in (self.folder / "results").iterdir()}

    def log(self) -> str:
        """The log so far."""
        return (self.folder / "log.txt").read_text()


def make_job(folder: Path, picture: Path, path: Path | None = None, **spec: Any) -> Job:
    """Lay out a job as the broker does; `spec` replaces parts of spec.json, such as settings or engines."""
    job = Job(folder)
    folder.mkdir(parents=True)
    (folder / "picture").write_bytes(picture.read_bytes())
    if path is not None:
        (folder / "path.json").write_bytes(path.read_bytes())
    content = {
        "name": "test",
        "picture": hashlib.sha256(picture.read_bytes()).hexdigest(),
        "focal_px": None,
        "settings": SMALL if path is not None else {"stage": "no-outpaint", "max_resolution": 32},
        "engines": {"inpaint": "auto", "depth": "auto", "raster": "auto"},
        "formats": [],
        "film": False,
        "pinned": False,
        "id": job.id,
        "version": __version__,
        **spec,
    }
    (folder / "spec.json").write_text(json.dumps(content))
    return job


def made_in_process(job: Job, folder: Path) -> bytes:
    """gf.ply of the same job, made by the library in this process."""
    spec = json.loads((job.folder / "spec.json").read_text())
    picture = load_picture(job.folder / "picture")
    path = CameraPath.from_json(job.folder / "path.json") if (job.folder / "path.json").exists() else None
    result = ScenePipeline(SceneConfig(**spec["settings"])).run(picture.rgb, path, focal_px=picture.focal_px)
    result.save_ply(folder / "in_process.ply")
    return (folder / "in_process.ply").read_bytes()


class PretendBroker:
    """A ROUTER socket with one real worker process behind it.

    Attributes:
        messages: everything heard so far, beats too.
    """

    def __init__(self, device: str = "cpu", env: dict[str, str] | None = None, curve: bool = False) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        keys: dict[str, str | None] = {"server_key": None, "public_key": None, "secret_key": None}
        if curve:
            public, secret = zmq.curve_keypair()
            self._socket.curve_server, self._socket.curve_secretkey = True, secret
            worker_public, worker_secret = zmq.curve_keypair()
            keys = {
                "server_key": public.decode(),
                "public_key": worker_public.decode(),
                "secret_key": worker_secret.decode(),
            }
        self._socket.bind("tcp://127.0.0.1:*")
        self.worker = new_id()
        self.messages: list[Message] = []
        threads = {"OMP_NUM_THREADS": "1", "SPLINESCAPE_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "splinescape.service.worker.main"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **threads, **(env or {})},
        )
        spec = {
            "endpoint": self._socket.last_endpoint.decode(),
            **keys,
            "worker": self.worker,
            "device": device,
            "heartbeat_s": 0.2,
        }
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(spec).encode() + b"\n")
        self.process.stdin.flush()

    def send(self, message: Message) -> Message:
        """Send to the worker."""
        self._socket.send_multipart([self.worker.encode(), *encode(message)], copy=False)
        return message

    def hear(self, seconds: float = PATIENCE_S) -> Message:
        """The next message of the worker; fails when it is gone, or silent for too long."""
        deadline = time.monotonic() + seconds
        while not self._socket.poll(100):
            assert time.monotonic() < deadline, f"nothing was said for {seconds} s"
            assert self.process.poll() is None, f"the worker ended: {self.stderr()}"
        _, *frames = self._socket.recv_multipart()
        message = decode(frames)
        self.messages.append(message)
        return message

    def until(self, wanted: Callable[[Message], bool], seconds: float = PATIENCE_S) -> Message:
        """Hear until a message is the wanted one."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            message = self.hear(seconds)
            if wanted(message):
                return message
        heard = [(m.type, m.content) for m in self.messages if m.type != "beat"]
        raise AssertionError(f"not said within {seconds} s; heard last {heard[-5:]}")

    def ready(self) -> dict[str, Any]:
        """What the worker says of itself once it is ready."""
        return self.until(lambda m: m.type == "ready").content

    def run(self, job: Job, attempt: int = 0, tier: int = 0) -> None:
        """Give the worker a job, as soon as it is connected."""
        if not self.messages:
            self.hear()
        self.send(Message("run", {"folder": str(job.folder), "attempt": attempt, "tier": tier}, job=job.id))

    def finished(self, job: Job) -> dict[str, Any]:
        """How a job ended."""
        return self.until(lambda m: m.type == "finished" and m.job == job.id).content

    def event(self, kind: str, **data: Any) -> Message:
        """Hear until an event of that kind whose data include `data`."""
        return self.until(lambda m: is_event(m, kind) and data.items() <= m.content["data"].items())

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Data of all events of a kind heard so far."""
        return [m.content["data"] for m in self.messages if is_event(m, kind)]

    def ask_render(
        self,
        job: Job,
        size: tuple[int, int] = (64, 48),
        cams: Any = None,
        Ks: Any = None,
        kinds: tuple[str, ...] = ("rgb", "depth", "alpha"),
        requester: str = "somebody",
    ) -> Message:
        """Ask for renderings without waiting for them."""
        width, height = size
        content = {
            "folder": str(job.folder),
            "state": "running",
            "width": width,
            "height": height,
            "buffers": list(kinds),
            "requester": requester,
        }
        cams = np.eye(4)[None] if cams is None else np.asarray(cams, np.float64)
        K = [[0.9 * width, 0, width / 2], [0, 0.9 * width, height / 2], [0, 0, 1]]
        Ks = np.repeat(np.array(K)[None], len(cams), 0) if Ks is None else np.asarray(Ks, np.float64)
        buffers = (to_buffer("cam_T_world", cams), to_buffer("K_33", Ks))
        return self.send(Message("render", content, job=job.id, buffers=buffers))

    def answer(self, asked: Message) -> Message:
        """The answer to a request."""
        return self.until(lambda m: m.parent == asked.id)

    def stderr(self) -> str:
        """What the worker wrote to stderr, once it is gone."""
        self.process.wait(PATIENCE_S)
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def close(self) -> None:
        """End the worker and the socket, whatever they are doing."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stderr):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._socket.close(0)
        self._context.term()


def is_event(message: Message, kind: str) -> bool:
    """Whether a message is an event of that kind."""
    return message.type == "event" and message.content["kind"] == kind


def arrays(message: Message) -> dict[str, np.ndarray]:
    """The buffers of a message as arrays."""
    assert message.type == "reply", message.content
    return {buffer.name: to_array(buffer) for buffer in message.buffers}


@contextmanager
def broker(
    device: str = "cpu", env: dict[str, str] | None = None, curve: bool = False
) -> Iterator[PretendBroker]:
    """A broker with a fresh worker, both gone afterwards."""
    pretend = PretendBroker(device, env, curve)
    try:
        yield pretend
    finally:
        pretend.close()


def with_odd_engines(**env: str) -> dict[str, str]:
    """An environment whose worker knows the engines of `worker_site`."""
    return {"PYTHONPATH": os.pathsep.join([str(SITE), *filter(None, [os.environ.get("PYTHONPATH")])]), **env}
