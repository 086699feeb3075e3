"""Depth Anything V2 (Yang et al. 2024), the metric models: depth in metres up to a limit that was trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from splinescape.camera.view import View
from splinescape.depth import DepthPrediction
from splinescape.depth.pretrained.folder import ModelFolder, Preprocessing, open_folder
from splinescape.depth.pretrained.frame import centre, finished, guessed_intrinsics
from splinescape.depth.pretrained.loading import last_in_float32, load_network
from splinescape.depth.pretrained.sky import find_sky
from splinescape.depth.request import check_request
from splinescape.errors import InputError

if TYPE_CHECKING:
    import torch

NEAREST = 1e-3
"""Metres; nothing nearer was trained."""
FAR_SHARE = 0.95
"""Of the model's limit; from here on its sigmoid is saturated, and "at least so far" is all that it says."""
_INDOOR_LIMIT = 20.0
_SKY_SHARE = 0.25


class DepthAnythingDepth:
    """Metric depth by Depth Anything V2.

    The model knows no focal length: its metres are those of the cameras that it was trained with, and a given
    `K_33` changes no depth. Without one, the longer side is taken to span 70 degrees.

    Args:
        folder: `config.json`, `preprocessor_config.json` and `model.safetensors` of a
            depth-anything/Depth-Anything-V2-Metric-...-hf.
        device: where it runs; half precision on CUDA, float32 elsewhere.

    Raises:
        EngineUnavailableError: transformers is not installed.
        InputError: files are missing, damaged, or belong to another model, or the model is not a metric one.
    """

    name = "depth-anything"
    quality = "metric, the field of view is guessed where the picture does not say it"

    def __init__(self, folder: Path, device: torch.device) -> None:
        found = open_folder(folder, "Depth Anything", "depth_anything")
        self._limit = _limit(found)
        if self._limit == round(self._limit):
            found.config["max_depth"] = round(self._limit)  # transformers refuses 20.0
        self._network = load_network(found, "DepthAnything", device)
        _check_multiple(found, self._network.config.patch_size)
        last_in_float32(self._network.head.conv3)
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

        An off-centre principal point is centred by padding. Sky is what lies at the model's limit. A model with a
        limit of more than 20 m is for outdoors, and the sky was left out of its training: there, what is sky
        beyond doubt by its colour and place is sky too, unless the model sees it nearer than a quarter of its
        limit.

        Raises:
            InputError: `rgb_hw3` is not (H, W, 3) uint8, or `K_33` is no camera's.
        """
        check_request(rgb_hw3, K_33)
        canvas = centre(rgb_hw3, K_33)
        depth = canvas.cut(self._run(canvas.rgb))
        if K_33 is None:
            K_33 = guessed_intrinsics(canvas.width, canvas.height)
        far = ~(depth < FAR_SHARE * self._limit)  # not a number is far too
        if self._limit > _INDOOR_LIMIT:
            far |= _sky(rgb_hw3, depth, _SKY_SHARE * self._limit)
        return finished(np.maximum(depth, np.float32(NEAREST)), far, K_33)

    def _run(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W) metres at the picture's size.

        Bilinear where the published post-processing is bicubic, which overshoots: beside a silhouette against the
        sky it gives depths of less than nothing.
        """
        import torch
        from torch.nn.functional import interpolate

        pixels = torch.from_numpy(network_input(rgb, self._preprocessing)).to(self._device)
        with torch.inference_mode():
            depth = self._network(pixel_values=pixels.to(self._network.dtype)).predicted_depth.float()
            depth = interpolate(depth[:, None], size=rgb.shape[:2], mode="bilinear", align_corners=False)
            return depth[0, 0].cpu().numpy()


def network_input(rgb: NDArray[np.uint8], how: Preprocessing) -> NDArray[np.float32]:
    """(1, 3, h, w) float32: resized by Pillow, scaled, normalised, as transformers' DPTImageProcessor does."""
    height, width = network_size(rgb.shape[0], rgb.shape[1], how)
    resized = Image.fromarray(rgb).resize((width, height), Image.Resampling(how.resample))
    mean, std = np.array(how.mean, np.float32), np.array(how.std, np.float32)
    values = (np.asarray(resized, np.float32) * np.float32(how.scale) - mean) / std
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None], np.float32)


def network_size(height: int, width: int, how: Preprocessing) -> tuple[int, int]:
    """Height and width of the network's input for a picture of `height` x `width`.

    The published rule: of the two factors that bring one side to its target, the one closer to 1 serves both
    sides, which are then rounded to the multiple. One multiple at least, for pictures like ribbons.
    """
    scale_y, scale_x = how.height / height, how.width / width
    if how.keep_aspect:
        scale_y = scale_x = scale_x if abs(1 - scale_x) < abs(1 - scale_y) else scale_y
    return _rounded(scale_y * height, how.multiple), _rounded(scale_x * width, how.multiple)


def _rounded(side: float, multiple: int) -> int:
    return max(1, round(side / multiple)) * multiple


def _sky(rgb: NDArray[np.uint8], depth: NDArray[np.float32], nearest: float) -> NDArray[np.bool_]:
    sky = find_sky(rgb.astype(np.float32) / np.float32(255))
    if sky.any() and np.median(depth[sky]) < nearest:
        sky[:] = False  # a blue wall that fills the top of the picture
    return sky


def _limit(folder: ModelFolder) -> float:
    """The largest depth, in metres, that the model can say."""
    kind, limit = folder.config.get("depth_estimation_type", "relative"), folder.config.get("max_depth")
    if kind != "metric":
        raise InputError(
            f"{folder.path} holds a '{kind}' Depth Anything model, which gives no depth but disparity of unknown "
            "scale and shift; take a metric one, such as depth-anything-v2-metric-indoor-small"
        )
    if not isinstance(limit, int | float) or not 0 < limit < float("inf"):
        raise InputError(
            f"{folder.path / 'config.json'} says no max_depth in metres; download the model again"
        )
    return float(limit)


def _check_multiple(folder: ModelFolder, patch_size: int) -> None:
    multiple = folder.preprocessing.multiple
    if multiple % patch_size:
        raise InputError(
            f"{folder.path}: preprocessor_config.json makes sides that are multiples of {multiple} px, "
            f"but the network of config.json takes patches of {patch_size} px; download the model again"
        )
