"""The camera path: poses along which the scene is expanded and filmed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from splinescape.camera import shapes
from splinescape.camera.path_file import ControlPoint, PathFile, Pose, read_path_file
from splinescape.camera.pose import check_rigid, invert, look_at, view_matrix
from splinescape.camera.spline import PoseCurve, catmull_rom, pose_curve
from splinescape.errors import InputError

Array = NDArray[np.float64]

_POSES_PER_CONTROL_POINT = 32


@dataclass(frozen=True, eq=False)
class CameraPath:
    """A sequence of key poses and the smooth curve through them.

    Attributes:
        cam_T_world: (N, 4, 4) float64 view matrices, world points into the OpenCV camera; N >= 2.
        fov_y_deg: (N,) vertical fields of view in degrees, or None to keep the input camera's.
    """

    cam_T_world: Array
    fov_y_deg: Array | None = None

    def __post_init__(self) -> None:
        poses = check_rigid(self.cam_T_world)
        if len(poses) < 2:
            raise InputError(f"a camera path needs at least 2 poses, not {len(poses)}")
        object.__setattr__(self, "cam_T_world", _frozen(poses))
        if self.fov_y_deg is not None:
            object.__setattr__(self, "fov_y_deg", _frozen(_check_fovs(self.fov_y_deg, len(poses))))

    @staticmethod
    def from_matrices(cam_T_world: ArrayLike, fov_y_deg: ArrayLike | None = None) -> CameraPath:
        """Path through given poses.

        Args:
            cam_T_world: (N, 4, 4) view matrices, N >= 2.
            fov_y_deg: (N,) vertical fields of view in degrees, or None.

        Raises:
            InputError: a wrong shape, fewer than 2 poses, or a pose that is not finite or not rigid; names
                it.
        """
        return CameraPath(cam_T_world, fov_y_deg)  # type: ignore[arg-type]

    @staticmethod
    def spiral(
        radius: float, *, forward_ratio: float = 0.3, backward_ratio: float = 0.4, wide: bool = True
    ) -> CameraPath:
        """Small closed tour around the input camera; arguments and errors as `shapes.spiral`."""
        return CameraPath(
            shapes.spiral(radius, forward_ratio=forward_ratio, backward_ratio=backward_ratio, wide=wide)
        )

    @staticmethod
    def from_json(source: str | Path) -> CameraPath:
        """Read a camera path file, or its text; `path_file` documents the format.

        Raises:
            InputError: it cannot be read, does not fit the format, or a pose is not rigid; names the field.
        """
        file = read_path_file(source)
        if file.control_points is not None:
            return _through_control_points(file.control_points, file.closed)
        poses = file.poses or ()
        return CameraPath(np.array([pose.cam_T_world for pose in poses]), _fovs(poses))

    def to_json(self) -> str:
        """The path as the text of a camera path file; `from_json` gives the same numbers back."""
        fovs = [None] * len(self.cam_T_world) if self.fov_y_deg is None else self.fov_y_deg.tolist()
        poses = [
            Pose(cam_T_world=matrix, fov_y_deg=fov)
            for matrix, fov in zip(self.cam_T_world.tolist(), fovs, strict=True)
        ]
        return PathFile(version=1, poses=tuple(poses)).model_dump_json(exclude_defaults=True)

    def sample(self, n: int) -> Array:
        """Poses at equal steps of travel along the path.

        Travel is distance for a path that moves, angle for one that only turns, and both together otherwise.

        Args:
            n: number of poses, at least 1.

        Returns:
            (n, 4, 4) float64 cam_T_world; the first and the last are the path's own.

        Raises:
            InputError: n is less than 1.
        """
        if n < 1:
            raise InputError(f"a camera path is sampled with at least 1 pose, not {n}")
        curve = self._curve()
        if curve is None:
            return np.repeat(self.cam_T_world[:1], n, axis=0)
        at = curve.even_parameters(n)
        cam_R_world = np.swapaxes(curve.orientation(at).as_matrix(), -1, -2)
        poses = view_matrix(cam_R_world, curve.position(at))
        poses[0] = self.cam_T_world[0]
        if n > 1:
            poses[-1] = self.cam_T_world[-1]
        return poses

    def fovs(self, n: int) -> Array | None:
        """(n,) vertical fields of view of the poses of `sample(n)`, degrees, or None; raises as `sample`."""
        if n < 1:
            raise InputError(f"a camera path is sampled with at least 1 pose, not {n}")
        if self.fov_y_deg is None:
            return None
        curve = self._curve()
        if curve is None:
            return np.interp(np.linspace(0, 1, n), np.linspace(0, 1, len(self.fov_y_deg)), self.fov_y_deg)
        return PchipInterpolator(curve.knots, self.fov_y_deg[curve.keys])(curve.even_parameters(n))

    def _curve(self) -> PoseCurve | None:
        world_T_cam = invert(self.cam_T_world)
        return pose_curve(world_T_cam[:, :3, 3], Rotation.from_matrix(world_T_cam[:, :3, :3]))


def _through_control_points(points: tuple[ControlPoint, ...], closed: bool) -> CameraPath:
    """Dense poses on the curve through the control points, which are among them."""
    if closed:
        points = (*points, points[0])
    key_poses = np.stack([_key_pose(point, i) for i, point in enumerate(points)])
    fovs = _fovs(points)
    world_T_cam = invert(key_poses)
    curve = pose_curve(world_T_cam[:, :3, 3], Rotation.from_matrix(world_T_cam[:, :3, :3]), closed)
    if curve is None:
        return CameraPath(key_poses, fovs)
    steps = np.arange((len(curve.knots) - 1) * _POSES_PER_CONTROL_POINT + 1) / _POSES_PER_CONTROL_POINT
    at = np.interp(steps, np.arange(len(curve.knots)), curve.knots)
    eyes = curve.position(at)
    used = [points[i] for i in curve.keys]
    if all(point.look_at is not None for point in used):
        targets = catmull_rom(curve.knots, np.array([point.look_at for point in used], np.float64), closed)(
            at
        )
        rolls = np.interp(at, curve.knots, [point.roll_deg for point in used])
        poses = np.stack([look_at(e, t, roll_deg=r) for e, t, r in zip(eyes, targets, rolls, strict=True)])
    else:
        poses = view_matrix(np.swapaxes(curve.orientation(at).as_matrix(), -1, -2), eyes)
    return CameraPath(poses, None if fovs is None else PchipInterpolator(curve.knots, fovs[curve.keys])(at))


def _key_pose(point: ControlPoint, index: int) -> Array:
    if point.orientation is not None:
        w, x, y, z = point.orientation
        return view_matrix(Rotation.from_quat([x, y, z, w]).as_matrix().T, np.array(point.position))
    ahead = np.add(point.position, (0.0, 0.0, 1.0))
    try:
        return look_at(
            point.position, ahead if point.look_at is None else point.look_at, roll_deg=point.roll_deg
        )
    except InputError as error:
        raise InputError(f"control_points[{index}]: {error}") from None


def _fovs(points: tuple[Pose, ...] | tuple[ControlPoint, ...]) -> Array | None:
    fovs = [point.fov_y_deg for point in points]
    return None if fovs[0] is None else np.array(fovs, np.float64)


def _check_fovs(values: ArrayLike, n: int) -> Array:
    fovs = np.array(values, np.float64)
    if fovs.shape != (n,):
        raise InputError(f"fov_y_deg must have one angle for each of the {n} poses, not shape {fovs.shape}")
    bad = np.flatnonzero(~((fovs > 0) & (fovs < 180)))
    if len(bad):
        raise InputError(
            f"the field of view of pose {bad[0]} must be between 0 and 180 degrees, not {fovs[bad[0]]}"
        )
    return fovs


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array
