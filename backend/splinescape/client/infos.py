"""What the service tells: plain records, read so that an older client understands a newer service.

Fields that this version does not know are ignored; fields that are missing or of another type than expected keep
their default. Only what nothing can be done without, such as a job's id, must be there.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from splinescape.protocol.arrays import to_array
from splinescape.protocol.wire import Buffer, Message

FINAL_STATES = frozenset({"done", "failed", "cancelled"})
"""States that a job does not leave by itself."""

T = TypeVar("T")


_hints: dict[Any, dict[str, Any]] = {}


def _expected(record: Any) -> dict[str, Any]:
    """Name of each field -> its type; looked up once for each kind of record, that takes long."""
    if record not in _hints:
        _hints[record] = typing.get_type_hints(record)
    return _hints[record]


def _fits(value: Any, hint: Any) -> bool:
    if isinstance(hint, UnionType):
        return any(_fits(value, option) for option in typing.get_args(hint))
    if hint is float:
        return isinstance(value, int | float)
    if hint is Any:
        return True
    return isinstance(value, typing.get_origin(hint) or hint)


def read(record: type[T], data: Any) -> T:
    """Make a record of JSON data.

    Raises:
        ValueError: the data are not an object, or something is missing that nothing can be done without.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{record.__name__} is not an object")
    known = {
        name: data[name]
        for name, hint in _expected(record).items()
        if name in data and _fits(data[name], hint)
    }
    try:
        return record(**known)
    except TypeError as error:
        raise ValueError(str(error)) from None


def read_all(record: type[T], data: Any) -> tuple[T, ...]:
    """Records of a list of JSON data; raises ValueError as `read` does."""
    if not isinstance(data, list):
        raise ValueError(f"there is no list of {record.__name__}")
    return tuple(read(record, each) for each in data)


@dataclass(frozen=True)
class FileInfo:
    """A file that can be fetched.

    Attributes:
        size: bytes. sha256: 64 hexadecimal digits; names exactly this content.
        count, revision: for scenes, how many splats it holds and which state of the scene it is.
    """

    name: str
    size: int
    sha256: str
    count: int | None = None
    revision: int | None = None


@dataclass(frozen=True)
class JobInfo:
    """Where a job stands.

    Attributes:
        state: "queued", "running", "paused", "done", "failed" or "cancelled"; the last three are final.
        reason: why it is in this state, for people. owner: name of the key that submitted it.
        created, started, ended: Unix seconds.
        stage, detail, step, total, eta_s: what it does now, step of how many, seconds left; None when unknown.
        frames, n_frames: frames that are finished, and as many as it may become. splats: of the scene so far.
        device: what it runs on. attempts: how often it was begun.
        position: place in the queue from 1 on, None when it does not wait. files: how many results it has.
        last_seq: number of its newest event.
    """

    id: str
    state: str
    name: str = ""
    owner: str = ""
    reason: str | None = None
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    stage: str | None = None
    detail: str | None = None
    step: int | None = None
    total: int | None = None
    eta_s: float | None = None
    frames: int = 0
    n_frames: int = 0
    splats: int = 0
    device: str | None = None
    attempts: int = 0
    pinned: bool = False
    position: int | None = None
    files: int = 0
    last_seq: int = 0

    @property
    def final(self) -> bool:
        """Whether the job is over."""
        return self.state in FINAL_STATES


@dataclass(frozen=True, eq=False)
class Event:
    """Something that happened.

    Attributes:
        seq: its number; later events have larger ones, and they are told in this order.
        job: whose it is, None for those of the service itself. time: Unix seconds.
        kind: "state", "stage", "progress", "note", "frame", "scene", "summary", "results", "model" or, from a newer
            service, something else. data: what it says, see `docs/protocol.md`.
        buffers: encoded thumbnails by their name, "rgb" and "depth".
    """

    seq: int
    job: str | None
    time: float
    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    buffers: dict[str, bytes] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        """Whether this says that its job is over."""
        return self.kind == "state" and self.data.get("state") in FINAL_STATES


