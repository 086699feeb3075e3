"""Settings of the service: where it keeps things, how patient it is, and how much anybody may ask of it."""

from __future__ import annotations

import tomllib
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from splinescape.errors import InputError
from splinescape.service.complaints import complaint, unknown_field
from splinescape.service.store.retention import Retention as RetentionPolicy

KiB, MiB = 2**10, 2**20
_LONGEST_FILE = MiB


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Limits(_Section):
    """How much clients may ask for; they are told these numbers with "hello".

    Attributes:
        frame: bytes of one frame of a message from a client.
        chunk: bytes of one part of an upload or a download.
        picture_bytes: size of an uploaded picture.
        picture_pixels: pixels that decoding it may take; a baseline JPEG may be larger, it is decoded smaller.
        path_bytes: size of a camera path, which travels as one frame. path_points: its poses or control points.
        uploads_bytes: unfinished and unused uploads of one key together.
        jobs: unfinished jobs of one key.
        render_pixels: pixels of one "render" request, all its views together. render_views: views of one request.
        messages_per_s: what one connection may send for long. messages_burst: and at once after a pause.
    """

    frame: int = Field(MiB, ge=256 * KiB, le=16 * MiB)
    chunk: int = Field(256 * KiB, ge=KiB, le=16 * MiB)
    picture_bytes: int = Field(64 * MiB, ge=KiB, le=2048 * MiB)
    picture_pixels: int = Field(2**28, ge=2**16, le=2**31)
    path_bytes: int = Field(MiB, ge=KiB, le=16 * MiB)
    path_points: int = Field(3000, ge=2, le=100_000)
    uploads_bytes: int = Field(512 * MiB, ge=MiB)
    jobs: int = Field(500, ge=1, le=100_000)
    render_pixels: int = Field(2**23, ge=2**12, le=2**28)
    render_views: int = Field(64, ge=1, le=4096)
    messages_per_s: float = Field(1000, ge=1, le=1e6)
    messages_burst: int = Field(2000, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _fit_a_frame(self) -> Limits:
        for name in ("chunk", "path_bytes"):
            if getattr(self, name) > self.frame:
                raise ValueError(f"{name} must be at most frame, which is {self.frame}")
        return self


class Retention(_Section):
    """How long finished jobs are kept; what is pinned, queued or running always stays.

    Attributes:
        days: since the job ended. gigabytes: all jobs together, the oldest go first. 0 keeps them for ever.
    """

    days: float = Field(30, ge=0, le=36_500)
    gigabytes: float = Field(50, ge=0, le=1e6)

    def policy(self) -> RetentionPolicy:
        """The same for the job store."""
        return RetentionPolicy(self.days or None, round(self.gigabytes * 1e9) or None)


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _listen_address(text: str) -> str:
    host, port = split_address(text)
    if port is None:
        raise ValueError(f"needs a port as well, such as {host}:5750")
    if host == "*":
        host = "0.0.0.0"
    if host == "localhost":
        host = "127.0.0.1"
    try:
        IPv4Address(host)
    except ValueError:
        raise ValueError(
            f"{host!a} is not an IPv4 address of this machine: "
            "take 0.0.0.0 for all of them or 127.0.0.1 for this machine alone"
        ) from None
    return f"{host}:{port}"


def _device(name: str) -> str:
    kind, colon, number = name.partition(":")
    if name in ("auto", "cpu") or (
        kind == "cuda" and (not colon or (number.isdecimal() and len(number) < 4))
    ):
        return name
    raise ValueError(f"must be auto, cpu or cuda:N, not {name[:40]!a}")


class ServiceSettings(_Section):
    """All settings of a service.

    Attributes:
        data_dir: folder of jobs, keys and logs.
        listen: "HOST:PORT", or None for this machine alone on a free port that stays the same over restarts.
        devices: one worker process each; "auto" takes what there is.
        heartbeat_s: how often workers and the service tell each other that they live.
        worker_timeout_s: a worker that is silent for this long is killed, and its job goes on in another one.
        max_retries: how often a job whose worker died is started again.
        idle_unload_s: an idle worker gives its models and memory back after this long.
        idle_exit_min: the service ends after so many minutes without clients and with nothing to do; 0: never.
        stop_grace_s: how long a job may take to stop before its worker is killed.
        log_bytes: size at which a log begins anew. log_files: older logs of the service that are kept.
    """

    data_dir: Annotated[Path, AfterValidator(_absolute)] = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("splinescape", appauthor=False))
    )
    listen: Annotated[str, AfterValidator(_listen_address)] | None = None
    devices: tuple[Annotated[str, AfterValidator(_device)], ...] = Field(
        ("auto",), min_length=1, max_length=64
    )
    heartbeat_s: float = Field(1.0, ge=0.05, le=60)
    worker_timeout_s: float = Field(15.0, ge=0.5, le=3600)
    max_retries: int = Field(2, ge=0, le=100)
    idle_unload_s: float = Field(600.0, ge=0, le=1e7)
    idle_exit_min: float = Field(0.0, ge=0, le=1e6)
    stop_grace_s: float = Field(5.0, ge=0, le=3600)
    log_bytes: int = Field(5 * MiB, ge=KiB)
    log_files: int = Field(3, ge=0, le=1000)
    limits: Limits = Limits()
    retention: Retention = Retention()

    @property
    def connection_file(self) -> Path:
        """What programs on this machine read to find the service and its local key."""
        return self.data_dir / "connection.json"

    @property
    def keys_dir(self) -> Path:
        """The folder of the service's keys."""
        return self.data_dir / "keys"

    @field_validator("devices")
    @classmethod
    def _auto_stands_alone(cls, devices: tuple[str, ...]) -> tuple[str, ...]:
        if "auto" in devices and len(devices) > 1:
            raise ValueError("auto already takes every device: give it alone, or name the devices")
        return devices

    @model_validator(mode="after")
    def _silence_outlasts_heartbeats(self) -> ServiceSettings:
        if self.worker_timeout_s < 3 * self.heartbeat_s:
            raise ValueError(f"worker_timeout_s must be at least three times heartbeat_s, {self.heartbeat_s}")
        return self


