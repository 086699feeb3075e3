"""Seconds of a viewport frame of splats, and where they go.

    .venv-bpy-5.0/bin/python benchmarks/blender_viewport.py [--splats 1000000] [--size 1280x720] [--ply gf.ply]

Runs the viewport's own drawing code inside a render engine, where Blender has a GPU context without a window; the
graphics card is Mesa's llvmpipe on a machine that has none. "processor" is the processor's time of a frame, all
cores together, which counts on a machine that is busy with other things.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
MODULE = "bl_ext.user_default.splinescape"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splats", type=int, default=1_000_000)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--ply", type=Path, help="splats of a file instead of random ones")
    options = parser.parse_args()
    width, height = (int(number) for number in options.size.split("x"))
    with tempfile.TemporaryDirectory() as resources:
        link_extension(Path(resources))
        import bpy

        bpy.ops.preferences.addon_enable(module=MODULE)
        splats = load(options.ply) if options.ply else random_splats(options.splats)
        print(
            f"Blender {bpy.app.version_string}, numpy {np.__version__}, {len(splats):,} splats, {width} x {height}"
        )
        in_gpu_context(lambda: measure(splats, width, height))
        bpy.ops.preferences.addon_disable(module=MODULE)


def link_extension(resources: Path) -> None:
    """Make the working tree an installed extension of a Blender that has not been started yet."""
    os.environ["BLENDER_USER_RESOURCES"] = str(resources)
    folder = resources / "extensions" / "user_default" / "splinescape"
    folder.mkdir(parents=True)
    for part in (*(ROOT / "addon").iterdir(), ROOT / "blender_manifest.toml"):
        (folder / part.name).symlink_to(part)


def load(path: Path) -> Any:
    """The splats of a file."""
    from splinescape.io.formats import load_arrays

    return load_arrays(path)[0]


def random_splats(count: int) -> Any:
    """A room's worth of small flat splats of all directions."""
    from splinescape.io.splat_arrays import SplatArrays

    rng = np.random.default_rng(0)
    depth = rng.uniform(2, 6, count)
    means = np.stack([rng.uniform(-0.8, 0.8, count) * depth, rng.uniform(-0.5, 0.5, count) * depth, depth], 1)
    log_scales = np.log(0.004 * np.sqrt(1e6 / count)) + rng.normal(0, 0.5, (count, 3))
    fields = (
        means,
        log_scales,
        rng.normal(size=(count, 4)),
        rng.normal(1, 1, count),
        rng.uniform(-1, 1, (count, 1, 3)),
    )
    return SplatArrays(*(np.ascontiguousarray(each, np.float32) for each in fields))


def in_gpu_context(work: Callable[[], None]) -> None:
    """Call `work` inside a render engine."""
    import bpy

    class Bench(bpy.types.RenderEngine):
        bl_idname = "SPLINESCAPE_BENCH"
        bl_label = "Benchmark"
        bl_use_gpu_context = True

        def render(self, _depsgraph: Any) -> None:
            try:
                work()
            except Exception:
                traceback.print_exc()

    bpy.utils.register_class(Bench)
    bpy.context.scene.render.engine = "SPLINESCAPE_BENCH"
    bpy.ops.render.render()
    bpy.utils.unregister_class(Bench)


def measure(splats: Any, width: int, height: int) -> None:
    """First frame, a frame of the same view, of a turned one, and frames while the view turns."""
    import gpu

    packing = importlib.import_module(f"{MODULE}.display.gpu.packing")
    drawing = importlib.import_module(f"{MODULE}.display.gpu.viewport_drawing")
    began = perf_counter()
    cloud = packing.pack(splats)
    print(f"pack {perf_counter() - began:.3f} s")
    color = gpu.types.GPUTexture((width, height), format="RGBA32F")
    depth = gpu.types.GPUTexture((width, height), format="DEPTH_COMPONENT32F")
    screen = gpu.types.GPUFrameBuffer(color_slots=(color,), depth_slot=depth)
    viewport = drawing.ViewportSplats()

    def frame(angle: float) -> dict[str, float]:
        used = process_time()
        with screen.bind():
            screen.clear(color=(0.0, 0.0, 0.0, 1.0), depth=1.0)
            viewport.draw(1, [cloud], [np.eye(4)], turned(angle, width, height), behind_scene=True)
        return {**viewport.seconds, "processor": process_time() - used}

    drawing.STEADY_S, drawing.STEADY_FRAME_S = 0.0, 60.0
    report("first frame", [frame(0.0)])
    report("nothing has changed", [frame(0.0) for _ in range(3)])
    report("another view, in full", [frame(0.01 * step) for step in range(1, 4)])
    drawing.STEADY_S, drawing.STEADY_FRAME_S = 0.2, 2.0
    report("while the view turns", [frame(0.05 + 0.01 * step) for step in range(12)][4:])


def turned(angle: float, width: int, height: int) -> Any:
    """A view turned about the vertical axis."""
    View = importlib.import_module(f"{MODULE}.display.gpu.view").View
    projection = np.zeros((4, 4))
    projection[0, 0], projection[1, 1] = 1.25, 1.25 * width / height
    projection[2, 2], projection[2, 3], projection[3, 2] = -1.0002, -0.02, -1
    c, s = np.cos(angle), np.sin(angle)
    pose = np.diag([1.0, -1, -1, 1]) @ np.array([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 0], [0, 0, 0, 1]])
    return View.of(pose, projection, width, height)


def report(name: str, frames: list[dict[str, float]]) -> None:
    """Medians of each step."""
    steps = {step: float(np.median([each[step] for each in frames])) for step in frames[0]}
    print(f"{name:24}" + "  ".join(f"{step} {seconds:.3f}" for step, seconds in steps.items()))


if __name__ == "__main__":
    sys.exit(main())
