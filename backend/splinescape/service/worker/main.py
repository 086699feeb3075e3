"""The worker process: `python -m splinescape.service.worker.main`, started by the broker and by nobody else.

One line of JSON on stdin says where the broker is. The end of stdin means that the broker is gone, and so is this
process then. Nothing heavy is imported before the first sign of life.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from dataclasses import fields
from pathlib import Path
from typing import Any

import psutil

from splinescape.errors import SplinescapeError
from splinescape.protocol.wire import Message
from splinescape.service.worker import device
from splinescape.service.worker.link import Address, Link
from splinescape.service.worker.priority import Gate, lower_thread_priority
from splinescape.service.worker.render import RenderDesk

_SWITCH_INTERVAL_S = 0.00005
_QUIT_GRACE_S = 1.0
_FLUSH_S = 1.0
_LOOK_AT_ENGINES_EVERY_S = 2.0
_NO_DEVICE = 72
_PR_SET_PDEATHSIG = 1


class Worker:
    """Takes what the broker asks for; jobs run one after the other in the main thread."""

    def __init__(self, address: Address, device_name: str) -> None:
        self._device = device_name
        self._kind = ""
        self._engines: list[dict[str, Any]] = []
        self._next_look = 0.0
        self._trouble = ""
        self._process = psutil.Process()
        self._jobs: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._cancels: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._quitting = False
        self._link = Link(address, self._on_message, self._beat)
        self._gate = Gate()
        self._desk = RenderDesk(self._link.send, self._gate)

    def run(self) -> None:
        """Live until the broker says quit."""
        self._link.start()
        self._say_ready()
        from splinescape.jit import set_lane
        from splinescape.service.worker.scenes import Scenes

        scenes = Scenes()
        self._desk.open(scenes)
        # From here on this thread and all that it starts step back for renderings.
        lower_thread_priority()
        set_lane(lower_thread_priority, self._gate.give_way)
        try:
            device.warm_up()
        except Exception:
            traceback.print_exc()  # a job that needs what failed will say so
        from splinescape.service.worker.runner import Runner

        runner = Runner(self._link.send, scenes)
        while (message := self._jobs.get()) is not None:
            self._work(runner, message)
        self._end()

    def _say_ready(self) -> None:
        import torch

        torch.get_num_threads()  # before another thread sets its own number, which later ones would begin with
        facts = device.describe(self._device)
        with contextlib.suppress(Exception):  # then the next look tells
            self._engines = device.engine_table()
        content = {"pid": os.getpid(), "device": facts, "engines": self._engines}
        self._link.send(Message("ready", content))
        self._kind = facts["kind"]

    def _work(self, runner: Any, message: Message) -> None:
        job, content = message.job or "", message.content
        outcome = runner.run(
            job, Path(content["folder"]), content["attempt"], content["tier"], self._cancels[job]
        )
        self._finish(job, {"outcome": outcome.outcome, "reason": outcome.reason, "files": outcome.files})

    def _finish(self, job: str, content: dict[str, Any]) -> None:
        """Tell how a job ended, once."""
        with self._lock:
            known = self._cancels.pop(job, None)
        if known is not None:
            self._link.send(Message("finished", content, job=job))

    def _on_message(self, message: Message) -> None:
        if message.type == "render":
            self._desk.ask(message)
        elif message.type == "run":
            with self._lock:
                self._cancels[message.job or ""] = threading.Event()
            self._jobs.put(message)
        elif message.type == "stop_job":
            with self._lock:
                cancel = self._cancels.get(message.job or "")
            if cancel is not None:
                cancel.set()
        elif message.type == "quit" and not self._quitting:
            self._quitting = True
            with self._lock:
                for cancel in self._cancels.values():
                    cancel.set()
            self._jobs.put(None)
            threading.Thread(target=self._end_soon, name="quit", daemon=True).start()

    def _end_soon(self) -> None:
        """End though the job has not reached a place where it can stop; everything it finished is on disk."""
        threading.Event().wait(_QUIT_GRACE_S)
        self._end()

    def _end(self) -> None:
        for job in list(self._cancels):
            self._finish(job, {"outcome": "stopped", "reason": "", "files": []})
        self._link.close(_FLUSH_S)
        os._exit(0)  # at once: neither threads nor libraries have anything left to do

    def _beat(self) -> dict[str, Any]:
        free = device.memory_free(self._kind)
        said = {"memory_free": free, "rss": self._process.memory_info().rss}
        return said | self._news()

    def _news(self) -> dict[str, Any]:
        """The engines, when they are others than was last said: models come and go."""
        if not self._kind or time.monotonic() < self._next_look:
            return {}
        self._next_look = time.monotonic() + _LOOK_AT_ENGINES_EVERY_S
        try:
            table = device.engine_table()
        except Exception as error:  # what was said last stays until somebody knows better
            if repr(error) != self._trouble:
                traceback.print_exc()
            self._trouble = repr(error)
            return {}
        if table == self._engines:
            return {"looked": True}
        self._engines = table
        return {"looked": True, "engines": table}


def _die_with_parent() -> None:
    """End when the broker does, also when it is killed in a way that leaves its pipes open."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch_stdin, name="stdin", daemon=True).start()


def _watch_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def main() -> None:
    """Entry point of the process."""
    faulthandler.enable()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("splinescape").setLevel(logging.INFO)
    # Ctrl-C and a service manager reach every process of the group, but it is the broker that decides what happens.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)  # a rendering waits for this long when a job computes in Python
    spec = json.loads(sys.stdin.buffer.readline())
    _die_with_parent()
    device.restrict_to(spec["device"])
    address = Address(**{field.name: spec[field.name] for field in fields(Address)})
    try:
        Worker(address, spec["device"]).run()
    except SplinescapeError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(_NO_DEVICE)


if __name__ == "__main__":
    main()
