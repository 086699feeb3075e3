"""The built-in depth engine: sky is far, ground is in its place, rooms have walls, nothing is ever broken."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splinescape.camera.view import View
from splinescape.depth import DepthPrediction
from splinescape.depth.builtin import BuiltinDepth
from splinescape.depth.builtin.imaging import pixel_rays
from splinescape.depth.builtin.segments import segment
from splinescape.depth.builtin.sky import find_sky
from splinescape.depth.builtin.solve import Slopes, integrate_slopes
from splinescape.errors import InputError
from splinescape.picture.fit import fit_picture
from splinescape.picture.load import load_picture

EXAMPLES = Path(__file__).parents[1] / "examples"
WIDTH, HEIGHT, FOCAL = 320, 240, 280.0
K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]], np.float32)


def predict(
    rgb: np.ndarray, K_33: np.ndarray | None = K, cam_T_world: np.ndarray | None = None
) -> DepthPrediction:
    height, width = rgb.shape[:2]
    pose = np.eye(4) if cam_T_world is None else cam_T_world
    return BuiltinDepth().predict(rgb, K_33=K_33, view=View(width, height, K_33, pose))


def moved(position: tuple[float, float, float], yaw: float = 0, pitch: float = 0) -> np.ndarray:
    """View matrix of a camera at `position`, turned right by `yaw` and down by `pitch` degrees."""
    a, b = math.radians(yaw), math.radians(pitch)
    turn = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    nod = np.array([[1, 0, 0], [0, math.cos(b), math.sin(b)], [0, -math.sin(b), math.cos(b)]])
    world_T_cam = np.eye(4)
    world_T_cam[:3, :3], world_T_cam[:3, 3] = turn @ nod, position
    return np.linalg.inv(world_T_cam)


def speckle(points: np.ndarray) -> np.ndarray:
    """A fixed pattern in [-1, 1] on a plane, with 10 cm to 2 m detail."""
    x, z = points[..., 0], points[..., 2]
    return (
        np.sin(3.1 * x) * np.sin(2.7 * z) + np.sin(11 * x + 1) * np.sin(13 * z) + np.sin(0.9 * x - 0.7 * z)
    ) / 3


def meadow(cam_T_world: np.ndarray | None = None, K_33: np.ndarray = K) -> tuple[np.ndarray, np.ndarray]:
    """Blue sky over brown ground 1.6 m below the world's origin: picture and true depth."""
    world_T_cam = np.eye(4) if cam_T_world is None else np.linalg.inv(cam_T_world)
    rays = pixel_rays((HEIGHT, WIDTH), K_33) @ world_T_cam[:3, :3].T
    down = rays[..., 1]
    depth = np.where(down > 1e-6, (1.6 - world_T_cam[1, 3]) / np.maximum(down, 1e-6), np.inf)
    points = world_T_cam[:3, 3] + rays * np.where(np.isfinite(depth), depth, 0)[..., None]
    fade = np.exp(-np.where(np.isfinite(depth), depth, 0) / 8)
    ground = np.array([120.0, 95, 60]) + (30 * fade * speckle(points))[..., None]
    up = np.clip(-down, 0, 1)[..., None]
    sky = np.array([150.0, 190, 240]) - up * np.array([90.0, 70, 30])
    return np.where((down > 0)[..., None], ground, sky).astype(np.uint8), depth


def box_room(
    size: tuple[float, float, float, float], colours: list[tuple[int, int, int]]
) -> tuple[np.ndarray, ...]:
    """Inside of a room (left, right, ahead, up) with a floor 1.6 m below: picture and true depth."""
    left, right, ahead, up = size
    x, y, z = np.moveaxis(pixel_rays((HEIGHT, WIDTH), K), -1, 0)
    inverse = np.stack([-x / left, x / right, -y / up, y / 1.6, z / ahead])
    wall = inverse.argmax(0)
    shade = 1 - 0.05 * (np.arange(HEIGHT)[:, None] / HEIGHT)
    rgb = np.array(colours, float)[wall] * shade[..., None]
    # Skirting boards and picture rails, where rooms have lines.
    edges = np.zeros(wall.shape, bool)
    edges[:, 1:] |= wall[:, 1:] != wall[:, :-1]
    edges[1:] |= wall[1:] != wall[:-1]
    rgb[edges] *= 0.7
    return rgb.astype(np.uint8), 1 / inverse.max(0)


def assert_sound(prediction: DepthPrediction, shape: tuple[int, ...]) -> None:
    depth, confidence = prediction.depth, prediction.confidence
    assert depth.shape == confidence.shape == shape[:2]
    assert depth.dtype == confidence.dtype == prediction.K_33.dtype == np.float32
    assert not np.isnan(depth).any() and (depth > 0).all()
    np.testing.assert_array_equal(confidence > 0, np.isfinite(depth))
    assert (confidence <= 1).all()
    finite = depth[np.isfinite(depth)]
    assert finite.size == 0 or (finite.min() >= 1 and finite.max() <= 80.01)


