"""The empty scene: open ground under a sky, or a room."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.view import View
from splinescape.depth.builtin.imaging import Image, Map, Mask, dot, pixel_rays
from splinescape.depth.builtin.room import fit_room

CAMERA_HEIGHT = 1.6
"""Metres from the ground to the camera of the input picture: a person's eye level."""
BACKDROP = 60.0
"""Metres to what stands on the horizon."""
_LOWEST_CAMERA = 0.4
_STEEPEST = math.radians(15)


@dataclass(frozen=True, eq=False)
class Layout:
    """The large surfaces that a view looks at.

    Attributes:
        inverse: (H, W) 1/z in 1/m.
        ground: (H, W) bool, where the ground or floor is seen.
        below: (H, W) sine of the angle by which a pixel looks down.
        outdoors: whether there is a sky.
    """

    inverse: Map
    ground: Mask
    below: Map
    outdoors: bool


def lay_out(rgb: Image, sky: Mask, K_33: NDArray[np.float64], view: View) -> Layout:
    """Guess the ground and backdrop under a sky, or the room where there is none.

    The ground lies 1.6 m below the world's origin, square to the world's y axis, so that moved views see the
    same one; where the skyline shows that the camera was tilted, it is tilted by the same angle.

    Args:
        rgb: float32 picture in [0, 1], of any size.
        sky: (H, W) bool at the size that the layout shall have.
        K_33: (3, 3) intrinsics of `rgb`.
        view: where its camera stands; the size and intrinsics in it are not used.
    """
    cam_T_world = np.asarray(view.cam_T_world, np.float64)
    shrink = np.array([[sky.shape[1] / rgb.shape[1]], [sky.shape[0] / rgb.shape[0]], [1.0]])
    rays = pixel_rays(sky.shape, shrink * K_33)
    length = np.sqrt((rays**2).sum(-1))
    down = cam_T_world[:3, 1]
    outdoors = bool(sky.any())
    if outdoors:
        down = _level_with_skyline(rays / length[..., None], sky, down)
    # The translation is where the world's origin, the input camera, is seen from this camera.
    height = max(_LOWEST_CAMERA, CAMERA_HEIGHT + float(dot(cam_T_world[:3, 3], down)))
    if outdoors:
        below = dot(rays, down)
        return Layout(
            np.maximum(below / height, 1 / BACKDROP), below * BACKDROP > height, below / length, True
        )
    room = fit_room(rgb, K_33, down, height)
    inverse, below = room.inverse_depth(rays), dot(rays, room.axes[1])
    return Layout(inverse, below / height >= inverse * (1 - 1e-9), below / length, False)


def _level_with_skyline(directions: Map, sky: Mask, down: Map) -> Map:
    """Gravity, turned so that the lowest sky is level.

    Sky below the level is certain evidence; sky that ends above it may be hidden behind buildings, so it
    counts as much as the share of the width over which there is sky.
    """
    columns = sky.any(0) & ~sky.all(0)
    if not columns.any():
        return down
    lowest = np.where(sky, dot(directions, down), -1.0).max(0)[columns]
    skyline = math.asin(float(np.clip(np.percentile(lowest, 90), -1, 1)))
    angle = skyline if skyline > 0 else skyline * float(columns.mean())
    angle = min(max(angle, -_STEEPEST), _STEEPEST)
    forward = np.array([0.0, 0.0, 1.0]) - down * down[2]
    forward /= math.hypot(*forward) + 1e-12
    return np.asarray(math.cos(angle) * down - math.sin(angle) * forward)
