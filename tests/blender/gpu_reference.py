"""What the backend's rasteriser makes of splats; runs in the backend's own environment.

gpu_reference.py SOURCE.npz TARGET.npz: `means`, `log_scales`, `quats`, `opacity_logits`, `sh` seen with view matrix
`view`, intrinsics `K` and size `size` (width, height), as `rgb`, `depth` and `alpha`, the highest row first.
"""

from __future__ import annotations

import sys

import numpy as np
import torch

from splinescape.camera.view import View
from splinescape.engines import rasterizer
from splinescape.scene.render import render_view
from splinescape.scene.splats import Splats


def main(source: str, target: str) -> None:
    data = np.load(source)
    names = ("means", "log_scales", "quats", "opacity_logits", "sh")
    splats = Splats(*(torch.from_numpy(data[name]) for name in names))
    width, height = (int(number) for number in data["size"])
    rendering = render_view(splats, View(width, height, data["K"], data["view"]), rasterizer("cpu"))
    shape = (height, width)
    np.savez(
        target,
        rgb=rendering.rgb.numpy().reshape(*shape, 3),
        depth=rendering.depth.numpy().reshape(shape),
        alpha=rendering.alpha.numpy().reshape(shape),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
