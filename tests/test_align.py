"""Predicted depth is bent to what the scene shows: outliers do not tilt it, wide holes do not bend back."""

from __future__ import annotations

import numpy as np
import pytest
from core_support import plane_depth
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import spsolve

import worlds
from splinescape.align import align_depth
from splinescape.align.affine import fit_inverse_depth
from splinescape.align.harmonic import fill_harmonic
from splinescape.scene.edges import occlusion_edges


@given(
    scale=st.floats(1e-2, 1e2),
    shift=st.floats(-0.02, 0.5),
    unit=st.floats(1e-3, 1e3),
    seed=st.integers(0, 2**31),
)
@settings(deadline=None, max_examples=40)
def test_thirty_percent_outliers_do_not_tilt_the_fit(scale, shift, unit, seed):
    rng = np.random.default_rng(seed)
    source = rng.uniform(0.1, 1.0, 800) / unit
    truth = scale * source + scale * shift / unit
    target = truth * (1 + rng.normal(0, 0.002, 800))
    wrong = rng.random(800) < 0.27
    target[wrong] *= rng.uniform(1.2, 8.0, wrong.sum())
    fit = fit_inverse_depth(source, target)
    assert (np.abs(fit.scale * source + fit.shift - truth) / truth).max() < 0.02


def test_outliers_on_one_side_only_do_not_tilt_the_fit():
    rng = np.random.default_rng(1)
    source = np.sort(rng.uniform(0.1, 1.0, 1000))
    target = 2 * source + 0.1
    target[-250:] = 0.05  # everything near is taken for the far wall
    fit = fit_inverse_depth(source, target)
    assert (fit.scale, fit.shift) == pytest.approx((2, 0.1), rel=0.01)
    assert fit.inliers == pytest.approx(0.75, abs=0.02)


def test_exact_data_is_fitted_exactly():
    source = np.linspace(0.1, 1, 50)
    fit = fit_inverse_depth(source, 3 * source + 0.2)
    assert (fit.scale, fit.shift, fit.inliers) == pytest.approx((3, 0.2, 1))


@pytest.mark.parametrize(
    ("source", "target"),
    [
        pytest.param(np.linspace(0.1, 1, 50), np.linspace(2, 0.2, 50), id="negative slope"),
        pytest.param(np.full(50, 0.5), np.linspace(1.4, 1.6, 50), id="constant prediction"),
        pytest.param(np.array([0.5, 1.0]), np.array([1.5, 3.0]), id="two samples"),
    ],
)
def test_hopeless_samples_give_a_pure_scale(source, target):
    fit = fit_inverse_depth(source, target)
    assert fit.shift == 0
    assert fit.scale == pytest.approx(np.median(target / source))


def test_no_samples_give_the_identity():
    fit = fit_inverse_depth(np.zeros(0), np.zeros(0))
    assert (fit.scale, fit.shift) == (1, 0)


def test_a_million_samples_are_fitted_as_well_as_a_thousand():
    rng = np.random.default_rng(0)
    source = rng.uniform(0.1, 1, 1_000_000).astype(np.float32)
    fit = fit_inverse_depth(source, 1.5 * source + 0.05)
    assert (fit.scale, fit.shift) == pytest.approx((1.5, 0.05), rel=1e-4)


def solve_directly(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Laplace's equation with free image borders, by a sparse direct solver."""
    h, w = values.shape
    index = np.arange(h * w).reshape(h, w)
    pairs = np.concatenate(
        [
            np.stack([index[:, 1:], index[:, :-1]], -1).reshape(-1, 2),
            np.stack([index[1:], index[:-1]], -1).reshape(-1, 2),
        ]
    )
    ones = np.ones(len(pairs))
    links = sparse.coo_array((ones, pairs.T), (h * w, h * w))
    links = (links + links.T).tocsr()
    laplace = sparse.diags_array(links.sum(1)) - links
    free, fixed = index[~known], index[known]
    right = -laplace[free][:, fixed] @ values[known].astype(np.float64)
    out = values.astype(np.float64).copy()
    out[~known] = spsolve(laplace[free][:, free].tocsc(), right)
    return out


def holes(name: str) -> np.ndarray:
    known = np.ones((96, 128), bool)
    if name == "wide hole":
        known[8:88, 10:120] = False
    elif name == "half the picture":
        known[:, 50:] = False
    elif name == "corner":
        known[:60, :70] = False
    elif name == "islands":
        known[:] = np.random.default_rng(0).random(known.shape) < 0.01
    elif name == "one known column":
        known[:] = False
        known[:, 5] = True
    return known


@pytest.mark.parametrize("name", ["wide hole", "half the picture", "corner", "islands", "one known column"])
def test_the_fill_is_the_harmonic_function_that_meets_the_boundary(name):
    known = holes(name)
    v, u = np.mgrid[:96, :128]
    values = (np.sin(u / 17) + np.cos(v / 11) + 0.01 * u).astype(np.float32)
    filled = fill_harmonic(np.where(known, values, np.nan), known)
    assert np.array_equal(filled[known], values[known]), "exact where it is known"
    error = np.abs(filled - solve_directly(values, known))
    assert error.max() < 0.02 * np.ptp(values)


def test_a_linear_correction_stays_linear_deep_inside_a_wide_hole():
    known = np.ones((160, 400), bool)
    known[:, 50:350] = False
    ramp = np.broadcast_to(np.linspace(-0.2, 0.3, 400, dtype=np.float32), known.shape)
    filled = fill_harmonic(np.where(known, ramp, 0), known)
    assert np.abs(filled - ramp).max() < 0.005


def test_a_constant_correction_does_not_fade_with_the_distance():
    known = np.zeros((300, 500), bool)
    known[:, :5] = True
    filled = fill_harmonic(np.where(known, np.float32(0.25), 0), known)
    assert np.abs(filled - 0.25).max() < 1e-4


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (7, 9), (33, 65)])
def test_any_size_can_be_filled(shape):
    known = np.zeros(shape, bool)
    assert not fill_harmonic(np.ones(shape, np.float32), known).any(), "nothing is known"
    known.flat[0] = True
    assert fill_harmonic(np.full(shape, 2, np.float32), known) == pytest.approx(2)


