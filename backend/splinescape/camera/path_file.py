"""The camera path file: JSON with dense poses or a few control points.

    {"version": 1,
     "poses": [{"cam_T_world": [[...4], [...4], [...4], [...4]], "fov_y_deg": 45.0}, ...]}

    {"version": 1, "closed": false,
     "control_points": [{"position": [x, y, z], "look_at": [x, y, z], "roll_deg": 0.0, "fov_y_deg": 45.0},
                        {"position": [x, y, z], "orientation": [w, x, y, z]}, ...]}

World axes are the input camera's: x right, y down, z forward, in the scene's units. `cam_T_world` maps world
points into the camera. `orientation` turns camera axes into the world (quaternion wxyz). A control point with
neither `look_at` nor `orientation` looks straight ahead as the input camera does. `fov_y_deg` is the vertical
field of view; either every pose has one or none. Lengths are within 1e12 of zero, far from where arithmetic ends.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from splinescape.errors import InputError

MAX_BYTES = 64 * 2**20
MAX_POSES = 100_000

Length = Annotated[float, Field(ge=-1e12, le=1e12)]
Vector = tuple[Length, Length, Length]
Row = tuple[Length, Length, Length, Length]
Turn = Annotated[float, Field(ge=-1e6, le=1e6)]
Fov = Annotated[float, Field(ge=1e-3, le=179.999)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Pose(_Strict):
    """One view matrix, as four rows."""

    cam_T_world: tuple[Row, Row, Row, Row]
    fov_y_deg: Fov | None = None


class ControlPoint(_Strict):
    """Where the camera passes and where it looks there."""

    position: Vector
    look_at: Vector | None = None
    orientation: Row | None = None
    roll_deg: Turn = 0.0
    fov_y_deg: Fov | None = None

    @model_validator(mode="after")
    def _one_direction(self) -> ControlPoint:
        if self.orientation is not None:
            if self.look_at is not None or self.roll_deg:
                raise ValueError("give an orientation, or look_at and roll_deg, not both")
            if abs(math.hypot(*self.orientation) - 1) > 1e-2:
                raise ValueError("the orientation must be a unit quaternion w, x, y, z")
        return self


class PathFile(_Strict):
    """A whole file: poses or control points."""

    version: Literal[1]
    poses: tuple[Pose, ...] | None = Field(default=None, min_length=2, max_length=MAX_POSES)
    control_points: tuple[ControlPoint, ...] | None = Field(default=None, min_length=2, max_length=MAX_POSES)
    closed: bool = False

    @model_validator(mode="after")
    def _is_one_kind(self) -> PathFile:
        if (self.poses is None) == (self.control_points is None):
            raise ValueError("give either poses or control_points")
        if self.closed and self.poses is not None:
            raise ValueError("closed belongs to control_points")
        fovs = [point.fov_y_deg for point in self.poses or self.control_points or ()]
        without = [i for i, fov in enumerate(fovs) if fov is None]
        if 0 < len(without) < len(fovs):
            raise ValueError(
                f"point {without[0]} has no fov_y_deg, but others have: give it for all or for none"
            )
        return self


def read_path_file(source: str | Path) -> PathFile:
    """Read a camera path from a file, or from JSON text (a string that starts with a brace).

    Raises:
        InputError: the file cannot be read, is too large, is not JSON or does not fit the schema; names the
            field.
    """
    is_text = isinstance(source, str) and source.lstrip().startswith(("{", "["))
    name = "the camera path" if is_text else f"camera path {source}"
    text = source.encode() if isinstance(source, str) and is_text else _read(Path(source), name)
    if len(text) > MAX_BYTES:
        raise InputError(f"{name} is larger than {MAX_BYTES // 2**20} MiB; sample it more coarsely")
    return parse_path_file(text, name)


def parse_path_file(text: bytes, name: str = "the camera path") -> PathFile:
    """Read the JSON text of a camera path, called `name` in messages; raises InputError as `read_path_file`."""
    try:
        return PathFile.model_validate_json(text)
    except ValidationError as error:
        raise InputError(f"{name}: {first_problem(error)}") from None


def _read(file: Path, name: str) -> bytes:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise InputError(f"{name} is larger than {MAX_BYTES // 2**20} MiB; sample it more coarsely")
        text = file.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{name} cannot be read: {reason}") from None
    if not text.strip():
        raise InputError(f"{name} is empty")
    return text


def first_problem(error: ValidationError) -> str:
    """The first mistake and where it is: "control_points[1].position[0]: Input should be a finite number"."""
    problem = error.errors(include_url=False)[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(
        "."
    )
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
