"""View-dependent colour from spherical harmonics."""

from __future__ import annotations

import torch
from torch import Tensor

from splinescape.scene.splats import Splats


def view_colors(splats: Splats, cam_T_world: Tensor) -> Tensor:
    """Colours (N, 3) of splats seen from a camera, clamped at 0 below when they depend on the view.

    Args:
        splats: N splats with K = 1, 4, 9 or 16 coefficients.
        cam_T_world: (4, 4) view matrix.

    Source: real spherical harmonics in the sign convention of 3D Gaussian Splatting (Kerbl et al. 2023).
    """
    if splats.sh.shape[1] == 1:
        return splats.base_colors
    return seen_colors(splats.means, splats.sh, cam_T_world)


def seen_colors(means: Tensor, sh: Tensor, cam_T_world: Tensor) -> Tensor:
    """`view_colors` of (N, 3) centres with (N, K, 3) coefficients, K > 1."""
    centre = -cam_T_world[:3, :3].T @ cam_T_world[:3, 3]
    direction = torch.nn.functional.normalize(means - centre, dim=1)
    basis = _basis(direction, sh.shape[1])
    return ((basis[:, :, None] * sh).sum(1) + 0.5).clamp_min(0.0)


def _basis(direction: Tensor, count: int) -> Tensor:
    """(N, count) values of the first `count` harmonics in unit `direction` (N, 3)."""
    x, y, z = direction.unbind(1)
    c1 = 0.4886025119029199
    values = [torch.full_like(x, 0.28209479177387814), -c1 * y, c1 * z, -c1 * x]
    if count > 4:
        xx, yy, zz = x * x, y * y, z * z
        values += [
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.31539156525252005 * (2 * zz - xx - yy),
            -1.0925484305920792 * x * z,
            0.5462742152960396 * (xx - yy),
        ]
    if count > 9:
        values += [
            -0.5900435899266435 * y * (3 * xx - yy),
            2.890611442640554 * x * y * z,
            -0.4570457994644658 * y * (4 * zz - xx - yy),
            0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
            -0.4570457994644658 * x * (4 * zz - xx - yy),
            1.445305721320277 * z * (xx - yy),
            -0.5900435899266435 * x * (xx - 3 * yy),
        ]
    return torch.stack(values, 1)