def split_address(text: str) -> tuple[str, int | None]:
    """ "studio:5750" -> ("studio", 5750); the port is None when there is none.

    Raises:
        ValueError: the port is not a number from 1 to 65535, or there is no host.
    """
    host, colon, port = text.partition(":")
    if not host:
        raise ValueError(f"must be HOST:PORT, such as 0.0.0.0:5750, not {text[:40]!a}")
    if not colon:
        return host, None
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise ValueError(f"the port must be a number from 1 to 65535, not {port[:40]!a}")
    return host, int(port)


def load_settings(file: Path | None = None, **overrides: Any) -> ServiceSettings:
    """Read the settings.

    Args:
        file: TOML with the fields of `ServiceSettings`; [limits] and [retention] are tables.
        overrides: fields that take precedence over the file's.

    Raises:
        InputError: the file cannot be read, or a setting is unknown or out of range; names it and what is allowed.
    """
    given = {}
    if file is not None:
        given = _read_toml(file)
        _checked(given, f"{file}: ")
    return _checked(given | overrides)


def _checked(data: dict[str, Any], prefix: str = "") -> ServiceSettings:
    unknown = unknown_field(data, ServiceSettings)
    if unknown is not None:
        raise InputError(f"{prefix}{unknown}")
    try:
        return ServiceSettings(**data)
    except ValidationError as error:
        raise InputError(prefix + complaint(error)) from None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            text = stream.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"the settings file {file} cannot be read: {error.strerror}") from None
    if len(text) > _LONGEST_FILE:
        raise InputError(f"{file} is too large for a settings file")
    try:
        return tomllib.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is not a TOML file: {' '.join(str(error).split())}") from None
