"""How long the builtin inpainter takes, beside OpenCV's Telea in the same run.

    python benchmarks/inpaint.py [--repeats 3]

Borders are those of outpainting (expansion 0.3); holes are a band behind an upright edge plus specks, with
depth, as coarse expansion meets them. The figures are the shortest of the repeats; the first call of all,
which compiles or loads the kernels, is printed on its own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from splinescape.camera.view import View
from splinescape.inpaint.builtin import BuiltinInpainter

Case = tuple[str, NDArray[np.bool_], NDArray[np.float32] | None]


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """Fractal noise in colour."""
    rng = np.random.default_rng(0)
    total = np.zeros((height, width, 3))
    for octave in range(9):
        grid = rng.normal(size=(3 + 2**octave, 4 + 2**octave, 3))
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.75**octave
    return np.clip(128 + 30 * total, 0, 255).astype(np.uint8)


def border(height: int, width: int) -> Case:
    mask = np.ones((height, width), bool)
    y, x = round(height * 0.3 / 2.6), round(width * 0.3 / 2.6)
    mask[y:-y, x:-x] = False
    return f"border {width}x{height}", mask, None


def holes(height: int, width: int, share: float) -> Case:
    """A band right of something near, and one speck per thousand pixels."""
    rng = np.random.default_rng(1)
    mask = rng.random((height, width)) < 0.001
    left, right = round(width * 0.4), round(width * (0.4 + share))
    mask[:, left:right] = True
    depth = np.full((height, width), 5, np.float32)
    depth[:, :left] = 2
    return f"holes {width}x{height}, {mask.mean():.1%}", mask, depth


def shortest(call: Callable[[], object], repeats: int) -> float:
    """Milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats

    engine = BuiltinInpainter()
    console = Console()

    def run(rgb: NDArray[np.uint8], mask: NDArray[np.bool_], depth: NDArray[np.float32] | None) -> None:
        view = View(mask.shape[1], mask.shape[0], None, np.eye(4))
        engine.inpaint(rgb, mask, view=view, seed=0, depth_hw=depth)

    first = shortest(lambda: run(picture(256, 320), *holes(256, 320, 0.2)[1:]), 1)
    console.print(f"first call {first:.0f} ms")
    table = Table("case", "builtin ms", "Telea ms")
    cases = [border(*size) for size in ((256, 352), (448, 672), (512, 672), (1024, 1344))]
    cases += [holes(544, 704, share) for share in (0, 0.02, 0.1, 0.25)]
    for name, mask, depth in cases:
        rgb = picture(*mask.shape)
        ours = shortest(partial(run, rgb, mask, depth), repeats)
        telea = shortest(partial(cv2.inpaint, rgb, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA), repeats)
        table.add_row(name, f"{ours:.0f}", f"{telea:.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
