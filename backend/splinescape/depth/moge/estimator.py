"""The MoGe depth engine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from splinescape.camera.view import View
from splinescape.depth import DepthPrediction
from splinescape.depth.moge.framing import framed
from splinescape.depth.normals import facing
from splinescape.depth.request import check_request
from splinescape.picture.focal import LIKELY_FOV, centred_intrinsics

if TYPE_CHECKING:
    import torch

_SHORTEST_FOCAL, _LONGEST_FOCAL = 0.1, 50.0
"""In half diagonals: 169 and 2.3 degrees from corner to corner."""
_FINEST_LEVEL, _CPU_LEVEL = 9, 2


class MogeDepth:
    """Depth, mask and, where the checkpoint has them, normals from a MoGe 1 or 2 checkpoint.

    Version 2 is metric: depths are metres. Version 1 knows no scale: depths are right up to a factor of its own, which
    differs from picture to picture. Deterministic on one kind of device; float32 on the CPU, half precision on CUDA.

    Attributes:
        quality: a label that says what the unit is.
    """

    name = "moge"

    def __init__(
        self, checkpoint: Path, device: torch.device, *, resolution_level: int | None = None
    ) -> None:
        """Load `checkpoint`, a published model.pt or the folder with it, onto `device`.

        `resolution_level`, 0 to 9, says how finely the picture is cut within the range that the network was trained
        for. The default is 9 as published, and 2 on a CPU, where that takes half the time: 1733 patches in version
        2, about as many as a picture of 672 x 512 pixels has.

        Raises:
            InputError: the checkpoint is damaged, or of another model.
        """
        from splinescape.depth.moge.checkpoint import load_network

        self._device = device
        self._network = load_network(checkpoint, device)
        self.quality = "metric" if self._network.metric else "scale unknown"
        if resolution_level is None:
            resolution_level = _CPU_LEVEL if device.type == "cpu" else _FINEST_LEVEL
        fewest, most = self._network.tokens_range
        self._tokens = int(fewest + resolution_level / _FINEST_LEVEL * (most - fewest))

    def predict(
        self, rgb_hw3: NDArray[np.uint8], *, K_33: NDArray[np.float32] | None, view: View
    ) -> DepthPrediction:
        """Predict the depth of `rgb_hw3` (H, W, 3) uint8.

        A given `K_33` is the camera, off-centre or not: only the shift along z is solved. Without it the principal
        point is the centre and the focal length follows from the predicted points; where these say nothing (a sky,
        a picture without depth), the longer side is taken to span 70 degrees.
        Depth is +inf and confidence 0 where the mask is at or below its threshold and where the depth would not be
        a positive number; elsewhere confidence is the mask. Normals that face away are turned back to grazing.

        Raises:
            InputError: `rgb_hw3` is not (H, W, 3) uint8, or `K_33` has no positive focal lengths.
        """
        del view  # one picture is all it looks at
        check_request(rgb_hw3, K_33)
        seen = self._look(rgb_hw3, K_33)
        known = (seen.mask > self._network.mask_threshold) & np.isfinite(seen.points).all(axis=-1)
        K, shift = _camera(seen.points, known, K_33)
        with np.errstate(all="ignore"):
            metric = (seen.points[..., 2] + np.float32(shift)) * np.float32(seen.scale)
        depth = np.where(known, metric, np.float32(np.inf))
        unknown = ~(np.isfinite(depth) & (depth > 0))
        depth[unknown] = np.inf
        confidence = np.where(unknown, 0, np.clip(seen.mask, 0, 1)).astype(np.float32)
        normals = None if seen.normals is None else facing(seen.normals, K)
        return DepthPrediction(depth, confidence, K, normals)

    def _look(self, rgb_hw3: NDArray[np.uint8], K_33: NDArray[np.float32] | None) -> _Seen:
        import torch

        picture = framed(rgb_hw3, K_33)
        pixel_height = 1.0 if K_33 is None else float(K_33[0, 0] / K_33[1, 1])
        half = torch.autocast(self._device.type, torch.float16, enabled=self._device.type == "cuda")
        with torch.inference_mode(), half:
            image = torch.from_numpy(picture.rgb).to(self._device).permute(2, 0, 1).float()[None] / 255
            maps = self._network(image, self._tokens, pixel_height)
            normals = None if maps.normals is None else maps.normals[picture.inside].cpu().numpy()
            return _Seen(
                points=maps.points[picture.inside].cpu().numpy(),
                mask=maps.mask[picture.inside].cpu().numpy(),
                normals=normals,
                scale=1.0 if maps.scale is None else float(maps.scale),
            )


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the network says: points (H, W, 3), mask (H, W), normals (H, W, 3), metres per unit."""

    points: NDArray[np.float32]
    mask: NDArray[np.float32]
    normals: NDArray[np.float32] | None
    scale: float


def _camera(
    points: NDArray[np.float32], known: NDArray[np.bool_], K_33: NDArray[np.float32] | None
) -> tuple[NDArray[np.float32], float]:
    """Intrinsics, `K_33` if it is given, and the shift along z, from the points at `known` pixels."""
    from splinescape.depth.moge.recover import robust_fit, sample_grid

    height, width = known.shape
    grid = np.ix_(sample_grid(height), sample_grid(width))
    half_diagonal = math.hypot(height, width) / 2
    units = centred_intrinsics(half_diagonal, width, height) if K_33 is None else K_33
    v, u = np.nonzero(known[grid])
    v, u = sample_grid(height)[v], sample_grid(width)[u]
    uv = np.stack([(u + 0.5 - units[0, 2]) / units[0, 0], (v + 0.5 - units[1, 2]) / units[1, 1]], -1)
    xyz = points[v, u].astype(np.float64)
    if K_33 is not None:
        fit = robust_fit(uv, xyz, focal=1.0)
        return np.array(K_33, np.float32), 0.0 if fit is None else fit.shift
    fit = robust_fit(uv, xyz)
    if fit is None or not _SHORTEST_FOCAL <= fit.focal <= _LONGEST_FOCAL:
        focal = max(height, width) / 2 / math.tan(LIKELY_FOV / 2) / half_diagonal
        fit = robust_fit(uv, xyz, focal)
    else:
        focal = fit.focal
    K = centred_intrinsics(focal * half_diagonal, width, height)
    return K, 0.0 if fit is None else fit.shift
