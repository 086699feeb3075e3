"""Transformed splats look from a transformed camera as they did before; needs no Blender."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from io_support import make_splats

from addon.splats.harmonics import basis, turned
from addon.splats.transform import matrix_from_quat, quat_from_matrix, same_matrix, transformed
from splinescape.io.splat_arrays import SplatArrays
from splinescape.scene.harmonics import view_colors
from splinescape.scene.splats import Splats

RANDOM = np.random.default_rng(3)


def rotation(seed: int = 0) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def matrix(linear: np.ndarray, offset: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = linear, offset
    return out


def covariances(splats: SplatArrays) -> np.ndarray:
    axes = matrix_from_quat(splats.quats) * np.exp(splats.log_scales.astype(np.float64))[:, None]
    return axes @ axes.transpose(0, 2, 1)


LINEAR = {
    "turned": rotation(1),
    "larger": 2.5 * np.eye(3),
    "turned and smaller": 0.01 * rotation(2),
    "mirrored": np.diag([-1.0, 1.0, 1.0]) @ rotation(3),
    "point mirrored": -np.eye(3),
    "stretched": np.diag([1.0, 2.0, 5.0]),
    "stretched, turned, mirrored": np.diag([-1.0, 2.0, 0.1]) @ rotation(4),
    "sheared": np.array([[1.0, 0.7, 0.0], [0.0, 1.0, -0.4], [0.0, 0.0, 1.0]]),
}


@pytest.mark.parametrize("name", LINEAR)
def test_centres_and_covariances_go_with_the_matrix(name: str) -> None:
    linear = LINEAR[name]
    splats = make_splats(500, 16).to_arrays()
    moved = transformed(splats, matrix(linear, (1, -2, 3)))
    np.testing.assert_allclose(moved.means, splats.means @ linear.T + (1, -2, 3), rtol=1e-5, atol=1e-5)
    expected = linear @ covariances(splats) @ linear.T
    size = np.abs(expected).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(covariances(moved) / size, expected / size, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(moved.quats, axis=1), 1, atol=1e-6)
    assert (moved.opacity_logits == splats.opacity_logits).all()
    assert (moved.sh[:, 0] == splats.sh[:, 0]).all()


@pytest.mark.parametrize("name", ["turned", "larger", "turned and smaller", "mirrored", "point mirrored"])
@pytest.mark.parametrize("coefficients", [4, 9, 16])
def test_colours_go_with_the_camera(name: str, coefficients: int) -> None:
    splats = make_splats(300, coefficients)
    change = matrix(LINEAR[name], (1, -2, 3))
    moved = Splats.from_arrays(transformed(splats.to_arrays(), change))
    eye = np.array([0.5, 4, -7, 1])
    before = view_colors(splats, camera_at(eye))
    after = view_colors(moved, camera_at(change @ eye))
    assert (before - after).abs().max() < 2e-5
    assert (before - view_colors(splats, camera_at(change @ eye))).abs().max() > 0.05 or name == "larger"


def camera_at(eye: np.ndarray) -> torch.Tensor:
    view = torch.eye(4)
    view[:3, 3] = -torch.tensor(eye[:3], dtype=torch.float32)
    return view


def test_harmonics_turned_are_those_evaluated_in_turned_directions() -> None:
    directions = RANDOM.normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    sh = make_splats(20, 16).sh.numpy()
    for turn in (rotation(5), -rotation(6), np.eye(3)):
        after = np.einsum("dk,nkc->dnc", basis(directions @ turn.T), turned(sh, turn))
        np.testing.assert_allclose(after, np.einsum("dk,nkc->dnc", basis(directions), sh), atol=1e-5)
    np.testing.assert_allclose(turned(sh, np.eye(3)), sh, atol=1e-6)


def test_the_basis_is_that_of_the_renderer() -> None:
    splats = make_splats(100, 16)
    directions = splats.means / splats.means.norm(dim=1, keepdim=True)
    ours = np.einsum("nk,nkc->nc", basis(directions.double().numpy()), splats.sh.numpy()) + 0.5
    np.testing.assert_allclose(ours.clip(0), view_colors(splats, torch.eye(4)).numpy(), atol=1e-5)


def test_quaternions_and_matrices_agree() -> None:
    quats = RANDOM.normal(size=(1000, 4))
    quats[:4] = np.eye(4)
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    back = quat_from_matrix(matrix_from_quat(quats))
    np.testing.assert_allclose(np.abs((quats * back).sum(1)), 1, atol=1e-12)


def test_thin_and_tiny_splats_stay_finite() -> None:
    base = make_splats(3).to_arrays()
    log_scales = np.array([[-100, -100, -100], [5, -100, -100], [0, -13.8, 0]], np.float32)
    splats = SplatArrays(base.means, log_scales, base.quats, base.opacity_logits, base.sh)
    moved = transformed(splats, matrix(LINEAR["sheared"]))
    np.testing.assert_allclose(moved.log_scales[0].max(), -100, atol=0.6)
    assert moved.log_scales[1].max() == pytest.approx(5, abs=0.6)
    assert np.sort(moved.log_scales[2])[0] == pytest.approx(-13.8, abs=0.6)


@pytest.mark.parametrize("bad", [np.diag([1.0, 0.0, 1.0]), np.full((3, 3), np.nan)])
def test_a_matrix_that_flattens_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="scale of zero"):
        transformed(make_splats(2).to_arrays(), matrix(bad))


def test_matrices_as_blender_keeps_them_are_the_same() -> None:
    there = matrix(rotation(7) * 3, (10, 20, -30))
    assert same_matrix(there.astype(np.float32), there)
    assert not same_matrix(there, there @ matrix(np.eye(3), (0.01, 0, 0)))
