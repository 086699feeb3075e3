"""The depth engine that everyone has: the package's own network with the package's own weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from splinescape.camera.view import View
from splinescape.config import SceneConfig
from splinescape.depth import DepthPrediction
from splinescape.depth.network.estimator import NetworkDepth
from splinescape.depth.network.weights import SHIPPED
from splinescape.engines import DEPTH_ESTIMATORS, MemoryTier, pick
from splinescape.picture.fit import fit_picture
from splinescape.picture.load import load_picture
from splinescape.pipeline import ScenePipeline

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def builtin() -> NetworkDepth:
    return pick("depth", DEPTH_ESTIMATORS, "builtin")[0].build(SceneConfig(), MemoryTier.FULL)


def predict(engine: NetworkDepth, rgb: np.ndarray) -> DepthPrediction:
    return engine.predict(rgb, K_33=None, view=View(rgb.shape[1], rgb.shape[0], None, np.eye(4)))


def example(name: str) -> np.ndarray:
    return fit_picture(load_picture(EXAMPLES / name).rgb, max_resolution=512).rgb


def degrees_across(prediction: DepthPrediction) -> float:
    return float(np.degrees(2 * np.arctan(prediction.depth.shape[1] / 2 / prediction.K_33[0, 0])))


def test_it_was_trained_and_is_small_enough_to_ship(builtin: NetworkDepth) -> None:
    assert builtin.origin.pictures > 1_000_000
    assert SHIPPED.stat().st_size <= 50e6


def test_with_little_memory_on_the_device_it_stays_on_the_processor() -> None:
    entry, _ = pick("depth", DEPTH_ESTIMATORS, None, MemoryTier.LEAST)
    assert entry.name == "builtin"
    network = entry.build(SceneConfig(), MemoryTier.LEAST)._network
    assert {p.device for p in network.parameters()} == {torch.device("cpu")}


@pytest.mark.parametrize("share", [1.0, 0.5], ids=["whole", "the half by the window"])
def test_the_example_room_has_depth_and_no_sky(builtin: NetworkDepth, share: float) -> None:
    """By the window its plaster is burnt out to white."""
    rgb = example("room.png")
    rgb = np.ascontiguousarray(rgb[:, : int(share * rgb.shape[1])])
    depth = predict(builtin, rgb).depth
    assert np.isfinite(depth).all()
    assert depth.min() > 0.5 and depth.max() < 30
    assert np.percentile(depth, 95) > 1.5 * np.percentile(depth, 5)


def test_the_example_valley_has_its_sky_and_goes_far(builtin: NetworkDepth) -> None:
    prediction = predict(builtin, example("valley.jpg"))
    sky = np.isinf(prediction.depth)
    height = len(sky)
    assert sky[: height // 8].mean() > 0.95
    assert not sky[height // 2 :].any()
    far, near = prediction.depth[height // 2 - 20 : height // 2], prediction.depth[-20:]
    assert np.median(far) > 2.5 * np.median(near)
    assert 45 < degrees_across(prediction) < 90


@pytest.mark.parametrize("colour", [(128, 128, 128), (0, 0, 0), (255, 255, 255), (80, 140, 230)], ids=str)
def test_a_picture_of_one_colour_still_becomes_a_scene(colour: tuple[int, int, int]) -> None:
    """Even where all of it is taken for sky."""
    rgb = np.full((64, 96, 3), colour, np.uint8)
    result = ScenePipeline(SceneConfig(stage="no-outpaint"), depth="builtin", rasterizer="cpu").run(rgb)
    assert len(result.scene.splats) > 0


def test_nothing_heavy_is_imported_for_it() -> None:
    """Whoever has no model packages has the network all the same."""
    code = (
        "import sys; from splinescape.depth.network.estimator import NetworkDepth; NetworkDepth(); "
        "print([m for m in ('diffusers', 'transformers', 'safetensors', 'timm') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
