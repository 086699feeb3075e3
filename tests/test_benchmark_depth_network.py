"""A network in training is judged by its averaged weights, in the engine of the package and speaking for itself."""

import math

import numpy as np
import pytest
import torch

from benchmarks import depth_network
from splinescape.depth.network.weights import load_network, write_weights
from training.depth import checkpoint
from training.depth.network import DepthNetwork


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(1)
    network = DepthNetwork()
    weights = {n: p.detach().clone() for n, p in network.named_parameters()}
    average = {n: w * 1.5 for n, w in weights.items()}
    checkpoint.save(checkpoint.State(weights, average, meta={"step": 7, "images": 40}), tmp_path)
    return tmp_path


def picture(h, w):
    return np.random.default_rng(0).integers(0, 255, (h, w, 3), dtype=np.uint8)


def test_a_checkpoint_is_judged_by_its_average_in_three_ways(folder, tmp_path):
    asked = depth_network.ask(folder, [picture(72, 100)])
    assert list(asked) == ["step-7-engine", "step-7-raw", "step-7-all-land"]
    engine, raw, land = (found[0] for found in asked.values())
    assert engine.depth.shape == raw.depth.shape == land.depth.shape == (72, 100)
    assert np.isfinite(land.depth).all()
    assert np.array_equal(raw.depth[np.isfinite(raw.depth)], land.depth[np.isfinite(raw.depth)])
    assert (raw.confidence[np.isinf(raw.depth)] == 0).all()
    assert np.allclose(engine.K_33, land.K_33, rtol=1e-3)

    state = checkpoint.load(folder)
    write_weights(tmp_path / "w", state.average, depth_network.Origin(7, 40))
    network, _ = load_network(tmp_path / "w", torch.device("cpu"))
    assert np.array_equal(depth_network.look(network, picture(72, 100))[1].depth, land.depth)


def test_the_networks_own_maps_come_back_in_the_pictures_size_with_its_field_of_view(folder):
    land = depth_network.ask(folder, [picture(120, 40)])["step-7-all-land"][0]
    assert land.depth.shape == land.confidence.shape == (120, 40)
    assert 0 < math.degrees(2 * math.atan(60 / land.K_33[1, 1])) < 180
    assert land.K_33[0, 2] == 20 and land.K_33[1, 2] == 60
    assert ((land.confidence >= 0) & (land.confidence <= 1)).all()