def test_the_fill_does_not_depend_on_the_number_of_threads(monkeypatch):
    known = holes("islands")
    values = np.random.default_rng(1).normal(0, 1, known.shape).astype(np.float32)
    once = fill_harmonic(values, known)
    for threads in ("1", "3", "7"):
        monkeypatch.setenv("SPLINESCAPE_THREADS", threads)
        assert np.array_equal(fill_harmonic(values, known), once)


K_33 = worlds.centred_intrinsics(128, 96, 110).astype(np.float64)


def test_alignment_recovers_the_true_surface_in_a_wide_hole():
    truth = plane_depth((0.3, 0.5, 0.8), 3.0, K_33, 128, 96)
    known = np.ones((96, 128), bool)
    known[:, 60:] = False
    bent = 1 / (0.4 / truth + 0.03)  # another scale and shift, as networks have
    aligned = align_depth(bent.astype(np.float32), np.ones((96, 128), np.float32), truth, known)
    assert aligned[known] == pytest.approx(truth[known], rel=1e-6)
    assert np.abs(aligned / truth - 1).max() < 1e-3


@pytest.mark.parametrize("rows", [20, 32])
def test_a_ghost_in_the_prediction_does_not_bend_the_rest(rows):
    truth = plane_depth((0.3, 0.5, 0.8), 3.0, K_33, 128, 96)
    known = np.ones((96, 128), bool)
    known[:, 60:] = False
    predicted = truth * 2.0
    predicted[60 : 60 + rows, 5:55] = 1.0
    aligned = align_depth(predicted, np.ones((96, 128), np.float32), truth, known)
    assert np.abs(aligned / truth - 1)[:, 60:].max() < 0.01


def test_the_hole_meets_the_known_area_without_a_step():
    truth = plane_depth((0.0, 0.5, 0.8), 3.0, K_33, 128, 96)
    known = np.ones((96, 128), bool)
    known[20:80, 30:110] = False
    u = np.arange(128)
    predicted = (truth * (1 + 0.15 * np.sin(u / 20))).astype(np.float32)
    aligned = align_depth(predicted, np.ones((96, 128), np.float32), truth, known)
    assert not occlusion_edges(aligned, jump=0.01).any()


def test_sky_stays_sky_and_nothing_becomes_nan():
    truth = plane_depth((0.0, 1.0, 0.0), 1.5, K_33, 128, 96)
    known = np.ones((96, 128), bool)
    known[:, 60:] = False
    confidence = np.isfinite(truth).astype(np.float32)
    aligned = align_depth(truth, confidence, truth, known)
    assert np.array_equal(np.isinf(aligned), np.isinf(truth))
    assert (aligned > 0).all()


@pytest.mark.parametrize("known_share", [0.0, 1.0])
@pytest.mark.parametrize("predicted", [np.inf, 3.0])
@pytest.mark.parametrize("seen", [np.inf, 2.0])
def test_extremes_do_not_break_the_alignment(known_share, predicted, seen):
    shape = (16, 24)
    known = np.full(shape, known_share > 0)
    depth = np.full(shape, predicted, np.float32)
    out = align_depth(depth, np.isfinite(depth).astype(np.float32), np.full(shape, seen, np.float32), known)
    assert (out == (seen if known_share else predicted)).all()


def test_a_prediction_without_confidence_does_not_steer():
    truth = np.full((40, 60), 4.0, np.float32)
    known = np.ones((40, 60), bool)
    known[:, 30:] = False
    predicted, confidence = truth * 3, np.ones((40, 60), np.float32)
    predicted[:20], confidence[:20] = 0.5, 0
    aligned = align_depth(predicted, confidence, truth, known)
    assert aligned[20:] == pytest.approx(4.0, rel=1e-3)
