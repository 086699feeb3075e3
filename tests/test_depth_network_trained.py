"""What the network has learnt, in worlds that it was never trained on: enough to notice that something broke."""

from __future__ import annotations

import numpy as np
import pytest

from splinescape.camera.view import View
from splinescape.depth.network.estimator import NetworkDepth
from splinescape.depth.network.weights import SHIPPED
from splinescape.picture.focal import centred_intrinsics
from training.depth import checkpoint, metrics, photo
from training.depth import compile as compiling
from training.depth.export import export
from training.depth.feed import HELD_OUT
from training.depth.generator import KINDS, SKY, Generator
from training.depth.train import CHECKPOINT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(compiling.find_compiler("cpu") is None, reason="needs a C++ compiler"),
    pytest.mark.skipif(
        not SHIPPED.exists() and not checkpoint.exists(CHECKPOINT), reason="there are no trained weights"
    ),
]
WORLDS = ("room", "street", "field", "shelves", "village", "people")
OF_EACH = 4


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> NetworkDepth:
    if SHIPPED.exists():
        return NetworkDepth()
    file = tmp_path_factory.mktemp("weights") / "trained.safetensors"
    export(CHECKPOINT, file)
    return NetworkDepth(weights=file)


@pytest.fixture(scope="module")
def seen(engine: NetworkDepth) -> list[dict]:
    """For each world: truth, prediction with the true camera, and without."""
    generator = Generator("cpu", threads=2)
    worlds = []
    for i, name in enumerate(OF_EACH * WORLDS):
        views = generator.render(generator.build([HELD_OUT + 77 + i], [KINDS.index(name)]), 288, 384)
        rgb = photo.develop(views.rgb, views.depth, photo.Dice.of(i, views.depth.device))
        pixels = (rgb[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        K = centred_intrinsics(float(views.focal[0]), 384, 288)
        view = View(384, 288, K, np.eye(4))
        worlds.append(
            {
                "truth": views.depth[0].numpy().astype(np.float64),
                "sky": views.what[0].numpy() == SKY,
                "given": engine.predict(pixels, K_33=K, view=view),
                "free": engine.predict(pixels, K_33=None, view=view),
                "focal": float(views.focal[0]),
            }
        )
    return worlds


def test_depth_is_nearer_the_truth_than_a_constant_and_a_ramp(seen: list[dict]) -> None:
    scores: dict[str, list[float]] = {"network": [], "constant": [], "ramp": []}
    for world in seen:
        truth, predicted = world["truth"], world["given"].depth.astype(np.float64)
        valid = np.isfinite(truth) & np.isfinite(predicted)
        answers = {
            "network": metrics.align_scale(predicted, truth, valid),
            "constant": metrics.align_scale(np.ones_like(truth), truth, valid),
            "ramp": metrics.ramp(truth, valid),
        }
        for name, answer in answers.items():
            scores[name].append(metrics.depth_errors(answer, truth, valid)["delta1"])
    mean = {name: np.mean(values) for name, values in scores.items()}
    assert mean["network"] > 0.6
    assert mean["network"] > mean["ramp"] + 0.1 and mean["network"] > mean["constant"] + 0.2


def test_metres_and_angles_are_of_the_right_size(seen: list[dict]) -> None:
    """All but two of 24: it was not trained to see a mesh right before the camera, and measures what is behind it."""
    off = []
    for world in seen:
        truth, predicted = world["truth"], world["given"].depth
        valid = np.isfinite(truth) & np.isfinite(predicted)
        off.append(np.exp(np.abs(np.log(np.median(predicted[valid] / truth[valid])))))
    assert np.median(off) < 1.5
    assert sum(each > 3 for each in off) <= 2
    angles = [2 * np.degrees(np.arctan(192 / f)) for f in (w["focal"] for w in seen)]
    found = [2 * np.degrees(np.arctan(192 / w["free"].K_33[0, 0])) for w in seen]
    assert np.mean(np.abs(np.array(angles) - found)) < 15


def test_rooms_have_no_sky(seen: list[dict]) -> None:
    for world in seen:
        if not world["sky"].any():
            assert np.isinf(world["given"].depth).mean() < 0.005


def test_it_is_wrong_more_often_where_it_says_so(seen: list[dict]) -> None:
    confidence, right = [], []
    for world in seen:
        truth, predicted = world["truth"], world["given"].depth.astype(np.float64)
        valid = np.isfinite(truth) & np.isfinite(predicted)
        aligned = metrics.align_scale(predicted, truth, valid)[valid]
        right.append(np.abs(np.log(aligned / truth[valid])) < np.log(1.25))
        confidence.append(world["given"].confidence[valid])
    said, was = np.concatenate(confidence), np.concatenate(right)
    low, high = said < np.quantile(said, 0.3), said > np.quantile(said, 0.7)
    assert was[high].mean() > was[low].mean() + 0.1
    assert abs(said.mean() - was.mean()) < 0.2
