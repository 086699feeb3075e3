"""What clients may ask for: one schema per call, its buffers included; nothing of a message is used before it passed.

`docs/protocol.md` says what the calls mean. A message that does not fit raises ServiceError with one line that names
the field: "bad_message" when its form is wrong, "bad_input" when what a user chose cannot be used, "too_large" when it
is over one of the limits.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from splinescape import engines
from splinescape.camera.plain import unfit_pose
from splinescape.config import SceneConfig
from splinescape.errors import InputError
from splinescape.protocol.errors import ErrorCode, ServiceError
from splinescape.protocol.wire import Buffer, Message
from splinescape.service.camera_path import check_camera_path
from splinescape.service.complaints import complaint, unknown_field
from splinescape.service.settings import Limits

Format = Literal["compressed.ply", "spz", "splat"]
JobState = Literal["queued", "running", "paused", "done", "failed", "cancelled"]

# Faults of the form, as pydantic calls them; any other is a fault of the value.
_FORM = {"missing", "extra_forbidden", "string_unicode", "literal_error"}
_TOO_MUCH = {"string_too_long", "too_long"}
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_LARGEST_INTRINSIC = 1e7


def _matching(pattern: str, words: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"must be {words}")
        return text

    return AfterValidator(check)


def _printable(text: str) -> str:
    if _UNPRINTABLE.search(text):
        raise ValueError("must not have control characters")
    return text


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("must not name anything twice")
    return values


Id = Annotated[str, Field(max_length=32), _matching("[0-9a-f]{32}", "32 hexadecimal digits")]
Sha256 = Annotated[str, Field(max_length=64), _matching("[0-9a-f]{64}", "64 hexadecimal digits")]
Text = Annotated[str, Field(max_length=256), AfterValidator(_printable)]
FileName = Annotated[
    str,
    Field(max_length=64),
    _matching(r"[A-Za-z0-9_][A-Za-z0-9._-]*", "the plain name of one of the job's files"),
]
ModelId = Annotated[str, Field(max_length=64), _matching("[a-z0-9][a-z0-9._-]*", "the id of a model")]
Count = Annotated[int, Field(ge=0, lt=2**63)]


@dataclass(frozen=True)
class Expected:
    """A buffer that a call takes.

    Attributes:
        shape: sizes, None where any will do; the frames' lengths were compared with them when the message was decoded.
    """

    dtype: str
    shape: tuple[int | None, ...]
    optional: bool = False


class Request(BaseModel):
    """The content of a message.

    Attributes:
        about_job: whether the message names a job. takes: its buffers by name.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    about_job: ClassVar[Literal["yes", "no", "maybe"]] = "no"
    takes: ClassVar[dict[str, Expected]] = {}

    def check(self, message: Message, limits: Limits) -> None:
        """What a schema cannot say: limits of the settings, and what the buffers hold.

        Raises:
            InputError: "bad_input". ServiceError: another code.
        """


class Nothing(Request):
    """A call without content."""


class AboutJob(Request):
    """A call without content about a job."""

    about_job = "yes"


class Hello(Request):
    """Who is there."""

    client: Text
    session: Id
    version: Annotated[Text, Field(max_length=64)]


class Upload(Request):
    """A part of a picture, or a question how much of it is here."""

    takes = {"data": Expected("uint8", (None,))}

    sha256: Sha256
    size: Annotated[Count, Field(ge=1)]
    offset: Count

    def check(self, message: Message, limits: Limits) -> None:
        part = message.buffer("data").shape[0]
        if self.size > limits.picture_bytes:
            mebibytes = limits.picture_bytes / 2**20
            _too_large(f"the picture has {self.size} bytes, at most {mebibytes:g} MiB are allowed")
        if part > limits.chunk:
            _too_large(f"the part has {part} bytes, at most {limits.chunk} are allowed")
        if self.offset + part > self.size:
            raise InputError(
                f"the part ends at {self.offset + part}, behind the end of the picture at {self.size}"
            )


class EngineNames(BaseModel):
    """An engine for each role."""

    model_config = Request.model_config

    inpaint: Text = "auto"
    depth: Text = "auto"
    raster: Text = "auto"

    def check(self) -> None:
        """Raises InputError for a name that no engine has."""
        tables = {
            "inpaint": engines.INPAINTERS,
            "depth": engines.DEPTH_ESTIMATORS,
            "raster": engines.RASTERIZERS,
        }
        for role, table in tables.items():
            wanted, known = getattr(self, role), ["auto", *engines.engine_names(table)]
            if wanted not in known:
                raise InputError(
                    f"there is no {role} engine {wanted[:40]!a}; choose one of: {', '.join(known)}"
                )


