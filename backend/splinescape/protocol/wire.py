"""One message: a JSON header, then raw buffers whose type and shape the header states.

    {"protocol": "1.0", "id": "<32 hex>", "type": "submit", "parent": null, "job": null,
     "content": {...}, "buffers": [{"name": "rgb", "dtype": "uint8", "shape": [384, 512, 3]}]}

Everything is checked before it is used, nothing is ever unpickled, and a damaged message raises one kind of error.
"""

from __future__ import annotations

import json
import math
import re
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from splinescape.protocol.errors import ServiceError

MAJOR, MINOR = 1, 0
MAX_HEADER = 2**16
"""Bytes of a request's header at most; whatever may be longer travels as a buffer."""
MAX_REPLY_HEADER = 2**22
"""Bytes of any other header at most: a page of a list, events or a log."""
MAX_BUFFERS = 16
MAX_DIMENSIONS = 4
ITEM_SIZES = {"uint8": 1, "int32": 4, "int64": 8, "float32": 4, "float64": 8}

_ID = re.compile(r"[0-9a-f]{32}\Z")
_TYPE = re.compile(r"[a-z][a-z_.]{0,31}\Z")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}\Z")
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\Z")
_FIELDS = {"protocol", "id", "type", "parent", "job", "content", "buffers"}
_LENGTH = struct.Struct(">I")

Bytes = bytes | bytearray | memoryview


