"""Warnings along a camera path, and how the cameras are drawn."""

import numpy as np
import pytest

from addon.path import checks, frusta
from splinescape.camera import shapes

WINDOW = (-0.5, 0.5, -0.375, 0.375)


def wall(distance=4.0, n=120, half=6.0):
    side = np.linspace(-half, half, n)
    x, y = np.meshgrid(side, side)
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, distance)], axis=1)


def check(views, points, opacities=None):
    opacities = np.full(len(points), 0.95) if opacities is None else opacities
    return checks.check(views, WINDOW, points, opacities, 4.0)


def test_a_harmless_path_has_no_warnings():
    found = check(shapes.spiral(4.0, n=241), wall())
    assert not found.problems and not found.bad.any()


def test_passing_through_a_wall_is_found_where_it_happens():
    found = check(shapes.dolly(3.0, n=241), wall(distance=1.86))
    (through,) = [each for each in found.problems if each.template == checks.THROUGH]
    ((start, end),) = through.stretches
    assert start < 0.62 < end and end - start < 0.1
    assert "passes through the scene" in through.text() and "%" in through.text()
    assert found.bad[149] and not found.bad[:100].any()


def test_a_thin_wall_is_not_missed_between_two_cameras():
    found = check(shapes.dolly(30.0, n=61), wall(distance=10.1))
    assert checks.THROUGH in [each.template for each in found.problems]


def test_a_few_faint_splats_are_no_wall():
    cloud = np.concatenate([wall(), [[0, 0, 1.0], [0, 0, 1.01]]])
    assert checks.THROUGH not in [each.template for each in check(shapes.dolly(2.0, n=241), cloud).problems]


def test_looking_away_is_an_empty_view():
    found = check(shapes.pan(170, n=241), wall())
    (empty,) = [each for each in found.problems if each.template == checks.EMPTY]
    ((start, end),) = empty.stretches
    assert 0.3 < start < 0.7 and end == 1.0


def test_going_far_away_is_said():
    found = check(shapes.dolly(-8.0, n=241), wall(half=40, n=400))
    (far,) = [each for each in found.problems if each.template == checks.FAR]
    assert far.place == "50–100 %"


def test_places_close_together_are_one_and_many_are_cut_short():
    found = np.zeros(101, bool)
    found[[3, 5, 6, 40, 60, 61, 80]] = True
    problem = checks.Problem("At {place}", checks.stretches(found))
    assert problem.text() == "At 3–6 %, 40 %, 60–61 % …"


def test_broken_splats_do_not_matter():
    points = np.concatenate([wall(), np.full((5, 3), np.nan), np.full((5, 3), np.inf)])
    with np.errstate(all="raise"):
        assert not check(shapes.spiral(4.0, n=241), points).problems


def test_a_frustum_shows_what_the_camera_sees():
    pose = np.eye(4)
    pose[:3, 3] = (1, 2, 3)
    lines = frusta.frustum_lines(pose[None], WINDOW, 2.0)
    assert lines.shape == (22, 3) and lines.dtype == np.float32 and lines.flags.c_contiguous
    np.testing.assert_allclose(lines[0], (1, 2, 3))
    window = lines[(lines[:, 2] == 1) & (lines[:, 1] <= 2.75)]
    np.testing.assert_allclose([window.min(0), window.max(0)], [(0, 1.25, 1), (2, 2.75, 1)], atol=1e-6)
    assert lines[:, 1].max() > 2.75  # the roof is above the picture


def test_colours_say_how_much_was_made_up():
    uncovered = np.array([0.0, 0.15, 0.5, 0.5])
    colours = frusta.colours(uncovered, np.array([False, False, False, True]))
    assert colours[0].argmax() == 1 or colours[0, 1] > colours[0, 0]  # green
    assert colours[2, 2] > colours[2, 1]  # violet
    np.testing.assert_allclose(colours[3], frusta.RED)
    np.testing.assert_allclose(frusta.colours(None, np.zeros(2, bool)), [frusta.GREY] * 2)


def test_the_summary_is_read_between_its_frames():
    summary = {
        "frames": [
            {"dense_pose_index": 99, "inpaint_ratio": 0.2},
            {"dense_pose_index": 49.0, "inpaint_ratio": 0.1},
        ],
        "closing_frames": [{"dense_pose_index": 74, "inpaint_ratio": 0.02}, {"inpaint_ratio": 1}],
    }
    shares = frusta.uncovered_along(summary, 100, np.array([0, 49, 61.5, 74, 99]) / 99)
    np.testing.assert_allclose(shares, [0, 0.1, 0.06, 0.02, 0.2])


@pytest.mark.parametrize("summary", [None, [], {}, {"frames": None}, {"frames": [3]}, {"frames": "x"}])
def test_a_summary_that_says_nothing_leaves_the_cameras_grey(summary):
    assert frusta.uncovered_along(summary, 100, np.linspace(0, 1, 3)) is None
