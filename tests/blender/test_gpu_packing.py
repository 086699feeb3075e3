"""Splats made ready for the graphics card, with numpy alone."""

from __future__ import annotations

import time

import numpy as np
import pytest
from bl_ext.user_default.splinescape.display.gpu import packing
from bl_ext.user_default.splinescape.display.gpu.kept import KeptPacks
from bl_ext.user_default.splinescape.display.gpu.sorting import camera_depths, far_to_near
from bl_ext.user_default.splinescape.display.gpu.view import View
from gpu_support import random_splats

from splinescape.io.splat_arrays import SplatArrays


def test_axes_make_the_covariance() -> None:
    splats = random_splats(50)
    packed = packing.pack(splats)
    w, x, y, z = np.float64(splats.quats / np.linalg.norm(splats.quats, axis=1, keepdims=True)).T
    third_column = np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], 1)
    assert np.allclose(packed.axes[:, :, 2], third_column * splats.scales[:, 2:], atol=1e-6)
    lengths = np.linalg.norm(packed.axes, axis=1)
    assert np.allclose(lengths, splats.scales, rtol=1e-5)


def test_what_is_too_faint_to_see_is_left_out() -> None:
    splats = random_splats(100)
    logits = np.where(np.arange(100) % 2, -20, 2).astype(np.float32)
    faint = SplatArrays(splats.means, splats.log_scales, splats.quats, logits, splats.sh)
    assert len(packing.pack(faint)) == 50


def test_the_farthest_comes_first_and_of_equals_the_later_one() -> None:
    depths = np.array([1, 3, -2, 3, 1e-8, 0, -5, 2e5], np.float32)
    assert far_to_near(depths).tolist() == [7, 3, 1, 0, 4, 5, 2, 6]


def test_any_number_of_splats_is_sorted_like_numpy_does() -> None:
    depths = np.random.default_rng(1).normal(3, 2, 10_000).astype(np.float32)
    assert np.array_equal(far_to_near(depths), np.argsort(depths, kind="stable")[::-1])
    assert len(far_to_near(np.zeros(0, np.float32))) == 0


def test_a_wall_keeps_its_order_when_matrices_are_not_exact() -> None:
    splats = random_splats(1000)
    splats.means[:, 2] = 3
    matrix = np.diag([1.0, -1, -1, 1])
    matrix[2, :2] = 2e-8, -4e-8
    depths = camera_depths([packing.pack(splats)], [matrix])
    assert len(np.unique(depths)) == 1


def test_a_million_splats_are_sorted_in_a_moment() -> None:
    depths = np.random.default_rng(2).uniform(1, 9, 1_000_000).astype(np.float32)
    began = time.process_time()
    far_to_near(depths)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("orthographic", [False, True])
def test_a_cut_out_view_shows_the_same_pixels(orthographic: bool) -> None:
    projection = np.diag([2.0, 2.5, -1.0, 0.0])
    projection[0, 2], projection[1, 2] = 0.1, -0.2
    projection[3, 2], projection[2, 3] = -1, -0.02
    if orthographic:
        projection = np.diag([0.2, 0.3, -0.01, 1.0])
        projection[0, 3] = 0.05
    view = View.of(np.eye(4), projection, 300, 200)
    part = view.crop(40, 60, 100, 80)
    fx, fy, cx, cy = view.lens
    assert np.allclose(part.lens, (fx, fy, cx - 40, cy - 60))
    assert part.bounds == view.bounds
    assert np.allclose(view.scaled(4).lens, (fx / 4, fy / 4, cx / 4, cy / 4))


def test_packs_are_made_again_only_when_the_splats_changed() -> None:
    packs = KeptPacks()
    first = packs.pack("a", random_splats(10))
    assert packs.pack("a", random_splats(10)) is first
    assert packs.pack("b", random_splats(10)) is not first
    assert packs.pack("a", random_splats(11)) is not first
