"""Camera conversion against Blender's own projection: below a hundredth of a pixel, both ways."""

from __future__ import annotations

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector

from splinescape.camera.blender import (
    Lens,
    intrinsics_from_lens,
    lens_from_intrinsics,
    matrix_world,
    placement,
    points_to_blender,
    view_matrix,
)
from splinescape.camera.pose import view_matrix as pose_from

PIXELS = 0.01  # the largest error that is accepted


class Studio:
    """A scene with one camera that takes any lens and stands anywhere."""

    def __init__(self) -> None:
        self.scene = bpy.context.scene
        self.camera = bpy.data.objects.new("probe", bpy.data.cameras.new("probe"))
        self.scene.collection.objects.link(self.camera)

    def set_up(self, lens: Lens, width: int, height: int, matrix: np.ndarray) -> None:
        """Give the camera the lens, the render settings the size, and stand the camera there."""
        render, data = self.scene.render, self.camera.data
        render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
        render.pixel_aspect_x, render.pixel_aspect_y = lens.pixel_aspect_x, lens.pixel_aspect_y
        data.sensor_fit, data.sensor_width, data.sensor_height = (
            lens.sensor_fit,
            lens.sensor_width,
            lens.sensor_height,
        )
        data.lens, data.shift_x, data.shift_y = lens.lens, lens.shift_x, lens.shift_y
        self.camera.matrix_world = Matrix(matrix.tolist())
        bpy.context.view_layer.update()

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) where Blender's own function sees points (N, 3) of Blender's world."""
        render = self.scene.render
        seen = np.array([world_to_camera_view(self.scene, self.camera, Vector(p)) for p in points])
        return np.stack([seen[:, 0] * render.resolution_x, (1 - seen[:, 1]) * render.resolution_y], axis=1)

    def pixels_of_projection(self, points: np.ndarray) -> np.ndarray:
        """The same by the projection matrix that Blender renders with."""
        render = self.scene.render
        projection = self.camera.calc_matrix_camera(
            bpy.context.evaluated_depsgraph_get(),
            x=render.resolution_x,
            y=render.resolution_y,
            scale_x=render.pixel_aspect_x,
            scale_y=render.pixel_aspect_y,
        )
        # In double precision: the rounding of Blender's own inverse is not what is tested.
        clip = (
            np.c_[points, np.ones(len(points))]
            @ (np.array(projection) @ np.linalg.inv(np.array(self.camera.matrix_world, np.float64))).T
        )
        ndc = clip[:, :2] / clip[:, 3:]
        size = np.array([render.resolution_x, render.resolution_y])
        return (ndc * [1, -1] + 1) / 2 * size


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def random_pose(rng: np.random.Generator) -> np.ndarray:
    return pose_from(random_rotation(rng), rng.uniform(-3, 3, 3))


def points_in_picture(rng: np.random.Generator, K_33: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(6, 3) camera-frame points that fall into the picture, 0.5 to 20 units ahead."""
    rays = np.c_[rng.uniform(0, 1, (6, 2)) * size, np.ones(6)] @ np.linalg.inv(K_33).T
    return rays * rng.uniform(0.5, 20, (6, 1))


def project(K_33: np.ndarray, in_camera: np.ndarray) -> np.ndarray:
    seen = in_camera @ K_33.T
    return seen[:, :2] / seen[:, 2:]


def test_a_camera_made_for_intrinsics_and_pose_photographs_points_on_their_pixels() -> None:
    rng, studio, errors = np.random.default_rng(0), Studio(), []
    for _ in range(250):
        width, height = (int(n) for n in rng.integers(200, 2000, 2))
        fx = rng.uniform(0.4, 3) * width
        fy, cx, cy = fx * rng.uniform(0.5, 2), rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height
        K_33 = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        place, pose = placement(matrix_world(random_pose(rng))), random_pose(rng)
        studio.set_up(lens_from_intrinsics(K_33, width, height), width, height, matrix_world(pose, place))
        in_camera = points_in_picture(rng, K_33, np.array([width, height]))
        in_scene = (in_camera - pose[:3, 3]) @ pose[:3, :3]
        in_blender = points_to_blender(in_scene, place)
        errors.append(np.abs(studio.pixels(in_blender) - project(K_33, in_camera)).max())
        errors.append(np.abs(studio.pixels_of_projection(in_blender) - project(K_33, in_camera)).max())
    assert max(errors) < PIXELS


def test_any_blender_camera_is_read_as_it_photographs() -> None:
    rng, studio, errors = np.random.default_rng(1), Studio(), []
    for number in range(300):
        width, height = (int(n) for n in rng.integers(200, 2000, 2))
        aspect = rng.uniform(1, 2, 2) if number % 2 else np.ones(2)
        lens = Lens(
            lens=rng.uniform(15, 120),
            sensor_width=rng.uniform(10, 50),
            sensor_fit=("AUTO", "HORIZONTAL", "VERTICAL")[number % 3],
            shift_x=rng.uniform(-0.5, 0.5),
            shift_y=rng.uniform(-0.5, 0.5),
            pixel_aspect_x=aspect[0],
            pixel_aspect_y=aspect[1],
            sensor_height=rng.uniform(10, 50),
        )
        place = placement(matrix_world(random_pose(rng)))
        studio.set_up(lens, width, height, matrix_world(random_pose(rng)))
        K_33 = intrinsics_from_lens(lens, width, height)
        pose = view_matrix(np.array(studio.camera.matrix_world), place)
        in_camera = points_in_picture(rng, K_33, np.array([width, height]))
        in_blender = points_to_blender((in_camera - pose[:3, 3]) @ pose[:3, :3], place)
        errors.append(np.abs(studio.pixels(in_blender) - project(K_33, in_camera)).max())
        errors.append(np.abs(studio.pixels_of_projection(in_blender) - project(K_33, in_camera)).max())
    assert max(errors) < PIXELS
