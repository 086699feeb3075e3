"""The parts of the camera path that need no Blender: walking a chain of points, and directions without flips."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from addon.path import frames
from addon.path.polyline import Polyline, walk


def line(points, tilts=None):
    points = np.asarray(points, float)
    return Polyline(points, np.zeros(len(points)) if tilts is None else np.asarray(tilts, float))


def half_circle(radius=2.0, n=200):
    angle = np.linspace(0, np.pi, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle], axis=1)


def rotations_of(matrices):
    return matrices[:, :3, :3]


def largest_turn(matrices):
    turns = np.swapaxes(rotations_of(matrices)[:-1], 1, 2) @ rotations_of(matrices)[1:]
    return Rotation.from_matrix(turns).magnitude().max()


def test_steps_are_equal_however_the_points_are_spaced():
    walked = walk(line([[0, 0, 0], [0.1, 0, 0], [0.1, 0, 0], [3, 0, 0], [3, 4, 0]], [0, 0, 0, 0, 2]), 8)
    np.testing.assert_allclose(walked.positions[[0, 3, 7]], [[0, 0, 0], [3, 0, 0], [3, 4, 0]], atol=1e-12)
    np.testing.assert_allclose(walked.tilts, [0, 0, 0, 0, 0.5, 1, 1.5, 2], atol=1e-12)


def test_tangents_of_a_half_circle_are_those_of_the_circle():
    walked = walk(line(half_circle()), 41)
    across = np.stack(
        [-walked.positions[:, 1], walked.positions[:, 0], np.zeros(41)], axis=1
    ) / np.linalg.norm(walked.positions, axis=1, keepdims=True)
    np.testing.assert_allclose(walked.tangents, across, atol=1e-3)


def test_a_closed_path_ends_in_the_direction_in_which_it_begins():
    circle = np.concatenate([half_circle(), -half_circle()[1:]])
    walked = walk(line(circle), 30)
    np.testing.assert_allclose(walked.tangents[0], walked.tangents[-1], atol=1e-9)
    np.testing.assert_allclose(walked.tangents[0], [0, 1, 0], atol=1e-3)


def test_a_point_stays_where_it_is_without_a_direction():
    walked = walk(line([[1, 2, 3], [1, 2, 3]]), 5)
    assert (walked.positions == [1, 2, 3]).all() and not walked.tangents.any()


def test_cameras_are_upright_and_look_along_the_direction():
    ways = np.random.default_rng(0).normal(size=(50, 3)) * [1, 1, 0.5]
    for way in ways:
        (matrix,) = frames.oriented(np.ones((1, 3)), way[None], np.zeros(1))
        np.testing.assert_allclose(-matrix[:3, 2], way / np.linalg.norm(way), atol=1e-12)
        assert matrix[2, 1] > 0 and abs(matrix[2, 0]) < 1e-12 and np.linalg.det(matrix[:3, :3]) > 0
        assert (matrix[:3, 3] == 1).all()


def test_tilt_turns_the_camera_clockwise():
    (matrix,) = frames.oriented(np.zeros((1, 3)), np.array([[0.0, 1, 0]]), np.array([np.pi / 2]))
    np.testing.assert_allclose(matrix[:3, 1], [1, 0, 0], atol=1e-12)  # its top leans to the right


@pytest.mark.parametrize("aside", [0.0, 1e-4, 0.01, 0.05, 0.3])
def test_flying_over_the_target_never_flips(aside):
    positions = np.stack([np.full(961, aside), np.linspace(-3, 3, 961), np.full(961, 2.0)], axis=1)
    made = frames.oriented(positions, -positions, np.zeros(961))
    assert largest_turn(made) < 0.15  # radians from one to the next; a flip is 3.1


def test_a_vertical_path_along_its_tangent_keeps_the_given_up():
    straight_up = np.repeat([[0.0, 0, 1]], 10, axis=0)
    made = frames.oriented(np.zeros((10, 3)), straight_up, np.zeros(10), np.array([0.0, -1, 0]))
    np.testing.assert_allclose(made[:, :3, 1], np.repeat([[0, -1, 0]], 10, axis=0), atol=1e-12)


def test_a_loop_along_its_tangent_turns_evenly():
    angle = np.linspace(0, 2 * np.pi, 961)
    ways = np.stack([np.zeros(961), np.cos(angle), np.sin(angle)], axis=1)
    assert largest_turn(frames.oriented(np.zeros((961, 3)), ways, np.zeros(961))) < 0.02


def test_rotations_between_keys_are_those_of_slerp():
    keys = Rotation.random(6, random_state=1)
    at = np.linspace(0, 1, 37)
    expected = Slerp(np.linspace(0, 1, 6), keys)(at).as_matrix()
    np.testing.assert_allclose(frames.slerp(keys.as_matrix(), at), expected, atol=1e-9)
    one = keys[:1].as_matrix()
    np.testing.assert_allclose(frames.slerp(one, at), np.repeat(one, 37, axis=0), atol=1e-12)


def test_a_half_turn_is_halved():
    keys = np.stack([np.eye(3), np.diag([-1.0, -1, 1])])
    middle = frames.slerp(keys, np.array([0.5]))[0]
    np.testing.assert_allclose(np.abs(middle), [[0, 1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-9)
