"""A finished scene: splats, what is known about them, and a rasteriser to look at them with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from splinescape.camera.view import View
from splinescape.errors import InputError
from splinescape.raster import Rasterizer, Rendering
from splinescape.scene.meta import SceneMeta
from splinescape.scene.render import render_view
from splinescape.scene.splats import Splats


@dataclass(frozen=True, eq=False)
class Scene:
    """Splats that can be rendered and saved.

    Attributes:
        splats: the parameters.
        meta: input camera, units, version: what gf.ply carries in its header.
        rasterizer: the engine that `render` uses.
    """

    splats: Splats
    meta: SceneMeta
    rasterizer: Rasterizer

    @property
    def num_splats(self) -> int:
        """How many splats there are."""
        return len(self.splats)

    @property
    def means(self) -> Tensor:
        """(N, 3) world centres."""
        return self.splats.means

    @property
    def log_scales(self) -> Tensor:
        """(N, 3) natural logarithms of the standard deviations."""
        return self.splats.log_scales

    @property
    def quats(self) -> Tensor:
        """(N, 4) unit quaternions wxyz."""
        return self.splats.quats

    @property
    def opacity_logits(self) -> Tensor:
        """(N,) logits of the opacities."""
        return self.splats.opacity_logits

    @property
    def sh(self) -> Tensor:
        """(N, K, 3) spherical harmonics."""
        return self.splats.sh

    def render(
        self, cam_T_world: ArrayLike | Tensor, K_33: ArrayLike | Tensor, width: int, height: int
    ) -> Rendering:
        """Render one view.

        Args:
            cam_T_world: (4, 4) view matrix. K_33: (3, 3) pixel intrinsics, pixel centres at +0.5.
            width, height: size in pixels.

        Returns:
            Rendering on the CPU: rgb (H, W, 3) over black, depth (H, W), alpha (H, W), float32.

        Raises:
            InputError: a matrix has the wrong shape or is not finite, or the size is not positive.
        """
        view, K = check_view(cam_T_world, K_33, width, height)
        return render_view(self.splats, View(int(width), int(height), K, view), self.rasterizer)

    def save_ply(self, path: str | Path) -> None:
        """Write the scene as a standard 3DGS PLY; `load_scene` gives back exactly these numbers."""
        from splinescape.io.ply import write_ply

        write_ply(Path(path), self.splats.to_arrays(), self.meta)


def check_view(
    cam_T_world: ArrayLike | Tensor, K_33: ArrayLike | Tensor, width: int, height: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The matrices of a view to render, as arrays; arguments and errors as `Scene.render`."""
    view, K = _matrix(cam_T_world, (4, 4), "cam_T_world"), _matrix(K_33, (3, 3), "K_33")
    if width < 1 or height < 1:
        raise InputError(f"cannot render {width}x{height} pixels: width and height must be at least 1")
    return view, K


def _matrix(value: ArrayLike | Tensor, shape: tuple[int, int], name: str) -> NDArray[np.float64]:
    array = np.asarray(value.detach().cpu().numpy() if isinstance(value, Tensor) else value, np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise InputError(f"{name} must be a finite {shape[0]}x{shape[1]} matrix")
    return array


def load_scene(path: str | Path, rasterizer: Rasterizer | str | None = None) -> Scene:
    """Open a splat file (.ply, .compressed.ply, .spz, .splat).

    Args:
        path: the file. rasterizer: an engine, its name, or None for the best available.

    Raises:
        InputError: the file is missing, damaged or not a splat file.
    """
    from splinescape import engines
    from splinescape.io.formats import load_splats

    splats, meta = load_splats(Path(path))
    engine = (
        engines.rasterizer(rasterizer) if rasterizer is None or isinstance(rasterizer, str) else rasterizer
    )
    return Scene(splats, meta, engine)
