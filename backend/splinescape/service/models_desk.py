"""Model files on request: downloads run in processes of their own, so that the loop never waits for a network."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from splinescape.errors import SplinescapeError
from splinescape.models.errors import ModelError
from splinescape.models.manager import ModelStore
from splinescape.service.discreet import discreet
from splinescape.service.publisher import Publisher

log = logging.getLogger(__name__)

_FETCH = (sys.executable, "-m", "splinescape.models.fetch")
_FINAL = ("complete", "failed", "cancelled")


@dataclass(eq=False)
class _Download:
    """One that is under way, and the last that it said."""

    process: subprocess.Popen[str]
    said: dict[str, Any]


@dataclass(eq=False)
class ModelsDesk:
    """Lists, fetches and removes models; tells how it goes through events of kind "model".

    Attributes:
        states: id -> state of every model when somebody looked last.
    """

    publisher: Publisher
    store: ModelStore = field(default_factory=ModelStore)
    _running: dict[str, _Download] = field(default_factory=dict)
    _said: queue.SimpleQueue[tuple[_Download, dict[str, Any] | None]] = field(
        default_factory=queue.SimpleQueue
    )
    _removed: queue.SimpleQueue[dict[str, Any]] = field(default_factory=queue.SimpleQueue)
    states: dict[str, str] = field(default_factory=dict)
    _known: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.list()
        self._known = self.states

    @property
    def downloading(self) -> bool:
        """Whether anything is being fetched."""
        return bool(self._running)

    def list(self) -> list[dict[str, Any]]:
        """Every model of the catalogue as it stands on this machine, without its path."""
        statuses = [asdict(status) for status in self.store.list()]
        for status in statuses:
            del status["path"]
            status["problem"] = status["problem"] and discreet(status["problem"])
            status["downloading"] = status["id"] in self._running
        self.states = {status["id"]: status["state"] for status in statuses}
        return statuses

    def changed(self) -> bool:
        """Whether any model came or went since this was asked last, by whomever, as far as somebody has looked."""
        before, self._known = self._known, self.states
        return before != self._known

    def download(self, model: str, accept_licence: bool) -> None:
        """Begin or continue a download; nothing happens when it is under way.

        Raises:
            ModelError: "not_found"; "not_allowed" while a licence that must be accepted is not.
        """
        status = self.store.status(model)
        if not (status.accepted or accept_licence):
            raise ModelError(
                "not_allowed", f"{status.licence} must be accepted first: read {status.licence_url}"
            )
        if model in self._running:
            return
        accept = ("--accept-licence",) if accept_licence else ()
        process = subprocess.Popen(
            (*_FETCH, model, *accept), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        download = self._running[model] = _Download(process, {"id": model, "done": 0, "total": 0})
        assert process.stdout is not None
        threading.Thread(target=self._listen, args=(download, process.stdout), daemon=True).start()

    def _listen(self, download: _Download, lines: Iterable[str]) -> None:
        """Runs on a thread of its own, because a pipe cannot be polled everywhere."""
        with contextlib.suppress(ValueError):  # the pipe was closed here meanwhile
            for line in lines:
                with contextlib.suppress(ValueError):
                    self._said.put((download, json.loads(line)))
        self._said.put((download, None))

    def remove(self, model: str) -> None:
        """Delete a model's files, stopping its download first; raises ModelError("not_found").

        Deleting many gigabytes takes a while, so it happens on a thread; an event says when it is done.
        """
        self.store.status(model)
        download = self._running.pop(model, None)
        if download is not None:
            _end(download.process)
        threading.Thread(target=self._remove, args=(model,), daemon=True).start()

    def _remove(self, model: str) -> None:
        said: dict[str, Any] = {"id": model, "state": "absent", "done": 0, "total": 0}
        try:
            self.store.remove(model)
        except SplinescapeError as error:
            said |= {"state": "failed", "error": str(error)}
        self._removed.put(said)

    def tend(self) -> None:
        """Pass on what downloads said since the last call."""
        while not self._said.empty():
            download, told = self._said.get()
            model = download.said["id"]
            if self._running.get(model) is not download:
                continue  # it was stopped to remove the model
            if told is not None:
                download.said |= told
                self._tell(told)
                continue
            del self._running[model]
            _end(download.process)
            if download.said.get("state") not in _FINAL:
                error = "the download was ended from outside: start it again, it continues where it was"
                self._tell({**download.said, "state": "failed", "code": "internal", "error": error})
        while not self._removed.empty():
            self._tell(self._removed.get())

    def _tell(self, told: dict[str, Any]) -> None:
        error = {"error": discreet(told["error"])} if "error" in told else {}
        self.publisher.publish(None, "model", {**told, **error})
        if told.get("state") in (*_FINAL, "absent"):
            self.list()
            log.info("model %s: %s %s", told["id"], told["state"], told.get("error", ""))

    def close(self) -> None:
        """Stop all downloads; what has arrived stays."""
        for download in self._running.values():
            _end(download.process)


def _end(process: subprocess.Popen[str]) -> None:
    """At once; whatever a download has received so far survives that."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()
