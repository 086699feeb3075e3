"""The camera path as poses: what `Generate Scene` sends, what the cameras of the overlay and the render follow."""

from __future__ import annotations

import json
import math
import time as clock
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.blender import Lens, intrinsics_from_lens, placement, view_matrix
from splinescape.camera.intrinsics import fov_y_deg
from splinescape.errors import InputError

from . import frames
from .curves import read_curve
from .errors import PathError, SlowPathError
from .polyline import Walk, walk

__all__ = [
    "Flight",
    "PathError",
    "SlowPathError",
    "fovs_along",
    "guide_turns",
    "path_json",
    "path_length",
    "path_object",
    "pose_count",
    "read_flight",
    "sample_path",
]

Array = NDArray[np.float64]

FEWEST, MOST = 61, 241
"""Poses of a path file: for a path that hardly moves, and for one that crosses the scene."""
_FINE = 960
"""Directions are decided at this many places at least, so that they do not depend on how many poses are asked for."""
_CLOSE = 1e-6


def path_object(scene: Any) -> Any:
    """The curve or camera that is the scene's path; None when none is chosen or it was deleted from the scene."""
    chosen = scene.splinescape.path.object
    if chosen is None or chosen.type not in {"CURVE", "CAMERA"} or chosen.name not in scene.objects:
        return None
    return chosen


def sample_path(scene: Any, depsgraph: Any, n: int, turns: Array | None = None) -> Array:
    """Cameras along the scene's path, the first at its beginning and the last at its end.

    A curve is sampled at equal steps of its length, an animated camera at equal steps of the scene's frame range.

    Args:
        depsgraph: of the scene.
        n: number of poses, 1 or more.
        turns: what `guide_turns` has read, so that the scene's frames need not be walked through again.

    Returns:
        (n, 4, 4) float64 `matrix_world`, without scale.

    Raises:
        PathError: there is no path or it cannot be followed; says why in a sentence.
    """
    chosen = _required(scene)
    if chosen.type == "CAMERA":
        return _rigid(_animated(scene, depsgraph, chosen, n).matrices, chosen)
    steps = max(1, n - 1)
    stride = math.ceil(_FINE / steps)
    walked = walk(read_curve(chosen, depsgraph), steps * stride + 1)
    return _oriented(scene, depsgraph, walked, turns)[::stride][:n]


@dataclass(frozen=True, eq=False)
class Flight:
    """A camera over the frame range: poses (n, 4, 4) `matrix_world` without scale, fovs (n,) vertical in degrees."""

    poses: Array
    fovs: Array


def read_flight(scene: Any, depsgraph: Any, n: int, seconds: float | None = None) -> Flight | None:
    """The scene's path at `n` equal steps of the frame range where it is a camera, else None.

    Args:
        seconds: how long it may take.

    Raises:
        PathError: it is not a perspective camera, or it is mirrored or squashed. SlowPathError: it takes too long.
    """
    chosen = path_object(scene)
    if chosen is None or chosen.type != "CAMERA":
        return None
    animated = _animated(scene, depsgraph, chosen, n, seconds)
    return Flight(_rigid(animated.matrices, chosen), animated.fovs)


def guide_turns(scene: Any, depsgraph: Any, seconds: float | None = None) -> Array | None:
    """(m, 3, 3) rotations over the frame range of the object that the camera turns like; None where none is asked for.

    Args:
        seconds: how long it may take.

    Raises:
        PathError: there is no such object, or it is mirrored or squashed. SlowPathError: it takes too long.
    """
    own = scene.splinescape.path
    if own.orientation != "CAMERA" or _required(scene).type == "CAMERA":
        return None
    guide = own.guide
    if guide is None or guide.name not in scene.objects:
        raise PathError(
            "No object tells how the camera turns: choose one as Turns Like, or another Direction"
        )
    count = min(_FINE, max(2, scene.frame_end - scene.frame_start + 1))
    return _rigid(_animated(scene, depsgraph, guide, count, seconds).matrices, guide)[:, :3, :3]


def stands_still(poses: Array, fovs: Array | None) -> bool:
    """Whether nothing changes along a path: poses (n, 4, 4), fields of view (n,) in degrees or None."""
    return bool(np.abs(poses - poses[:1]).max() < _CLOSE and (fovs is None or np.ptp(fovs) < _CLOSE))


