"""A checkpoint of the training as something that `depth_worlds.py` can judge, before its weights are in the package."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from splinescape.camera.view import View  # noqa: E402
from splinescape.depth import DepthPrediction  # noqa: E402
from splinescape.depth.network.estimator import NetworkDepth  # noqa: E402
from splinescape.depth.network.framing import resized, working_size  # noqa: E402
from splinescape.depth.network.weights import Origin, load_network, write_weights  # noqa: E402
from training.depth import checkpoint  # noqa: E402
from training.depth.evaluate import predict  # noqa: E402
from training.depth.network import DepthNetwork  # noqa: E402


def ask(folder: Path, pictures: Sequence[NDArray[np.uint8]]) -> dict[str, list[DepthPrediction]]:
    """What the averaged weights of a checkpoint say of pictures (H, W, 3), in three ways.

    `engine` is the package's engine with these weights: its sky, its steps. The others are the network's own maps in
    the size it looks at, brought back by the nearest pixel: `raw` calls sky what has a logit over 0, `all-land`
    nothing, which tells wrong depth from wrong sky.

    Raises:
        DamagedCheckpointError: a part is missing, or a byte has changed.
        InputError: the checkpoint is of another network.
    """
    state = checkpoint.load(folder)
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / "weights.safetensors"
        write_weights(weights, state.average, Origin(int(state.meta["step"]), int(state.meta["images"])))
        engine = NetworkDepth(weights=weights)
        network, _ = load_network(weights, torch.device("cpu"))
    views = [View(p.shape[1], p.shape[0], None, np.eye(4)) for p in pictures]
    raw = [look(network, p) for p in pictures]
    step = f"step-{state.meta['step']}"
    return {
        f"{step}-engine": [
            engine.predict(p, K_33=None, view=v) for p, v in zip(pictures, views, strict=True)
        ],
        f"{step}-raw": [with_sky for with_sky, _ in raw],
        f"{step}-all-land": [land for _, land in raw],
    }


def look(network: DepthNetwork, rgb: NDArray[np.uint8]) -> tuple[DepthPrediction, DepthPrediction]:
    """The network's own maps of a picture (H, W, 3): with sky where the logit is over 0, and without any."""
    h, w = rgb.shape[:2]
    seen = resized(rgb, *working_size(w, h))
    pixels = torch.from_numpy(seen).permute(2, 0, 1)[None].float() / 255
    p = predict(network, pixels.contiguous(memory_format=torch.channels_last))
    maps = (p.log_depth[0] + p.log_scale[0], p.sky_logit[0], p.log_error[0])
    log_depth, logit, log_error = (
        cv2.resize(m.numpy(), (w, h), interpolation=cv2.INTER_NEAREST_EXACT) for m in maps
    )
    f = max(h, w) / 2 / math.exp(float(p.log_tan_half[0]))
    K = np.array([[f, 0, w / 2], [0, f, h / 2], [0, 0, 1]], np.float32)
    depth, confidence = np.exp(log_depth), np.exp(-np.exp(log_error))
    sky = logit > 0
    return (
        DepthPrediction(np.where(sky, np.float32(np.inf), depth), np.where(sky, 0, confidence), K),
        DepthPrediction(depth, confidence, K),
    )
