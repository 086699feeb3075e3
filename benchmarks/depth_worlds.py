"""How good a depth engine is on scenes that nothing here was trained on: modelled in Blender, rendered with Cycles.

    .venv-bpy-4.5/bin/python benchmarks/blender_worlds/render.py      # once: the pictures, some minutes
    .venv/bin/python benchmarks/depth_worlds.py --depth builtin       # the table; OUT/NAME.json, OUT/NAME.png
    .venv/bin/python benchmarks/depth_worlds.py --network training/depth/checkpoint   # a network in training

Engines are asked without being told the field of view. Errors of depth are measured after the scale and shift of
inverse depth with the least mean error of log depth; what an engine calls sky counts as infinitely far there. Sky IoU
is the mean over pictures that show sky, false sky (pixels wrongly called sky) that over indoor ones, the field of view
that of the longer side. The rank correlation (median over the pictures) says how well little confidence goes with
large error.

A network in training is judged by its averaged weights, in three ways: in the package's engine, which decides about
sky and sharpens steps; its own maps with sky where the logit is over 0; and without any sky, which tells wrong depth
from wrong sky. It looks at pictures in the engine's size.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.blender_worlds.catalogue import SCENES  # noqa: E402
from splinescape.camera.view import View  # noqa: E402
from splinescape.config import SceneConfig  # noqa: E402
from splinescape.depth import DepthPrediction  # noqa: E402
from splinescape.engines import DEPTH_ESTIMATORS, choose  # noqa: E402
from training.depth import metrics  # noqa: E402

PRIOR = Path(__file__).parent / "blender_worlds" / "prior.json"
GUESSED_FOV = 60.0  # degrees; what the baselines say
COLUMNS = ("absrel", "delta1", "edge_f1", "fov_error", "sky_iou", "false_sky", "error_rank")
_SHOWS_SKY = 0.005  # share of the pixels
_FAMILIES = {s.name: s.family for s in SCENES}
Row = dict[str, float]


@dataclass(frozen=True, eq=False)
class World:
    """One rendered scene: rgb (H, W, 3) uint8, depth (H, W) metres and +inf for sky, K_33, indoor or not."""

    name: str
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    K_33: NDArray[np.float32]
    indoor: bool

    @property
    def sky(self) -> NDArray[np.bool_]:
        return ~np.isfinite(self.depth)


def load(folder: Path) -> list[World]:
    """The rendered scenes of a folder, by name.

    Raises:
        click.ClickException: there are none.
    """
    worlds = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            worlds.append(World(path.stem, file["rgb"], file["depth"], file["K_33"], bool(file["indoor"])))
    if not worlds:
        raise click.ClickException(
            f"no rendered scenes in {folder}; render them with benchmarks/blender_worlds/render.py"
        )
    return worlds


def fov(K_33: NDArray[np.floating], shape: Sequence[int]) -> float:
    """Degrees along the longer side of a picture of (H, W) pixels."""
    h, w = shape[:2]
    half = w / 2 / K_33[0, 0] if w >= h else h / 2 / K_33[1, 1]
    return float(2 * np.degrees(np.arctan(half)))


def inverse(depth: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 / depth, 0 where depth is infinite."""
    return np.where(np.isfinite(depth), 1 / np.maximum(depth.astype(np.float64), 1e-9), 0.0)


