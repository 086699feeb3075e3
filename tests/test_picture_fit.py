"""Fitting never stretches, never enlarges and says what it did; the border is even and exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splinescape.errors import InputError
from splinescape.picture import add_border, fit_picture

sides = st.integers(32, 900)


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=150, deadline=None)
@given(width=sides, height=sides, max_resolution=st.integers(32, 700))
def test_fit_keeps_its_promises(width: int, height: int, max_resolution: int) -> None:
    rgb = np.zeros((height, width, 3), np.uint8)
    try:
        fitted = fit_picture(rgb, max_resolution)
    except InputError as error:
        long_out = min(max_resolution, max(width, height)) // 32 * 32
        assert min(width, height) * long_out / max(width, height) < 32
        assert "max_resolution" in str(error)
        return
    out_height, out_width = fitted.rgb.shape[:2]
    left, top, right, bottom = fitted.crop
    assert fitted.rgb.flags.writeable and fitted.rgb.flags.c_contiguous
    assert out_width % 32 == 0 and out_height % 32 == 0
    assert max(out_width, out_height) <= max_resolution
    assert fitted.scale <= 1
    assert left == right and top == bottom and 0 <= left <= 16 and 0 <= top <= 16
    # One scale for both axes: size and crop account for every pixel of the picture.
    assert out_width + left + right == pytest.approx(width * fitted.scale, abs=1e-6)
    assert out_height + top + bottom == pytest.approx(height * fitted.scale, abs=1e-6)
    assert bool(fitted.notes) == ((out_width, out_height) != (width, height))


@settings(max_examples=60, deadline=None)
@given(width=sides, height=sides)
def test_an_elongated_picture_is_told_which_resolution_works(width: int, height: int) -> None:
    rgb = np.zeros((height, width, 3), np.uint8)
    try:
        fit_picture(rgb, 64)
    except InputError as error:
        wanted = int(str(error).split()[-1])
        assert min(fit_picture(rgb, wanted).rgb.shape[:2]) >= 32


@pytest.mark.parametrize("size", [(512, 512), (512, 384), (384, 512), (32, 32), (64, 512)])
def test_a_picture_that_fits_is_untouched(size: tuple[int, int]) -> None:
    rgb = noise(*size)
    fitted = fit_picture(rgb, 512)
    np.testing.assert_array_equal(fitted.rgb, rgb)
    assert fitted.scale == 1 and fitted.crop == (0, 0, 0, 0) and fitted.notes == ()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((4032, 3024), (512, 384)),
        ((1500, 1000), (512, 352)),
        ((100, 80), (96, 64)),
        ((33, 500), (32, 480)),
        ((4000, 400), (512, 32)),
        ((513, 513), (512, 512)),
    ],
)
def test_known_sizes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    rgb = np.zeros((size[1], size[0], 3), np.uint8)
    assert fit_picture(rgb, 512).rgb.shape == (expected[1], expected[0], 3)


def test_panorama_error_names_the_fix() -> None:
    with pytest.raises(InputError, match="set max_resolution to at least 640"):
        fit_picture(np.zeros((200, 4000, 3), np.uint8), 512)


def test_a_disc_stays_round_and_centred() -> None:
    v, u = np.mgrid[0.5:1000, 0.5:1500]
    disc = (np.hypot(u - 750, v - 500) < 300)[..., None] * np.full(3, 255, np.uint8)
    fitted = fit_picture(disc.astype(np.uint8), 512)
    inside = fitted.rgb[..., 0] / 255.0
    height, width = inside.shape
    v, u = np.mgrid[0.5:height, 0.5:width]
    assert (inside * u).sum() / inside.sum() == pytest.approx(width / 2, abs=0.02)
    assert (inside * v).sum() / inside.sum() == pytest.approx(height / 2, abs=0.02)
    assert inside.sum(1).max() == pytest.approx(inside.sum(0).max(), abs=0.5)
    assert inside.sum(1).max() == pytest.approx(600 * fitted.scale, abs=0.5)


@pytest.mark.parametrize("size", [(31, 100), (100, 31), (1, 1)])
def test_too_small_pictures_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="32x32"):
        fit_picture(np.zeros((size[1], size[0], 3), np.uint8), 512)


def test_border_of_the_reference_size_is_even() -> None:
    rgb = noise(512, 384)
    bordered = add_border(rgb, 0.3)
    assert bordered.rgb.shape == (512, 672, 3)
    assert (bordered.left, bordered.top) == (80, 64)


@settings(max_examples=80, deadline=None)
@given(columns=st.integers(1, 12), rows=st.integers(1, 12), fraction=st.floats(0, 2))
def test_border_is_even_exact_and_on_the_grid(columns: int, rows: int, fraction: float) -> None:
    rgb = noise(columns * 32, rows * 32)
    bordered = add_border(rgb, fraction)
    height, width = rgb.shape[:2]
    left, top = bordered.left, bordered.top
    assert bordered.rgb.shape == (height + 2 * top, width + 2 * left, 3)
    assert bordered.rgb.shape[0] % 32 == 0 and bordered.rgb.shape[1] % 32 == 0
    np.testing.assert_array_equal(bordered.rgb[top : top + height, left : left + width], rgb)
    assert not bordered.inpaint[top : top + height, left : left + width].any()
    assert bordered.inpaint.sum() == bordered.inpaint.size - height * width
    for border, side in ((left, width), (top, height)):
        assert (border > 0) == (fraction > 0)
        assert abs(2 * border - side * fraction) <= 16 or border == 16


@pytest.mark.parametrize("fraction", [-0.1, float("nan"), float("inf")])
def test_impossible_borders_are_refused(fraction: float) -> None:
    with pytest.raises(InputError, match="expansion_percent"):
        add_border(noise(64, 64), fraction)


def test_a_picture_off_the_grid_gets_no_border() -> None:
    with pytest.raises(InputError, match="fit_picture"):
        add_border(noise(65, 64), 0.3)
