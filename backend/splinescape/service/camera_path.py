"""A camera path as a client sent it: refused for the reasons that the worker would refuse it for, without numpy.

One refusal is left to the worker: a curve through look-at points that passes, between its keys, exactly through the
point it looks at.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ValidationError

from splinescape.camera.path_file import ControlPoint, PathFile, Pose, first_problem
from splinescape.camera.plain import unfit_pose, unfit_view
from splinescape.errors import InputError

_FEWEST = 10
_PER_POINT = {b"{": 1, b"[": 5, b":": 5, b'"': 10}
"""What a pose or control point has of these at most; more of them is no camera path but a way to fill memory."""


def check_camera_path(text: bytes, max_points: int) -> None:
    """Check the JSON text of a camera path.

    Args:
        max_points: how many poses or control points it may have.

    Raises:
        InputError: it does not fit the format, a pose is not rigid, a camera cannot look where it should, or it has
            more points than allowed; names the first mistake.
    """
    data = _parsed(text, max_points)
    _refuse_unknown("", data, PathFile)
    # Point by point up to the first mistake: pydantic would describe each of them, at hundreds of times its size.
    _check_points(data, "poses", Pose, max_points)
    _check_points(data, "control_points", ControlPoint, max_points)
    try:
        file = PathFile.model_validate(data)
    except ValidationError as error:
        raise InputError(f"the camera path: {first_problem(error)}") from None
    for i, pose in enumerate(file.poses or ()):
        _refuse(f"pose {i} ", unfit_pose(pose.cam_T_world))
    for i, point in enumerate(file.control_points or ()):
        if point.orientation is None:
            x, y, z = point.position
            _refuse(f"control_points[{i}]: ", unfit_view(point.position, point.look_at or (x, y, z + 1)))


def _parsed(text: bytes, max_points: int) -> dict[str, Any]:
    for character, per_point in _PER_POINT.items():
        if text.count(character) > per_point * max_points + _FEWEST:
            _too_many(max_points)
    try:
        data = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"the camera path is not JSON: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(data, dict):
        raise InputError("the camera path must be a JSON object")
    return data


def _check_points(data: dict[str, Any], name: str, model: type[BaseModel], max_points: int) -> None:
    points = data.get(name)
    if isinstance(points, list):
        if len(points) > max_points:
            _too_many(max_points)
        data[name] = [_checked(f"{name}[{i}]", point, model) for i, point in enumerate(points)]


def _checked(where: str, point: Any, model: type[BaseModel]) -> BaseModel:
    if isinstance(point, dict):
        _refuse_unknown(f"{where}.", point, model)
    try:
        return model.model_validate(point)
    except ValidationError as error:
        between = "." if error.errors()[0]["loc"] else ": "
        raise InputError(f"the camera path: {where}{between}{first_problem(error)}") from None


def _refuse_unknown(where: str, data: dict[str, Any], model: type[BaseModel]) -> None:
    for key in data:
        if key not in model.model_fields:
            raise InputError(f"the camera path: {where}{key[:40]!a} is not a part of the format")


def _refuse(what: str, reason: str | None) -> None:
    if reason is not None:
        raise InputError(what + reason)


def _too_many(max_points: int) -> None:
    raise InputError(f"the camera path has more than {max_points} points; sample it more coarsely")