@dataclass(frozen=True, eq=False)
class Buffer:
    """An array as raw bytes, C order, little endian; `data` may be any object with the buffer protocol."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: Any

    @staticmethod
    def of_bytes(name: str, data: Bytes) -> Buffer:
        """Bytes that are not an array: a part of a file, an encoded picture."""
        return Buffer(name, "uint8", (len(data),), data)


@dataclass(frozen=True, eq=False)
class Message:
    """A request, its reply or an event.

    Attributes:
        type: the call, "reply", "error" or "event".
        content: what the call needs or answers, JSON data.
        id: made by the sender, unique; a request that is sent again keeps it.
        parent: the request that this answers. job: the job that this is about.
    """

    type: str
    content: dict[str, Any] = field(default_factory=dict)
    job: str | None = None
    parent: str | None = None
    buffers: tuple[Buffer, ...] = ()
    id: str = field(default_factory=lambda: new_id())

    def buffer(self, name: str) -> Buffer:
        """The buffer of that name; raises ServiceError("bad_message") when there is none."""
        for buffer in self.buffers:
            if buffer.name == name:
                return buffer
        raise ServiceError("bad_message", f"the message '{self.type}' lacks the buffer '{name}'")


def new_id() -> str:
    """A fresh id for a message or job: 32 hexadecimal digits, random."""
    return secrets.token_hex(16)


def encode(message: Message) -> list[Any]:
    """The frames of a message; the buffers' data are not copied.

    Raises:
        ValueError: the content holds NaN or infinity, which JSON does not have.
    """
    header = {
        "protocol": f"{MAJOR}.{MINOR}",
        "id": message.id,
        "type": message.type,
        "parent": message.parent,
        "job": message.job,
        "content": message.content,
        "buffers": [{"name": b.name, "dtype": b.dtype, "shape": b.shape} for b in message.buffers],
    }
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    return [text, *(buffer.data for buffer in message.buffers)]


def decode(frames: Sequence[Any], max_header: int = MAX_REPLY_HEADER) -> Message:
    """Check the frames of a message and put them together; buffers stay views of the frames, not copies.

    Args:
        max_header: bytes of the header at most; who reads requests gives `MAX_HEADER`.

    Raises:
        ServiceError: "bad_message" with what is wrong, "too_large", or "version" when the major versions differ.
    """
    if not frames:
        _bad("it is empty")
    if len(frames) > 1 + MAX_BUFFERS:
        raise ServiceError(
            "too_large", f"a message has {len(frames) - 1} buffers, at most {MAX_BUFFERS} are allowed"
        )
    views = [memoryview(frame).cast("B") for frame in frames]
    if views[0].nbytes > max_header:
        raise ServiceError(
            "too_large", f"the header has {views[0].nbytes} bytes, at most {max_header} are allowed"
        )
    header = _header(bytes(views[0]))
    return Message(
        type=header["type"],
        content=header["content"],
        job=header["job"],
        parent=header["parent"],
        buffers=_buffers(header["buffers"], views[1:]),
        id=header["id"],
    )


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ServiceError("bad_message", f"the header is not JSON ({type(error).__name__})") from None
    if not isinstance(header, dict) or not header.keys() >= _FIELDS:
        _bad(f"the header must be an object with {', '.join(sorted(_FIELDS))}")
    version = _VERSION.match(header["protocol"]) if isinstance(header["protocol"], str) else None
    if version is None:
        _bad('"protocol" must be a version such as "1.0"')
    if int(version[1]) != MAJOR:
        raise ServiceError(
            "version",
            f"this side speaks protocol {MAJOR}.{MINOR}, the other {version[0]}: install the same version of "
            "Splinescape on both",
        )
    _check(header["id"], _ID, '"id" must be 32 hexadecimal digits')
    _check(header["type"], _TYPE, '"type" must be a name')
    for name in ("parent", "job"):
        if header[name] is not None:
            _check(header[name], _ID, f'"{name}" must be null or 32 hexadecimal digits')
    if not isinstance(header["content"], dict):
        _bad('"content" must be an object')
    return header


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _buffers(described: Any, views: list[memoryview]) -> tuple[Buffer, ...]:
    if not isinstance(described, list) or len(described) != len(views):
        _bad(f'"buffers" must describe the {len(views)} frames that follow the header')
    return tuple(_buffer(each, view) for each, view in zip(described, views, strict=True))


def _buffer(described: Any, view: memoryview) -> Buffer:
    if not isinstance(described, dict) or not described.keys() >= {"name", "dtype", "shape"}:
        _bad("a buffer needs name, dtype and shape")
    name, dtype, shape = described["name"], described["dtype"], described["shape"]
    _check(name, _NAME, "a buffer's name must be a word")
    if not isinstance(dtype, str) or dtype not in ITEM_SIZES:
        _bad(f"the dtype of buffer {name} must be one of {', '.join(ITEM_SIZES)}")
    if (
        not isinstance(shape, list)
        or not 1 <= len(shape) <= MAX_DIMENSIONS
        or any(type(side) is not int or not 0 <= side < 2**31 for side in shape)
    ):
        _bad(f"the shape of buffer {name} must be 1 to {MAX_DIMENSIONS} sizes")
    # Numpy refuses an empty array whose other sides would be too many.
    if math.prod(side or 1 for side in shape) >= 2**48:
        _bad(f"the shape of buffer {name} is too large")
    if math.prod(shape) * ITEM_SIZES[dtype] != view.nbytes:
        _bad(f"buffer {name} has {view.nbytes} bytes, which is not {dtype} of shape {shape}")
    return Buffer(name, dtype, tuple(shape), view)


def _check(value: Any, pattern: re.Pattern[str], wrong: str) -> None:
    if not isinstance(value, str) or not pattern.match(value):
        _bad(wrong)


def _bad(what: str) -> NoReturn:
    raise ServiceError("bad_message", f"not a message of this protocol: {what}")


def pack(message: Message) -> bytes:
    """A message as one piece of bytes, for a file: every frame is preceded by its length."""
    parts: list[Any] = []
    for frame in encode(message):
        view = memoryview(frame).cast("B")
        parts += [_LENGTH.pack(view.nbytes), view]
    return b"".join(parts)


def unpack(data: Bytes) -> Message:
    """Read back what `pack` made; raises ServiceError("bad_message") when it is cut off or damaged."""
    view, frames = memoryview(data), []
    while view.nbytes:
        if view.nbytes < _LENGTH.size:
            _bad("it is cut off")
        (size,) = _LENGTH.unpack(view[: _LENGTH.size])
        frames.append(view[_LENGTH.size : _LENGTH.size + size])
        if frames[-1].nbytes != size:
            _bad("it is cut off")
        view = view[_LENGTH.size + size :]
    return decode(frames)