@dataclass(frozen=True)
class Device:
    """Something that jobs run on.

    Attributes:
        device: "cpu", "cuda:0", ... name: what people call it. kind: "cpu", "cuda", ...
        memory_total, memory_free: bytes, None when unknown.
        state: "starting", "idle", "busy", "asleep" or "broken". job: what it works on.
        trouble: why it is broken, for people.
    """

    device: str
    name: str | None = None
    kind: str | None = None
    memory_total: int | None = None
    memory_free: int | None = None
    state: str = ""
    job: str | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Engine:
    """An engine of the service; `reason` says why it is not available, `note` what to know about it."""

    role: str
    name: str
    available: bool = False
    reason: str | None = None
    note: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class Limits:
    """What the service accepts.

    Attributes:
        frame: bytes of one buffer of a request. chunk: bytes of one part of a file.
        picture_bytes, path_bytes: bytes of a picture and of a camera path.
        render_pixels, render_views: pixels of one view and views of one `render`; None when unknown.
        jobs: unfinished jobs of one key; None when unknown.
    """

    frame: int = 2**20
    chunk: int = 2**18
    picture_bytes: int | None = None
    path_bytes: int | None = None
    render_pixels: int | None = None
    render_views: int | None = None
    jobs: int | None = None


@dataclass(frozen=True)
class Capabilities:
    """What the service is and can do.

    Attributes:
        version: of the service. protocol: that it speaks. user: what it calls this client's key.
        heartbeat_s: how often it wants to hear from clients. last_seq: number of its newest event.
        models: what it knows about each model, see `docs/protocol.md`.
        revision: counts changes of devices, engines and models.
        settings: JSON schema of the settings that `submit` takes.
    """

    version: str = ""
    protocol: str = ""
    server: str = ""
    user: str = ""
    heartbeat_s: float = 1.0
    last_seq: int = 0
    limits: Limits = field(default_factory=Limits)
    devices: tuple[Device, ...] = ()
    engines: tuple[Engine, ...] = ()
    models: tuple[dict[str, Any], ...] = ()
    revision: int = 0
    settings: dict[str, Any] = field(default_factory=dict)


def read_capabilities(data: Mapping[str, Any]) -> Capabilities:
    """Read the reply to "hello"; raises ValueError."""
    parts = {
        **data,
        "limits": read(Limits, data.get("limits", {})),
        "devices": read_all(Device, data.get("devices", [])),
        "engines": read_all(Engine, data.get("engines", [])),
        "models": read_models(data),
    }
    return read(Capabilities, parts)