def test_sky_is_infinitely_far_and_ground_is_a_plane() -> None:
    rgb, truth = meadow()
    prediction = predict(rgb)
    assert_sound(prediction, rgb.shape)
    sky = np.isinf(prediction.depth)
    horizon = HEIGHT // 2
    assert sky[: horizon - 2].mean() > 0.99
    assert not sky[horizon + 2 :].any()
    near = slice(horizon + 20, HEIGHT)
    error = np.abs(prediction.depth[near] / truth[near] - 1)
    assert np.median(error) < 0.02 and error.max() < 0.15


@pytest.mark.parametrize(
    "cam_T_world",
    [moved((0, -0.5, 0)), moved((0.4, 0, 1), yaw=20), moved((0, 0, 0), pitch=8), moved((0, -0.3, 0), 10, -5)],
    ids=["raised", "turned", "looking down", "looking up"],
)
def test_moved_views_see_the_same_ground(cam_T_world: np.ndarray) -> None:
    rgb, truth = meadow(cam_T_world)
    depth = predict(rgb, cam_T_world=cam_T_world).depth
    near = truth < 15
    assert np.isfinite(depth[near]).all()
    assert np.median(np.abs(depth[near] / truth[near] - 1)) < 0.05


def test_a_tilted_camera_is_noticed_from_the_skyline() -> None:
    """The input camera's own frame is the world, so only the picture shows that it looked down."""
    rgb, truth = meadow(moved((0, 0, 0), pitch=8))
    depth = predict(rgb).depth
    near = truth < 12
    assert np.median(np.abs(depth[near] / truth[near] - 1)) < 0.1


def test_given_intrinsics_are_honoured() -> None:
    K_33 = np.array([[350, 0, 150.5], [0, 350, 100.25], [0, 0, 1]], np.float32)
    rgb, truth = meadow(K_33=K_33)
    prediction = predict(rgb, K_33)
    np.testing.assert_array_equal(prediction.K_33, K_33)
    near = truth < 12
    assert np.median(np.abs(prediction.depth[near] / truth[near] - 1)) < 0.05


def test_without_intrinsics_the_principal_point_is_the_centre() -> None:
    for size in ((320, 240), (240, 320)):
        K_33 = predict(np.full((size[1], size[0], 3), 99, np.uint8), None).K_33
        assert K_33[0, 2] == size[0] / 2 and K_33[1, 2] == size[1] / 2
        assert K_33[0, 0] == K_33[1, 1] == pytest.approx(160 / math.tan(math.radians(35)), rel=1e-5)


def test_a_post_stands_upright_where_its_foot_is() -> None:
    rgb, truth = meadow()
    top, foot, left, right = 100, 170, 150, 172
    rgb[top:foot, left:right] = (170, 20, 25)
    depth = predict(rgb).depth[top + 6 : foot - 6, left + 5 : right - 5]
    assert depth.max() / depth.min() < 1.2
    assert np.median(depth) == pytest.approx(truth[foot, left], rel=0.25)


ROOMS = {
    "white ceiling": [(205, 190, 160), (195, 180, 150), (240, 240, 238), (110, 80, 60), (215, 205, 180)],
    "blue walls": [(90, 130, 190), (85, 125, 185), (200, 198, 190), (120, 90, 70), (110, 150, 210)],
}


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_is_a_box_without_sky(name: str) -> None:
    rgb, truth = box_room((1.7, 2.1, 4.5, 0.9), ROOMS[name])
    prediction = predict(rgb)
    assert_sound(prediction, rgb.shape)
    assert np.isfinite(prediction.depth).all()
    error = np.abs(prediction.depth / truth - 1)
    assert np.median(error) < 0.1 and np.percentile(error, 90) < 0.3


def test_an_overcast_sky_needs_a_dark_skyline() -> None:
    rgb = np.full((120, 160, 3), 250, np.uint8)
    rgb[60:] = (70, 80, 60)
    assert find_sky(rgb.astype(np.float32) / np.float32(255))[:55].all()
    rgb[60:] = (215, 210, 200)
    assert not find_sky(rgb.astype(np.float32) / np.float32(255)).any()


def example(name: str) -> np.ndarray:
    return fit_picture(load_picture(EXAMPLES / name).rgb, max_resolution=512).rgb


