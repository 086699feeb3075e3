"""From a picture file to the working canvas: load, fit to the grid, add the border."""

from __future__ import annotations

from splinescape.picture.border import Bordered, add_border
from splinescape.picture.fit import GRID, FittedPicture, fit_picture
from splinescape.picture.focal import centred_intrinsics
from splinescape.picture.load import Picture, load_picture

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
