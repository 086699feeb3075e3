"""From a picture file to the working canvas: load, fit to the grid, add the border.

The names below are imported on first use: the service's broker reads picture headers and must not load numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from splinescape.picture.border import Bordered as Bordered
    from splinescape.picture.border import add_border as add_border
    from splinescape.picture.fit import FittedPicture as FittedPicture
    from splinescape.picture.fit import fit_picture as fit_picture
    from splinescape.picture.focal import centred_intrinsics as centred_intrinsics
    from splinescape.picture.load import Picture as Picture
    from splinescape.picture.load import load_picture as load_picture

GRID = 32
"""Working pictures and canvases have sides that are multiples of this, which image models ask for."""

_HOMES = {
    "Bordered": "splinescape.picture.border",
    "FittedPicture": "splinescape.picture.fit",
    "Picture": "splinescape.picture.load",
    "add_border": "splinescape.picture.border",
    "centred_intrinsics": "splinescape.picture.focal",
    "fit_picture": "splinescape.picture.fit",
    "load_picture": "splinescape.picture.load",
}

__all__ = [
    "GRID",
    "Bordered",
    "FittedPicture",
    "Picture",
    "add_border",
    "centred_intrinsics",
    "fit_picture",
    "load_picture",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'splinescape.picture' has no attribute '{name}'")
