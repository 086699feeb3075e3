"""A first guess at splat colours, far better than the pixels' own and much cheaper than training.

A pixel shows a mixture of the splats around it. Rendering and adding each pixel's error to its own splat (Richardson
iteration on the linear map colours -> picture) undoes most of that mixing in two renderings.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from splinescape.raster import Rasterizer
from splinescape.scene.frame import Frame
from splinescape.scene.render import render_there
from splinescape.scene.resident import Resident, brought_back, keep, resident
from splinescape.scene.splats import SH_C0, Splats

_ROUNDS = 2
_MAX_CHANGE = 0.3


def match_colors(
    splats: Splats,
    first: int,
    frame: Frame,
    pixels: NDArray[np.intp],
    fixed: NDArray[np.bool_],
    rasterizer: Rasterizer,
) -> Splats:
    """Adjust the colours of splats[first:] so that a rendering of `frame`'s view comes closer to its picture.

    Args:
        splats: the whole scene. first: index of the first splat that may change.
        frame: the view they were lifted from. pixels: (M,) flat pixel index of each splat from `first` on.
        fixed: (M,) bool, splats of these that keep their colour.
        rasterizer: the engine.

    Returns:
        The scene; no colour has moved by more than 0.3, so that a splat that is hidden here keeps its own.
    """
    ready = colors_matched(resident(splats, rasterizer.device), first, frame, pixels, fixed, rasterizer)
    matched = replace(splats, **brought_back({"sh": ready.params["sh"]}))
    keep(matched, ready)
    return matched


def colors_matched(
    ready: Resident,
    first: int,
    frame: Frame,
    pixels: NDArray[np.intp],
    fixed: NDArray[np.bool_],
    rasterizer: Rasterizer,
) -> Resident:
    """`match_colors` of a scene that is on the rasteriser's device, and stays there."""
    index = torch.from_numpy(pixels).to(ready.device, non_blocking=True)
    target = torch.from_numpy(frame.rgb.reshape(-1, 3)[pixels]).to(ready.device, non_blocking=True)
    limits = np.where(fixed, 0.0, _MAX_CHANGE).astype(np.float32)
    reach = torch.from_numpy(limits)[:, None].to(ready.device, non_blocking=True)
    start = 0.5 + SH_C0 * ready.params["sh"][first:, 0]
    colors = start
    for _ in range(_ROUNDS):
        shown = render_there(ready, frame.view, rasterizer).rgb.reshape(-1, 3)[index]
        colors = (colors + target - shown).clamp(start - reach, start + reach)
        sh = ready.params["sh"].clone()
        sh[first:, 0] = (colors - 0.5) / SH_C0
        ready = ready.recoloured(sh)
    return ready
