"""Control points of a camera path: few of them, and true to what they describe."""

import numpy as np
import pytest

from addon.path.errors import PathError
from addon.path.knots import knots_through
from addon.path.polyline import Polyline
from addon.path.presets import SHAPES, move
from splinescape.camera import shapes
from splinescape.camera.blender import points_to_blender
from splinescape.camera.pose import camera_positions

SIZE = 4.0


def distance_to_line(points, dense):
    return np.linalg.norm(points[:, None] - dense[None], axis=2).min(axis=1).max()


@pytest.mark.parametrize("wide", [True, False])
def test_thirteen_points_are_the_spiral_of_the_service(wide):
    made = move("SPIRAL", SIZE, wide=wide)
    assert len(made.path.places) == 13
    spiral = points_to_blender(camera_positions(shapes.spiral(SIZE, wide=wide, n=2001)))
    assert distance_to_line(made.path.evaluated(50), spiral) < 0.005 * SIZE
    np.testing.assert_allclose(made.path.places[[0, -1]], 0, atol=1e-12)
    np.testing.assert_allclose(made.aim, [0, 0.59 * SIZE, 0])


def test_the_arc_is_the_services_orbit():
    made = move("ARC", SIZE, angle=np.radians(15))
    orbit = points_to_blender(camera_positions(shapes.orbit(SIZE, 15, n=2001)))
    assert distance_to_line(made.path.evaluated(50), orbit) < 1e-3 * SIZE


@pytest.mark.parametrize("shape", [each[0] for each in SHAPES])
def test_every_shape_starts_at_the_input_camera_and_goes_forward_or_up_or_aside(shape):
    made = move(shape, SIZE)
    np.testing.assert_allclose(made.path.places[0], 0, atol=1e-12)
    assert 2 <= len(made.path.places) <= 13
    bounds = np.ptp(made.path.evaluated(20), axis=0)
    moved = {"SPIRAL": "xyz", "DOLLY": "y", "ARC": "xy", "CRANE": "yz", "PAN": ""}[shape]
    assert "".join(axis for axis, reach in zip("xyz", bounds, strict=True) if reach > 1e-6) == moved


def test_a_pan_turns_by_its_angle_to_the_right():
    aims = move("PAN", SIZE, angle=np.radians(30)).aim_path.evaluated(40)
    ways = aims / np.linalg.norm(aims, axis=1, keepdims=True)
    np.testing.assert_allclose(ways[[0, -1]], [[0, 1, 0], [0.5, 0.75**0.5, 0]], atol=1e-3)


def test_a_trembling_line_becomes_a_smooth_one_with_few_points():
    t = np.linspace(0, 1, 400)
    clean = np.stack([np.sin(3 * t), 2 * t, 0.2 * t**2], axis=1)
    drawn = clean + np.random.default_rng(0).normal(scale=0.004, size=clean.shape)
    made = knots_through(drawn)
    curve = made.evaluated(100)
    assert len(made.places) <= 8
    assert distance_to_line(clean, curve) < 0.03
    np.testing.assert_allclose(made.places[[0, -1]], drawn[[0, -1]], atol=1e-9)
    assert Polyline(curve, np.zeros(len(curve))).length < 1.02 * Polyline(clean, t).length


@pytest.mark.parametrize(
    "drawn", [np.zeros((0, 3)), np.ones((1, 3)), np.ones((9, 3)), np.full((5, 3), np.nan)]
)
def test_a_dot_is_no_path(drawn):
    with pytest.raises(PathError, match="too short"):
        knots_through(drawn)


def test_two_points_are_a_straight_path():
    made = knots_through(np.array([[0.0, 0, 0], [0, 2, 0]]))
    assert distance_to_line(made.evaluated(10), np.linspace([0, 0, 0], [0, 2, 0], 500)) < 0.01