def standing_still(chosen: Any) -> PathError:
    """The error of a path, curve or camera, that stands still."""
    return PathError(f'The path "{chosen.name}" neither moves nor turns: {_how_to_move(chosen)}')


def fovs_along(scene: Any, depsgraph: Any, n: int) -> Array | None:
    """(n,) vertical fields of view in degrees along an animated camera; None where the input camera's lens is kept.

    Raises:
        PathError: there is no path, or the camera is not a perspective one.
    """
    chosen = _required(scene)
    if chosen.type != "CAMERA":
        return None
    return _own_lens(scene, _animated(scene, depsgraph, chosen, n).fovs)


def path_length(scene: Any, depsgraph: Any) -> float:
    """Length of the path in Blender's units.

    Raises:
        PathError: as `sample_path`.
    """
    chosen = _required(scene)
    if chosen.type == "CURVE":
        return read_curve(chosen, depsgraph).length
    places = _animated(scene, depsgraph, chosen, FEWEST).matrices[:, :3, 3]
    return float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum())


def pose_count(poses: Array, size: float) -> int:
    """How many poses describe a path: more for one that is long, compared with the scene, or turns far.

    Args:
        poses: (m, 4, 4) along the path. size: length that counts as crossing the scene.
    """
    length = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).sum()
    cosines = np.einsum("ni,ni->n", poses[1:, :3, 2], poses[:-1, :3, 2])
    turn = np.arccos(np.clip(cosines, -1, 1)).sum()
    effort = max(length / max(size, _CLOSE), turn / math.pi)
    return FEWEST + round((MOST - FEWEST) * min(1.0, float(effort)))


def path_json(scene: Any, depsgraph: Any) -> str:
    """The path as the text of a path file: dense poses relative to where the scene is placed.

    Raises:
        PathError: there is no path, it cannot be followed, or it stands still.
    """
    from .scale import scene_size

    n = pose_count(sample_path(scene, depsgraph, FEWEST), 2 * scene_size(scene))
    chosen = _required(scene)
    if chosen.type == "CAMERA":
        animated = _animated(scene, depsgraph, chosen, n)
        poses, fovs = _rigid(animated.matrices, chosen), _own_lens(scene, animated.fovs)
    else:
        poses, fovs = sample_path(scene, depsgraph, n), None
    if stands_still(poses, fovs):
        raise standing_still(chosen)
    views = view_matrix(poses, scene_placement(scene))
    records: list[dict[str, Any]] = [{"cam_T_world": view.tolist()} for view in views]
    if fovs is not None:
        for record, fov in zip(records, fovs.tolist(), strict=True):
            record["fov_y_deg"] = fov
    return json.dumps({"version": 1, "poses": records})


def scene_placement(scene: Any) -> Array:
    """(4, 4) Blender's world from the scene's world.

    Raises:
        PathError: the input camera is mirrored, sheared or has no size.
    """
    from ..image import camera

    try:
        return np.asarray(camera.scene_placement(scene), np.float64)
    except InputError:
        raise PathError("The input camera is mirrored or squashed: apply the scale of its parents") from None


@dataclass(frozen=True, eq=False)
class _Animated:
    """An object over the frame range: matrices (n, 4, 4), fovs (n,) degrees, nan for what is not a camera."""

    matrices: Array
    fovs: Array


def _required(scene: Any) -> Any:
    chosen = path_object(scene)
    if chosen is None:
        raise PathError("There is no camera path: add one in the Camera Path panel, or choose a curve there")
    return chosen


def _how_to_move(chosen: Any) -> str:
    return "animate the camera" if chosen.type == "CAMERA" else "move its points apart, or look along a curve"