def aligned(world: World, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """(H, W) metres from predicted inverse depth (H, W) after the scale and shift with the least mean |log error|.

    Least squares would let the nearest pixels of a landscape decide, relative inverse depth its farthest. Depth ends at
    four times the farthest truth, so that nothing is behind infinity. The sky is not asked.
    """
    logs, known = np.log(world.depth[~world.sky].astype(np.float64)), found[~world.sky]
    unit, end = max(float(np.percentile(known, 99)), 1e-12), logs.max() + np.log(4)
    every = max(1, len(logs) // 20_000)
    magnitudes = np.geomspace(1e-4, 1, 33)
    shifts = np.concatenate([-magnitudes[::-1], [0], magnitudes, np.geomspace(1.2, 100, 15)])

    def log_depth(shift: float, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return -np.log(np.maximum(values / unit + shift, 1e-9))

    def error(shift: float) -> float:
        log = log_depth(shift, known[::every])
        return float(np.abs(np.minimum(log + np.median(logs[::every] - log), end) - logs[::every]).mean())

    for _ in range(5):
        best = int(np.argmin([error(k) for k in shifts]))
        low, high = shifts[max(best - 1, 0)], shifts[min(best + 1, len(shifts) - 1)]
        shift, shifts = shifts[best], np.linspace(low, high, 25)
    scale = np.median(logs - log_depth(shift, known))
    return np.exp(np.minimum(log_depth(shift, found) + scale, end))


def score(world: World, prediction: DepthPrediction) -> Row:
    """All figures of one picture; those that it cannot have are left out."""
    truth, valid = world.depth.astype(np.float64), ~world.sky
    found = ~np.isfinite(prediction.depth)
    row = metrics.depth_errors(aligned(world, inverse(prediction.depth)), truth, valid)
    edges = metrics.edges(np.where(found, 1.0, prediction.depth), ~found)
    row["edge_f1"] = metrics.edge_f1(edges, metrics.edges(np.where(valid, truth, 1.0), valid))
    row["fov_error"] = abs(fov(prediction.K_33, found.shape) - fov(world.K_33, found.shape))
    if world.sky.mean() > _SHOWS_SKY:
        row["sky_iou"] = float((found & world.sky).sum() / (found | world.sky).sum())
    if world.indoor:
        row["false_sky"] = float((found & valid).mean())
    known = valid & ~found
    if known.any() and np.ptp(prediction.confidence[known]) > 0:
        log = np.log(prediction.depth[known] / truth[known])
        error = np.abs(log - np.median(log))
        row["error_rank"] = metrics.rank_correlation(-prediction.confidence[known], error)
    return row


def constant(world: World) -> Row:
    """Everything equally far."""
    return _baseline(world, np.ones(world.depth.shape))


def ramp(world: World) -> Row:
    """The floor that fits this picture best: it knows the truth."""
    h, w = world.depth.shape
    return _baseline(world, np.broadcast_to(np.arange(1.0, h + 1)[:, None] / h, (h, w)))


def _baseline(world: World, found: NDArray[np.float64]) -> Row:
    depth = aligned(world, found)
    errors = metrics.depth_errors(depth, world.depth.astype(np.float64), ~world.sky)
    return {**errors, "fov_error": abs(GUESSED_FOV - fov(world.K_33, world.depth.shape))}


def means(rows: Sequence[Mapping[str, float]]) -> Row:
    """Mean of each figure over the pictures that have it; median of the rank correlation."""
    present = {c: [r[c] for r in rows if c in r and np.isfinite(r[c])] for c in COLUMNS}
    middle = {"error_rank": np.median}
    return {c: float(middle.get(c, np.mean)(values)) for c, values in present.items() if values}


def families(rows: Mapping[str, Row]) -> dict[str, Row]:
    """Means over the scenes of each family."""
    return {
        f"all {family}": means([r for name, r in rows.items() if _FAMILIES.get(name) == family])
        for family in dict.fromkeys(_FAMILIES.values())
    }


def table(rows: Mapping[str, Mapping[str, float]], first: str) -> str:
    """Markdown; rows by name."""
    heads = (
        *("AbsRel", "delta1", "edge F1", "field of view"),
        *("sky IoU", "false sky indoors", "confidence to error"),
    )
    lines = [f"| {first} | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    lines += [
        f"| {name} | {' | '.join(_shown(c, row.get(c)) for c in COLUMNS)} |" for name, row in rows.items()
    ]
    return "\n".join(lines)


def _shown(column: str, value: float | None) -> str:
    if value is None or not np.isfinite(value):
        return ""
    if column == "fov_error":
        return f"{value:.1f}°"
    return f"{100 * value:.2f} %" if column == "false_sky" else f"{value:.3f}"


def sheet(
    worlds: Sequence[World], predictions: Sequence[DepthPrediction], height: int = 240
) -> NDArray[np.uint8]:
    """Rows of two scenes: picture, true depth, predicted depth after alignment; sky is black."""
    cells: list[NDArray[np.uint8]] = []
    for world, prediction in zip(worlds, predictions, strict=True):
        near, far = np.log(np.percentile(world.depth[~world.sky], (0.5, 99.5)))
        found = ~np.isfinite(prediction.depth)
        maps = [
            _coloured(world.depth, world.sky, near, far),
            _coloured(aligned(world, inverse(prediction.depth)), found, near, far),
        ]
        strip = np.concatenate([world.rgb, *maps], 1)
        k = min(height / strip.shape[0], 4 * height / strip.shape[1])
        size = round(strip.shape[1] * k), round(strip.shape[0] * k)
        cell = np.full((height, 4 * height, 3), 255, np.uint8)
        cell[: size[1], : size[0]] = cv2.resize(strip, size, interpolation=cv2.INTER_AREA)
        cells.append(cell)
    if len(cells) % 2:
        cells.append(np.full_like(cells[0], 255))
    return np.concatenate([np.concatenate(cells[i : i + 2], 1) for i in range(0, len(cells), 2)])


def _coloured(depth, sky, near, far) -> NDArray[np.uint8]:
    log = np.log(np.where(sky, 1.0, np.where(np.isfinite(depth), depth, 1.0)))
    level = np.clip(255 * (far - log) / max(far - near, 1e-6), 0, 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    return np.where(sky[..., None], 0, colours).astype(np.uint8)


def ask_engine(name: str, worlds: Sequence[World]) -> dict[str, list[DepthPrediction]]:
    """What an engine of splinescape says of all scenes, by its name."""
    choice = choose("depth", DEPTH_ESTIMATORS, name, SceneConfig())
    views = [View(w.depth.shape[1], w.depth.shape[0], None, np.eye(4)) for w in worlds]
    return {
        choice.name: [
            choice.engine.predict(w.rgb, K_33=None, view=v) for w, v in zip(worlds, views, strict=True)
        ]
    }


def ask_network(folder: Path, worlds: Sequence[World]) -> dict[str, list[DepthPrediction]]:
    """What the network of a training checkpoint says of all scenes, in three ways."""
    from benchmarks import depth_network  # needs torch

    return depth_network.ask(folder, [w.rgb for w in worlds])


@click.command(help=__doc__)
@click.option("--depth", "name", default="builtin", show_default=True, help="a depth engine of splinescape")
@click.option("--network", type=click.Path(path_type=Path, exists=True), help="a training checkpoint instead")
@click.option("--worlds", "folder", type=click.Path(path_type=Path), default=ROOT / "out" / "depth-worlds")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "out" / "depth-worlds-scores")
def main(name: str, network: Path | None, folder: Path, out: Path) -> None:
    worlds = load(folder)
    started = time.perf_counter()
    asked = ask_network(network, worlds) if network else ask_engine(name, worlds)
    seconds = (time.perf_counter() - started) / len(worlds)
    summary = {
        "constant": means([constant(w) for w in worlds]),
        "fitted ramp": means([ramp(w) for w in worlds]),
    }
    if PRIOR.exists():
        kept = json.loads(PRIOR.read_text())
        summary["hand-made prior"] = means([kept[w.name] for w in worlds if w.name in kept])
    out.mkdir(parents=True, exist_ok=True)
    for label, predictions in asked.items():
        rows = {w.name: score(w, p) for w, p in zip(worlds, predictions, strict=True)}
        summary[label] = means(list(rows.values()))
        (out / f"{label}.json").write_text(json.dumps(rows, indent=1) + "\n")
        Image.fromarray(sheet(worlds, predictions)).save(out / f"{label}.png")
        print(table({**rows, **families(rows)}, label), end="\n\n")
    print(table(summary, f"mean of {len(worlds)}"))
    print(f"\n{seconds:.2f} s a picture; {out}/{{{','.join(asked)}}}.json, .png")


if __name__ == "__main__":
    main()
