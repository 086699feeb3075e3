"""How long Blender takes from a splat file to an object, and how much memory: each count in a Blender of its own.

    BLENDER_PYTHON benchmarks/blender_import.py [--splats 1000000 5000000] [--degree 0] [--suffix .ply] [--repeats 3]

Run it with the Python of a bpy environment (`.venv-bpy-4.2/bin/python` and so on). Times are the median of the repeats;
memory is the greatest that the process ever had, before and after the first import, with Blender's own part in it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from splinescape.io.formats import SUFFIXES, save_arrays
from splinescape.io.splat_arrays import SplatArrays
from splinescape.scene.meta import SceneMeta

ROOT = Path(__file__).resolve().parents[1]


def make_splats(n: int, degree: int) -> SplatArrays:
    """Surface-like random splats: positions on a wavy sheet, thin in one direction."""
    random = np.random.default_rng(0)
    uv = random.random((n, 2), np.float32) * 8 - 4
    depth = 5 + np.sin(uv[:, 0]) * np.cos(uv[:, 1])
    quats = random.standard_normal((n, 4), np.float32)
    return SplatArrays(
        np.column_stack([uv, depth]),
        random.standard_normal((n, 3), np.float32) * np.float32(0.3) - np.array([5, 5, 8], np.float32),
        quats / np.linalg.norm(quats, axis=1, keepdims=True),
        random.standard_normal(n, np.float32) + np.float32(2),
        random.standard_normal((n, (degree + 1) ** 2, 3), np.float32) * np.float32(0.5),
    )


def peak_mb() -> float:
    """The greatest resident memory of this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage also counts what the parent had when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure(path: Path, repeats: int) -> dict[str, object]:
    """Import `path` into this process's Blender; seconds, CPU seconds and MB."""
    sys.path.insert(0, str(ROOT / "tests" / "blender"))
    import conftest  # before bpy: it keeps the user's own configuration out

    import bpy  # isort: skip

    bpy.ops.preferences.addon_enable(module=conftest.MODULE)
    bpy.ops.wm.read_homefile(use_empty=True)
    empty_mb = peak_mb()
    seconds, cpu_seconds = [], []
    for _ in range(repeats):
        bpy.ops.wm.read_homefile(use_empty=True)
        began, cpu_began = time.perf_counter(), time.process_time()
        bpy.ops.splinescape.import_splats(filepath=str(path))
        bpy.context.view_layer.update()
        seconds.append(time.perf_counter() - began)
        cpu_seconds.append(time.process_time() - cpu_began)
        if len(seconds) == 1:
            one_mb = peak_mb()
    made = bpy.context.active_object
    corners = np.array([tuple(corner) for corner in made.bound_box])
    return {
        "version": bpy.app.version_string,
        "splats": len(made.data.points),
        "first_s": seconds[0],
        "median_s": statistics.median(seconds),
        "cpu_s": statistics.median(cpu_seconds),
        "empty_mb": empty_mb,
        "peak_mb": one_mb,
        "bounds": [corners.min(axis=0).tolist(), corners.max(axis=0).tolist()],
    }


def check_bounds(splats: SplatArrays, bounds: list[list[float]]) -> None:
    """Stop when a bounding box does not fit: all centres are inside, and no more than the splats' own extent.

    What Blender shows are dots, smaller than the splats.
    """
    radius = 3 * splats.scales.max(axis=1, keepdims=True)
    centres = np.stack([splats.means.min(axis=0), splats.means.max(axis=0)])
    extent = np.stack([(splats.means - radius).min(axis=0), (splats.means + radius).max(axis=0)])
    low, high = np.array(bounds)
    assert (extent[0] - 1e-4 <= low).all() and (low <= centres[0] + 1e-4).all(), (low, centres, extent)
    assert (centres[1] - 1e-4 <= high).all() and (high <= extent[1] + 1e-4).all(), (high, centres, extent)


def main() -> None:
    """Print one row per count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splats", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--degree", type=int, choices=range(4), default=0)
    parser.add_argument("--suffix", choices=SUFFIXES, default=".ply")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.repeats)))
        return
    print("| Blender | splats | first s | median s | CPU s | MB without | MB with |")
    print("|---|---|---|---|---|---|---|")
    for count in arguments.splats:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"gf{arguments.suffix}"
            splats = make_splats(count, arguments.degree)
            save_arrays(path, splats, SceneMeta())
            # A process of its own: the memory that making the splats took must not count.
            command = [sys.executable, __file__, "--measure", str(path), "--repeats", str(arguments.repeats)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
            found = json.loads(done.stdout.splitlines()[-1])
            if arguments.suffix == ".ply":
                check_bounds(splats, found["bounds"])
        print(
            f"| {found['version']} | {found['splats']:,} | {found['first_s']:.2f} | {found['median_s']:.2f} "
            f"| {found['cpu_s']:.2f} | {found['empty_mb']:.0f} | {found['peak_mb']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