@pytest.mark.parametrize("share", [1.0, 0.5], ids=["whole", "the half by the window"])
def test_the_ceiling_of_the_example_room_is_no_sky(share: float) -> None:
    """By the window its plaster is burnt out to white, and the beam that bounds it is dark."""
    rgb = example("room.png")
    rgb = np.ascontiguousarray(rgb[:, : int(share * rgb.shape[1])])
    assert np.isfinite(predict(rgb, None).depth).all()


def test_the_sky_of_the_example_valley_is_found() -> None:
    rgb = example("valley.jpg")
    sky = np.isinf(predict(rgb, None).depth)
    height = len(sky)
    assert sky[: height // 8].mean() > 0.95
    assert not sky[height // 2 :].any()


@pytest.mark.parametrize(
    "colour", [(128, 128, 128), (0, 0, 0), (255, 255, 255), (80, 140, 230), (40, 160, 40)]
)
@pytest.mark.parametrize("size", [(32, 32), (96, 64), (32, 320)])
def test_flat_pictures_work(colour: tuple[int, int, int], size: tuple[int, int]) -> None:
    rgb = np.full((size[1], size[0], 3), colour, np.uint8)
    prediction = predict(rgb, None)
    assert_sound(prediction, rgb.shape)
    assert np.isfinite(prediction.depth).all()


@settings(max_examples=12, deadline=None)
@given(
    width=st.integers(32, 200), height=st.integers(32, 200), seed=st.integers(0, 99), blobs=st.integers(1, 40)
)
def test_any_picture_gives_sound_depth(width: int, height: int, seed: int, blobs: int) -> None:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (1 + blobs // 6, blobs, 3), np.uint8)
    rgb = cv2.resize(coarse, (width, height), interpolation=int(rng.integers(0, 3)))
    pose = moved(tuple(rng.normal(0, 2, 3)), *rng.uniform(-180, 180, 2))
    assert_sound(predict(rgb, None, pose), rgb.shape)


@pytest.mark.parametrize("pitch", [90, -90, 180])
def test_looking_straight_down_up_or_standing_on_its_head(pitch: float) -> None:
    rgb, _ = meadow()
    assert_sound(predict(rgb, cam_T_world=moved((0, 0, 0), pitch=pitch)), rgb.shape)
    rgb, _ = box_room((1.7, 2.1, 4.5, 0.9), ROOMS["white ceiling"])
    assert_sound(predict(rgb, cam_T_world=moved((0, 0, 0), pitch=pitch)), rgb.shape)


def test_same_picture_same_depth_whatever_the_threads() -> None:
    for rgb in (meadow()[0], box_room((1.7, 2.1, 4.5, 0.9), ROOMS["blue walls"])[0]):
        first = predict(rgb).depth
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            np.testing.assert_array_equal(predict(rgb).depth, first)
        finally:
            cv2.setNumThreads(threads)


@pytest.mark.parametrize("rgb", [np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3), np.float32)])
def test_wrong_arrays_are_refused(rgb: np.ndarray) -> None:
    with pytest.raises(InputError, match="uint8"):
        BuiltinDepth().predict(rgb, K_33=None, view=View(64, 64, None, np.eye(4)))


def test_segments_are_the_flat_patches_of_a_picture() -> None:
    rgb = np.zeros((60, 80, 3), np.float32)
    rgb[:, 40:] = 0.6
    rgb[20:40, 10:30] = (0.9, 0.1, 0.1)
    labels = segment(rgb, scale=1.0, smallest=150)
    assert labels.max() == 2
    assert labels[0, 0] == 0 and labels[0, 79] == 1 and labels[30, 20] == 2


def test_slopes_are_integrated_from_the_trusted_end() -> None:
    height, width = 41, 50
    trust = np.zeros((height, width))
    trust[-1] = 10.0
    across, along = np.zeros((height, width - 1)), np.full((height - 1, width), 0.1)
    field = Slopes(np.zeros((height, width)), trust, across, along, across + 1, along * 0 + 1)
    x = integrate_slopes(field, soft=0.1)
    np.testing.assert_allclose(x, np.repeat(-0.1 * np.arange(40, -1, -1)[:, None], width, 1), atol=0.05)


def test_breaks_stay_where_the_hold_is_weak() -> None:
    rng = np.random.default_rng(0)
    truth = np.where(np.arange(60) < 30, 1.0, 2.0) * np.ones((48, 1))
    guess = truth + rng.normal(0, 0.2, truth.shape)
    hold_x, hold_y = np.ones((48, 59)), np.ones((47, 60))
    hold_x[:, 29] = 0.01
    field = Slopes(guess, np.full_like(guess, 0.001), hold_x * 0, hold_y * 0, hold_x, hold_y)
    np.testing.assert_allclose(integrate_slopes(field, soft=0.01), truth, atol=0.06)
