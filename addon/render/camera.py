"""A camera of the scene that follows the camera path over the scene's frame range."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ..image.camera import input_camera
from ..path.sampling import path_object, sample_path
from . import versions

NAME = "Path Camera"
TOLERANCE = 1e-4
"""How far constraints may lead the camera from the path, in any number of its matrix, before keyframes are used."""

_MARK = "splinescape_path_camera"
"""Custom property of the camera that was made here, and of its action."""

_FOLLOW, _TRACK = _CONSTRAINTS = ("Splinescape Follow Path", "Splinescape Track To")
_LED = ("location", "rotation_quaternion", f'constraints["{_FOLLOW}"].offset_factor')
"""What keyframes lead."""

_LENS = (
    "type",
    "lens",
    "sensor_fit",
    "sensor_width",
    "sensor_height",
    "shift_x",
    "shift_y",
    "clip_start",
    "clip_end",
)


def ensure_path_camera(scene: bpy.types.Scene) -> bpy.types.Object:
    """The camera that follows the path, arriving at its end in the last frame of the scene; made once, then updated.

    A camera that is itself the path is returned as it is. For a curve, constraints lead the camera where they can do
    what the path asks for, so that it follows when the curve is edited; otherwise it gets a keyframe for each frame.
    The lens is that of the input camera, if there is one.

    Raises:
        PathError: there is no path, or it cannot be followed.
    """
    source = path_object(scene)
    if source is not None and source.type == "CAMERA":
        scene.splinescape.render.camera = source
        return source
    frames = range(scene.frame_start, scene.frame_end + 1)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    poses = sample_path(scene, depsgraph, max(2, len(frames)))[: len(frames)]
    camera = _camera(scene)
    copy_lens(input_camera(scene), camera)
    if not (source is not None and _follow(scene, camera, source, frames, poses)):
        bake(camera, frames, poses)
    scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)
    return camera


def copy_lens(source: bpy.types.Object | None, camera: bpy.types.Object) -> None:
    """Give `camera` the lens, shift and clipping of `source`; nothing happens without one."""
    if source is not None:
        for name in _LENS:
            setattr(camera.data, name, getattr(source.data, name))


def camera_poses(
    scene: bpy.types.Scene, camera: bpy.types.Object, frames: Sequence[int]
) -> NDArray[np.float64]:
    """(n, 4, 4) `matrix_world` of a camera in some frames; the current frame stays what it is."""
    now = scene.frame_current, scene.frame_subframe
    poses = np.empty((len(frames), 4, 4))
    try:
        for i, frame in enumerate(frames):
            scene.frame_set(frame)
            poses[i] = camera.matrix_world
    finally:
        scene.frame_set(now[0], subframe=now[1])
    return poses


def bake(camera: bpy.types.Object, frames: Sequence[int], poses: NDArray[np.float64]) -> None:
    """Give the camera a keyframe for each frame and nothing else that moves it.

    Args:
        poses: (n, 4, 4) `matrix_world` for the n frames.
    """
    _release(camera)
    camera.rotation_mode = "QUATERNION"
    before = None
    for frame, pose in zip(frames, poses, strict=True):
        location, rotation, _scale = Matrix(pose.tolist()).decompose()
        if before is not None and rotation.dot(before) < 0:
            rotation.negate()  # the same rotation; from one sign to the other it would turn the long way round
        before = rotation
        camera.location, camera.rotation_quaternion = location, rotation
        camera.keyframe_insert("location", frame=frame, group=NAME)
        camera.keyframe_insert("rotation_quaternion", frame=frame, group=NAME)
    _make_linear(camera)


def _camera(scene: bpy.types.Scene) -> bpy.types.Object:
    """The scene's path camera; never the input camera or one that somebody else moves."""
    settings = scene.splinescape.render
    camera = settings.camera
    if camera is None or camera.type != "CAMERA" or not camera.get(_MARK):
        camera = bpy.data.objects.new(NAME, bpy.data.cameras.new(NAME))
        camera[_MARK] = 1
        settings.camera = camera
    if camera.name not in scene.objects:
        scene.collection.objects.link(camera)
    return camera


