"""Splats that the tests of splat objects import and export."""

from __future__ import annotations

import numpy as np

from splinescape.io.splat_arrays import SplatArrays
from splinescape.scene.meta import SceneMeta


def make_splats(n: int, coefficients: int = 1, *, seed: int = 0) -> SplatArrays:
    """Splats about 3 units around the origin with every parameter random."""
    random = np.random.default_rng(seed)
    quats = random.standard_normal((n, 4))
    columns = (
        random.standard_normal((n, 3)) * 3,
        random.random((n, 3)) * 4 - 6,
        quats / np.linalg.norm(quats, axis=1, keepdims=True),
        random.standard_normal(n) * 2,
        random.standard_normal((n, coefficients, 3)) * 0.25,
    )
    return SplatArrays(*(column.astype(np.float32) for column in columns))


def make_meta() -> SceneMeta:
    """Every field of a scene's meta filled in."""
    K_33 = np.array([[460.1, 0, 255.7], [0, 1 / 3 * 1e3, 192.25], [0, 0, 1]])
    return SceneMeta("0.1.0", K_33, 512, 384, "metres", "-y", 7, {"depth": "builtin", "raster": "cpu"})


def assert_near(read: SplatArrays, written: SplatArrays, *, atol: float = 1e-6) -> None:
    """Equal centres, rotations and harmonics, scales and opacities up to the rounding of exp and sigmoid."""
    np.testing.assert_array_equal(read.means, written.means)
    np.testing.assert_array_equal(read.quats, written.quats)
    np.testing.assert_array_equal(read.sh[:, 1:], written.sh[:, 1:])
    np.testing.assert_allclose(read.sh[:, 0], written.sh[:, 0], atol=2e-6)
    np.testing.assert_allclose(read.log_scales, written.log_scales, atol=2e-6)
    np.testing.assert_allclose(read.opacities, written.opacities, atol=atol)
