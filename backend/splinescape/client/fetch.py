"""Fetching a file in parts, several of them on their way at a time, checked as a whole."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from splinescape.client.calls import Call
from splinescape.client.clock import Clock
from splinescape.client.infos import FileInfo
from splinescape.client.parts import PartInMemory, PartOnDisk
from splinescape.client.requests import Requests
from splinescape.errors import SplinescapeError
from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import Message

log = logging.getLogger(__name__)

CHUNK = 2**18
"""Bytes of one part at most: what is counted and written in well under a millisecond."""


class Window:
    """How many parts may be on their way, for all transfers together.

    It grows while they come quickly and shrinks on a slow line, where a long queue would only hold up what else is
    asked for. The service drops answers that its queue has no room for, hence the upper limit.
    """

    most = 16
    _QUICK_S, _SLOW_S = 0.5, 2.0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._size = 2
        self._asked: dict[str, float] = {}

    @property
    def free(self) -> bool:
        return len(self._asked) < self._size

    def add(self, id: str) -> None:
        """A part was asked for."""
        self._asked[id] = self._clock.now

    def remove(self, id: str, arrived: bool = False) -> None:
        """It is not on its way any more."""
        asked = self._asked.pop(id, None)
        if asked is None or not arrived:
            return
        took = self._clock.now - asked
        if took < self._QUICK_S:
            self._size = min(self._size + 1, self.most)
        elif took > self._SLOW_S:
            self._size = max(self._size // 2, 1)


class Fetch:
    """One file on its way; `step` does the work in small pieces.

    What an earlier attempt left is counted first, then the rest is asked for. A file that is not what its sha256
    says although it is complete is fetched once more from the start if a part of it was there before.
    """

    def __init__(
        self,
        call: Call[Path | memoryview],
        job: str,
        file: FileInfo,
        part: PartInMemory | PartOnDisk,
        requests: Requests,
        window: Window,
        chunk: Callable[[], int | None],
    ) -> None:
        """Begin.

        Args:
            chunk: bytes of a part that the service gives at most, None before it is known.
        """
        self._call = call
        self._job = job
        self._file = file
        self._part = part
        self._requests = requests
        self._window = window
        self._chunk = chunk
        self._asked_to = 0
        self._asked: set[str] = set()
        self._arrived: dict[int, memoryview] = {}
        self._reused = part.old > 0
        call._while_open(self._let_go)

    def step(self) -> bool:
        """Do a small piece of what can be done; returns whether there was any."""
        try:
            return self._count() or self._ask() or self._keep() or self._finish()
        except SplinescapeError as error:
            self._part.discard()
            self._call._fail(error)
        except OSError as error:
            self._call._fail(ServiceError("internal", f"reading back what was fetched failed: {error}"))
        return True

    def _count(self) -> bool:
        if self._part.have >= self._part.old:
            return False
        self._part.count_old(CHUNK)
        self._asked_to = self._part.have
        self._tell()
        return True

    def _keep(self) -> bool:
        data = self._arrived.pop(self._part.have, None)
        if data is None:
            return False
        self._part.append(data)
        self._tell()
        return True

    def _ask(self) -> bool:
        chunk = self._chunk()
        if chunk is None or self._asked_to >= self._file.size or not self._window.free:
            return False
        if len(self._asked) + len(self._arrived) >= 2 * self._window.most:
            return False
        offset, length = self._asked_to, min(chunk, CHUNK, self._file.size - self._asked_to)
        self._asked_to += length
        content = {"name": self._file.name, "sha256": self._file.sha256, "offset": offset, "length": length}
        message = Message("fetch", content, job=self._job)

        def replied(reply: Message) -> None:
            self._gone(message.id, arrived=True)
            self._take(reply, offset, length)

        def failed(error: ServiceError) -> None:
            self._gone(message.id)
            if error.code in ("superseded", "not_found"):
                self._part.discard()
            self._call._fail(error)

        self._asked.add(message.id)
        self._window.add(message.id)
        self._requests.ask(message, "bulk", replied, failed)
        return True

    def _gone(self, id: str, arrived: bool = False) -> None:
        self._asked.discard(id)
        self._window.remove(id, arrived)

    def _take(self, reply: Message, offset: int, length: int) -> None:
        data = reply.buffer("data").data
        told = reply.content.get("offset"), reply.content.get("size"), len(data)
        if told != (offset, self._file.size, length):
            raise ValueError(f"offset, size and length are {told}, not {(offset, self._file.size, length)}")
        self._arrived[offset] = data

    def _finish(self) -> bool:
        if self._part.have < self._file.size:
            return False
        if self._part.digest.hexdigest() == self._file.sha256:
            self._call._succeed(self._part.finish())
        elif self._reused:
            log.info(
                "what was there of %s is of another file or damaged: fetching it from the start",
                self._file.name,
            )
            self._reused = False
            self._part.restart()
            self._asked_to = 0
        else:
            raise ServiceError("internal", f"{self._file.name} arrived damaged: fetch it again")
        return True

    def _tell(self) -> None:
        self._call.progress = (self._part.have, self._file.size)

    def _let_go(self) -> None:
        for id in self._asked:
            self._requests.drop(id)
            self._window.remove(id)
        self._asked.clear()
        self._arrived.clear()
        self._part.close()
