"""The vector type of the CPU kernels against numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from splinescape.raster.cpu import vec
from splinescape.raster.cpu.vec import LANES, load, load_strided, store, store_strided, store_sums


def apply(function: Callable[..., Any], *arrays: np.ndarray) -> np.ndarray:
    """Run a vector function over arrays of any multiple of LANES numbers."""

    @numba.njit
    def one(a: Any, out: Any) -> None:
        for i in range(0, len(out), LANES):
            store(out, i, function(load(a, i)))

    @numba.njit
    def two(a: Any, b: Any, out: Any) -> None:
        for i in range(0, len(out), LANES):
            store(out, i, function(load(a, i), load(b, i)))

    out = np.empty_like(arrays[0])
    (one if len(arrays) == 1 else two)(*arrays, out)
    return out


def test_exp2_is_accurate_to_two_units_in_the_last_place() -> None:
    x = np.linspace(-20, 0, 64 * 1024, dtype=np.float32)
    exact = np.exp2(x.astype(np.float64))
    assert np.abs(apply(vec.exp2, x) / exact - 1).max() < 2.5e-7


def test_log2_is_accurate_wherever_an_opacity_can_be() -> None:
    x = np.linspace(1 / 255, 1, 64 * 1024, dtype=np.float32)
    exact = np.log2(x.astype(np.float64))
    assert np.abs(apply(vec.log2, x) - exact).max() < 5e-7
    assert apply(vec.log2, np.ones(LANES, np.float32)).tolist() == [0.0] * LANES


def test_reciprocal_is_good_to_float_precision() -> None:
    x = np.linspace(1e-3, 1, 1024, dtype=np.float32)
    assert np.abs(apply(vec.reciprocal, x) * x - 1).max() < 5e-7


@pytest.mark.parametrize(
    ("function", "expected"), [(vec.minimum, np.fmin), (vec.maximum, np.fmax)], ids=["minimum", "maximum"]
)
def test_the_second_operand_wins_over_what_is_not_a_number(function: Any, expected: Any) -> None:
    a = np.array([1, np.nan, -2, 5] * (LANES // 4), np.float32)
    b = np.array([2, 3, -7, 5] * (LANES // 4), np.float32)
    np.testing.assert_array_equal(apply(function, a, b), expected(a, b))


def test_strided_access_transposes() -> None:
    @numba.njit
    def transpose(a: Any, out: Any, whole: Any) -> None:
        for c in range(3):
            value = load_strided(a, c, 3)
            store(out, c * LANES, value)
            store_strided(whole, c, 3, value)

    a = np.arange(3 * LANES, dtype=np.float32)
    out, whole = np.empty_like(a), np.empty(3 * LANES, np.int16)
    transpose(a, out, whole)
    np.testing.assert_array_equal(out, a.reshape(LANES, 3).T.reshape(-1))
    np.testing.assert_array_equal(whole, a)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 10])
def test_sums_over_lanes_land_in_order(count: int) -> None:
    @numba.njit
    def two(a: Any, out: Any) -> None:
        store_sums(out, 0, (load(a, 0), load(a, LANES)))

    @numba.njit
    def ten(a: Any, out: Any) -> None:
        store_sums(
            out, 0,
            (load(a, 0), load(a, LANES), load(a, 2 * LANES), load(a, 3 * LANES),
             load(a, 4 * LANES), load(a, 5 * LANES), load(a, 6 * LANES), load(a, 7 * LANES),
             load(a, 8 * LANES), load(a, 9 * LANES)),
        )  # fmt: skip

    a = np.random.default_rng(count).integers(0, 100, 10 * LANES).astype(np.float32)
    kernel, n = (two, 2) if count <= 2 else (ten, 10)
    out = np.full(n + 1, -1, np.float32)
    kernel(a, out)
    np.testing.assert_array_equal(out[:n], a.reshape(10, LANES)[:n].sum(1))
    assert out[n] == -1, "nothing is written past the last sum"
