"""What the Rerun viewer shows where: the tabs Initialization, Coarse Scene and Final Scene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import rerun.blueprint as rrb

MAX_COARSE_CAMERAS = 5
INITIALIZATION, COARSE, FINAL = range(3)
MASKS = {
    "dpt_conf_mask": "Depth Conf Mask",
    "inpaint_mask": "Inpaint Mask",
    "inpaint_wo_edges_mask": "Inpaint w/o Edges",
}


def blueprint(
    initial: Sequence[str], expanded: Sequence[str], landscape: bool, active_tab: int
) -> rrb.Blueprint:
    """Lay out the viewer for the cameras logged so far.

    Args:
        initial: entity paths of the input and outpaint cameras.
        expanded: entity paths of the expanded cameras, in order.
        landscape: the pictures are wider than tall.
        active_tab: INITIALIZATION, COARSE or FINAL.
    """
    return rrb.Blueprint(
        rrb.Tabs(_initialization(initial, landscape), _coarse(expanded), _final(), active_tab=active_tab),
        collapse_panels=True,
    )


def _initialization(cameras: Sequence[str], landscape: bool) -> rrb.Container:
    return rrb.Horizontal(
        _world_view(cameras),
        rrb.Horizontal(*(_camera_column(camera, landscape) for camera in cameras)),
        column_shares=[1, 1] if landscape else [5, 2],
        name="Initialization",
    )


def _coarse(cameras: Sequence[str]) -> rrb.Container:
    picked = [cameras[i] for i in _evenly(len(cameras), MAX_COARSE_CAMERAS)]
    return rrb.Horizontal(
        _world_view(cameras),
        rrb.Vertical(*(_picture(camera, "rgb", camera.rsplit("/", 1)[-1]) for camera in picked)),
        column_shares=[5, 3],
        name="Coarse Scene",
    )


def _final() -> rrb.Container:
    return rrb.Horizontal(
        rrb.Spatial3DView(
            origin="/final", contents=["+ $origin/**", "- /final/camera/pinhole/depth"], name="Final Scene"
        ),
        rrb.Spatial2DView(
            origin="/final/camera/pinhole",
            contents=["+ $origin/**", "- $origin/depth"],
            name="Final Rendering",
        ),
        column_shares=[9, 4],
        name="Final Scene",
    )


def _world_view(cameras: Sequence[str]) -> rrb.View:
    hidden = [f"- {camera}/pinhole/{layer}" for camera in cameras for layer in ("depth", *MASKS)]
    return rrb.Spatial3DView(origin="/world", contents=["+ $origin/**", *hidden], name="3D Scene")


def _camera_column(camera: str, landscape: bool) -> rrb.Container:
    """RGB and depth large, under each other for wide pictures and side by side for tall ones; masks small."""
    pictures = (_picture(camera, "rgb", "RGB"), _picture(camera, "depth", "Depth"))
    return rrb.Vertical(
        rrb.Vertical(*pictures) if landscape else rrb.Horizontal(*pictures),
        rrb.Horizontal(*(_picture(camera, layer, name) for layer, name in MASKS.items())),
        row_shares=[9, 1],
        name=camera.rsplit("/", 1)[-1],
    )


def _picture(camera: str, layer: str, name: str) -> rrb.View:
    path = f"{camera}/pinhole/{layer}"
    return rrb.Spatial2DView(origin=path, contents=path, name=name)


def _evenly(count: int, at_most: int) -> list[int]:
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).round().astype(int)).tolist()
