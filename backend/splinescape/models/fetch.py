"""A process of its own for downloads: `python -m splinescape.models.fetch ID [ID ...]`.

It prints one line of JSON for every change, at most four a second for each model, and a last one for each:

    {"id": "moge-vitl", "state": "downloading", "done": 1048576, "total": 300000000}
    {"id": "moge-vitl", "state": "complete", "done": 300000000, "total": 300000000}
    {"id": "flux-fill", "state": "failed", "done": 0, "total": 0, "code": "not_allowed", "error": "..."}
    {"id": "flux-fill", "state": "cancelled", "done": 0, "total": 0}

It ends early on SIGTERM, on Ctrl-C and when its standard input is closed, so it never outlives the process that
started it. Being killed does no harm either. The exit code is 0 when all models are complete.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from splinescape.errors import CancelledError, SplinescapeError
from splinescape.models.errors import ModelError
from splinescape.models.manager import ModelStore

_BETWEEN_LINES_S = 0.25
_GRACE_S = 3.0


class _Reporter:
    """Prints the lines about one model."""

    def __init__(self, id: str, cancel: threading.Event) -> None:
        self.id = id
        self.cancel = cancel
        self.done = self.total = 0
        self._next = 0.0

    def progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _BETWEEN_LINES_S
            self.say("downloading")

    def say(self, state: str, **more: Any) -> None:
        line = {"id": self.id, "state": state, "done": self.done, "total": self.total, **more}
        try:
            print(json.dumps(line), flush=True)
        except OSError:  # nobody listens any more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.cancel.set()


def fetch(store: ModelStore, id: str, accept_licence: bool, cancel: threading.Event) -> bool:
    """Download one model and print how it goes; returns whether it is complete."""
    report = _Reporter(id, cancel)
    try:
        if accept_licence:
            store.accept(id)
        store.download(id, report.progress, cancel)
    except CancelledError:
        report.say("cancelled")
        return False
    except SplinescapeError as error:
        code = error.code if isinstance(error, ModelError) else "internal"
        report.say("failed", code=code, error=" ".join(str(error).split()))
        return False
    except Exception as error:  # our own fault; whoever waits for the last line must get it all the same
        report.say("failed", code="internal", error=f"{type(error).__name__}: {' '.join(str(error).split())}")
        raise
    report.done = report.total = store.status(id).on_disk
    report.say("complete")
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch the models named on the command line, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m splinescape.models.fetch", description="Fetch models.")
    parser.add_argument("ids", nargs="+", metavar="ID")
    parser.add_argument("--accept-licence", action="store_true", help="accept the models' licences")
    options = parser.parse_args(arguments)
    cancel = _stop_when_told()
    store = ModelStore()
    complete = [fetch(store, id, options.accept_licence, cancel) for id in options.ids]
    return 0 if all(complete) else 1


def _stop_when_told() -> threading.Event:
    """An event that is set when this process shall end; if it does not end soon then, it is made to."""
    cancel = threading.Event()

    def watch_input() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        cancel.set()

    def end_for_certain() -> None:
        cancel.wait()
        time.sleep(_GRACE_S)
        os._exit(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: cancel.set())
    for target in (watch_input, end_for_certain):
        threading.Thread(target=target, daemon=True).start()
    return cancel


if __name__ == "__main__":
    sys.exit(main())