def _oriented(scene: Any, depsgraph: Any, walked: Walk, turns: Array | None) -> Array:
    own = scene.splinescape.path
    positions, tilts, n = walked.positions, walked.tilts, len(walked.positions)
    if own.orientation == "FORWARD":
        ahead = _input_rotation(scene)
        return frames.turned(positions, np.repeat(ahead[None], n, axis=0), tilts)
    if own.orientation == "CAMERA":
        turns = guide_turns(scene, depsgraph) if turns is None else turns
        assert turns is not None
        return frames.turned(positions, frames.slerp(turns, np.linspace(0, 1, n)), tilts)
    up = _input_rotation(scene)[:, 1]
    if own.orientation == "TANGENT":
        if not walked.tangents.any():
            raise PathError(
                "The path has no length, so there is no direction along it: choose another Direction"
            )
        return frames.oriented(positions, walked.tangents, tilts, up)
    directions = _aims(scene, depsgraph, n) - positions
    distances = np.linalg.norm(directions, axis=1)
    near = int(distances.argmin())
    if distances[near] < _CLOSE * max(1.0, float(np.abs(positions).max())):
        raise PathError(
            f"At {100 * near / (n - 1):.0f} % the path passes through its own target: move one of them aside"
        )
    return frames.oriented(positions, directions, tilts, up)


def _input_rotation(scene: Any) -> Array:
    """(3, 3) of the input camera."""
    return scene_placement(scene)[:3, :3] @ np.diag([1.0, -1.0, -1.0])


def _aims(scene: Any, depsgraph: Any, n: int) -> Array:
    """(n, 3) points that the camera looks at."""
    target = scene.splinescape.path.target
    if target is None or target.name not in scene.objects:
        raise PathError(
            "The camera has nothing to look at: choose an object as Look At, or another Direction"
        )
    if target == path_object(scene):
        raise PathError("The camera cannot look at its own path: choose another object, or Along the Path")
    if target.type == "CURVE":
        line = read_curve(target, depsgraph)
        if line.moves:
            return walk(line, n).positions
    matrix = np.array(target.evaluated_get(depsgraph).matrix_world, np.float64)
    return np.repeat(matrix[None, :3, 3], n, axis=0)


def _animated(scene: Any, depsgraph: Any, moved: Any, n: int, seconds: float | None = None) -> _Animated:
    """Read an object at `n` equal steps of the frame range; the current frame stays what it is."""
    ends = math.inf if seconds is None else clock.monotonic() + seconds
    now = scene.frame_current, scene.frame_subframe
    matrices, fovs = np.empty((n, 4, 4)), np.full(n, np.nan)
    try:
        for i, time in enumerate(np.linspace(scene.frame_start, scene.frame_end, n)):
            frame = math.floor(time + 1e-9)
            scene.frame_set(frame, subframe=min(max(0.0, time - frame), 0.999999))
            evaluated = moved.evaluated_get(depsgraph)
            matrices[i] = evaluated.matrix_world
            if moved.type == "CAMERA":
                fovs[i] = _fov(scene, evaluated)
            if clock.monotonic() > ends and i < n - 1:
                raise SlowPathError(
                    f'Reading "{moved.name}" takes long, so the path is not shown: '
                    "simplify the scene or its frame range, then choose it here again"
                )
    finally:
        scene.frame_set(now[0], subframe=now[1])
    return _Animated(matrices, fovs)


def _fov(scene: Any, camera: Any) -> float:
    """Vertical field of view in degrees of a camera, for the picture's shape as the render settings have it."""
    data, render = camera.data, scene.render
    if data.type != "PERSP":
        raise PathError(f'The camera "{camera.name}" is not a perspective camera: change its lens type')
    lens = Lens(
        lens=data.lens,
        sensor_width=data.sensor_width,
        sensor_fit=data.sensor_fit,
        pixel_aspect_x=render.pixel_aspect_x,
        pixel_aspect_y=render.pixel_aspect_y,
        sensor_height=data.sensor_height,
    )
    width, height = render.resolution_x, render.resolution_y
    return fov_y_deg(intrinsics_from_lens(lens, width, height), height)


def _own_lens(scene: Any, fovs: Array) -> Array | None:
    """The fields of view, unless they are all the input camera's."""
    from ..image import camera

    source = camera.input_camera(scene)
    usual = fovs[0] if source is None or source.data.type != "PERSP" else _fov(scene, source)
    return fovs if np.abs(fovs / usual - 1).max() > 1e-3 else None


def _rigid(matrices: Array, moved: Any) -> Array:
    try:
        return placement(matrices) @ np.diag([1.0, -1.0, -1.0, 1.0])
    except InputError:
        raise PathError(
            f'"{moved.name}" is mirrored, squashed or without size while it moves: apply the scale of its parents'
        ) from None
