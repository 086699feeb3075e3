"""The depth engine that looks at a picture with the network of this package."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from splinescape.camera.intrinsics import pixel_rays
from splinescape.camera.view import View
from splinescape.depth import DepthPrediction
from splinescape.depth.network.framing import resized, working_size
from splinescape.depth.network.sky import find_sky
from splinescape.depth.network.upsample import along_edges, smooth
from splinescape.depth.network.weights import SHIPPED, load_network
from splinescape.depth.normals import facing
from splinescape.depth.request import check_request
from splinescape.devices import torch_threads
from splinescape.picture.focal import centred_intrinsics
from splinescape.scene.ramps import snap_ramps

_NARROWEST, _WIDEST = math.radians(20), math.radians(110)
"""Over the longer side. Trained on 25 to 100 degrees."""
_NEAREST, _FARTHEST = 1e-3, 1e5
"""Metres."""
_THREADS = 2
"""Always as many, whoever asks, so that a scene has the same bytes in the command line and in a service."""
_SKY = np.float32(50)
"""Stands for the logarithm of the sky's depth."""
_CLOSE = math.log(1.25)


class NetworkDepth:
    """Depth, sky, confidence, normals and camera from the network of this package; metres as far as it can tell.

    Deterministic on one machine and one kind of device, whatever the number of torch's threads.
    """

    name = "builtin"
    quality = "small network"

    def __init__(self, device: torch.device | str = "cpu", weights: Path = SHIPPED) -> None:
        """Load the package's weights, or those of another file, onto `device`: "cpu", "cuda" or "mps".

        Raises:
            InputError: there is no such file, it is damaged, or of another network.
        """
        self._device = torch.device(device)
        self._network, self.origin = load_network(weights, self._device)

    def predict(
        self, rgb_hw3: NDArray[np.uint8], *, K_33: NDArray[np.float32] | None, view: View
    ) -> DepthPrediction:
        """Predict the depth of `rgb_hw3` (H, W, 3) uint8 in metres.

        A given `K_33` comes back as it is. Where its field of view is not the one that the network sees, depth is
        multiplied by the ratio of the focal lengths: how large things are across, which is what the network knows
        them by, stays the same. Without `K_33` the field of view is the network's, the principal point the centre.

        Depth is +inf and confidence 0 on the sky. Elsewhere confidence is the probability that the depth is right
        to a factor of 1.25, if its logarithm errs as Laplace's distribution with the mean error e that the network
        expects: 1 - exp(-log(1.25) / e).

        Raises:
            InputError: `rgb_hw3` is not (H, W, 3) uint8, or `K_33` has no positive focal lengths.
        """
        del view  # one picture is all it looks at
        check_request(rgb_hw3, K_33)
        height, width = rgb_hw3.shape[:2]
        pixel_height = 1.0 if K_33 is None else float(K_33[0, 0] / K_33[1, 1])
        small = resized(rgb_hw3, *working_size(width, height, pixel_height))
        seen = self._look(small)
        K, stretch = _camera(seen.tan_half, K_33, width, height)
        sky = find_sky(seen.sky_logit, _elevation(small.shape, K, (width, height), seen.up))
        log_depth = _sharpened(seen.log_depth, sky, small)
        log_depth = along_edges(log_depth, small, rgb_hw3)
        far = log_depth > _SKY / 2
        log_depth += np.float32(seen.log_scale + math.log(stretch))
        depth = np.exp(log_depth.clip(math.log(_NEAREST), math.log(_FARTHEST)))
        depth[far] = np.inf
        error = np.exp(smooth(seen.log_error, width, height))
        confidence = np.where(far, np.float32(0), -np.expm1(np.float32(-_CLOSE) / error))
        normals = smooth(seen.normals, width, height)
        normals[..., 2] /= np.float32(stretch)
        return DepthPrediction(depth, confidence, K, facing(normals, K))

    def _look(self, small: NDArray[np.uint8]) -> _Seen:
        with torch.inference_mode(), torch_threads(_THREADS):
            image = torch.from_numpy(np.array(small)).to(self._device).permute(2, 0, 1)[None].float() / 255
            p = self._network(image.contiguous(memory_format=torch.channels_last))
            return _Seen(
                log_depth=p.log_depth[0].clamp(-20, 20).cpu().numpy(),
                sky_logit=p.sky_logit[0].cpu().numpy(),
                log_error=p.log_error[0].clamp(-6, 3).cpu().numpy(),
                normals=p.normal[0].permute(1, 2, 0).contiguous().cpu().numpy(),
                up=p.up[0].cpu().double().numpy(),
                log_scale=float(p.log_scale[0]),
                tan_half=math.exp(float(p.log_tan_half[0])),
            )


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the network says of a picture of (h, w); see `Prediction`."""

    log_depth: NDArray[np.float32]
    sky_logit: NDArray[np.float32]
    log_error: NDArray[np.float32]
    normals: NDArray[np.float32]
    up: NDArray[np.float64]
    log_scale: float
    tan_half: float


def _camera(
    tan_half: float, K_33: NDArray[np.float32] | None, width: int, height: int
) -> tuple[NDArray[np.float32], float]:
    """Intrinsics, `K_33` if it is given, and its focal length over that of the network's `tan_half`."""
    tan_half = math.tan(min(max(math.atan(tan_half), _NARROWEST / 2), _WIDEST / 2))
    if K_33 is None:
        return centred_intrinsics(max(width, height) / 2 / tan_half, width, height), 1.0
    given = max(width / float(K_33[0, 0]), height / float(K_33[1, 1])) / 2
    return np.array(K_33, np.float32), tan_half / given


def _elevation(
    shape: tuple[int, ...], K_33: NDArray[np.float32], size: tuple[int, int], up: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(h, w) sine of the angle over the horizon of the rays of a picture of `size` that was made `shape` small."""
    h, w = shape[:2]
    K = np.diag([w / size[0], h / size[1], 1.0]) @ K_33
    rays = pixel_rays(w, h, K)
    return np.asarray(rays @ up / np.linalg.norm(rays, axis=-1) / max(float(np.linalg.norm(up)), 1e-9))


def _sharpened(
    log_depth: NDArray[np.float32], sky: NDArray[np.bool_], rgb: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Steps instead of the network's ramps, and _SKY on the sky."""
    depth = np.where(sky, np.float32(np.inf), np.exp(log_depth))
    return np.where(sky, _SKY, np.log(snap_ramps(depth, rgb)))