class Submit(Request):
    """A new job."""

    takes = {"path": Expected("uint8", (None,), optional=True)}

    name: Annotated[Text, Field(min_length=1)]
    picture: Sha256
    focal_px: Annotated[float, Field(gt=0, le=1e7)] | None = None
    settings: SceneConfig = SceneConfig()
    engines: EngineNames = EngineNames()
    formats: Annotated[list[Format], Field(max_length=3), AfterValidator(_distinct)] = []
    film: bool = False
    pinned: bool = False
    session: Id | None = None

    def check(self, message: Message, limits: Limits) -> None:
        self.engines.check()
        path = next((bytes(buffer.data) for buffer in message.buffers), None)
        if path is not None:
            if len(path) > limits.path_bytes:
                _too_large(f"the camera path has {len(path)} bytes, at most {limits.path_bytes} are allowed")
            check_camera_path(path, limits.path_points)
        elif self.settings.traj_type != "spiral":
            raise InputError(
                f"settings.traj_type is {self.settings.traj_type}, which needs a camera path: "
                "send one, or set it to spiral"
            )


class List(Request):
    """Which jobs there are."""

    states: Annotated[list[JobState], Field(max_length=6), AfterValidator(_distinct)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 100
    before: Id | None = None


class Events(Request):
    """What happened since."""

    about_job = "maybe"

    since: Count = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class Subscribe(Request):
    """What to push to this connection."""

    jobs: Annotated[list[Id], Field(max_length=1000)] | None = None
    thumbnails: bool = True


class Pin(Request):
    """Keep a job, or no longer."""

    about_job = "yes"

    pinned: bool


class Fetch(Request):
    """A part of a file of a job."""

    about_job = "yes"

    name: FileName
    sha256: Sha256
    offset: Count
    length: Annotated[Count, Field(ge=1)]

    def check(self, message: Message, limits: Limits) -> None:  # noqa: ARG002
        if self.length > limits.chunk:
            _too_large(f"a part of {self.length} bytes is wanted, at most {limits.chunk} are given at once")


class Render(Request):
    """Views of a job's scene."""

    about_job = "yes"
    takes = {
        "cam_T_world": Expected("float64", (None, 4, 4)),
        "K_33": Expected("float64", (None, 3, 3)),
    }

    width: Annotated[int, Field(ge=1, le=65_535)]
    height: Annotated[int, Field(ge=1, le=65_535)]
    buffers: Annotated[
        list[Literal["rgb", "depth", "alpha"]], Field(min_length=1, max_length=3), AfterValidator(_distinct)
    ]

    def check(self, message: Message, limits: Limits) -> None:
        poses, intrinsics = message.buffer("cam_T_world"), message.buffer("K_33")
        views = poses.shape[0]
        if views != intrinsics.shape[0] or views < 1:
            raise InputError(
                f"there are {views} cameras in cam_T_world and {intrinsics.shape[0]} in K_33: give as many in both"
            )
        if views > limits.render_views:
            _too_large(f"{views} views are wanted, at most {limits.render_views} are rendered at once")
        if views * self.width * self.height > limits.render_pixels:
            _too_large(
                f"{views} views of {self.width}x{self.height} px are wanted, "
                f"at most {limits.render_pixels} pixels are rendered at once"
            )
        for i, matrix in enumerate(_matrices(poses, 4)):
            reason = unfit_pose(matrix)
            if reason is not None:
                raise InputError(f"cam_T_world: pose {i} {reason}")
        for i, matrix in enumerate(_matrices(intrinsics, 3)):
            _check_intrinsics(i, matrix)


class Log(Request):
    """A part of a job's log."""

    about_job = "yes"

    offset: Count = 0


class DownloadModel(Request):
    """Fetch a model."""

    id: ModelId
    accept_licence: bool = False


class RemoveModel(Request):
    """Delete a model's files."""

    id: ModelId


class Shutdown(Request):
    """End the service."""

    when: Literal["now", "drained"]


REQUESTS: dict[str, type[Request]] = {
    "hello": Hello,
    "ping": Nothing,
    "upload": Upload,
    "submit": Submit,
    "list": List,
    "status": AboutJob,
    "events": Events,
    "subscribe": Subscribe,
    "unsubscribe": Nothing,
    "cancel": AboutJob,
    "pause": AboutJob,
    "resume": AboutJob,
    "delete": AboutJob,
    "pin": Pin,
    "results": AboutJob,
    "fetch": Fetch,
    "render": Render,
    "preview": AboutJob,
    "log": Log,
    "models": Nothing,
    "models.download": DownloadModel,
    "models.remove": RemoveModel,
    "shutdown": Shutdown,
}


def parse_request(message: Message, limits: Limits) -> Request:
    """Check a message that a client sent.

    Raises:
        ServiceError: "bad_message", "bad_input" or "too_large"; the text names what is wrong.
    """
    schema = REQUESTS.get(message.type)
    if schema is None:
        raise ServiceError(
            "bad_message", f"there is no call '{message.type}'; there are: {', '.join(REQUESTS)}"
        )
    try:
        _check_envelope(message, schema)
        request = _content(message.content, schema)
        request.check(message, limits)
    except InputError as error:
        raise ServiceError("bad_input", str(error)) from None
    except ServiceError as error:
        # A malformed message is a matter for programmers, who want to know of which call; the rest is for everybody.
        prefix = f"'{message.type}': " if error.code == "bad_message" else ""
        raise ServiceError(error.code, f"{prefix}{error}") from None
    return request


def _check_envelope(message: Message, schema: type[Request]) -> None:
    if message.job is None and schema.about_job == "yes":
        _bad("it needs the id of a job")
    if message.job is not None and schema.about_job == "no":
        _bad("it is not about a job, leave the id out")
    names = [buffer.name for buffer in message.buffers]
    for name, expected in schema.takes.items():
        if name not in names and not expected.optional:
            _bad(f"it lacks the buffer {name}")
    for buffer in message.buffers:
        expected_here = schema.takes.get(buffer.name)
        if expected_here is None:
            _bad(f"it takes no buffer {buffer.name}")
        if names.count(buffer.name) > 1:
            _bad(f"it has the buffer {buffer.name} more than once")
        _check_buffer(buffer, expected_here)


def _check_buffer(buffer: Buffer, expected: Expected) -> None:
    fits = len(buffer.shape) == len(expected.shape) and all(
        wanted in (None, side) for side, wanted in zip(buffer.shape, expected.shape, strict=True)
    )
    if buffer.dtype != expected.dtype or not fits:
        shape = ", ".join("n" if side is None else str(side) for side in expected.shape)
        _bad(
            f"the buffer {buffer.name} must be {expected.dtype} of shape ({shape}), "
            f"not {buffer.dtype} of shape {buffer.shape}"
        )


def _content(content: dict[str, Any], schema: type[Request]) -> Request:
    unknown = unknown_field(content, schema)
    if unknown is not None:
        raise ServiceError("bad_input" if unknown.where else "bad_message", str(unknown))
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise ServiceError(_code_of(error), complaint(error)) from None


def _code_of(error: ValidationError) -> ErrorCode:
    first = error.errors(include_url=False)[0]
    if first["loc"] and first["loc"][0] == "settings":
        return "bad_input"
    if first["type"] in _TOO_MUCH:
        return "too_large"
    return "bad_message" if first["type"] in _FORM or first["type"].endswith("_type") else "bad_input"


def _matrices(buffer: Buffer, side: int) -> Iterator[list[list[float]]]:
    """The matrices of a float64 buffer of shape (n, side, side), one after the other."""
    for numbers in struct.iter_unpack(f"<{side * side}d", buffer.data):
        yield [list(numbers[row : row + side]) for row in range(0, side * side, side)]


def _check_intrinsics(index: int, matrix: list[list[float]]) -> None:
    (fx, _, _), (_, fy, _), last = matrix
    if not all(math.isfinite(value) and abs(value) <= _LARGEST_INTRINSIC for row in matrix for value in row):
        raise InputError(f"K_33: camera {index} has numbers that are not finite or far too large")
    if not (fx > 0 and fy > 0):
        raise InputError(
            f"K_33: camera {index} has the focal lengths {fx:g} and {fy:g}; both must be above 0"
        )
    if last != [0, 0, 1]:
        raise InputError(f"K_33: camera {index} has the bottom row {last}; it must be 0 0 1")


def _bad(text: str) -> NoReturn:
    raise ServiceError("bad_message", text)


def _too_large(text: str) -> NoReturn:
    raise ServiceError("too_large", text)
