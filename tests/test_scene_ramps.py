"""Soft ramps over occlusion edges become clean steps; everything that only looks like one stays, to the bit."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from core_support import K_33, H, W, field, plane_depth, room
from hypothesis import given, settings
from hypothesis import strategies as st

import worlds
from splinescape.scene.ramps import snap_ramps

WIDTH, HEIGHT = 160, 120
K = worlds.centred_intrinsics(WIDTH, HEIGHT, 150).astype(np.float64)
V, U = np.mgrid[:HEIGHT, :WIDTH] + 0.5

TO = {"depth": lambda z: z, "log": np.log, "inverse": lambda z: 1 / z}
BACK = {"depth": lambda x: x, "log": np.exp, "inverse": lambda x: 1 / x}


def half(angle: float, offset: float = 0.0) -> np.ndarray:
    """(H, W) bool, the pixels on one side of a straight edge through the middle."""
    direction = np.cos(angle), np.sin(angle)
    return (U - WIDTH / 2) * direction[0] + (V - HEIGHT / 2) * direction[1] > offset


def blurred(depth: np.ndarray, sigma: float, space: str = "log") -> np.ndarray:
    """Depth as a network draws it: averaged over the pixels around, in one of three units."""
    return BACK[space](cv2.GaussianBlur(TO[space](depth.astype(np.float64)), (0, 0), sigma)).astype(
        np.float32
    )


def off_by(depth: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Relative difference of two depth maps."""
    return np.abs(np.log(depth / truth))


def ball(radius: float, z: float, behind: float) -> np.ndarray:
    """A ball before a wall; +inf: before the sky."""
    rays = np.stack([(U - WIDTH / 2) / 150, (V - HEIGHT / 2) / 150, np.ones_like(U)], -1)
    along, across = rays[..., 2] * z, (rays**2).sum(-1)
    inside = along**2 - across * (z * z - radius * radius)
    hit = (along - np.sqrt(np.maximum(inside, 0))) / across
    return np.where(inside > 0, hit, behind).astype(np.float32)


def stairs(nearest: float) -> np.ndarray:
    """Fourteen steps that rise from a floor 1.6 m below the eye, and a wall."""
    eye, z = 1.6, nearest
    depth = np.where(V > HEIGHT / 2, plane_depth((0, 1, 0), eye, K, WIDTH, HEIGHT), np.inf)
    for _ in range(14):
        y = (V - HEIGHT / 2) / 150 * z
        depth = np.where((y <= eye) & (y >= eye - 0.17), np.minimum(depth, z), depth)
        eye -= 0.17
        if eye > 0:
            tread = plane_depth((0, 1, 0), eye, K, WIDTH, HEIGHT)
            depth = np.where((tread >= z) & (tread <= z + 0.3), np.minimum(depth, tread), depth)
        z += 0.3
    return np.minimum(depth, z).astype(np.float32)


@pytest.mark.parametrize("space", TO)
def test_next_to_nothing_floats_between_the_two_surfaces(space):
    rng = np.random.default_rng(0)
    before = after = 0
    for _ in range(40):
        scale, ratio, (tilt, slope) = 10 ** rng.uniform(-2, 2), rng.uniform(1.3, 6), rng.uniform(-0.5, 0.5, 2)
        near = plane_depth((tilt, 0.2, 1), 2 * scale, K, WIDTH, HEIGHT)
        far = plane_depth((0.1, slope, 1), 2 * scale * ratio, K, WIDTH, HEIGHT)
        near = np.minimum(near, 0.8 * far)
        soft = blurred(np.where(half(rng.uniform(0, 2 * np.pi)), near, far), rng.uniform(0.7, 1.4), space)
        inner = np.s_[8:-8, 8:-8]
        for depth, is_after in ((soft, False), (snap_ramps(soft), True)):
            floating = int((np.minimum(off_by(depth, near), off_by(depth, far)) > 0.05)[inner].sum())
            before, after = before + floating * (not is_after), after + floating * is_after
    assert before > 5000
    assert after < 0.03 * before


