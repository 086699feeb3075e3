"""From RGB-D pixels to surface-aligned splats.

A pixel becomes a flat splat that lies in the surface's tangent plane and projects, in its own view, to a round disc of
`FOOTPRINT` pixels standard deviation around the pixel centre. On the plane n.P = 1 (n from the gradient of inverse
depth) the map pixel -> point has the derivative T = [dP/du, dP/dv]; the splat's covariance is FOOTPRINT^2 T T^t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from splinescape.camera.intrinsics import rays_through
from splinescape.jit import run_chunks
from splinescape.scene.edges import inverse_depth, occlusion_edges
from splinescape.scene.frame import Frame
from splinescape.scene.lift_passes import inverse_depth_slopes, quaternions
from splinescape.scene.rims import beside_rims, clean_rims, far_rims
from splinescape.scene.splats import SH_C0, Splats

FOOTPRINT = 0.55
"""Standard deviation in pixels of a splat in the view that made it, before the rasteriser's own low-pass."""

OPACITY = 0.9
"""Opacity of a new splat: its neighbours add up to a solid surface, and it stays trainable (a logit of 2.2)."""

_THICKNESS = 0.1
_MAX_STRETCH = 40.0
_MAX_STRETCH_AT_EDGE = 3.0


@dataclass(frozen=True, eq=False)
class Lifted:
    """New splats and what the training needs to know of them.

    Attributes:
        splats: M splats in row-major order of their pixels.
        pixels: (M,) flat index of each splat's pixel.
        fixed: (M,) bool, background splats beside a silhouette: their colour must not be trained.
    """

    splats: Splats
    pixels: NDArray[np.intp]
    fixed: NDArray[np.bool_]


def lift_frame(frame: Frame, shell_radius: float, keep_hw: NDArray[np.bool_] | None = None) -> Lifted:
    """Make one splat per pixel of `frame` that becomes a splat.

    Args:
        frame: finite depth becomes a surface; +inf depth goes to the shell.
        shell_radius: radius in scene units of the far shell around the world origin.
        keep_hw: (H, W) bool, pixels to lift; default `frame.inpaint_wo_edge`.

    Returns:
        Splats in world coordinates, with their pixels.
    """
    keep = frame.inpaint_wo_edge if keep_hw is None else keep_hw
    v, u = np.nonzero(keep)
    depth = frame.depth[v, u].astype(np.float64)
    sky = ~np.isfinite(depth)
    rays = rays_through(u, v, frame.K_33)
    world_T_cam = np.asarray(np.linalg.inv(frame.cam_T_world), np.float64)
    gu, gv = _inverse_depth_gradient(frame.depth)
    depth, slope_u, slope_v = _with_shell(
        depth,
        gu[v, u].astype(np.float64),
        gv[v, u].astype(np.float64),
        sky,
        rays,
        world_T_cam,
        frame.K_33,
        shell_radius,
    )
    # Beside an edge the slope may come from a sliver one pixel wide: a wrong one must not reach far.
    stretch = np.where(occlusion_edges(frame.depth)[v, u] & ~sky, _MAX_STRETCH_AT_EDGE, _MAX_STRETCH)
    cov_axes, scales = _tangent_frames(depth, slope_u, slope_v, rays, frame.K_33, stretch)
    means = (rays * depth[:, None]) @ world_T_cam[:3, :3].T + world_T_cam[:3, 3]
    quats = quaternions_from_matrices(world_T_cam[:3, :3] @ cov_axes)
    rims = far_rims(frame.depth)
    sh = (clean_rims(frame.rgb, frame.depth, rims)[v, u] - 0.5) / SH_C0
    logit = float(np.log(OPACITY / (1 - OPACITY)))
    splats = Splats(
        _tensor(means),
        _tensor(np.log(scales)),
        _tensor(quats),
        torch.full((len(u),), logit),
        _tensor(sh[:, None, :]),
    )
    return Lifted(splats, np.ravel_multi_index((v, u), keep.shape), beside_rims(frame.depth, rims)[v, u])


def _tensor(array: NDArray[np.floating]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def _inverse_depth_gradient(depth_hw: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gradient (per pixel, along u and v) of inverse depth, taken from the side without an occlusion edge."""
    w = inverse_depth(depth_hw)
    along, across = np.empty_like(w), np.empty_like(w)
    run_chunks(inverse_depth_slopes, len(w), w, along, across)
    return along, across


def _with_shell(
    depth: NDArray[np.float64],
    slope_u: NDArray[np.float64],
    slope_v: NDArray[np.float64],
    sky: NDArray[np.bool_],
    rays: NDArray[np.float64],
    world_T_cam: NDArray[np.float64],
    K_33: NDArray[np.float64],
    radius: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Give sky pixels the depth and the inverse-depth slopes of the shell's tangent plane."""
    if not sky.any():
        return depth, slope_u, slope_v
    centre = world_T_cam[:3, 3]
    d = rays[sky] @ world_T_cam[:3, :3].T
    # |centre + t d| = radius, the root in front of the camera.
    a = np.einsum("ij,ij->i", d, d)
    b = d @ centre
    c = centre @ centre - radius**2
    if c >= 0:
        raise ValueError(f"the camera stands outside the far shell (radius {radius:g})")
    t = (-b + np.sqrt(b * b - a * c)) / a
    normal_cam = (centre + t[:, None] * d) @ world_T_cam[:3, :3]
    n = normal_cam / (t[:, None] * np.einsum("ij,ij->i", normal_cam, rays[sky])[:, None])
    depth, slope_u, slope_v = depth.copy(), slope_u.copy(), slope_v.copy()
    depth[sky], slope_u[sky], slope_v[sky] = t, n[:, 0] / K_33[0, 0], n[:, 1] / K_33[1, 1]
    return depth, slope_u, slope_v


def _tangent_frames(
    depth: NDArray[np.float64],
    slope_u: NDArray[np.float64],
    slope_v: NDArray[np.float64],
    rays: NDArray[np.float64],
    K_33: NDArray[np.float64],
    max_stretch: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Camera-frame axes (M, 3, 3) as columns, and standard deviations (M, 3), of splats on their tangent planes."""
    tu = -slope_u[:, None] * depth[:, None] ** 2 * rays
    tu[:, 0] += depth / K_33[0, 0]
    tv = -slope_v[:, None] * depth[:, None] ** 2 * rays
    tv[:, 1] += depth / K_33[1, 1]
    # Principal axes of T T^t from the 2x2 matrix T^t T.
    uu, vv, uv = (np.einsum("ij,ij->i", p, q) for p, q in ((tu, tu), (tv, tv), (tu, tv)))
    half = 0.5 * np.arctan2(2 * uv, uu - vv)
    cos, sin = np.cos(half)[:, None], np.sin(half)[:, None]
    major, minor = cos * tu + sin * tv, cos * tv - sin * tu
    long, short = np.linalg.norm(major, axis=1), np.linalg.norm(minor, axis=1)
    axes = np.empty((len(depth), 3, 3))
    axes[:, :, 0] = major / long[:, None]
    axes[:, :, 1] = minor / short[:, None]
    axes[:, :, 2] = np.cross(axes[:, :, 0], axes[:, :, 1])
    long = np.minimum(long, max_stretch * short)
    return axes, FOOTPRINT * np.stack([long, short, _THICKNESS * short], axis=1)


def quaternions_from_matrices(rotations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit quaternions (M, 4) wxyz of rotation matrices (M, 3, 3)."""
    out = np.empty((len(rotations), 4))
    run_chunks(quaternions, len(rotations), np.ascontiguousarray(rotations), out)
    return out
