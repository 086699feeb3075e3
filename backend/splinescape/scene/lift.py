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

from splinescape.jit import run_chunks
from splinescape.scene.edges import edges_of, inverse_depth
from splinescape.scene.frame import Frame
from splinescape.scene.lift_passes import FOOTPRINT as FOOTPRINT
from splinescape.scene.lift_passes import lift_pixels
from splinescape.scene.rims import beside_rims, clean_rims, far_rims
from splinescape.scene.splats import Splats

OPACITY = 0.9
"""Opacity of a new splat: its neighbours add up to a solid surface, and it stays trainable (a logit of 2.2)."""

_SPLATS = 1024
"""Splats that are worth a thread."""


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

    Raises:
        ValueError: a pixel goes to the shell and the camera stands outside it.
    """
    pixels = np.flatnonzero(frame.inpaint_wo_edge if keep_hw is None else keep_hw)
    world_T_cam = np.asarray(np.linalg.inv(frame.cam_T_world), np.float64)
    _check_inside(world_T_cam[:3, 3], shell_radius, frame.depth.reshape(-1)[pixels])
    w = inverse_depth(frame.depth)
    edges = edges_of(w)
    rims = far_rims(w, edges)
    out = tuple(np.empty((len(pixels), n), np.float32) for n in (3, 3, 4, 3))
    run_chunks(
        lift_pixels,
        len(pixels),
        pixels,
        w,
        np.ascontiguousarray(frame.depth, np.float32),
        edges,
        np.ascontiguousarray(clean_rims(frame.rgb, w, rims), np.float32),
        tuple(float(frame.K_33[at]) for at in ((0, 0), (1, 1), (0, 2), (1, 2))),
        tuple(world_T_cam[:3].ravel().tolist()),
        float(shell_radius),
        out,
        smallest=_SPLATS,
    )
    means, log_scales, quats, sh = (torch.from_numpy(array) for array in out)
    logits = torch.full((len(pixels),), float(np.log(OPACITY / (1 - OPACITY))))
    splats = Splats(means, log_scales, quats, logits, sh[:, None, :])
    return Lifted(splats, pixels, beside_rims(w, rims).reshape(-1)[pixels])


def _check_inside(centre: NDArray[np.float64], radius: float, depth: NDArray[np.float32]) -> None:
    if centre @ centre >= radius**2 and not np.isfinite(depth).all():
        raise ValueError(f"the camera stands outside the far shell (radius {radius:g})")
