"""Blender's axes: the same point lands on the same pixel in both worlds."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from splinescape.camera.blender import (
    camera_from_blender,
    camera_to_blender,
    points_from_blender,
    points_to_blender,
)
from splinescape.camera.intrinsics import intrinsics_from_focal, project
from splinescape.camera.pose import view_matrix
from splinescape.errors import InputError


def random_poses(n):
    return view_matrix(
        Rotation.random(n, random_state=3).as_matrix(), np.random.default_rng(3).normal(size=(n, 3))
    )


def test_the_input_camera_looks_along_blenders_y_with_z_up():
    matrix = camera_to_blender(np.eye(4))
    looks_along, up, right = -matrix[:3, 2], matrix[:3, 1], matrix[:3, 0]
    np.testing.assert_array_equal(looks_along, [0, 1, 0])
    np.testing.assert_array_equal(up, [0, 0, 1])
    np.testing.assert_array_equal(right, [1, 0, 0])


def test_points_forward_right_and_up():
    np.testing.assert_array_equal(
        points_to_blender([[0, 0, 1], [1, 0, 0], [0, -1, 0]]), [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    )
    points = np.random.default_rng(0).normal(size=(2, 5, 3))
    np.testing.assert_array_equal(points_from_blender(points_to_blender(points)), points)


def test_cameras_survive_the_way_to_blender_and_back_even_scaled():
    poses = random_poses(10)
    matrices = camera_to_blender(poses)
    assert (np.linalg.det(matrices[:, :3, :3]) > 0).all()
    np.testing.assert_allclose(camera_from_blender(matrices), poses, atol=1e-12)
    matrices[:, :3, :3] *= [2.0, 0.5, 3.0]
    np.testing.assert_allclose(camera_from_blender(matrices), poses, atol=1e-12)


def test_a_point_lands_on_the_same_pixel_as_in_blenders_camera_frame():
    K_33 = intrinsics_from_focal(300, 200, 100)
    for pose in random_poses(5):
        point = np.random.default_rng(1).normal(size=3)
        x, y, z, _ = np.linalg.inv(camera_to_blender(pose)) @ [*points_to_blender(point), 1]
        blender_pixel = (100 + 300 * x / -z, 50 - 300 * y / -z)  # right is +x, up is +y, ahead is -z
        np.testing.assert_allclose(project(point, pose, K_33)[0], blender_pixel, atol=1e-9)


def test_agreement_with_blender_itself():
    bpy = pytest.importorskip("bpy", reason="Blender is not installed in this environment")
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Matrix, Vector

    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 640, 480, 100
    camera = bpy.data.objects.new("probe", bpy.data.cameras.new("probe"))
    scene.collection.objects.link(camera)
    focal = camera.data.lens / camera.data.sensor_width * 640
    K_33 = intrinsics_from_focal(focal, 640, 480)
    for pose in random_poses(5):
        camera.matrix_world = Matrix(camera_to_blender(pose).tolist())
        bpy.context.view_layer.update()
        np.testing.assert_allclose(camera_from_blender(camera.matrix_world), pose, atol=1e-5)
        ahead = np.linalg.inv(pose) @ [0.3, -0.2, 4.0, 1]
        u, v, depth = world_to_camera_view(scene, camera, Vector(points_to_blender(ahead[:3])))
        pixel, z = project(ahead[:3], pose, K_33)
        np.testing.assert_allclose((u * 640, (1 - v) * 480, depth), (*pixel, z), atol=1e-3)
    bpy.data.objects.remove(camera)


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((4, 4)), np.diag([1, 1, -1, 1]), np.full((4, 4), np.nan), np.eye(4) + 0.5 * np.eye(4, k=1)],
)
def test_cameras_that_blender_cannot_have_are_refused(matrix):
    with pytest.raises(InputError, match="Blender camera"):
        camera_from_blender(matrix)
