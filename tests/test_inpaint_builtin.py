"""The builtin inpainter: continues texture and structure, and the far side of depth edges."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from splinescape.camera.view import View
from splinescape.engines import inpainter
from splinescape.errors import InputError
from splinescape.inpaint.builtin import BuiltinInpainter

Rgb = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def fill(rgb: Rgb, mask: Mask, seed: int = 0, depth: NDArray[np.float32] | None = None) -> Rgb:
    view = View(mask.shape[1], mask.shape[0], None, np.eye(4))
    return BuiltinInpainter().inpaint(rgb, mask, view=view, seed=seed, depth_hw=depth)


def telea(rgb: Rgb, mask: Mask) -> Rgb:
    return cv2.inpaint(rgb, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA)


def border(height: int, width: int, size: int) -> Mask:
    mask = np.ones((height, width), bool)
    mask[size:-size, size:-size] = False
    return mask


def hidden(rgb: Rgb, mask: Mask) -> Rgb:
    return np.where(mask[..., None], np.uint8(0), rgb)


def psnr(a: Rgb, b: Rgb, where: Mask) -> float:
    error = np.mean((a[where].astype(float) - b[where]) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def landscape(height: int, width: int) -> Rgb:
    """Fractal noise, a smooth sky above and rough grass below: no two places are alike."""
    rng = np.random.default_rng(5)
    noise = np.zeros((height, width, 1), np.float32)
    for octave in range(8):
        grid = rng.normal(size=(3 + 2**octave, 4 + 2**octave)).astype(np.float32)
        noise[..., 0] += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.75**octave
    sky = np.array([120, 160, 220]) + np.array([6, 4, 2]) * noise
    grass = np.array([70, 120, 40]) + np.array([22, 26, 14]) * noise
    horizon = height * 0.45 + 4 * np.sin(np.arange(width) / 15)
    below = np.arange(height)[:, None] > horizon
    return np.clip(np.where(below[..., None], grass, sky), 0, 255).astype(np.uint8)


def stripes(height: int, width: int) -> Rgb:
    y, x = np.mgrid[:height, :width]
    wave = 128 + 100 * np.sin((x + 0.5 * y) * 2 * np.pi / 14)
    return np.stack([wave, 200 - 0.4 * wave, 90 + 0.2 * wave], axis=-1).astype(np.uint8)


def checker_floor(height: int, width: int, horizon: float) -> Rgb:
    """A floor of squares seen in perspective under a plain wall."""
    y, x = np.mgrid[:height, :width] + 0.5
    z = 60 / np.maximum(y - horizon, 1e-3)
    square = (np.floor(z) + np.floor((x - width / 2) * z / 60)) % 2
    floor = np.where(square[..., None] > 0, np.array([210, 200, 180]), np.array([60, 70, 90]))
    return np.where((y > horizon)[..., None], floor, np.array([150, 140, 160])).astype(np.uint8)


def box_before_a_wall() -> tuple[Rgb, Mask, NDArray[np.float32]]:
    """A red box 2 m away before a green and blue wall at 5 m and a grey floor; a hole to the box's right."""
    height, width = 144, 192
    y, x = np.mgrid[:height, :width]
    rgb = np.zeros((height, width, 3), np.uint8)
    bricks = (y // 8 + (x + 8 * (y // 8 % 2)) // 16) % 2
    rgb[..., 1] = np.where(bricks, 170, 60)
    rgb[..., 2] = np.where(bricks, 60, 170)
    depth = np.full((height, width), 5, np.float32)
    floor = y >= 104
    rgb[floor] = 110 + 30 * ((x + y) // 6 % 2)[floor][:, None]
    depth[floor] = (5 * (104 - 72) / np.maximum(y - 72, 1))[floor]
    box = (x >= 40) & (x < 90) & (y >= 30) & (y < 132)
    rgb[box] = (220, 20, 20)
    depth[box] = 2
    hole = (x >= 90) & (x < 130) & (y >= 30) & (y < 128)
    return rgb, hole, depth


def redness(rgb: Rgb) -> NDArray[np.float64]:
    colour = rgb.astype(float)
    return colour[..., 0] - colour[..., 1:].max(axis=-1)


def test_engine_table_makes_the_builtin_inpainter() -> None:
    assert isinstance(inpainter("builtin"), BuiltinInpainter)


def test_known_pixels_come_back_untouched_and_the_input_is_not_written() -> None:
    rgb, mask = landscape(96, 128), border(96, 128, 16)
    before = rgb.copy()
    out = fill(rgb, mask)
    assert out.dtype == np.uint8
    assert out.shape == rgb.shape
    np.testing.assert_array_equal(out[~mask], rgb[~mask])
    np.testing.assert_array_equal(rgb, before)


def test_what_stands_in_masked_pixels_is_ignored() -> None:
    rgb, mask, depth = box_before_a_wall()
    noise = np.random.default_rng(1).integers(0, 256, rgb.shape, dtype=np.uint8)
    other = np.where(mask[..., None], noise, rgb)
    nowhere = np.where(mask, np.float32(np.nan), depth)
    np.testing.assert_array_equal(fill(rgb, mask, depth=depth), fill(other, mask, depth=nowhere))


def test_same_seed_same_bytes_and_another_seed_another_picture() -> None:
    rgb, mask = landscape(96, 128), border(96, 128, 20)
    first = fill(rgb, mask, seed=3)
    np.testing.assert_array_equal(first, fill(rgb, mask, seed=3))
    assert (first != fill(rgb, mask, seed=4)).any()


def test_result_does_not_depend_on_the_number_of_threads() -> None:
    script = (
        "import sys, hashlib; sys.path.insert(0, 'tests'); from test_inpaint_builtin import *;"
        "print(hashlib.sha256(fill(landscape(120, 160), border(120, 160, 20)).tobytes()).hexdigest())"
    )
    rgb, mask = landscape(120, 160), border(120, 160, 20)
    expected = hashlib.sha256(fill(rgb, mask).tobytes()).hexdigest()
    for threads in ("1", "3"):
        env = {**os.environ, "SPLINESCAPE_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False
        )
        assert done.stdout.strip() == expected, done.stderr


def test_empty_mask_returns_a_copy() -> None:
    rgb = landscape(20, 30)
    out = fill(rgb, np.zeros((20, 30), bool))
    np.testing.assert_array_equal(out, rgb)
    assert out is not rgb


def test_full_mask_gives_neutral_grey() -> None:
    out = fill(landscape(20, 30), np.ones((20, 30), bool))
    np.testing.assert_array_equal(out, np.full((20, 30, 3), 128))


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (7, 7), (8, 8), (9, 8), (5, 90), (90, 5), (17, 33)])
def test_pictures_smaller_than_a_patch_are_filled_from_what_is_known(shape: tuple[int, int]) -> None:
    rgb = np.full((*shape, 3), (40, 90, 200), np.uint8)
    mask = np.zeros(shape, bool)
    mask.reshape(-1)[mask.size // 2 :] = True
    assert np.abs(fill(hidden(rgb, mask), mask).astype(int) - rgb).max() <= 1


def test_a_single_known_pixel_colours_everything() -> None:
    mask = np.ones((40, 60), bool)
    mask[11, 7] = False
    rgb = np.zeros((40, 60, 3), np.uint8)
    rgb[11, 7] = (200, 100, 50)
    for depth in (None, np.ones((40, 60), np.float32)):
        assert (np.abs(fill(rgb, mask, depth=depth).astype(int) - (200, 100, 50)) <= 1).all()


def test_a_net_of_known_lines_without_one_whole_patch_is_still_filled() -> None:
    rgb = np.full((160, 192, 3), (30, 120, 60), np.uint8)
    mask = np.ones((160, 192), bool)
    mask[::8] = mask[1::8] = False
    mask[:, ::8] = mask[:, 1::8] = False
    assert (np.abs(fill(hidden(rgb, mask), mask).astype(int) - rgb) <= 1).all()


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    share=st.floats(0, 1),
    blob=st.integers(1, 9),
    sky=st.booleans(),
    seed=st.integers(0, 2**63),
)
@settings(max_examples=60, deadline=None)
def test_any_mask_is_filled_without_touching_the_rest(
    height: int, width: int, share: float, blob: int, sky: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed % 2**32)
    rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = cv2.blur(rng.random((height, width)), (blob, blob)) < share
    depth = rng.choice(np.array([1, 2, 5, np.inf if sky else 7], np.float32), (height, width))
    out = fill(rgb, mask, seed=seed, depth=depth)
    np.testing.assert_array_equal(out[~mask], rgb[~mask])
    np.testing.assert_array_equal(out, fill(rgb, mask, seed=seed, depth=depth))


