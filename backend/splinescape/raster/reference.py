"""The definition of a rendering, in short torch code: slow, differentiable, what other engines are tested
with.

It follows gsplat 1.5's "classic" rasterisation. gsplat bounds a splat by sqrt(2 ln(255 opacity)) standard
deviations, which is exactly where its alpha falls to 1/255, so a splat here contributes wherever alpha >=
1/255. Splats are ordered by camera z, equal z by index.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from splinescape.raster import Rendering
from splinescape.raster.checks import check_cameras, check_splats

NEAR, FAR = 0.01, 1e10
EPS2D = 0.3
MAX_ALPHA = 0.999
MIN_ALPHA = 1 / 255
MIN_TRANSMITTANCE = 1e-4
_TILE = 16


def rotation_matrices(quats: Tensor) -> Tensor:
    """Turn (N, 4) wxyz quaternions of any norm into (N, 3, 3) rotations."""
    norm = quats.square().sum(-1, keepdim=True).clamp(min=1e-24).sqrt()
    w, x, y, z = (quats / norm).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).reshape(-1, 3, 3)


def camera_points(means: Tensor, cam_T_world: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Camera x, y, z of (N, 3) world points; plain sums, so that equal depths tie in every engine alike."""
    m = cam_T_world
    px, py, pz = means.unbind(-1)
    x, y, z = (m[i, 0] * px + m[i, 1] * py + m[i, 2] * pz + m[i, 3] for i in range(3))
    return x, y, z


def project(
    means: Tensor, quats: Tensor, scales: Tensor, cam_T_world: Tensor, K_33: Tensor, width: int, height: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Project splats in front of the camera by EWA splatting (Zwicker et al., 2001).

    The Jacobian is taken at a point clamped to the view plus 15 % of its size on each side, as gsplat does.

    Returns:
        (N, 2) pixel centres, (N, 3) 2D covariances xx, xy, yy in pixels^2, (N,) camera z.
    """
    x, y, z = camera_points(means, cam_T_world)
    fx, fy, cx, cy = K_33[0, 0], K_33[1, 1], K_33[0, 2], K_33[1, 2]
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    tx = z * torch.clamp(x / z, -(cx / fx + margin_x), (width - cx) / fx + margin_x)
    ty = z * torch.clamp(y / z, -(cy / fy + margin_y), (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([fx / z, zero, -fx * tx / z**2, zero, fy / z, -fy * ty / z**2], -1).reshape(
        -1, 2, 3
    )
    factor = jacobian @ cam_T_world[:3, :3] @ (rotation_matrices(quats) * scales[:, None, :])
    cov = factor @ factor.transpose(1, 2)
    cov_xx, cov_xy, cov_yy = cov[:, 0, 0] + EPS2D, cov[:, 0, 1], cov[:, 1, 1] + EPS2D
    centres = torch.stack([fx * x / z + cx, fy * y / z + cy], -1)
    return centres, torch.stack([cov_xx, cov_xy, cov_yy], -1), z


def _blend_tile(
    pixels: Tensor, centres: Tensor, covs: Tensor, opacities: Tensor, features: Tensor
) -> tuple[Tensor, Tensor]:
    """Blend depth-sorted splats over (P, 2) pixel centres: (P, F) sums of weighted features, (P,) alpha."""
    cov_xx, cov_xy, cov_yy = covs.unbind(-1)
    dx, dy = (centres[None] - pixels[:, None]).unbind(-1)
    det = cov_xx * cov_yy - cov_xy**2
    sigma = (cov_yy * dx**2 + cov_xx * dy**2 - 2 * cov_xy * dx * dy) / (2 * det)
    alpha = torch.clamp(opacities * torch.exp(-sigma), max=MAX_ALPHA)
    alpha = torch.where((alpha >= MIN_ALPHA) & (sigma >= 0), alpha, 0.0)
    after = torch.cumprod(1 - alpha, dim=1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], dim=1)
    weights = torch.where(after > MIN_TRANSMITTANCE, alpha * before, 0.0)
    return weights @ features, weights.sum(1)


class TorchRasterizer:
    """Reference rasteriser in the dtype of `means`; for tests and for reading."""

    name = "torch"
    device = torch.device("cpu")

    def rasterize(
        self,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        colors: Tensor,
        cam_T_world: Tensor,
        K_33: Tensor,
        width: int,
        height: int,
    ) -> Rendering:
        """Render one view; see `splinescape.raster.Rasterizer`.

        Raises:
            ValueError: a shape does not fit, or the camera is not finite.
        """
        check_splats(means, quats, scales, opacities, colors)
        check_cameras(cam_T_world, K_33, width, height)
        cam_T_world, K_33 = cam_T_world.to(means), K_33.to(means)
        z = camera_points(means.detach(), cam_T_world)[2]
        seen = torch.nonzero((z >= NEAR) & (z <= FAR) & (opacities.detach() >= MIN_ALPHA))[:, 0]
        seen = seen[torch.argsort(z[seen], stable=True)]
        centres, covs, z = project(means[seen], quats[seen], scales[seen], cam_T_world, K_33, width, height)
        features = torch.cat([colors[seen], z[:, None]], 1)
        rgbd, alpha = _blend_image(centres, covs, opacities[seen], features, width, height)
        depth = torch.where(alpha > 0, rgbd[..., 3] / alpha.clamp(min=1e-10), 0.0)
        return Rendering(rgbd[..., :3], depth, alpha)

    @torch.no_grad()
    def coverage(
        self,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        cams_T_world: Tensor,
        Ks_33: Tensor,
        width: int,
        height: int,
    ) -> Tensor:
        """Alpha of many views; see `splinescape.raster.Rasterizer`."""
        colors = torch.zeros_like(means)
        views = [
            self.rasterize(means, quats, scales, opacities, colors, cam, K, width, height).alpha
            for cam, K in zip(cams_T_world, Ks_33, strict=True)
        ]
        return torch.stack(views) if views else means.new_zeros(0, height, width)


def _blend_image(
    centres: Tensor, covs: Tensor, opacities: Tensor, features: Tensor, width: int, height: int
) -> tuple[Tensor, Tensor]:
    """Blend tile by tile; the backward pass recomputes a tile instead of keeping it, to save memory."""
    with torch.no_grad():
        reach = torch.sqrt(2 * torch.log(opacities / MIN_ALPHA).clamp(min=0))[:, None] + 1e-3
        half = reach * covs[:, [0, 2]].sqrt()
        low, high = centres - half, centres + half
        usable = (covs[:, 0] * covs[:, 2] - covs[:, 1] ** 2 > 0) & torch.isfinite(high).all(1)
    rows = []
    for top in range(0, height, _TILE):
        y = torch.arange(top, min(top + _TILE, height)).to(centres) + 0.5
        in_rows = torch.nonzero(usable & (high[:, 1] >= y[0]) & (low[:, 1] <= y[-1]))[:, 0]
        tiles = []
        for left in range(0, width, _TILE):
            x = torch.arange(left, min(left + _TILE, width)).to(centres) + 0.5
            hit = in_rows[(high[in_rows, 0] >= x[0]) & (low[in_rows, 0] <= x[-1])]
            pixels = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1).reshape(-1, 2)
            out = checkpoint(
                _blend_tile,
                pixels,
                centres[hit],
                covs[hit],
                opacities[hit],
                features[hit],
                use_reentrant=False,
                preserve_rng_state=False,
            )
            tiles.append(torch.cat([out[0], out[1][:, None]], 1).reshape(len(y), len(x), -1))
        rows.append(torch.cat(tiles, 1))
    image = torch.cat(rows, 0)
    return image[..., :-1], image[..., -1]
