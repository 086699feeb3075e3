"""Splats as the graphics card wants them, with numpy alone.

A splat is a centre and three axes of one standard deviation each. Any affine transform of an object, shear and
unequal scale too, is then a product with the axes, and a covariance never has to be made from its own square.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinescape.io.splat_arrays import SplatArrays

Floats = NDArray[np.float32]

MIN_OPACITY = 1 / 255
"""What is fainter is never drawn, as everywhere in Splinescape."""

_BRIGHTEST = 1000.0
"""Colours of a damaged file must not become infinite, nor take their neighbours along."""


@dataclass(frozen=True, eq=False)
class PackedSplats:
    """N splats of one object, those without any effect left out.

    Attributes:
        centres: (N, 3) float32, object space.
        axes: (N, 3, 3) float32, object space; column k is axis k, as long as its standard deviation.
        opacities: (N,) float32 in [0, 1].
        sh: (N, K, 3) float32 spherical harmonics; see `SplatArrays`.
    """

    centres: Floats
    axes: Floats
    opacities: Floats
    sh: Floats

    def __len__(self) -> int:
        return len(self.centres)

    @property
    def view_dependent(self) -> bool:
        """Whether colours change with the direction of view."""
        return self.sh.shape[1] > 1


def pack(splats: SplatArrays) -> PackedSplats:
    """Prepare splats for drawing; about 0.15 s for a million."""
    opacities = splats.opacities
    seen = opacities >= MIN_OPACITY
    if not seen.all():
        splats, opacities = splats.select(seen), opacities[seen]
    return PackedSplats(splats.means, _axes(splats.quats, splats.scales), opacities, splats.sh)


def _axes(quats: Floats, scales: Floats) -> Floats:
    """(N, 3, 3) rotations of wxyz quaternions of any norm, times the scales of their columns."""
    norms = np.sqrt(np.einsum("ij,ij->i", quats, quats))
    w, x, y, z = (quats / np.maximum(norms, np.float32(1e-12))[:, None]).T
    out = np.empty((len(quats), 3, 3), np.float32)
    out[:, 0, 0], out[:, 0, 1], out[:, 0, 2] = (
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
    )
    out[:, 1, 0], out[:, 1, 1], out[:, 1, 2] = (
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
    )
    out[:, 2, 0], out[:, 2, 1], out[:, 2, 2] = (
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    )
    out *= scales[:, None, :]
    return out


def geometry_texels(splats: PackedSplats) -> Floats:
    """(3 N, 4) float32: the centre and the nine numbers of the axes, row by row, three texels a splat."""
    texels = np.empty((len(splats), 12), np.float32)
    texels[:, :3] = splats.centres
    texels[:, 3:] = splats.axes.reshape(-1, 9)
    return texels.reshape(-1, 4)


def paint_texels(splats: PackedSplats, camera: NDArray[np.float64]) -> Floats:
    """(N, 4) float32 colour and opacity as seen from `camera`, (3,) in object space.

    Colours that depend on the view are clamped at 0 below, the others are not: the definition of the backend.
    """
    texels = np.empty((len(splats), 4), np.float32)
    np.clip(_colors(splats, camera), -_BRIGHTEST, _BRIGHTEST, out=texels[:, :3])
    texels[:, 3] = splats.opacities
    return texels


def _colors(splats: PackedSplats, camera: NDArray[np.float64]) -> Floats:
    count = splats.sh.shape[1]
    colors = np.float32(0.5) + np.float32(0.28209479177387814) * splats.sh[:, 0]
    if count == 1:
        return colors
    towards = splats.centres - camera.astype(np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", towards, towards))
    towards /= np.maximum(norms, np.float32(1e-12))[:, None]
    for index, value in enumerate(_harmonics(towards, count), start=1):
        colors += value[:, None] * splats.sh[:, index]
    return np.maximum(colors, np.float32(0))


def _harmonics(towards: Floats, count: int) -> list[Floats]:
    """Values of the harmonics after the constant one; signs as in 3D Gaussian Splatting (Kerbl et al. 2023)."""
    x, y, z = np.ascontiguousarray(towards.T)
    c1 = np.float32(0.4886025119029199)
    values = [-c1 * y, c1 * z, -c1 * x]
    if count > 4:
        xx, yy, zz = x * x, y * y, z * z
        a, b, c = (
            np.float32(1.0925484305920792),
            np.float32(0.31539156525252005),
            np.float32(0.5462742152960396),
        )
        values += [a * x * y, -a * y * z, b * (2 * zz - xx - yy), -a * x * z, c * (xx - yy)]
    if count > 9:
        a, b, c = (
            np.float32(0.5900435899266435),
            np.float32(2.890611442640554),
            np.float32(0.4570457994644658),
        )
        d, e = np.float32(0.3731763325901154), np.float32(1.445305721320277)
        values += [
            -a * y * (3 * xx - yy),
            b * x * y * z,
            -c * y * (4 * zz - xx - yy),
            d * z * (2 * zz - 3 * xx - 3 * yy),
            -c * x * (4 * zz - xx - yy),
            e * z * (xx - yy),
            -a * x * (xx - 3 * yy),
        ]
    return values