def _follow(
    scene: bpy.types.Scene,
    camera: bpy.types.Object,
    curve: bpy.types.Object,
    frames: Sequence[int],
    poses: NDArray[np.float64],
) -> bool:
    """Have constraints lead the camera; False if they lead it elsewhere than the path, whatever the reason."""
    if curve.type != "CURVE":
        return False
    turn = _TURNS.get(scene.splinescape.path.orientation)
    if turn is None:
        return False
    _release(camera)
    follow = camera.constraints.new("FOLLOW_PATH")
    follow.name = _FOLLOW
    follow.target = curve
    follow.use_fixed_location = True
    curve.data.use_path = True
    for frame, factor in ((frames[0], 0.0), (frames[-1], 1.0)):
        follow.offset_factor = factor
        follow.keyframe_insert("offset_factor", frame=frame)
    _make_linear(camera)
    turn(scene, camera, follow, poses)
    there = camera_poses(scene, camera, frames)
    return bool(np.abs(there - poses).max() < TOLERANCE)


def _turn_to_target(
    scene: bpy.types.Scene,
    camera: bpy.types.Object,
    _follow: bpy.types.Constraint,
    _poses: NDArray[np.float64],
) -> None:
    target = scene.splinescape.path.target
    track = camera.constraints.new("TRACK_TO")
    track.name = _TRACK
    track.target, track.track_axis, track.up_axis = target, "TRACK_NEGATIVE_Z", "UP_Y"


def _turn_along_curve(
    _scene: bpy.types.Scene,
    _camera: bpy.types.Object,
    follow: bpy.types.Constraint,
    _poses: NDArray[np.float64],
) -> None:
    follow.use_curve_follow = True
    follow.forward_axis, follow.up_axis = "TRACK_NEGATIVE_Z", "UP_Y"


def _turn_never(
    _scene: bpy.types.Scene,
    camera: bpy.types.Object,
    follow: bpy.types.Constraint,
    poses: NDArray[np.float64],
) -> None:
    camera.rotation_mode = "QUATERNION"
    wanted = Matrix(poses[0].tolist()).to_quaternion()
    # The constraint turns the camera as the curve's object is turned.
    camera.rotation_quaternion = follow.target.matrix_world.to_quaternion().inverted() @ wanted


_TURNS = {"TARGET": _turn_to_target, "TANGENT": _turn_along_curve, "FORWARD": _turn_never}
"""What turns the camera for the directions of a path that constraints may express."""


def _release(camera: bpy.types.Object) -> None:
    """Take away what led the camera until now; what the artist added to it stays, or is kept in the file."""
    _release_action(camera)
    for name in _CONSTRAINTS:
        if name in camera.constraints:
            camera.constraints.remove(camera.constraints[name])
    camera.parent = None
    camera.location = (0.0, 0.0, 0.0)
    camera.rotation_mode = "QUATERNION"
    camera.rotation_quaternion = (1.0, 0.0, 0.0, 0.0)
    camera.scale = (1.0, 1.0, 1.0)


def _release_action(camera: bpy.types.Object) -> None:
    data = camera.animation_data
    if data is None or data.action is None:
        return
    action = data.action
    if not action.get(_MARK):  # the artist's: it cannot lead the camera, too, but it is not lost
        action.use_fake_user = True
        data.action = None
        return
    versions.remove_fcurves(camera, lambda each: each.data_path in _LED)
    if not versions.fcurves(camera):
        data.action = None
        if not action.users:
            bpy.data.actions.remove(action)


def _make_linear(camera: bpy.types.Object) -> None:
    """Mark the keyframes that were made as made here, and have nothing between them but straight lines."""
    camera.animation_data.action[_MARK] = 1
    for curve in versions.fcurves(camera):
        if curve.data_path not in _LED:
            continue
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"
