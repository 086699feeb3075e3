"""Scenes that the tests of scene files write and read."""

from __future__ import annotations

import numpy as np
import torch

from splinescape.scene.meta import SceneMeta
from splinescape.scene.splats import Splats


def make_splats(n: int, coefficients: int = 1, *, seed: int = 0) -> Splats:
    """Splats about 3 units around the origin with every parameter random."""
    random = torch.Generator().manual_seed(seed)
    return Splats(
        means=torch.randn(n, 3, generator=random) * 3,
        log_scales=torch.rand(n, 3, generator=random) * 4 - 6,
        quats=torch.nn.functional.normalize(torch.randn(n, 4, generator=random), dim=1),
        opacity_logits=torch.randn(n, generator=random) * 2,
        sh=torch.randn(n, coefficients, 3, generator=random) * 0.25,
    )


def make_meta() -> SceneMeta:
    """Every field of a scene's meta filled in."""
    K_33 = np.array([[460.1, 0, 255.7], [0, 1 / 3 * 1e3, 192.25], [0, 0, 1]])
    return SceneMeta("0.1.0", K_33, 512, 384, "metres", "-y", 7, {"depth": "builtin", "raster": "cpu"})


def bits(tensor: torch.Tensor) -> list[int]:
    """The bit patterns of a float32 tensor, so that -0.0 and 0.0 differ."""
    return tensor.contiguous().view(torch.int32).flatten().tolist()


def rotation_matrices(quats: torch.Tensor) -> np.ndarray:
    """(N, 3, 3) rotations of wxyz quaternions, equal for q and -q."""
    w, x, y, z = quats.double().numpy().T
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    ).transpose(2, 0, 1)
