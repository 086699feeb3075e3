"""What is known about the camera path at the moment: read once after each change, shown by overlay and panel."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.blender import Lens, intrinsics_from_lens, view_matrix

from . import checks, frusta, scale
from .checks import Problem
from .sampling import (
    Flight,
    PathError,
    path_object,
    pose_count,
    read_flight,
    sample_path,
    scene_placement,
    standing_still,
    stands_still,
)

Array = NDArray[np.float64]

DENSE = 241
"""Poses that are looked at; the overlay draws some of them."""
_DRAWN = 0.05
"""Size of a drawn camera, as a share of the scene's."""


@dataclass(frozen=True, eq=False)
class PathState:
    """A path that was read.

    Attributes:
        poses: (241, 4, 4) `matrix_world` of cameras along it; None when it cannot be followed.
        error: why not, a sentence.
        length: in Blender's units.
        count: poses that Generate Scene will send.
        bad: (241,) cameras that cannot stand there. problems: why, with their places.
        uncovered: (241,) share of each view that had to be made up; None before there is a scene.
        window: left, right, bottom, top of the picture one unit in front of a camera.
        drawn_size: size of a drawn camera at factor 1.
    """

    poses: Array | None = None
    error: str = ""
    length: float = 0.0
    count: int = 0
    bad: NDArray[np.bool_] | None = None
    problems: tuple[Problem, ...] = ()
    uncovered: Array | None = None
    window: tuple[float, float, float, float] = (-0.5, 0.5, -0.375, 0.375)
    drawn_size: float = 0.2


def read_path(
    scene: Any, depsgraph: Any, turns: Array | None = None, flight: Flight | None = None
) -> PathState:
    """Read the scene's path; what is wrong with it is in the state.

    Args:
        turns: as in `sample_path`. flight: of 241 poses, so that the frames need not be walked through again.
    """
    chosen = path_object(scene)
    if chosen is None:
        return PathState()
    try:
        flight = read_flight(scene, depsgraph, DENSE) if flight is None else flight
        poses = sample_path(scene, depsgraph, DENSE, turns) if flight is None else flight.poses
        if stands_still(poses, None if flight is None else flight.fovs):
            raise standing_still(chosen)
        place = scene_placement(scene)
    except PathError as error:
        return PathState(error=str(error))
    window = picture_window(scene)
    splats = scale.scene_splats(scene, most=60_000)
    size = scale.DEFAULT if splats is None else scale.spread(splats[0])
    found = checks.Findings(np.zeros(DENSE, bool))
    if splats is not None:
        found = checks.check(view_matrix(poses, _scene_frame(scene, place)), window, *splats, size)
    return PathState(
        poses=poses,
        length=float(np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).sum()),
        count=pose_count(poses, 2 * size),
        bad=found.bad,
        problems=found.problems,
        uncovered=_uncovered(scene) if splats is not None else None,
        window=window,
        drawn_size=_DRAWN * size,
    )


def picture_window(scene: Any) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of what the path's camera sees, one unit in front of it."""
    from ..image.camera import input_camera

    chosen = path_object(scene)
    camera = chosen if chosen is not None and chosen.type == "CAMERA" else input_camera(scene)
    width, height = _picture_size(scene)
    if camera is None or camera.data.type != "PERSP":
        return -0.5, 0.5, -0.5 * height / width, 0.5 * height / width
    data, render = camera.data, scene.render
    lens = Lens(
        lens=data.lens,
        sensor_width=data.sensor_width,
        sensor_fit=data.sensor_fit,
        shift_x=data.shift_x,
        shift_y=data.shift_y,
        pixel_aspect_x=render.pixel_aspect_x,
        pixel_aspect_y=render.pixel_aspect_y,
        sensor_height=data.sensor_height,
    )
    K = intrinsics_from_lens(lens, width, height)
    left, right = -K[0, 2] / K[0, 0], (width - K[0, 2]) / K[0, 0]
    return float(left), float(right), float((K[1, 2] - height) / K[1, 1]), float(K[1, 2] / K[1, 1])


def _picture_size(scene: Any) -> tuple[int, int]:
    image = scene.splinescape.image.image
    if image is not None and min(image.size) > 0:
        return int(image.size[0]), int(image.size[1])
    return scene.render.resolution_x, scene.render.resolution_y


def _scene_frame(scene: Any, place: Array) -> Array:
    """(4, 4) Blender's world from the splats' own: where they are now, if that is a rigid placement."""
    made = scale.scene_object(scene)
    matrix = np.array(made.matrix_world, np.float64)
    rigid = np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-4)
    return matrix if rigid else place


def _uncovered(scene: Any) -> Array | None:
    own = scene.splinescape.generate
    try:
        summary = json.loads(own.summary) if own.summary else None
    except ValueError:
        return None
    if isinstance(summary, dict):
        summary = summary.get("data", summary)
    dense = own.n_frames * own.coarse_dense_multiplier
    return frusta.uncovered_along(summary, dense, np.linspace(0, 1, DENSE))
