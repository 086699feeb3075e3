"""How rendering, training steps and memory of a rasteriser grow with splats and pixels.

    PYTHONPATH=backend python benchmarks/gpu_scaling.py             # 0.25, 1, 4, 16 M splats at 512x512 and 1920x1080
    PYTHONPATH=backend python benchmarks/gpu_scaling.py --records   # also: gsplat's two ways to keep its records
    PYTHONPATH=backend python benchmarks/gpu_scaling.py --engine cpu --quick

A scene is a wavy surface with one splat per pixel of a square picture, so that every splat is seen; at 512x512 more
than 0.25 M splats are smaller than a pixel. "step" is what the trainer does: colours, scales and opacities learn, Huber
loss, fused Adam. Median of the repeats, the GPU waited for at both ends of each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "backend")]

import numpy as np  # noqa: E402
import torch  # noqa: E402

from splinescape import engines  # noqa: E402
from splinescape.camera.view import View  # noqa: E402
from splinescape.coarse.scoring import uncovered_shares  # noqa: E402
from splinescape.scene.render import render_there, render_together  # noqa: E402
from splinescape.scene.resident import resident  # noqa: E402
from splinescape.scene.splats import SH_C0, Splats  # noqa: E402
from splinescape.train.trainer import Schedule, TrainingView, train_splats  # noqa: E402

SIZES = {"512x512": (512, 512), "1920x1080": (1920, 1080)}


def surface(side: int) -> Splats:
    """side x side splats on a wavy surface that fills a view of 58 degrees."""
    rng = torch.Generator().manual_seed(0)
    step = (torch.arange(side) + 0.5) / side - 0.5
    y, x = torch.meshgrid(step, step, indexing="ij")
    z = 3 + torch.sin(8.5 * x) + 0.5 * torch.cos(11 * y)
    means = torch.stack([x / 0.9 * z, y / 0.9 * z, z], -1).reshape(-1, 3)
    n = len(means)
    scales = z.reshape(-1, 1) / (0.9 * side) * torch.tensor([[0.6, 0.6, 0.06]])
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1)
    sh = (torch.rand(n, 1, 3, generator=rng) - 0.5) / SH_C0
    return Splats(means, scales.log(), quats, torch.full((n,), 2.2), sh)


def view_of(width: int, height: int, moved: float = 0.0) -> View:
    focal = 0.9 * min(width, height)
    cam = np.eye(4)
    cam[0, 3] = moved
    return View(width, height, np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]), cam)


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def median_ms(work: Callable[[], Any], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        wait()
        began = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


@contextmanager
def peak(into: dict[str, Any], name: str) -> Iterator[None]:
    """MiB that the work took beside what was there before."""
    if not torch.cuda.is_available():
        yield
        return
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    yield
    into[name] = (torch.cuda.max_memory_allocated() - before) / 2**20


def measure(engine: Any, splats: Splats, size: str, repeats: int) -> dict[str, Any]:
    width, height = SIZES[size]
    view = view_of(width, height)
    row: dict[str, Any] = {"splats": len(splats), "size": size}
    with peak(row, "scene_mib"):
        ready = resident(splats, engine.device)
    with peak(row, "render_mib"):
        row["render_ms"] = median_ms(lambda: render_there(ready, view, engine), repeats)
    views = [view_of(width, height, 0.01 * i) for i in range(8)]
    with peak(row, "batch_mib"):
        row["batch_ms"] = median_ms(lambda: render_together(ready, views, engine), max(1, repeats // 4)) / 8
    K = np.stack([view.K_33 for view in views])
    cams = np.stack([view.cam_T_world for view in views])
    with peak(row, "scoring_mib"):
        score = lambda: uncovered_shares(splats, cams, K, width, height, engine, 0.25, True)  # noqa: E731
        row["scoring_ms"] = median_ms(score, max(1, repeats // 4)) / 8
    rng = np.random.default_rng(0)
    target = TrainingView(
        rng.random((height, width, 3), np.float32),
        np.ones((height, width), np.float32),
        np.asarray(view.K_33),
        np.asarray(view.cam_T_world),
    )
    stamps: list[float] = []

    def on_step(*_: Any) -> None:
        wait()
        stamps.append(time.perf_counter())

    with peak(row, "step_mib"):
        train_splats(splats, [target], engine, Schedule(steps=repeats + 3, settled=0), on_step=on_step)
    row["step_ms"] = statistics.median(np.diff(stamps[2:])) * 1e3
    began = time.perf_counter()
    train_splats(splats, [target], engine, Schedule(steps=repeats + 3, settled=0))
    wait()
    row["train_call_ms"] = (time.perf_counter() - began) * 1e3 / (repeats + 3)
    return row


def print_rows(rows: list[dict[str, Any]]) -> None:
    names = [
        ("render_ms", "render"), ("batch_ms", "of 8 together"), ("scoring_ms", "scored pose"),
        ("step_ms", "training step"), ("train_call_ms", "step in a call"), ("scene_mib", "scene MiB"),
        ("render_mib", "render MiB"), ("batch_mib", "8 views MiB"), ("scoring_mib", "scoring MiB"),
        ("step_mib", "training MiB"),
    ]  # fmt: skip
    print("| splats | size | records | " + " | ".join(title for _, title in names) + " |")
    print("|" + "---|" * (len(names) + 3))
    for row in rows:
        cells = [f"{row[n]:.2f}" if n in row else "-" for n, _ in names]
        print(f"| {row['splats']:,} | {row['size']} | {row['records']} | " + " | ".join(cells) + " |")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", default="gsplat")
    parser.add_argument("--quick", action="store_true", help="4 and 16 thousand splats, three repeats")
    parser.add_argument(
        "--records", action="store_true", help="force gsplat's dense, then its packed records"
    )
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"{device}, torch {torch.__version__}", flush=True)
    engine = engines.rasterizer(options.engine)
    sides = [64, 128] if options.quick else [512, 1024, 2048, 4096]
    if options.quick:
        SIZES.update({"512x512": (64, 64), "1920x1080": (192, 108)})
    ways: dict[str, int | None] = {"as chosen": None}
    if options.records:
        ways |= {"dense": 2**62, "packed": 0}
    rows: list[dict[str, Any]] = []
    for side in sides:
        splats = surface(side)
        for size in SIZES:
            for way, limit in ways.items():
                with dense_up_to(limit):
                    rows.append(measure(engine, splats, size, 3 if options.quick else options.repeats))
                    rows[-1]["records"] = way
                print(json.dumps(rows[-1]), flush=True)
    print_rows(rows)
    if options.json:
        options.json.write_text(
            json.dumps({"device": device, "engine": options.engine, "rows": rows}, indent=1)
        )


@contextmanager
def dense_up_to(pairs: int | None) -> Iterator[None]:
    """Another limit of the gsplat engine for its dense records."""
    from splinescape.raster import gsplat as adapter

    before = adapter._DENSE_PAIRS
    adapter._DENSE_PAIRS = before if pairs is None else pairs
    try:
        yield
    finally:
        adapter._DENSE_PAIRS = before


if __name__ == "__main__":
    main()
