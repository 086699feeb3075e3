"""Ready-made camera moves: which way is right, up and forward, and how far."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splinescape.camera import shapes
from splinescape.camera.intrinsics import intrinsics_from_focal
from splinescape.camera.path import CameraPath
from splinescape.camera.pose import camera_positions, check_rigid
from splinescape.camera.shapes import scene_radius
from splinescape.errors import InputError

MOVES = {
    "spiral": shapes.spiral(2.0),
    "dolly": shapes.dolly(1.0, right=0.5, up=0.2),
    "orbit": shapes.orbit(3.0, 40, pitch_deg=10),
    "pan": shapes.pan(30, pitch_deg=-10),
}


def yaws(poses):
    """Degrees the cameras look to the right of straight ahead."""
    return np.degrees(np.arctan2(poses[:, 2, 0], poses[:, 2, 2]))


@pytest.mark.parametrize("name", MOVES)
def test_every_move_starts_at_the_input_camera_and_makes_a_path(name):
    poses = MOVES[name]
    assert np.array_equal(poses[0], np.eye(4))
    check_rigid(poses)
    assert CameraPath.from_matrices(poses).sample(10).shape == (10, 4, 4)


def test_the_spiral_goes_to_all_sides_and_comes_back():
    eyes = camera_positions(shapes.spiral(1.0))
    assert np.array_equal(shapes.spiral(1.0)[-1], np.eye(4))
    x, y, z = eyes.T
    assert x.max() > 0.1
    assert x.min() < -0.1
    assert y.max() > 0.05, "below the input camera"
    assert y.min() < -0.05, "above the input camera"
    assert z.max() > 0.05
    assert z.min() < -0.05


@given(forward=st.floats(0, 2), backward=st.floats(0, 2), radius=st.floats(0.01, 100))
@settings(deadline=None, max_examples=30)
def test_the_ratios_are_how_far_it_goes_forward_and_back(forward, backward, radius):
    z = camera_positions(shapes.spiral(radius, forward_ratio=forward, backward_ratio=backward, n=401))[:, 2]
    assert z.max() == pytest.approx(0.3 * forward * radius, abs=1e-9 * radius)
    assert z.min() == pytest.approx(-0.3 * backward * radius, abs=1e-9 * radius)


def test_forward_only_and_backward_only_spirals():
    assert camera_positions(shapes.spiral(1.0, backward_ratio=0))[:, 2].min() > -1e-12
    assert camera_positions(shapes.spiral(1.0, forward_ratio=0))[:, 2].max() < 1e-12


def test_the_spiral_keeps_looking_into_the_picture():
    poses = shapes.spiral(1.0)
    assert np.abs(yaws(poses)).max() < 20
    assert (np.abs(np.degrees(np.arcsin(poses[:, 2, 1]))) < 15).all()
    far = shapes.spiral(1.0, forward_ratio=50)
    assert (far[:, 2, 2] > 0.9).all(), "the target stays ahead however far the camera goes"


def test_the_spiral_of_a_tall_picture_moves_less_sideways():
    wide, tall = (camera_positions(shapes.spiral(1.0, wide=wide))[:, 0] for wide in (True, False))
    assert tall.max() == pytest.approx(0.6 * wide.max())


def test_the_spiral_is_smooth():
    way = np.diff(camera_positions(shapes.spiral(1.0, n=500)), axis=0)
    speed = np.linalg.norm(way, axis=1)
    cosine = (way[:-1] * way[1:]).sum(1) / (speed[:-1] * speed[1:])
    assert np.degrees(np.arccos(cosine.min())) < 8, "two turns in 500 steps, without a corner"


def test_dolly_signs():
    eye = camera_positions(shapes.dolly(1.0, right=0.5, up=0.2))[-1]
    np.testing.assert_allclose(eye, [0.5, -0.2, 1.0])


def test_orbit_swings_right_and_over_the_top_around_a_fixed_point():
    poses = shapes.orbit(3.0, 60, pitch_deg=20)
    seen = poses @ [0, 0, 3.0, 1]
    np.testing.assert_allclose(seen[:, :3], np.broadcast_to([0, 0, 3.0], (61, 3)), atol=1e-9)
    x, y, z = camera_positions(poses)[-1]
    assert x > 0
    assert y < 0
    assert z > 0
    assert camera_positions(shapes.orbit(3.0, 360))[-1] == pytest.approx([0, 0, 0], abs=1e-9)


def test_pan_turns_right_and_up_on_the_spot():
    poses = shapes.pan(30, pitch_deg=10)
    np.testing.assert_allclose(camera_positions(poses), 0, atol=1e-12)
    assert yaws(poses)[-1] == pytest.approx(30)
    assert poses[-1, 2, 1] < 0, "looks up: y points down"


@pytest.mark.parametrize(
    "move",
    [
        lambda: shapes.spiral(0),
        lambda: shapes.spiral(float("nan")),
        lambda: shapes.spiral(1, forward_ratio=-1),
        lambda: shapes.spiral(1, backward_ratio=float("inf")),
        lambda: shapes.spiral(1, n=1),
        lambda: shapes.dolly(0),
        lambda: shapes.dolly(float("inf")),
        lambda: shapes.orbit(-1, 30),
        lambda: shapes.orbit(1, 400),
        lambda: shapes.orbit(1, 30, pitch_deg=90),
        lambda: shapes.pan(0),
        lambda: shapes.pan(float("nan")),
    ],
)
def test_impossible_moves_are_refused(move):
    with pytest.raises(InputError):
        move()


K_33 = intrinsics_from_focal(50, 80, 60)


def test_the_scene_radius_is_the_mean_spread_of_the_points():
    depth = np.full((60, 80), 2.0)
    spread_x, spread_y = 2 * 80 / 50 * 0.45, 2 * 60 / 50 * 0.45
    assert scene_radius(depth, K_33, 5, 50) == pytest.approx((spread_x + spread_y + 0) / 3, rel=0.02)


@given(scale=st.floats(1e-3, 1e3))
@settings(max_examples=20)
def test_the_scene_radius_grows_with_the_scene(scale):
    depth = np.random.default_rng(0).uniform(1, 5, (60, 80))
    assert scene_radius(scale * depth, K_33) == pytest.approx(scale * scene_radius(depth, K_33))


def test_sky_and_invalid_depth_do_not_count():
    depth = np.random.default_rng(0).uniform(1, 5, (60, 80))
    spoiled = depth.copy()
    spoiled[:2] = [[np.inf], [np.nan]]
    spoiled[2, :40], spoiled[2, 40:] = 0, -1
    assert scene_radius(spoiled, K_33) == pytest.approx(scene_radius(depth, K_33), rel=0.1)


def test_there_is_always_a_radius():
    for nothing in (np.full((60, 80), np.inf), np.full((60, 80), np.nan), np.zeros((60, 80))):
        assert scene_radius(nothing, K_33) == 1.0
    single = np.full((60, 80), np.inf)
    single[30, 40] = 8.0
    assert scene_radius(single, K_33) == 4.0
