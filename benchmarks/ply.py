"""How long a scene takes to write and read, against the usual way of writing PLY (one tuple per splat).

    python benchmarks/ply.py [--splats 1000000] [--repeats 3] [--degree 0]

Both ways run in the same process and write to the same disk; the figures are the shortest of the repeats.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import plyfile
import torch
from rich.console import Console
from rich.table import Table

from splinescape.io.formats import SUFFIXES, load_splats, save_scene
from splinescape.scene.meta import SceneMeta
from splinescape.scene.splats import Splats


def make_splats(n: int, degree: int) -> Splats:
    """Surface-like random splats: positions on a wavy sheet, thin in one direction."""
    random = torch.Generator().manual_seed(0)
    u, v = torch.rand(2, n, generator=random) * 8 - 4
    depth = 5 + torch.sin(u) * torch.cos(v) + 0.01 * torch.randn(n, generator=random)
    return Splats(
        means=torch.stack([u, v, depth], dim=1),
        log_scales=torch.tensor([-5.0, -5.0, -8.0]) + 0.3 * torch.randn(n, 3, generator=random),
        quats=torch.nn.functional.normalize(torch.randn(n, 4, generator=random), dim=1),
        opacity_logits=2 + torch.randn(n, generator=random),
        sh=0.5 * torch.randn(n, (degree + 1) ** 2, 3, generator=random),
    )


def write_tuples(path: Path, splats: Splats) -> None:
    """The 62 columns of the INRIA code (normals and 45 harmonics of zero) through Python tuples."""
    n = len(splats)
    rest = np.zeros((n, 45), np.float32)
    columns = [splats.means, np.zeros((n, 3)), splats.sh[:, 0], rest, splats.opacity_logits[:, None]]
    table = np.concatenate([*columns, splats.log_scales, splats.quats], axis=1)
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    names += [f"f_rest_{i}" for i in range(45)] + ["opacity", "scale_0", "scale_1", "scale_2"]
    names += ["rot_0", "rot_1", "rot_2", "rot_3"]
    rows = np.empty(n, dtype=[(name, "f4") for name in names])
    rows[:] = list(map(tuple, table))
    plyfile.PlyData([plyfile.PlyElement.describe(rows, "vertex")]).write(path)


def read_plyfile(path: Path) -> None:
    """The usual reader: one column after the other out of plyfile."""
    vertex = plyfile.PlyData.read(path)["vertex"]
    np.stack([np.asarray(vertex[p.name]) for p in vertex.properties], axis=1)


def shortest(repeats: int, call: Callable[[], object]) -> float:
    """Seconds of the fastest of `repeats` calls."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    """Print one row per format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splats", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--degree", type=int, choices=range(4), default=0)
    arguments = parser.parse_args()
    splats = make_splats(arguments.splats, arguments.degree)
    table = Table("format", "write s", "read s", "MB", title=f"{len(splats):,} splats, SH {arguments.degree}")
    with tempfile.TemporaryDirectory() as folder:
        for suffix in reversed(SUFFIXES):
            path = Path(folder) / f"gf{suffix}"
            write = shortest(arguments.repeats, lambda p=path: save_scene(p, splats, SceneMeta()))
            read = shortest(arguments.repeats, lambda p=path: load_splats(p))
            table.add_row(suffix, f"{write:.2f}", f"{read:.2f}", f"{path.stat().st_size / 1e6:.0f}")
        path = Path(folder) / "tuples.ply"
        write = shortest(1, lambda: write_tuples(path, splats))
        read = shortest(arguments.repeats, lambda: read_plyfile(path))
        table.add_row(
            "62 columns by tuples", f"{write:.2f}", f"{read:.2f}", f"{path.stat().st_size / 1e6:.0f}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
