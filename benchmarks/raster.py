"""Time and memory of the CPU rasteriser, and how far the torch reference is behind it in the same run.

    python benchmarks/raster.py            # the two standard scenes
    python benchmarks/raster.py --torch    # and the torch reference; takes minutes
    python benchmarks/raster.py --scaling  # and 1/4 to 4 million splats

Times are the least of the repeats: another busy process slows a run several times over.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor

from splinescape.jit import num_threads
from splinescape.raster import Rasterizer
from splinescape.raster.cpu import CpuRasterizer, warm_up
from splinescape.raster.reference import TorchRasterizer


@dataclass(frozen=True)
class Scene:
    """Splats in the order of `Rasterizer.rasterize`, seen from the origin in a size x size picture."""

    name: str
    params: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
    size: int

    @property
    def K_33(self) -> Tensor:
        f, c = 0.9 * self.size, self.size / 2
        return torch.tensor([[f, 0, c], [0, f, c], [0, 0, 1.0]])


def pixel_scene(size: int) -> Scene:
    """One splat per pixel on a wavy surface, about seven pixels wide, opacity 0.9."""
    rng = torch.Generator().manual_seed(0)
    f = 0.9 * size
    y, x = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    z = 3 + torch.sin(8.5 * x / size) + 0.5 * torch.cos(11 * y / size)
    z += 0.05 * torch.rand(size, size, generator=rng)
    means = torch.stack([(x - size / 2) / f * z, (y - size / 2) / f * z, z], -1).reshape(-1, 3)
    n = len(means)
    scales = z.reshape(-1, 1) / f * torch.tensor([[0.8, 0.8, 0.4]])
    quats = torch.randn(n, 4, generator=rng) * 0.1 + torch.tensor([1.0, 0, 0, 0])
    colors = torch.rand(n, 3, generator=rng)
    return Scene(f"pixel {size}", (means, quats, scales, torch.full((n,), 0.9), colors), size)


def random_scene(n: int, size: int) -> Scene:
    """Splats of 0.002 to 0.02 in a box of side 2 whose near face nearly fills the view."""
    rng = torch.Generator().manual_seed(0)
    means = torch.rand(n, 3, generator=rng) * 2 - 1 + torch.tensor([0.0, 0.0, 3.0])
    quats, scales = torch.randn(n, 4, generator=rng), torch.rand(n, 3, generator=rng) * 0.018 + 0.002
    opacities, colors = torch.rand(n, generator=rng) * 0.9 + 0.05, torch.rand(n, 3, generator=rng)
    return Scene(f"random {size}", (means, quats, scales, opacities, colors), size)


def render(engine: Rasterizer, scene: Scene) -> None:
    with torch.no_grad():
        engine.rasterize(*scene.params, torch.eye(4), scene.K_33, scene.size, scene.size)


def train(engine: Rasterizer, scene: Scene) -> None:
    means, quats, scales, opacities, colors = (t.detach().requires_grad_() for t in scene.params)
    out = engine.rasterize(
        means, quats, scales, opacities, colors, torch.eye(4), scene.K_33, scene.size, scene.size
    )
    torch.autograd.backward(
        [out.rgb, out.depth, out.alpha], [out.rgb.detach(), out.depth.detach(), out.alpha.detach()]
    )


def least_ms(run: Callable[[], None], repeats: int) -> float:
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best * 1e3


def peak_mb(engine: Rasterizer, scene: Scene, backward: bool) -> float:
    """Rise of resident memory over one run, results included, in a fresh process (Linux)."""
    if not Path("/proc/self/clear_refs").exists():
        return float("nan")
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measure_peak, engine, scene, backward).result()


def _measure_peak(engine: Rasterizer, scene: Scene, backward: bool) -> float:
    warm_up()
    (train if backward else render)(engine, pixel_scene(64))
    before = _kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest value so far
    (train if backward else render)(engine, scene)
    return (_kilobytes("VmHWM") - before) / 1024


def _kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def row(engine: Rasterizer, scene: Scene, repeats: int, memory: bool = True) -> tuple[float, float]:
    forward = least_ms(lambda: render(engine, scene), repeats)
    both = least_ms(lambda: train(engine, scene), repeats)
    megabytes = [peak_mb(engine, scene, b) if memory else float("nan") for b in (False, True)]
    print(
        f"{engine.name:6} {scene.name:12} {len(scene.params[0]):9,} {forward:9.1f} {both:11.1f}"
        f" {megabytes[0]:8.0f} {megabytes[1]:8.0f}",
        flush=True,
    )
    return forward, both


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--torch", action="store_true", help="time the torch reference too")
    parser.add_argument("--scaling", action="store_true", help="go to 4 million splats")
    options = parser.parse_args()

    warm_up()
    cpu = CpuRasterizer()
    print(
        f"{num_threads()} threads; milliseconds, least of {options.repeats}; peak MB beyond the scene itself"
    )
    print("engine scene           splats   forward   +backward   MB fwd  MB both")
    scenes = [pixel_scene(512), random_scene(100_000, 512)]
    times = [row(cpu, scene, options.repeats) for scene in scenes]
    if options.scaling:
        for size in (256, 512, 1024, 2048):
            row(cpu, pixel_scene(size), max(3, options.repeats // 4))
        for n in (250_000, 1_000_000, 4_000_000):
            row(cpu, random_scene(n, 512), max(3, options.repeats // 4))
    if options.torch:
        for scene, ours in zip(scenes, times, strict=True):
            slow = row(TorchRasterizer(), scene, 1, memory=False)
            print(
                f"cpu is {slow[0] / ours[0]:.0f} times as fast forward, {slow[1] / ours[1]:.0f} with backward"
            )


if __name__ == "__main__":
    main()
