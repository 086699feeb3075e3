"""Every depth engine keeps the same promises, whatever the picture and the camera."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pretrained_support import picture, save_depth_anything, save_depth_pro

from splinescape.camera.view import View
from splinescape.coarse.expand import call_depth
from splinescape.depth import DepthPrediction
from splinescape.depth.network.estimator import NetworkDepth
from splinescape.depth.pretrained import DepthAnythingDepth, DepthProDepth

CPU = torch.device("cpu")
SHAPES = [(64, 96), (97, 61), (48, 400), (320, 33), (1, 1)]


def make_moge(folder: Path, version: int) -> Any:
    if importlib.util.find_spec("splinescape.depth.moge") is None:
        pytest.skip("there is no MoGe in this version")
    from moge_support import SMALL_V1, SMALL_V2, random_state, write_checkpoint

    from splinescape.depth.moge import MogeDepth

    config = SMALL_V1 if version == 1 else SMALL_V2
    return MogeDepth(write_checkpoint(folder / "model.pt", config, random_state(config, seed=5)), CPU)


ENGINES: dict[str, Callable[[Path], Any]] = {
    "builtin": lambda _folder: NetworkDepth(),
    "moge 1": lambda folder: make_moge(folder, 1),
    "moge 2": lambda folder: make_moge(folder, 2),
    "depth-pro": lambda folder: DepthProDepth(save_depth_pro(folder), CPU),
    "depth-anything, indoor": lambda folder: DepthAnythingDepth(save_depth_anything(folder, limit=20), CPU),
    "depth-anything, outdoor": lambda folder: DepthAnythingDepth(save_depth_anything(folder, limit=80), CPU),
}


@pytest.fixture(scope="module", params=ENGINES, ids=lambda name: name.replace(", ", " "))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return ENGINES[request.param](tmp_path_factory.mktemp("model"))


def camera(focal: float, cx: float, cy: float) -> np.ndarray:
    return np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1]], np.float32)


def view(rgb: np.ndarray, K_33: np.ndarray | None) -> View:
    return View(rgb.shape[1], rgb.shape[0], K_33, np.eye(4))


def ask(engine: Any, rgb: np.ndarray, K_33: np.ndarray | None) -> DepthPrediction:
    """Predict from read-only arrays, as an engine may be given them."""
    before = rgb.copy(), None if K_33 is None else K_33.copy()
    rgb.flags.writeable = False
    if K_33 is not None:
        K_33.flags.writeable = False
    answer = engine.predict(rgb, K_33=K_33, view=view(rgb, K_33))
    np.testing.assert_array_equal(rgb, before[0])
    if K_33 is not None:
        np.testing.assert_array_equal(K_33, before[1])
    return answer


def assert_keeps_the_contract(answer: DepthPrediction, hw: tuple[int, int]) -> None:
    depth, confidence, K = answer.depth, answer.confidence, answer.K_33
    assert depth.shape == confidence.shape == hw
    assert depth.dtype == confidence.dtype == K.dtype == np.float32
    assert not np.isnan(depth).any() and (depth > 0).all()
    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert (confidence[np.isinf(depth)] == 0).all() and (confidence[np.isfinite(depth)] > 0).all()
    assert K.shape == (3, 3) and np.isfinite(K).all() and K[0, 0] > 0 and K[1, 1] > 0
    np.testing.assert_array_equal(K[[0, 1, 2, 2, 2], [1, 0, 0, 1, 2]], [0, 0, 0, 0, 1])
    if answer.normals is not None:
        assert answer.normals.shape == (*hw, 3) and answer.normals.dtype == np.float32
        assert np.isfinite(answer.normals).all()
        np.testing.assert_allclose(np.linalg.norm(answer.normals, axis=-1), 1, atol=1e-4)


@pytest.mark.parametrize("hw", SHAPES, ids=str)
def test_without_intrinsics(engine: Any, hw: tuple[int, int]) -> None:
    answer = ask(engine, picture(*hw), None)
    assert_keeps_the_contract(answer, hw)
    K = answer.K_33
    assert K[0, 0] == pytest.approx(K[1, 1], rel=1e-5)
    assert (K[0, 2], K[1, 2]) == (hw[1] / 2, hw[0] / 2)


@pytest.mark.parametrize("hw", SHAPES, ids=str)
def test_given_intrinsics_come_back_unchanged(engine: Any, hw: tuple[int, int]) -> None:
    height, width = hw
    for K in (camera(0.8 * max(hw), width / 2, height / 2), camera(3 * max(hw), 0.3 * width, 0.6 * height)):
        answer = ask(engine, picture(*hw), K)
        assert_keeps_the_contract(answer, hw)
        np.testing.assert_array_equal(answer.K_33, K)


def test_normals_face_the_camera(engine: Any) -> None:
    K = camera(80, 48, 32)
    answer = ask(engine, picture(64, 96), K)
    if answer.normals is None:
        pytest.skip("it has no normals")
    v, u = np.mgrid[:64, :96] + 0.5
    rays = np.stack([(u - 48) / 80, (v - 32) / 80, np.ones_like(u)], -1)
    assert ((answer.normals * rays).sum(-1) <= 1e-4).all()


def test_the_same_picture_has_the_same_depth(engine: Any) -> None:
    first, again = (ask(engine, picture(64, 96), None) for _ in range(2))
    for name in ("depth", "confidence", "K_33"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_what_was_asked_before_does_not_matter(engine: Any) -> None:
    K = camera(70, 40, 30)
    first = ask(engine, picture(60, 80), K)
    ask(engine, picture(97, 61, seed=3), None)
    np.testing.assert_array_equal(ask(engine, picture(60, 80), K).depth, first.depth)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (110, 160, 235)], ids=str)
def test_pictures_of_one_colour(engine: Any, colour: tuple[int, int, int]) -> None:
    rgb = np.broadcast_to(np.array(colour, np.uint8), (64, 96, 3)).copy()
    assert_keeps_the_contract(ask(engine, rgb, None), (64, 96))


def test_pictures_that_lie_otherwise_in_memory(engine: Any) -> None:
    """A cut-out, mirrored and turned, is what it is as a copy."""
    whole = picture(120, 150)
    for part in (whole[8:72, 10:106], whole[:64, 95::-1], whole.transpose(1, 0, 2)[:96, :64]):
        straight = ask(engine, np.ascontiguousarray(part), None).depth
        np.testing.assert_array_equal(ask(engine, part, None).depth, straight)


def test_the_pipeline_takes_the_answer(engine: Any) -> None:
    rgb = picture(64, 96)
    K = camera(80, 48, 32)
    assert_keeps_the_contract(call_depth(engine, rgb, K, view(rgb, K)), (64, 96))


def test_it_has_a_name_and_a_label(engine: Any) -> None:
    assert engine.name and isinstance(engine.name, str)
    assert engine.quality and isinstance(engine.quality, str)