@pytest.mark.parametrize("shift", [-1.5, -0.7, 0.7, 1.5])
@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 4, 2.0])
def test_the_colours_say_where_the_edge_is(angle, shift):
    true_near = half(angle)
    drawn = blurred(np.where(half(angle, shift), 2.0, 6.0), 1.3)
    fine = cv2.GaussianBlur(true_near.astype(np.float64), (0, 0), 0.5)[..., None]
    rng = np.random.default_rng(0)
    texture = rng.integers(-12, 13, (HEIGHT, WIDTH, 3))
    rgb = np.clip((200, 90, 60) * fine + (70, 110, 150) * (1 - fine) + texture, 0, 255).astype(np.uint8)
    inner = np.s_[8:-8, 8:-8]
    wrong = ((snap_ramps(drawn, rgb) < 3.5) != true_near)[inner]
    blind = ((snap_ramps(drawn) < 3.5) != true_near)[inner]
    length = np.hypot(*np.gradient(true_near.astype(float)))[inner].sum()
    assert wrong.sum() < 0.15 * length, "a tenth of a pixel along the edge"
    assert blind.sum() > 2 * wrong.sum(), "what depth alone cannot know"


def test_a_picture_of_one_colour_says_nothing():
    soft = blurred(np.where(half(0.3), 2.0, 6.0), 1.5)
    assert np.array_equal(snap_ramps(soft, np.full((HEIGHT, WIDTH, 3), 90, np.uint8)), snap_ramps(soft))


def test_ramps_of_a_large_picture_are_as_much_wider():
    edge = cv2.resize(half(0.2).astype(np.uint8), (1344, 1008), interpolation=cv2.INTER_NEAREST)
    soft = blurred(np.where(edge, 2.0, 6.0), 3.0)
    snapped = snap_ramps(soft)
    floating = [(np.minimum(off_by(d, 2), off_by(d, 6)) > 0.05).sum() for d in (soft, snapped)]
    assert floating[1] < 0.03 * floating[0]


@pytest.mark.parametrize("wide", [1, 2, 3, 5])
@pytest.mark.parametrize("space", TO)
def test_a_pole_thinner_than_its_ramps_keeps_its_depth_and_loses_its_fringe(wide, space):
    clean = np.full((HEIGHT, WIDTH), 8.0, np.float32)
    clean[:, 70 : 70 + wide] = 2.0
    assert np.array_equal(snap_ramps(clean), clean)
    soft = blurred(clean, 1.0, space)
    snapped = snap_ramps(soft)
    peak = soft.min()
    assert ((off_by(snapped, peak) < 0.05) | (off_by(snapped, 8) < 0.05)).all()
    there = (off_by(snapped, peak) < 0.05).sum(1)
    assert (there >= 1).all()
    assert (there <= wide + 2).all()


@pytest.mark.parametrize("eye", [0.05, 0.3, 1.5, 20])
@pytest.mark.parametrize("size", [(160, 120), (512, 384), (1344, 1008)])
def test_a_floor_to_the_horizon_stays(eye, size):
    focal = 0.9 * size[0]
    floor = plane_depth((0, 1, 0), eye, worlds.centred_intrinsics(*size, focal).astype(np.float64), *size)
    assert np.array_equal(snap_ramps(floor), floor)
    before_a_wall = np.minimum(floor, 30 * eye).astype(np.float32)
    assert np.array_equal(snap_ramps(before_a_wall), before_a_wall)


def test_a_wall_seen_almost_edge_on_stays():
    wall = plane_depth((0.9995, 0, 0.03), 0.5, K, WIDTH, HEIGHT)
    assert np.array_equal(snap_ramps(wall), wall)


def test_a_wall_of_which_the_picture_shows_only_a_strip_stays():
    corner = np.full((HEIGHT, WIDTH), 6.0)
    corner[:, -5:] = np.minimum(6, plane_depth((1, 0, 0), 1.9, K, WIDTH, HEIGHT))[:, -5:]
    corner[:5] = np.minimum(corner, 1.4 / ((HEIGHT / 2 - V) / 150).clip(1e-3))[:5]
    depth = corner.astype(np.float32)
    assert depth.min() < 5.5
    assert np.array_equal(snap_ramps(depth), depth)


@pytest.mark.parametrize("behind", ["wall", "touching wall", "sky"])
@pytest.mark.parametrize(("radius", "z"), [(0.1, 1), (0.5, 2), (1, 2), (1, 6), (20, 60)])
def test_the_limb_of_a_ball_stays(radius, z, behind):
    depth = ball(radius, z, {"wall": 2.0 * z, "touching wall": z + radius, "sky": np.inf}[behind])
    assert np.array_equal(snap_ramps(depth), depth)


