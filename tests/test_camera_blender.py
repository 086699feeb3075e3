"""Blender's axes and lenses: the same point lands on the same pixel in both worlds.

Blender itself is asked in tests/blender/test_camera.py.
"""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from splinescape.camera.blender import (
    BLENDER_T_WORLD,
    Lens,
    intrinsics_from_lens,
    lens_from_intrinsics,
    matrix_world,
    placement,
    points_from_blender,
    points_to_blender,
    view_matrix,
)
from splinescape.camera.intrinsics import intrinsics_from_focal, project
from splinescape.camera.pose import view_matrix as pose_from
from splinescape.errors import InputError


def random_poses(n, seed=3):
    return pose_from(
        Rotation.random(n, random_state=seed).as_matrix(), np.random.default_rng(seed).normal(size=(n, 3))
    )


def random_placement():
    return placement(matrix_world(random_poses(1, seed=8)[0]))


def test_the_input_camera_looks_along_blenders_y_with_z_up():
    matrix = matrix_world(np.eye(4))
    looks_along, up, right = -matrix[:3, 2], matrix[:3, 1], matrix[:3, 0]
    np.testing.assert_array_equal(looks_along, [0, 1, 0])
    np.testing.assert_array_equal(up, [0, 0, 1])
    np.testing.assert_array_equal(right, [1, 0, 0])
    np.testing.assert_array_equal(placement(matrix), BLENDER_T_WORLD)


def test_points_forward_right_and_up():
    np.testing.assert_array_equal(
        points_to_blender([[0, 0, 1], [1, 0, 0], [0, -1, 0]]), [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    )
    points = np.random.default_rng(0).normal(size=(2, 5, 3))
    np.testing.assert_array_equal(points_from_blender(points_to_blender(points)), points)


def test_the_input_camera_sees_the_scene_straight_wherever_it_stands_and_however_large_it_is():
    camera = matrix_world(random_poses(1)[0])
    camera[:3, :3] *= 2.5
    np.testing.assert_allclose(view_matrix(camera, placement(camera)), np.eye(4), atol=1e-12)


@pytest.mark.parametrize("place", [BLENDER_T_WORLD, random_placement()], ids=["upright", "anywhere"])
def test_cameras_survive_the_way_to_blender_and_back_even_scaled(place):
    poses = random_poses(10)
    matrices = matrix_world(poses, place)
    assert (np.linalg.det(matrices[:, :3, :3]) > 0).all()
    np.testing.assert_allclose(view_matrix(matrices, place), poses, atol=1e-12)
    matrices[:, :3, :3] *= [2.0, 0.5, 3.0]
    np.testing.assert_allclose(view_matrix(matrices, place), poses, atol=1e-12)


@pytest.mark.parametrize("place", [BLENDER_T_WORLD, random_placement()], ids=["upright", "anywhere"])
def test_a_point_lands_on_the_same_pixel_as_in_blenders_camera_frame(place):
    K_33 = intrinsics_from_focal(300, 200, 100)
    for pose in random_poses(5):
        point = np.random.default_rng(1).normal(size=3)
        in_camera = np.linalg.inv(matrix_world(pose, place)) @ [*points_to_blender(point, place), 1]
        x, y, z, _ = in_camera
        blender_pixel = (100 + 300 * x / -z, 50 - 300 * y / -z)  # right is +x, up is +y, ahead is -z
        np.testing.assert_allclose(project(point, pose, K_33)[0], blender_pixel, atol=1e-9)


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((4, 4)), np.diag([1, 1, -1, 1]), np.full((4, 4), np.nan), np.eye(4) + 0.5 * np.eye(4, k=1)],
)
def test_cameras_that_blender_cannot_have_are_refused(matrix):
    with pytest.raises(InputError, match="Blender camera"):
        view_matrix(matrix)
    with pytest.raises(InputError, match="Blender camera"):
        placement(matrix)


def test_a_lens_keeps_the_intrinsics_it_was_made_from():
    rng = np.random.default_rng(5)
    for _ in range(200):
        width, height = rng.integers(64, 4000, 2)
        fx, fy = rng.uniform(0.3, 4, 2) * width
        K_33 = np.array([[fx, 0, rng.uniform(0, width)], [0, fy, rng.uniform(0, height)], [0, 0, 1]])
        lens = lens_from_intrinsics(K_33, width, height, sensor_width=rng.uniform(5, 60))
        assert min(lens.pixel_aspect_x, lens.pixel_aspect_y) == 1
        np.testing.assert_allclose(intrinsics_from_lens(lens, width, height), K_33, rtol=1e-12, atol=1e-9)


def test_an_ordinary_lens_of_50_mm_on_a_full_frame_sensor():
    np.testing.assert_allclose(
        intrinsics_from_lens(Lens(lens=50.0), 1920, 1080), intrinsics_from_focal(50 / 36 * 1920, 1920, 1080)
    )
    np.testing.assert_allclose(
        intrinsics_from_lens(Lens(lens=50.0), 1080, 1920), intrinsics_from_focal(50 / 36 * 1920, 1080, 1920)
    )


@pytest.mark.parametrize(
    "K_33",
    [np.diag([0, 100, 1]), np.diag([100, -1, 1]), np.full((3, 3), np.nan), [[9, 1, 2], [0, 9, 2], [0, 0, 1]]],
)
def test_intrinsics_that_no_lens_has_are_refused(K_33):
    with pytest.raises(InputError, match="intrinsics"):
        lens_from_intrinsics(K_33, 64, 48)


@pytest.mark.parametrize("lens", [Lens(0), Lens(50, sensor_width=0), Lens(50, pixel_aspect_y=0)])
def test_lenses_without_a_picture_are_refused(lens):
    with pytest.raises(InputError, match="Blender camera's lens"):
        intrinsics_from_lens(lens, 64, 48)