def read_models(data: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Read the list of models; raises ValueError."""
    models = data.get("models", [])
    if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
        raise ValueError("there is no list of models")
    return tuple(models)


@dataclass(frozen=True)
class LogPart:
    """A part of a job's log.

    Attributes:
        offset: where to go on reading, in bytes of the log. size: bytes of the whole log.
    """

    text: str
    offset: int
    size: int


@dataclass(frozen=True, eq=False)
class Rendering:
    """Views of a scene; what was not asked for is None.

    Attributes:
        revision: the state of the scene that is shown. splats: how many it has.
        rgb: (n, h, w, 3) uint8. depth: (n, h, w) float32, camera z, +inf where nothing is.
        alpha: (n, h, w) uint8. All are read-only.
    """

    revision: int
    splats: int
    rgb: NDArray[np.uint8] | None
    depth: NDArray[np.float32] | None
    alpha: NDArray[np.uint8] | None


def read_rendering(message: Message, shape: tuple[int, int, int], buffers: frozenset[str]) -> Rendering:
    """Read the reply to "render".

    Args:
        shape: (n, h, w) that was asked for. buffers: names of the buffers that were asked for.

    Raises:
        ValueError: it is not what was asked for.
    """
    content = message.content
    arrays: dict[str, NDArray[Any] | None] = {"rgb": None, "depth": None, "alpha": None}
    for name in buffers:
        array = to_array(message.buffer(name))
        wanted = (*shape, 3) if name == "rgb" else shape
        if array.shape != wanted or array.dtype != (np.float32 if name == "depth" else np.uint8):
            raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, not of {wanted}")
        arrays[name] = array
    return Rendering(_whole(content, "revision"), _whole(content, "splats"), **arrays)


@dataclass(frozen=True, eq=False)
class Preview:
    """The latest picture of a job.

    Attributes:
        frame: its number. role: "input", "outpaint", "expanded" or "closing". stage: what the job was doing.
        revision: state of the scene. splats: the scene so far, to be given to `fetch`; None when there is none yet.
        K_33: (3, 3) float64 in pixels. cam_T_world: (4, 4) float64, OpenCV camera from world.
        rgb: (h, w, 3) uint8. depth: (h, w) float32, camera z, +inf where nothing is. Both are read-only.
    """

    frame: int
    role: str
    stage: str
    revision: int
    splats: FileInfo | None
    K_33: NDArray[np.float64]
    cam_T_world: NDArray[np.float64]
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]


def read_preview(message: Message) -> Preview:
    """Read the reply to "preview"; raises ValueError."""
    content = message.content
    rgb, depth = to_array(message.buffer("rgb")), to_array(message.buffer("depth"))
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"rgb is {rgb.dtype} of shape {rgb.shape}")
    if depth.shape != rgb.shape[:2] or depth.dtype != np.float32:
        raise ValueError(f"depth is {depth.dtype} of shape {depth.shape}")
    splats = content.get("splats")
    return Preview(
        frame=_whole(content, "frame"),
        role=str(content.get("role") or ""),
        stage=str(content.get("stage") or ""),
        revision=_whole(content, "revision"),
        splats=None if splats is None else read(FileInfo, splats),
        K_33=_matrix(content, "K_33", 3),
        cam_T_world=_matrix(content, "cam_T_world", 4),
        rgb=rgb,
        depth=depth,
    )


def _whole(content: Mapping[str, Any], name: str) -> int:
    value = content.get(name)
    return value if isinstance(value, int) else 0


def _matrix(content: Mapping[str, Any], name: str, side: int) -> NDArray[np.float64]:
    matrix = np.asarray(content.get(name), dtype=np.float64)
    if matrix.shape != (side, side):
        raise ValueError(f"{name} is not a {side}x{side} matrix")
    return matrix


def read_event(content: Mapping[str, Any], job: str | None, buffers: Mapping[str, Buffer]) -> Event:
    """Read one event; raises ValueError."""
    event = read(Event, {"data": {}, **content, "job": job, "buffers": {}})
    event.buffers.update((name, bytes(buffer.data)) for name, buffer in buffers.items())
    return event


def read_pushed_event(message: Message) -> Event:
    """Read a message of type "event"; raises ValueError."""
    return read_event(message.content, message.job, {buffer.name: buffer for buffer in message.buffers})


_FRAME_PICTURES = ("rgb", "depth")


def read_past_events(message: Message) -> tuple[Event, ...]:
    """Read the reply to "events", whose buffers b0, b1, ... belong to the events in turn; raises ValueError."""
    shown = message.content.get("events")
    if not isinstance(shown, list):
        raise ValueError("there is no list of events")
    buffers = {buffer.name: buffer for buffer in message.buffers}
    events, used = [], 0
    for each in shown:
        if not isinstance(each, Mapping):
            raise ValueError("an event is not an object")
        names = each.get("buffers", ())
        if isinstance(names, int):
            names = _FRAME_PICTURES[:names]
        own = {str(name): buffers[f"b{used + i}"] for i, name in enumerate(names)}
        used += len(own)
        events.append(read_event(each, each.get("job"), own))
    return tuple(events)
