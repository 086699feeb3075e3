"""Camera paths: smooth, evenly sampled, exact at the ends, and honest about bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from splinescape.camera import shapes
from splinescape.camera.path import CameraPath
from splinescape.camera.pose import camera_positions, check_rigid, look_at, view_matrix
from splinescape.camera.spline import catmull_rom
from splinescape.errors import InputError


def turns(poses):
    """Angle in degrees between neighbouring poses."""
    rotations = Rotation.from_matrix(poses[:, :3, :3])
    return np.degrees((rotations[:-1].inv() * rotations[1:]).magnitude())


def steps(poses):
    return np.linalg.norm(np.diff(camera_positions(poses), axis=0), axis=1)


def moving_path(n, seed):
    """Poses of a wandering camera with steps of very different lengths."""
    rng = np.random.default_rng(seed)
    eyes = np.cumsum(rng.normal(size=(n, 3)) * rng.uniform(0.01, 1, (n, 1)), axis=0)
    return np.stack([look_at(eye, (0, 0, 60)) for eye in eyes])


@settings(deadline=None, max_examples=40)
@given(n=st.integers(2, 30), count=st.integers(2, 60), seed=st.integers(0, 2**31))
def test_samples_are_rigid_and_keep_both_ends_exactly(n, count, seed):
    poses = moving_path(n, seed)
    samples = CameraPath.from_matrices(poses).sample(count)
    assert samples.shape == (count, 4, 4)
    assert samples.dtype == np.float64
    check_rigid(samples)
    assert np.array_equal(samples[0], poses[0])
    assert np.array_equal(samples[-1], poses[-1])


@settings(deadline=None, max_examples=30)
@given(n=st.integers(2, 12), seed=st.integers(0, 2**31))
def test_the_curve_passes_through_every_key_pose(n, seed):
    poses = moving_path(n, seed)
    samples = camera_positions(CameraPath.from_matrices(poses).sample(4000))
    spacing = np.linalg.norm(np.diff(samples, axis=0), axis=1).max()
    for eye in camera_positions(poses):
        assert np.linalg.norm(samples - eye, axis=1).min() <= spacing


@pytest.mark.parametrize("seed", range(5))
def test_steps_of_a_path_that_only_moves_are_equally_long(seed):
    rng = np.random.default_rng(seed)
    eyes = np.cumsum(rng.normal(size=(8, 3)) * rng.uniform(0.1, 2, (8, 1)), axis=0)
    poses = view_matrix(np.broadcast_to(np.eye(3), (8, 3, 3)), eyes)
    lengths = steps(CameraPath.from_matrices(poses).sample(3000))  # so many that chords measure the arcs
    assert lengths.std() / lengths.mean() < 0.01


def test_steps_of_a_path_that_only_turns_are_equal_angles():
    poses = shapes.pan(150, pitch_deg=0)[[0, 3, 10, 30, 60]]
    angles = turns(CameraPath.from_matrices(poses).sample(100))
    assert angles.std() / angles.mean() < 0.01
    assert angles.sum() == pytest.approx(150, rel=1e-3)


def test_a_move_that_ends_in_a_turn_on_the_spot_shows_both():
    move, turn = shapes.dolly(4.0), shapes.pan(90)
    turn = turn.copy()
    turn[:, :3, 3] = np.einsum("nij,j->ni", turn[:, :3, :3], [0, 0, -4.0])
    samples = CameraPath.from_matrices(np.concatenate([move, turn[1:]])).sample(100)
    standing = (steps(samples) < 1e-3).sum()
    assert 10 <= standing <= 40
    assert turns(samples).max() < 8


def test_tiny_trembling_of_the_rotation_does_not_steal_samples():
    poses = shapes.dolly(1.0, n=200)
    wobble = np.random.default_rng(0).normal(scale=1e-6, size=(200, 3))
    poses[:, :3, :3] = Rotation.from_rotvec(wobble).as_matrix()
    lengths = steps(CameraPath.from_matrices(poses).sample(50))
    assert lengths.std() / lengths.mean() < 0.01


def test_a_dense_path_sampled_at_its_own_poses_stays_on_it():
    poses = CameraPath.from_matrices(shapes.orbit(3.0, 200)).sample(61)
    again = CameraPath.from_matrices(poses).sample(61)
    np.testing.assert_allclose(again, poses, atol=2e-4)


def test_the_orientation_does_not_flip_where_the_camera_turns_by_180_degrees_and_more():
    for poses in (shapes.pan(360), shapes.orbit(2.0, 360), shapes.orbit(2.0, -350, pitch_deg=80)):
        few = poses[::6]
        for keys in (poses, few):
            assert turns(CameraPath.from_matrices(keys).sample(500)).max() < 3


def test_two_opposite_poses_turn_the_short_way_without_a_jump():
    poses = np.stack([look_at((0, 0, 0), (0, 0, 1)), look_at((0, 0, 0), (1e-3, 0, -1))])
    assert turns(CameraPath.from_matrices(poses).sample(100)).max() < 2


def test_repeated_poses_and_a_camera_that_stands_still_are_fine():
    poses = np.repeat(shapes.dolly(2.0, n=5), 3, axis=0)
    lengths = steps(CameraPath.from_matrices(poses).sample(40))
    assert lengths.std() / lengths.mean() < 0.01
    still = CameraPath.from_matrices(np.repeat(look_at((1, 2, 3), (0, 0, 9))[None], 4, axis=0))
    assert np.array_equal(still.sample(6), np.repeat(still.cam_T_world[:1], 6, axis=0))


def test_sampling_is_deterministic_and_does_not_touch_the_path():
    poses = moving_path(9, 3)
    path = CameraPath.from_matrices(poses)
    assert np.array_equal(path.sample(33), CameraPath.from_matrices(poses.copy()).sample(33))
    poses[:] = 0
    assert path.cam_T_world[0, 3, 3] == 1
    with pytest.raises(ValueError, match="read-only"):
        path.cam_T_world[0] = 0


def test_a_path_far_from_the_origin_and_in_millimetres_is_sampled_as_well():
    for scale in (1e-3, 1e4):
        poses = moving_path(10, 1)
        poses[:, :3, 3] *= scale
        base = CameraPath.from_matrices(moving_path(10, 1)).sample(50)
        base[:, :3, 3] *= scale
        np.testing.assert_allclose(
            CameraPath.from_matrices(poses).sample(50), base, atol=1e-9 * max(scale, 1)
        )


def test_the_curve_bends_without_overshooting_at_uneven_keys():
    # Uniform Catmull-Rom makes a loop here; the centripetal one must not run backwards along x.
    eyes = np.array([[0, 0, 0], [5, 0, 0], [5.1, 0.1, 0], [10, 0.1, 0]], float)
    poses = view_matrix(np.broadcast_to(np.eye(3), (4, 3, 3)), eyes)
    x = camera_positions(CameraPath.from_matrices(poses).sample(2000))[:, 0]
    assert (np.diff(x) > 0).all()


def test_catmull_rom_reproduces_a_parabola_exactly():
    knots = np.array([0, 0.3, 1.0, 1.2, 2.0, 3.1])

    def parabola(t):
        return np.stack([t, t**2 - t], axis=1)

    t = np.linspace(0, 3.1, 50)
    np.testing.assert_allclose(catmull_rom(knots, parabola(knots))(t), parabola(t), atol=1e-12)
    few = knots[:3]
    t = np.linspace(0, 1, 50)
    np.testing.assert_allclose(catmull_rom(few, parabola(few))(t), parabola(t), atol=1e-12)


def test_fields_of_view_follow_the_samples_and_stay_between_their_keys():
    poses = shapes.dolly(1.0, n=5)
    path = CameraPath.from_matrices(poses, fov_y_deg=[40, 40, 60, 60, 30])
    fovs = path.fovs(101)
    np.testing.assert_allclose(fovs[[0, 25, 50, 75, 100]], [40, 40, 60, 60, 30], atol=1e-3)
    assert fovs.min() >= 30 - 1e-9
    assert fovs.max() <= 60 + 1e-9
    assert CameraPath.from_matrices(poses).fovs(5) is None


def test_a_standing_camera_may_still_zoom():
    path = CameraPath.from_matrices(np.repeat(np.eye(4)[None], 2, axis=0), fov_y_deg=[30, 50])
    np.testing.assert_allclose(path.fovs(3), [30, 40, 50])


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        ([], "shape"),
        (np.eye(4)[None], "at least 2 poses"),
        (np.stack([np.eye(4), np.full((4, 4), np.nan)]), "pose 1 has numbers that are not finite"),
        (np.stack([2 * np.eye(4), np.eye(4)]), "pose 0"),
        (np.stack([np.eye(4), np.diag([1, 1, -1, 1.0])]), "pose 1 mirrors"),
        ("poses", "numbers"),
    ],
)
def test_bad_matrices_are_refused_by_name(matrices, message):
    with pytest.raises(InputError, match=message):
        CameraPath.from_matrices(matrices)


@pytest.mark.parametrize("fovs", [[30], [30, 0], [30, 180], [30, float("nan")]])
def test_bad_fields_of_view_are_refused(fovs):
    with pytest.raises(InputError, match=r"fov_y_deg|pose 1"):
        CameraPath.from_matrices(shapes.dolly(1.0, n=2), fov_y_deg=fovs)


@pytest.mark.parametrize("n", [0, -3])
def test_sampling_nothing_is_refused(n):
    path = CameraPath.spiral(1.0)
    for sample in (path.sample, path.fovs):
        with pytest.raises(InputError, match="at least 1 pose"):
            sample(n)


@settings(deadline=None, max_examples=25)
@given(n=st.integers(2, 20), seed=st.integers(0, 2**31), with_fov=st.booleans())
def test_a_path_survives_its_file_bit_by_bit(n, seed, with_fov):
    fovs = np.random.default_rng(seed).uniform(1, 179, n) if with_fov else None
    path = CameraPath.from_matrices(moving_path(n, seed), fovs)
    again = CameraPath.from_json(path.to_json())
    assert np.array_equal(again.cam_T_world, path.cam_T_world)
    assert np.array_equal(again.fovs(7), path.fovs(7)) if with_fov else again.fov_y_deg is None


def control_points(points, **more):
    return json.dumps({"version": 1, "control_points": points, **more})


def test_control_points_are_passed_in_order_and_looked_at():
    places = [[0, 0, 0], [1, 0, 0], [1, -1, 2], [0, 0, 3]]
    path = CameraPath.from_json(control_points([{"position": p, "look_at": [0, 0, 8]} for p in places]))
    eyes = camera_positions(path.cam_T_world)
    nearest = [np.linalg.norm(eyes - place, axis=1).argmin() for place in places]
    assert nearest == sorted(nearest)
    np.testing.assert_allclose(eyes[nearest], places, atol=1e-12)
    seen = path.sample(100) @ [0, 0, 8, 1]
    np.testing.assert_allclose(seen[:, :2], 0, atol=2e-3)
    assert (seen[:, 2] > 0).all()


def test_control_points_with_quaternions_turn_the_camera():
    half = float(np.sqrt(0.5))
    points = [{"position": [0, 0, 0], "orientation": [1, 0, 0, 0]}]
    points.append({"position": [0, 0, 1], "orientation": [half, 0, half, 0]})
    last = CameraPath.from_json(control_points(points)).cam_T_world[-1]
    np.testing.assert_allclose(last[2, :3], [1, 0, 0], atol=1e-9)  # wxyz: 90 degrees about y looks along +x


def test_control_points_without_a_direction_look_ahead_as_the_input_camera_does():
    path = CameraPath.from_json(control_points([{"position": [0, 0, 0]}, {"position": [2, -1, 1]}]))
    np.testing.assert_allclose(path.sample(9)[:, :3, :3], np.broadcast_to(np.eye(3), (9, 3, 3)), atol=1e-12)


@pytest.mark.parametrize("direction", [{"look_at": [0, 0, 6]}, {}])
def test_a_closed_path_has_no_corner_at_its_seam(direction):
    places = [[0, 0, 0], [1, -0.5, 0], [0, -1, 1], [-1, -0.5, 0]]
    path = CameraPath.from_json(control_points([{"position": p, **direction} for p in places], closed=True))
    np.testing.assert_allclose(path.cam_T_world[0], path.cam_T_world[-1], atol=1e-12)
    way = np.diff(camera_positions(path.sample(400)), axis=0)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    bends = np.degrees(np.arccos(np.clip((way * np.roll(way, -1, axis=0)).sum(1), -1, 1)))
    assert bends[-1] < 1.5 * bends[:-1].max()


def test_roll_and_zoom_of_control_points():
    points = [
        {"position": [0, 0, 0], "look_at": [0, 0, 5], "roll_deg": 0, "fov_y_deg": 40},
        {"position": [0, 0, 1], "look_at": [0, 0, 5], "roll_deg": 30, "fov_y_deg": 50},
    ]
    path = CameraPath.from_json(control_points(points))
    assert turns(path.cam_T_world[[0, -1]])[0] == pytest.approx(30)
    np.testing.assert_allclose(path.fovs(2), [40, 50])


POSE = {"cam_T_world": np.eye(4).tolist()}
POINT = {"position": [0, 0, 0]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "JSON"),
        ("[" * 100_000, "JSON"),
        ("[1, 2]", "camera path"),
        ("{}", "version"),
        ('{"version": 1}', "either poses or control_points"),
        (json.dumps({"version": 2, "poses": [POSE, POSE]}), "version"),
        (json.dumps({"version": 1, "poses": [POSE]}), "poses: .*at least 2"),
        (json.dumps({"version": 1, "poses": [POSE, POSE], "control_points": [POINT, POINT]}), "either"),
        (json.dumps({"version": 1, "poses": [POSE, POSE], "speed": 3}), "speed"),
        (json.dumps({"version": 1, "poses": [POSE, POSE], "closed": True}), "closed belongs"),
        (json.dumps({"version": 1, "poses": [POSE, {"cam_T_world": np.eye(3).tolist()}]}), r"poses\[1\]"),
        (json.dumps({"version": 1, "poses": [POSE, {"cam_T_world": (2 * np.eye(4)).tolist()}]}), "pose 1"),
        (
            json.dumps({"version": 1, "poses": [POSE, {"cam_T_world": np.full((4, 4), np.nan).tolist()}]}),
            r"poses\[1\]\.cam_T_world\[0\]\[0\]: .*finite",
        ),
        (json.dumps({"version": 1, "poses": [POSE, {**POSE, "fov_y_deg": 40}]}), "point 0 has no fov_y_deg"),
        (json.dumps({"version": 1, "poses": [POSE, {**POSE, "fov_y_deg": 200}]}), r"poses\[1\]\.fov_y_deg"),
        (control_points([POINT]), "at least 2"),
        (control_points([POINT, {"position": [0, 0]}]), r"control_points\[1\]\.position"),
        (control_points([POINT, {"position": [0, 1e999, 0]}]), r"control_points\[1\]\.position\[1\]"),
        (control_points([POINT, {**POINT, "lookat": [0, 0, 1]}]), "lookat"),
        (control_points([POINT, {**POINT, "look_at": [0, 0, 0]}]), r"control_points\[1\]: .*another target"),
        (control_points([POINT, {**POINT, "orientation": [0, 0, 0, 0]}]), "unit quaternion"),
        (control_points([POINT, {**POINT, "orientation": [1, 0, 0, 0], "look_at": [0, 0, 1]}]), "not both"),
    ],
)
def test_bad_files_are_refused_with_the_place_of_the_mistake(text, message):
    with pytest.raises(InputError, match=message) as caught:
        CameraPath.from_json(text)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    empty, huge, binary = (tmp_path / name for name in ("empty.json", "huge.json", "binary.json"))
    empty.write_text(" \n")
    with huge.open("wb") as file:
        file.truncate(65 * 2**20)
    binary.write_bytes(bytes(range(256)))
    cases = {
        tmp_path / "none.json": "No such file",
        tmp_path: "cannot be read",
        empty: "empty",
        huge: "64 MiB",
    }
    for file, message in {**cases, binary: "JSON"}.items():
        with pytest.raises(InputError, match=message) as caught:
            CameraPath.from_json(file)
        assert str(file) in str(caught.value)


def test_a_file_is_read_by_its_name(tmp_path):
    file = tmp_path / "path.json"
    file.write_text(CameraPath.spiral(2.0).to_json())
    for source in (file, str(file)):
        assert np.array_equal(CameraPath.from_json(source).cam_T_world, CameraPath.spiral(2.0).cam_T_world)


@pytest.mark.parametrize("name", ["room_path.json", "valley_path.json"])
def test_the_example_paths_start_at_the_input_camera_and_move_gently(name):
    samples = CameraPath.from_json(Path(__file__).parent.parent / "examples" / name).sample(60)
    np.testing.assert_allclose(samples[0], np.eye(4), atol=1e-12)
    assert turns(samples).max() < 2
    assert 0.5 < steps(samples).sum() < 3
