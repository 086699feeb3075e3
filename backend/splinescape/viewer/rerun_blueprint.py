"""What the Rerun viewer shows where: the tabs Initialization, Coarse Scene and Final Scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rerun.blueprint as rrb

MAX_COARSE_CAMERAS = 5
INITIALIZATION, COARSE, FINAL = range(3)
MASKS = {
    "dpt_conf_mask": "Depth Conf Mask",
    "inpaint_mask": "Inpaint Mask",
    "inpaint_wo_edges_mask": "Inpaint w/o Edges",
}


@dataclass(frozen=True)
class Shown:
    """What there is to lay out.

    Attributes:
        initial: entity paths of the input and outpaint cameras.
        expanded: entity paths of the expanded cameras, in order.
        landscape: the pictures are wider than tall.
        distance: how far the scene is from the input camera, in scene units.
    """

    initial: Sequence[str] = ()
    expanded: Sequence[str] = ()
    landscape: bool = True
    distance: float = 1.0


def blueprint(shown: Shown, active_tab: int) -> rrb.Blueprint:
    """Lay out the viewer; `active_tab` is INITIALIZATION, COARSE or FINAL."""
    tabs = rrb.Tabs(_initialization(shown), _coarse(shown), _final(shown), active_tab=active_tab)
    return rrb.Blueprint(tabs, collapse_panels=True)


def _initialization(shown: Shown) -> rrb.Container:
    return rrb.Horizontal(
        _world_view(shown),
        rrb.Horizontal(*(_camera_column(camera) for camera in shown.initial)),
        column_shares=[1, 1] if shown.landscape else [5, 2],
        name="Initialization",
    )


def _coarse(shown: Shown) -> rrb.Container:
    count = len(shown.expanded)
    evenly = np.unique(np.linspace(0, count - 1, min(count, MAX_COARSE_CAMERAS)).round().astype(int))
    cameras = [shown.expanded[i] for i in evenly]
    return rrb.Horizontal(
        _world_view(shown),
        rrb.Vertical(*(_picture(camera, "rgb", _name(camera)) for camera in cameras)),
        column_shares=[5, 3],
        name="Coarse Scene",
    )


def _final(shown: Shown) -> rrb.Container:
    return rrb.Horizontal(
        rrb.Spatial3DView(
            origin="/final",
            contents=["+ $origin/**", "- /final/camera/pinhole/depth"],
            name="Final Scene",
            eye_controls=_eye(shown.distance),
        ),
        rrb.Spatial2DView(
            origin="/final/camera/pinhole",
            contents=["+ $origin/**", "- $origin/depth"],
            name="Final Rendering",
        ),
        column_shares=[9, 4],
        name="Final Scene",
    )


def _world_view(shown: Shown) -> rrb.View:
    cameras = (*shown.initial, *shown.expanded)
    hidden = [f"- {camera}/pinhole/{layer}" for camera in cameras for layer in ("depth", *MASKS)]
    return rrb.Spatial3DView(
        origin="/world",
        contents=["+ $origin/**", *hidden],
        name="3D Scene",
        eye_controls=_eye(shown.distance),
    )


def _eye(distance: float) -> rrb.EyeControls3D:
    """Start a little behind and above the input camera, looking where it looks."""
    return rrb.EyeControls3D(
        position=(0.0, -0.15 * distance, -0.4 * distance),
        look_target=(0.0, 0.0, distance),
        eye_up=(0.0, -1.0, 0.0),
    )


def _camera_column(camera: str) -> rrb.Container:
    return rrb.Vertical(
        rrb.Vertical(_picture(camera, "rgb", "RGB"), _picture(camera, "depth", "Depth")),
        rrb.Horizontal(*(_picture(camera, layer, name) for layer, name in MASKS.items())),
        row_shares=[9, 1],
        name=_name(camera),
    )


def _picture(camera: str, layer: str, name: str) -> rrb.View:
    path = f"{camera}/pinhole/{layer}"
    return rrb.Spatial2DView(origin=path, contents=path, name=name)


def _name(camera: str) -> str:
    return camera.rsplit("/", 1)[-1]
