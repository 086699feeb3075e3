"""The parts of the builtin inpainter that have an answer of their own to check against."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from splinescape.inpaint.builtin.blend import blend
from splinescape.inpaint.builtin.farside import find_layers
from splinescape.inpaint.builtin.multigrid import make_operators, solve
from splinescape.inpaint.builtin.pushpull import push_pull


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (17, 30), (64, 41)])
def test_multigrid_agrees_with_a_direct_solver(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    right, down = (rng.uniform(0.01, 1, shape).astype(np.float32) for _ in range(2))
    right[:, -1] = 0
    down[-1] = 0
    anchor = ((rng.random(shape) < 0.1) + 1e-3).astype(np.float32)
    target = rng.normal(size=(*shape, 3)).astype(np.float32)
    index = np.arange(right.size).reshape(shape)
    first = np.concatenate([index[:, :-1].ravel(), index[:-1].ravel()])
    second = np.concatenate([index[:, 1:].ravel(), index[1:].ravel()])
    weight = np.concatenate([right[:, :-1].ravel(), down[:-1].ravel()])
    off = sparse.coo_matrix((weight, (first, second)), (index.size, index.size)).tocsr()
    off = off + off.T
    matrix = sparse.diags(np.asarray(off.sum(axis=1)).ravel() + anchor.ravel().astype(float)) - off
    exact = spsolve(matrix.tocsc(), target.reshape(-1, 3).astype(float)).reshape(target.shape)
    ours = solve(make_operators(right, down, anchor), target, np.zeros_like(target), cycles=12)
    np.testing.assert_allclose(ours, exact, atol=2e-4 * np.abs(exact).max())


def test_blending_takes_the_surrounding_brightness_and_keeps_the_copied_detail() -> None:
    rng = np.random.default_rng(1)
    texture = rng.uniform(0, 0.1, (40, 80, 3)).astype(np.float32)
    texture[:, 40:] = texture[:, :40]
    image = texture + np.where(np.arange(80) < 40, 0.5, 0.6).astype(np.float32)[None, :, None]
    hole = np.zeros((40, 80), bool)
    hole[15:25, 55:65] = True
    copied_from = np.arange(hole.size).reshape(hole.shape)
    copied_from[hole] -= 40
    pasted = image.copy()
    pasted[hole] -= 0.1  # the copy, as dark as the place it came from
    np.testing.assert_allclose(blend(pasted, ~hole, hole, copied_from), image, atol=0.01)


def test_push_pull_keeps_known_values_and_stays_between_them() -> None:
    rng = np.random.default_rng(2)
    values = rng.uniform(2, 3, (37, 22, 2)).astype(np.float32)
    known = rng.random((37, 22)) < 0.05
    filled = push_pull(values, known)
    np.testing.assert_array_equal(filled[known], values[known])
    assert filled.min() >= values[known].min() - 1e-5
    assert filled.max() <= values[known].max() + 1e-5


def room() -> tuple[np.ndarray, np.ndarray]:
    """Depth of a wall at 5 m over a floor, and a box 2.5 m away standing on the floor."""
    y, x = np.mgrid[:120, :160] + 0.5
    depth = np.minimum(5, 120 / np.maximum(y - 60, 1e-3))
    box = (x > 50) & (x < 80) & (y > 30) & (y < 108)
    return np.where(box, 2.5, depth).astype(np.float32), box


def test_only_the_box_hides_what_a_hole_beside_it_shows() -> None:
    depth, box = room()
    hole = np.zeros_like(box)
    hole[30:104, 80:105] = True
    layers = find_layers(depth, hole)
    rim = np.zeros_like(box)
    rim[34:96, 79] = True
    assert layers.hiding[rim].mean() > 0.95
    beside = ndimage.binary_dilation(hole, iterations=3)
    assert not layers.hiding[beside & ~box].any()


def test_the_hole_continues_wall_and_floor_at_their_depth() -> None:
    depth, _ = room()
    hole = np.zeros(depth.shape, bool)
    hole[30:104, 80:105] = True
    wanted = np.exp(find_layers(depth, hole).wanted)
    sky = 0.05 * np.median(1 / depth[~hole])
    wall = wanted[40:70, 85:100] - sky
    assert wall.min() > 0.95 / 5
    assert wall.max() < 1.25 / 5  # and not the box's 1 / 2.5
    assert (np.diff(wanted[90:104, 92]) > -1e-3).all()  # the floor comes nearer


def test_a_wall_and_a_floor_that_meet_do_not_hide_each_other() -> None:
    y = np.mgrid[:120, :160][0] + 0.5
    depth = np.minimum(5, 120 / np.maximum(y - 60, 1e-3)).astype(np.float32)
    hole = np.zeros(depth.shape, bool)
    hole[60:105, 60:100] = True
    assert not find_layers(depth, hole).hiding.any()


def test_the_test_does_not_depend_on_the_unit_of_depth() -> None:
    depth, _ = room()
    hole = np.zeros(depth.shape, bool)
    hole[30:104, 80:105] = True
    metres, millimetres = find_layers(depth, hole), find_layers(1000 * depth, hole)
    np.testing.assert_array_equal(metres.hiding, millimetres.hiding)
