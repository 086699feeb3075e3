"""Checks of what a caller hands to a rasteriser, the same for every engine."""

from __future__ import annotations

import torch
from torch import Tensor


def check_splats(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor | None = None
) -> None:
    """Check shapes against (N, 3), (N, 4), (N, 3), (N,), (N, 3).

    Raises:
        ValueError: a shape does not fit.
    """
    n = means.shape[0] if means.ndim else 0
    splats = {"means": means, "quats": quats, "scales": scales, "opacities": opacities}
    if colors is not None:
        splats["colors"] = colors
    for name, tensor in splats.items():
        shape = {"quats": (n, 4), "opacities": (n,)}.get(name, (n, 3))
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} must have shape {shape}, not {tuple(tensor.shape)}")


def check_camera_shapes(cams_T_world: Tensor, Ks_33: Tensor, width: int, height: int) -> None:
    """The part of `check_cameras` that does not look at the numbers.

    Raises:
        ValueError: a shape or the image size does not fit.
    """
    if width < 1 or height < 1:
        raise ValueError(f"the image must have at least one pixel, not {width} x {height}")
    batch = tuple(cams_T_world.shape[:-2])
    if tuple(cams_T_world.shape) != (*batch, 4, 4) or tuple(Ks_33.shape) != (*batch, 3, 3) or len(batch) > 1:
        raise ValueError(
            f"cameras must be (4, 4) with (3, 3) intrinsics, or a batch of both, not "
            f"{tuple(cams_T_world.shape)} with {tuple(Ks_33.shape)}"
        )


def check_cameras(cams_T_world: Tensor, Ks_33: Tensor, width: int, height: int) -> None:
    """Check one camera, (4, 4) and (3, 3), or a batch of them, (C, 4, 4) and (C, 3, 3).

    Raises:
        ValueError: a shape or the image size does not fit, a number is not finite, or a focal length is not
            positive.
    """
    check_camera_shapes(cams_T_world, Ks_33, width, height)
    if not (torch.isfinite(cams_T_world).all() and torch.isfinite(Ks_33).all()):
        raise ValueError("the camera has a number that is not finite")
    if not (Ks_33[..., [0, 1], [0, 1]] > 0).all():
        raise ValueError("focal lengths must be positive")
