"""Sending a picture in parts; what the service has already is not sent again."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from splinescape.client.calls import Call
from splinescape.client.requests import Requests
from splinescape.errors import InputError
from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import Buffer, Message

_CHUNK = 2**18
_ON_THEIR_WAY = 4
_STUCK_AT_MOST = 5


class Source:
    """The bytes that shall be sent, from memory or from a file."""

    def __init__(self, data: bytes | bytearray | memoryview | str | os.PathLike[str]) -> None:
        """Open it.

        Raises:
            InputError: the file cannot be read, or there is nothing in it.
        """
        try:
            if isinstance(data, bytes | bytearray | memoryview):
                self._file: BinaryIO = io.BytesIO(data)
            else:
                self._file = Path(data).open("rb")  # noqa: SIM115 - it stays open for many polls
            self.size = self._file.seek(0, os.SEEK_END)
        except (OSError, TypeError, ValueError) as error:
            what = getattr(error, "strerror", None) or error
            raise InputError(f"cannot read the picture {_shown(data)}: {what}") from None
        if self.size == 0:
            self.close()
            raise InputError(f"the picture {_shown(data)} is empty: give another one")

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from `offset` on; raises InputError when there are fewer."""
        try:
            self._file.seek(offset)
            data = self._file.read(min(length, self.size - offset))
        except OSError as error:
            raise InputError(f"cannot read the picture: {error.strerror}") from None
        if len(data) != min(length, self.size - offset):
            raise InputError("the picture was changed while it was sent: submit it again")
        return data

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _shown(data: object) -> str:
    return "" if isinstance(data, bytes | bytearray | memoryview) else f"{data}"


class Submission:
    """A picture on its way and then the job itself; `step` does the work in small pieces."""

    def __init__(
        self,
        call: Call[str],
        source: Source,
        content: dict[str, Any],
        path: bytes | None,
        requests: Requests,
        chunk: Callable[[], int | None],
    ) -> None:
        """Begin.

        Args:
            content: of "submit", to which the picture's sha256 is added.
            chunk: bytes of a part that the service takes at most, None before it is known.
        """
        self._call = call
        self._source = source
        self._content = content
        self._path = path
        self._requests = requests
        self._chunk = chunk
        self._digest = hashlib.sha256()
        self._counted = 0
        self._sent_to: int | None = None  # unknown: the service has to be asked what it has
        self._going_back = False
        self._stuck = 0
        self._asked: set[str] = set()
        self._submitted = False
        self._tries = 2
        call._while_open(self._let_go)
        call.progress = (0, source.size)

    def step(self) -> bool:
        """Do a small piece of what can be done; returns whether there was any."""
        try:
            return self._count() or self._send()
        except InputError as error:
            self._call._fail(error)
            return True

    def _count(self) -> bool:
        if self._counted == self._source.size:
            return False
        data = self._source.read(self._counted, _CHUNK)
        self._digest.update(data)
        self._counted += len(data)
        return True

    def _send(self) -> bool:
        chunk = self._chunk()
        if self._submitted or chunk is None:
            return False
        if self._sent_to is None:
            if self._asked:
                return False
            self._upload(0, b"")
            return True
        if self._going_back or self._sent_to == self._source.size or len(self._asked) >= _ON_THEIR_WAY:
            return False
        self._upload(self._sent_to, self._source.read(self._sent_to, min(chunk, _CHUNK)))
        return True

    def _upload(self, offset: int, data: bytes) -> None:
        """Send a part, or nothing to ask what is there."""
        content = {"sha256": self._digest.hexdigest(), "size": self._source.size, "offset": offset}
        message = Message("upload", content, buffers=(Buffer.of_bytes("data", data),))
        end = offset + len(data)
        if data:
            self._sent_to = end

        def replied(reply: Message) -> None:
            self._asked.discard(message.id)
            self._heard(reply, end if data else None)

        self._asked.add(message.id)
        self._requests.ask(message, "bulk", replied, self._call._fail)

    def _heard(self, reply: Message, end: int | None) -> None:
        have = reply.content.get("have")
        if type(have) is not int or not 0 <= have <= self._source.size:
            raise ValueError(f"it has {have} of {self._source.size} bytes")
        self._call.progress = (have, self._source.size)
        if have == self._source.size:
            self._submit()
        elif end is None:
            self._sent_to = have
        elif have < end:
            self._going_back = True  # a part was lost; those behind it are refused
        else:
            self._stuck = 0
        if self._going_back and not self._asked:
            self._stuck += 1
            if self._stuck > _STUCK_AT_MOST:
                raise ValueError(f"it has {have} bytes of the picture, whatever is sent")
            self._going_back, self._sent_to = False, have

    def _submit(self) -> None:
        if self._submitted:
            return
        self._submitted = True
        buffers = () if self._path is None else (Buffer.of_bytes("path", self._path),)
        content = {**self._content, "picture": self._digest.hexdigest()}
        message = Message("submit", content, buffers=buffers, id=self._call.id)
        self._asked.add(message.id)
        self._requests.ask(message, "bulk", self._accepted, self._refused)

    def _accepted(self, reply: Message) -> None:
        job = reply.content.get("job")
        if not isinstance(job, str):
            raise ValueError("it does not name the job")
        self._call._succeed(job)

    def _refused(self, error: ServiceError) -> None:
        self._tries -= 1
        if error.code == "not_found" and self._tries:  # the service has tidied up meanwhile
            self._asked.clear()
            self._submitted, self._sent_to = False, None
        else:
            self._call._fail(error)

    def _let_go(self) -> None:
        for id in self._asked:
            self._requests.drop(id)
        self._asked.clear()
        self._source.close()
