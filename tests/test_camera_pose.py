"""Poses and intrinsics: directions, signs and half pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from splinescape.camera.intrinsics import (
    fov_y_deg,
    intrinsics_from_focal,
    intrinsics_from_fov_y,
    pad_intrinsics,
    pixel_rays,
    project,
    scale_intrinsics,
    unproject,
)
from splinescape.camera.pose import camera_positions, check_rigid, invert, look_at, view_matrix
from splinescape.errors import InputError

number = st.floats(-10, 10, allow_nan=False)
vector = st.tuples(number, number, number)


def random_poses(n, seed=0):
    rotations = Rotation.random(n, random_state=seed).as_matrix()
    return view_matrix(rotations, np.random.default_rng(seed).normal(size=(n, 3)))


def test_looking_straight_ahead_is_the_identity():
    assert np.array_equal(look_at((0, 0, 0), (0, 0, 5)), np.eye(4))


@given(eye=vector, target=vector, roll=st.floats(-180, 180))
def test_the_target_appears_on_the_optical_axis_and_the_pose_is_rigid(eye, target, roll):
    if np.linalg.norm(np.subtract(eye, target)) < 1e-3:
        return
    pose = look_at(eye, target, roll_deg=roll)
    seen = pose @ [*target, 1]
    np.testing.assert_allclose(seen[:2], 0, atol=1e-9)
    assert seen[2] > 0
    check_rigid([pose])
    np.testing.assert_allclose(camera_positions(pose), eye, atol=1e-9)


def test_the_horizon_stays_level_and_up_stays_up():
    pose = look_at((3, -2, 1), (0, 0, 6))
    above, centre = pose @ [0, -1, 6, 1], pose @ [0, 0, 6, 1]
    assert above[1] < centre[1], "a point above the target is higher in the picture (y points down)"
    assert abs(pose[0, 1]) < 1e-12, "the camera's right is horizontal"


def test_positive_roll_turns_the_camera_clockwise():
    pose = look_at((0, 0, 0), (0, 0, 5), roll_deg=10)
    right = pose @ [1, 0, 5, 1]
    assert right[1] < 0, "the world turns counter-clockwise: what was right rises"


def test_looking_straight_up_or_down_works():
    for target in ((0, -3, 0), (0, 3, 0)):
        check_rigid([look_at((0, 0, 0), target)])


def test_a_camera_cannot_look_at_itself():
    with pytest.raises(InputError, match="choose another target"):
        look_at((1, 2, 3), (1, 2, 3))


def test_inverting_many_poses_at_once():
    poses = random_poses(7)
    np.testing.assert_allclose(invert(poses) @ poses, np.broadcast_to(np.eye(4), (7, 4, 4)), atol=1e-12)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: m.__setitem__((0, 0), np.nan), "pose 2 has numbers that are not finite"),
        (lambda m: m.__setitem__((1, 3), np.inf), "pose 2 has numbers that are not finite"),
        (lambda m: m.__setitem__((slice(3), slice(3)), 2 * m[:3, :3]), "pose 2 is not a rotation"),
        (lambda m: m.__setitem__(0, -m[0]), "pose 2 mirrors the world"),
        (lambda m: m.__setitem__(slice(None), m.T + 0.0), "pose 2 has the bottom row"),
        (lambda m: m.__setitem__(slice(None), 0), "pose 2 has the bottom row"),
        (lambda m: m.__setitem__((slice(3), slice(3)), 1e200), "pose 2 is not a rotation"),
    ],
)
def test_the_wrong_pose_is_named(spoil, message):
    poses = random_poses(4)
    spoil(poses[2])
    with pytest.raises(InputError, match=message):
        check_rigid(poses)


@pytest.mark.parametrize("shape", [(4, 4), (3, 3, 4), (2, 2, 4, 4), (0,), (5,)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(InputError, match=r"must have shape \(N, 4, 4\)"):
        check_rigid(np.zeros(shape))


@pytest.mark.parametrize("value", ["no numbers", [[[1, 2], [3]]], [None]])
def test_things_that_are_no_matrices_are_refused(value):
    with pytest.raises(InputError):
        check_rigid(value)


def test_float32_poses_and_four_decimals_are_good_enough():
    poses = random_poses(20)
    check_rigid(poses.astype(np.float32))
    check_rigid(np.round(poses, 4))


def test_pixel_centres_are_half_a_pixel_in():
    K_33 = intrinsics_from_focal(100, 4, 2)
    rays = pixel_rays(4, 2, K_33)
    assert rays.shape == (2, 4, 3)
    np.testing.assert_allclose(rays[0, 0], [-1.5 / 100, -0.5 / 100, 1], atol=1e-15)
    np.testing.assert_allclose(rays.mean((0, 1)), [0, 0, 1], atol=1e-15)


@given(fov=st.floats(1, 170), width=st.integers(1, 4000), height=st.integers(1, 4000))
def test_field_of_view_and_focal_length_are_inverse(fov, width, height):
    assert fov_y_deg(intrinsics_from_fov_y(fov, width, height), height) == pytest.approx(fov)


@pytest.mark.parametrize("bad", [0, -10, 180, float("nan"), float("inf")])
def test_impossible_fields_of_view_are_refused(bad):
    with pytest.raises(InputError, match="field of view"):
        intrinsics_from_fov_y(bad, 10, 10)
    with pytest.raises(InputError, match="focal length"):
        intrinsics_from_focal(-abs(bad), 10, 10)


@given(
    left=st.integers(-20, 40), top=st.integers(-20, 40), scale=st.floats(0.1, 4), seed=st.integers(0, 2**31)
)
def test_padding_and_scaling_move_every_projected_point_like_the_picture(left, top, scale, seed):
    K_33 = np.array([[300.0, 0, 170], [0, 310, 110], [0, 0, 1]])
    points = np.random.default_rng(seed).uniform((-1, -1, 1), (1, 1, 9), (20, 3))
    pixels, _ = project(points, np.eye(4), K_33)
    padded, _ = project(points, np.eye(4), pad_intrinsics(K_33, left, top))
    np.testing.assert_allclose(padded, pixels + np.array([left, top]), atol=1e-9)
    scaled, _ = project(points, np.eye(4), scale_intrinsics(K_33, scale, 2 * scale))
    np.testing.assert_allclose(scaled, pixels * (scale, 2 * scale), atol=1e-9)


def test_unprojecting_then_projecting_returns_to_the_pixel_centres():
    K_33 = np.array([[90.0, 0, 11.3], [0, 95, 7.9], [0, 0, 1]])
    depth = np.random.default_rng(1).uniform(0.5, 100, (16, 24))
    pose = random_poses(1)[0]
    world = unproject(depth, K_33) @ invert(pose)[:3, :3].T + invert(pose)[:3, 3]
    pixels, z = project(world, pose, K_33)
    v, u = np.mgrid[:16, :24] + 0.5
    np.testing.assert_allclose(pixels, np.stack([u, v], -1), atol=1e-9)
    np.testing.assert_allclose(z, depth)


def test_sky_unprojects_to_nothing_finite_and_without_a_warning():
    depth = np.full((3, 3), np.inf)
    assert not np.isfinite(unproject(depth, intrinsics_from_focal(5, 3, 3))).all(-1).any()
