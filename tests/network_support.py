"""The depth network's engine with random weights, the same in every run."""

from __future__ import annotations

from pathlib import Path

import torch

from splinescape.depth.network.estimator import NetworkDepth
from splinescape.depth.network.model import DepthNetwork
from splinescape.depth.network.weights import Origin, write_weights


def random_engine(folder: Path) -> NetworkDepth:
    """Write the weights to a file in `folder` and load them."""
    torch.manual_seed(3)
    file = folder / "random.safetensors"
    write_weights(file, DepthNetwork().state_dict(), Origin(0, 0))
    return NetworkDepth(weights=file)
