"""Depth Pro (Bochkovskii et al. 2024): metric depth with sharp edges, and the field of view."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.view import View
from splinescape.depth import DepthPrediction
from splinescape.depth.pretrained.folder import ModelFolder, open_folder
from splinescape.depth.pretrained.frame import (
    centre,
    finished,
    guessed_intrinsics,
)
from splinescape.depth.pretrained.loading import last_in_float32, load_network
from splinescape.depth.request import check_request
from splinescape.errors import InputError
from splinescape.picture.focal import centred_intrinsics

if TYPE_CHECKING:
    import torch

NEAREST = 1e-4
"""Metres; the published clamp of the inverse depth, 1e4 per metre."""
FAR = 1000.0
"""Metres; from here on it is sky. The published clamp lies at 1e4 m, but a sky is rarely exactly zero inverse depth.
At 1000 m a metre's step moves a picture 1000 px wide by about a pixel, so nothing is lost that a path could show."""
_PLAUSIBLE_FOV = (5.0, 150.0)


class DepthProDepth:
    """Metric depth and field of view by Depth Pro.

    The network sees the whole picture stretched to its square, so a wide one costs no more than a small one.

    Args:
        folder: `config.json`, `preprocessor_config.json` and `model.safetensors` of apple/DepthPro-hf.
        device: where it runs; half precision on CUDA, float32 elsewhere.

    Raises:
        EngineUnavailableError: transformers is not installed.
        InputError: files are missing, damaged, or belong to another model.
    """

    name = "depth-pro"
    quality = "metric"

    def __init__(self, folder: Path, device: torch.device) -> None:
        found = open_folder(folder, "Depth Pro", "depth_pro")
        self._network = load_network(found, "DepthPro", device)
        _check_size(found, self._network.config)
        last_in_float32(self._network.head.layers[-2])
        if self._network.fov_model is not None:
            last_in_float32(self._network.fov_model.head.layers[-1])
        self._preprocessing = found.preprocessing
        self._device = device

    def predict(
        self,
        rgb_hw3: NDArray[np.uint8],
        *,
        K_33: NDArray[np.float32] | None,
        view: View,  # noqa: ARG002 - where the camera stands says nothing about one picture
    ) -> DepthPrediction:
        """Depth of `rgb_hw3` (H, W, 3) uint8 in metres.

        The network gives a canonical inverse depth C; with the focal length f in pixels and the width W the
        inverse depth is C * W / f, kept in 1e-4 to 1e4 per metre (`DepthPro.infer` of the publication). f is that
        of `K_33`, or comes from the network's field of view. An off-centre principal point is centred by padding.

        Raises:
            InputError: `rgb_hw3` is not (H, W, 3) uint8, or `K_33` is no camera's.
        """
        check_request(rgb_hw3, K_33)
        canvas = centre(rgb_hw3, K_33)
        canonical, fov = self._run(canvas.rgb)
        if K_33 is None:
            K_33 = _intrinsics(fov, canvas.width, canvas.height)
        ratio = np.float32(canvas.rgb.shape[1] / float(K_33[0, 0]))
        inverse = np.minimum(canvas.cut(canonical) * ratio, np.float32(1 / NEAREST))
        far = ~(inverse > 1 / FAR)  # not a number is far too
        depth = np.asarray(1 / np.where(far, 1, inverse), np.float32)
        return finished(depth, far, K_33)

    def _run(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float | None]:
        """(H, W) canonical inverse depth at the picture's size, and the horizontal field of view in degrees."""
        import torch
        from torch.nn.functional import interpolate

        with torch.inference_mode():
            output = self._network(pixel_values=self._pixels(rgb).to(self._network.dtype))
            canonical = output.predicted_depth.float()[:, None]
            canonical = interpolate(canonical, size=rgb.shape[:2], mode="bilinear", align_corners=False)
            fov = None if output.field_of_view is None else float(output.field_of_view[0])
            return canonical[0, 0].cpu().numpy(), fov

    def _pixels(self, rgb: NDArray[np.uint8]) -> torch.Tensor:
        """(1, 3, S, S) float32: scaled, normalised, then stretched bilinearly without a filter, as published."""
        import torch
        from torch.nn.functional import interpolate

        how = self._preprocessing
        picture = torch.from_numpy(np.array(rgb)).to(self._device).permute(2, 0, 1)[None].float() * how.scale
        mean, std = (torch.tensor(v, device=self._device).view(1, 3, 1, 1) for v in (how.mean, how.std))
        size = (how.height, how.width)
        return interpolate((picture - mean) / std, size=size, mode="bilinear", align_corners=False)


def _intrinsics(fov: float | None, width: int, height: int) -> NDArray[np.float32]:
    """From the network's field of view, or the usual guess when it has none that a lens could have."""
    if fov is None or not _PLAUSIBLE_FOV[0] <= fov <= _PLAUSIBLE_FOV[1]:
        return guessed_intrinsics(width, height)
    return centred_intrinsics(width / 2 / math.tan(math.radians(fov) / 2), width, height)


def _check_size(folder: ModelFolder, config: Any) -> None:
    """The network cuts its input into overlapping patches, which only fit a square of one size."""
    side = round(config.patch_size / min(config.scaled_images_ratios))
    how = folder.preprocessing
    if (how.height, how.width) != (side, side):
        raise InputError(
            f"{folder.path}: preprocessor_config.json makes pictures of {how.width}x{how.height}, "
            f"but the network of config.json takes {side}x{side}; download the model again"
        )