@pytest.mark.parametrize(
    ("rgb", "mask", "depth", "message"),
    [
        (np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), bool), None, "mask must be"),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.uint8), None, "mask must be"),
        (np.zeros((4, 5), np.uint8), np.zeros((4, 5), bool), None, "picture to inpaint"),
        (np.zeros((4, 5, 3), np.float32), np.zeros((4, 5), bool), None, "picture to inpaint"),
        (np.zeros((0, 5, 3), np.uint8), np.zeros((0, 5), bool), None, "picture to inpaint"),
        (
            np.zeros((4, 5, 3), np.uint8),
            np.zeros((4, 5), bool),
            np.zeros((4, 4), np.float32),
            "depth must be",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(
    rgb: Rgb, mask: Mask, depth: NDArray[np.float32] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        fill(rgb, mask, depth=depth)
    assert "\n" not in str(caught.value)


def test_no_frame_around_an_outpainted_picture() -> None:
    rgb, mask = landscape(160, 224), border(160, 224, 32)
    out = fill(hidden(rgb, mask), mask).astype(float)
    steps = np.abs(np.diff(out, axis=1))[32:-32].mean(axis=(0, 2))  # from each column to the next
    seams = steps[[31, 224 - 33]]
    assert seams.max() < 1.15 * steps[40:180].max()
    assert seams.min() > 0.85 * steps[40:180].min()


def test_filled_texture_is_as_sharp_and_as_varied_as_the_picture() -> None:
    rgb, mask = landscape(160, 224), border(160, 224, 32)
    out = fill(hidden(rgb, mask), mask)
    detail = np.abs(cv2.Laplacian(out, cv2.CV_32F)).mean(axis=-1)
    grass = np.zeros_like(mask)
    grass[100:] = True
    outside, inside = grass & mask, grass & ~mask
    assert 0.75 < detail[outside].mean() / detail[inside].mean() < 1.25
    smeared = np.abs(cv2.Laplacian(telea(hidden(rgb, mask), mask), cv2.CV_32F)).mean(axis=-1)
    assert smeared[outside].mean() < 0.7 * detail[inside].mean()  # what the bar keeps out


def test_sky_continues_as_sky_and_ground_as_ground() -> None:
    rgb, mask = landscape(160, 224), border(160, 224, 32)
    out = fill(hidden(rgb, mask), mask).astype(int)
    bluer = out[..., 2] > out[..., 1]
    assert bluer[:55][mask[:55]].mean() > 0.97
    assert bluer[95:][mask[95:]].mean() < 0.05


def test_stripes_go_on_at_their_angle() -> None:
    rgb, mask = stripes(128, 176), border(128, 176, 24)
    out, smear = (engine(hidden(rgb, mask), mask) for engine in (fill, telea))
    assert psnr(out, rgb, mask) > psnr(smear, rgb, mask) + 8


def test_checks_go_on_behind_a_hole() -> None:
    y, x = np.mgrid[:128, :160]
    square = ((x + 0.25 * y) // 12 + y // 12) % 2
    rgb = np.where(square[..., None] > 0, np.array([210, 200, 180]), np.array([60, 70, 90])).astype(np.uint8)
    mask = np.zeros((128, 160), bool)
    mask[40:90, 50:110] = True
    out, smear = (engine(hidden(rgb, mask), mask) for engine in (fill, telea))
    assert psnr(out, rgb, mask) > psnr(smear, rgb, mask) + 4


def test_a_floor_in_perspective_keeps_its_two_colours_and_stays_below_the_wall() -> None:
    rgb = checker_floor(160, 208, 60)
    mask = np.zeros((160, 208), bool)
    mask[40:130, 90:130] = True
    out, smear = (engine(hidden(rgb, mask), mask).astype(float) for engine in (fill, telea))
    floor = mask & (np.arange(160) > 90)[:, None]
    crisp = [
        (np.abs(p[floor][:, None] - [[210, 200, 180], [60, 70, 90]]).max(axis=-1) < 12).any(axis=1).mean()
        for p in (out, smear)
    ]
    assert crisp[0] > 0.9 > 0.8 > crisp[1]
    wall = mask & (np.arange(160) < 58)[:, None]
    assert (np.abs(out[wall] - rgb[wall]) < 3).mean() > 0.98


def test_specks_are_closed_with_what_is_around_them() -> None:
    rgb = cv2.GaussianBlur(landscape(96, 128), (0, 0), 2)
    rng = np.random.default_rng(2)
    mask = cv2.dilate((rng.random((96, 128)) < 0.01).astype(np.uint8), np.ones((2, 2))).astype(bool)
    out = fill(hidden(rgb, mask), mask)
    assert psnr(out, rgb, mask) > 35


def test_a_hole_behind_an_edge_continues_the_far_side() -> None:
    rgb, mask, depth = box_before_a_wall()
    out = fill(hidden(rgb, mask), mask, depth=depth)
    assert redness(telea(hidden(rgb, mask), mask))[mask].max() > 50  # the scene would bleed
    assert redness(out)[mask].max() < 10
    wall = mask & (np.arange(144) < 100)[:, None]
    assert (out[wall].astype(int)[:, 1:].max(axis=-1) > 140).mean() > 0.9
    assert np.abs(cv2.Laplacian(out, cv2.CV_32F)).mean(axis=-1)[wall].mean() > 10  # bricks, not a smear
    floor = mask & (np.arange(144) >= 108)[:, None]
    assert (np.ptp(out[floor].astype(int), axis=-1) < 25).mean() > 0.9  # grey


def test_a_hole_between_a_roof_and_the_sky_shows_sky() -> None:
    height, width = 96, 128
    y, x = np.mgrid[:height, :width]
    rgb = landscape(height, width) // 4 + np.array([90, 130, 180], np.uint8)
    depth = np.full((height, width), np.inf, np.float32)
    roof = y > 60
    rgb[roof] = (150, 40, 30)
    depth[roof] = 4
    mask = (y > 40) & (y <= 60) & (x > 20) & (x < 110)
    out = fill(hidden(rgb, mask), mask, depth=depth)
    assert redness(out)[mask].max() < 0


def test_without_any_far_side_the_near_one_continues() -> None:
    rgb = np.full((60, 80, 3), (200, 30, 30), np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:50] = True
    out = fill(hidden(rgb, mask), mask, depth=np.full((60, 80), 2, np.float32))
    assert (np.abs(out.astype(int) - rgb) <= 1).all()