@pytest.mark.parametrize("nearest", [3, 6, 10])
def test_stairs_stay(nearest):
    depth = stairs(nearest)
    assert np.array_equal(snap_ramps(depth), depth)


@pytest.mark.parametrize("world", [room, field])
def test_the_depth_of_a_perfect_engine_stays(world):
    depth = world().render_depth(np.eye(4), K_33, W, H)
    assert np.array_equal(snap_ramps(depth, world().render(np.eye(4), K_33, W, H).rgb), depth)


@pytest.mark.parametrize(("noise", "most"), [(0.003, 0), (0.01, 0.02), (0.03, 0.06)])
def test_noise_on_a_floor_is_hardly_ever_taken_for_an_edge(noise, most):
    floor = np.minimum(plane_depth((0, 1, 0), 1.5, K, WIDTH, HEIGHT), 40)
    noisy = floor * np.exp(noise * np.random.default_rng(0).normal(size=floor.shape))
    noisy = noisy.astype(np.float32)
    assert (snap_ramps(noisy) != noisy).mean() <= most


def test_foliage_comes_closer_to_the_truth():
    rng = np.random.default_rng(0)
    truth = np.full((HEIGHT, WIDTH), 12.0, np.float32)
    for _ in range(250):
        middle = int(rng.uniform(30, WIDTH - 30)), int(rng.uniform(20, HEIGHT - 20))
        cv2.circle(truth, middle, int(rng.uniform(2, 4)), rng.uniform(4, 6), -1)
    assert (snap_ramps(truth) != truth).mean() < 0.01
    soft = blurred(truth, 0.7)
    assert off_by(snap_ramps(soft), truth).mean() < 0.8 * off_by(soft, truth).mean()


def test_a_rim_drawn_towards_the_sky_returns_to_its_surface_and_the_sky_stays():
    near = half(0.3)
    soft = blurred(np.where(near, 3.0, 100.0), 1.2)
    soft[~near] = np.inf
    assert (soft[near] > 3.5).any()
    snapped = snap_ramps(soft)
    assert np.array_equal(np.isinf(snapped), ~near)
    assert off_by(snapped[near], 3.0).max() < 0.05


@pytest.mark.parametrize("factor", [2.0**-20, 0.25, 2.0**20])
def test_the_unit_of_length_does_not_matter(factor):
    soft = blurred(np.where(half(0.7), 2.0, 5.0), 1.2)
    assert snap_ramps(soft * np.float32(factor)) == pytest.approx(snap_ramps(soft) * factor, rel=1e-5)


def test_a_repaired_depth_needs_no_repair():
    snapped = snap_ramps(blurred(np.where(half(0.5), 2.0, 6.0), 1.3))
    assert (snap_ramps(snapped) != snapped).mean() < 1e-3


def test_the_given_depth_is_not_changed_in_place():
    soft = blurred(np.where(half(0.5), 2.0, 6.0), 1.3)
    before = soft.copy()
    assert (snap_ramps(soft) != soft).any()
    assert np.array_equal(soft, before)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2), (3, 9)])
@pytest.mark.parametrize("value", [np.inf, np.nan, 0.0, -1.0, 1e-42, 1e-30, 3e38])
def test_unusable_depth_and_tiny_pictures_pass_through(shape, value):
    depth = np.full(shape, value, np.float32)
    assert np.array_equal(snap_ramps(depth, np.zeros((*shape, 3), np.uint8)), depth, equal_nan=True)


@given(seed=st.integers(0, 2**31), bad=st.sampled_from([np.inf, np.nan, 0.0, -1.0, 1e-42, 1e-30, 3e38]))
@settings(deadline=None, max_examples=30)
def test_what_is_finite_stays_finite_and_what_is_sky_stays_sky(seed, bad):
    rng = np.random.default_rng(seed)
    depth = np.exp(rng.normal(0, 1, (24, 30))).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = bad
    snapped = snap_ramps(depth, rng.integers(0, 256, (24, 30, 3), dtype=np.uint8))
    usable = np.isfinite(depth) & (depth > 0)
    assert np.array_equal(snapped[~usable], depth[~usable], equal_nan=True)
    assert (np.isfinite(snapped[usable]) & (snapped[usable] > 0)).all()
