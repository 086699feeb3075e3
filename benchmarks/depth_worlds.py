"""How good a depth engine is on scenes that nothing here was trained on: modelled in Blender, rendered with Cycles.

    .venv-bpy-4.5/bin/python benchmarks/blender_worlds/render.py      # once: the pictures, some minutes
    .venv/bin/python benchmarks/depth_worlds.py --depth builtin       # the table; OUT/NAME.json, OUT/NAME.png

Engines are asked without being told the field of view. Errors of depth are measured after the best scale and shift of
inverse depth; what an engine calls sky counts as infinitely far there. Sky IoU is the mean over pictures that show sky,
false sky (pixels wrongly called sky) that over indoor ones, the field of view that of the longer side.
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

from splinescape.camera.view import View  # noqa: E402
from splinescape.config import SceneConfig  # noqa: E402
from splinescape.depth import DepthPrediction  # noqa: E402
from splinescape.engines import DEPTH_ESTIMATORS, choose  # noqa: E402
from training.depth import metrics  # noqa: E402

PRIOR = Path(__file__).parent / "blender_worlds" / "prior.json"
GUESSED_FOV = 60.0  # degrees; what the baselines say
COLUMNS = ("absrel", "delta1", "edge_f1", "fov_error", "sky_iou", "false_sky")
_SHOWS_SKY = 0.005  # share of the pixels
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


def aligned(world: World, prediction: DepthPrediction) -> NDArray[np.float64]:
    """(H, W) predicted depth in metres after the best scale and shift of inverse depth over what is no sky."""
    return metrics.align_scale_shift(inverse(prediction.depth), world.depth.astype(np.float64), ~world.sky)


def score(world: World, prediction: DepthPrediction) -> Row:
    """All figures of one picture; those that it cannot have are left out."""
    truth, valid = world.depth.astype(np.float64), ~world.sky
    found = ~np.isfinite(prediction.depth)
    row = metrics.depth_errors(aligned(world, prediction), truth, valid)
    edges = metrics.edges(np.where(found, 1.0, prediction.depth), ~found)
    row["edge_f1"] = metrics.edge_f1(edges, metrics.edges(np.where(valid, truth, 1.0), valid))
    row["fov_error"] = abs(fov(prediction.K_33, found.shape) - fov(world.K_33, found.shape))
    if world.sky.mean() > _SHOWS_SKY:
        row["sky_iou"] = float((found & world.sky).sum() / (found | world.sky).sum())
    if world.indoor:
        row["false_sky"] = float((found & valid).mean())
    return row


def constant(world: World) -> Row:
    """Everything equally far."""
    truth, valid = world.depth.astype(np.float64), ~world.sky
    return _baseline(world, metrics.align_scale_shift(np.ones_like(truth), truth, valid))


def ramp(world: World) -> Row:
    """The floor that fits this picture best: it knows the truth."""
    return _baseline(world, metrics.ramp(world.depth.astype(np.float64), ~world.sky))


def _baseline(world: World, depth: NDArray[np.float64]) -> Row:
    errors = metrics.depth_errors(depth, world.depth.astype(np.float64), ~world.sky)
    return {**errors, "fov_error": abs(GUESSED_FOV - fov(world.K_33, world.depth.shape))}


def means(rows: Sequence[Mapping[str, float]]) -> Row:
    """Mean of each figure over the pictures that have it."""
    present = {c: [r[c] for r in rows if c in r and np.isfinite(r[c])] for c in COLUMNS}
    return {c: float(np.mean(values)) for c, values in present.items() if values}


def table(rows: Mapping[str, Mapping[str, float]], first: str) -> str:
    """Markdown; rows by name."""
    heads = ("AbsRel", "delta1", "edge F1", "field of view", "sky IoU", "false sky indoors")
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
    strips = []
    for world, prediction in zip(worlds, predictions, strict=True):
        near, far = np.log(np.percentile(world.depth[~world.sky], (0.5, 99.5)))
        found = ~np.isfinite(prediction.depth)
        maps = [
            _coloured(world.depth, world.sky, near, far),
            _coloured(aligned(world, prediction), found, near, far),
        ]
        strip = np.concatenate([world.rgb, *maps], 1)
        width = round(strip.shape[1] * height / strip.shape[0])
        strips.append(cv2.resize(strip, (width, height), interpolation=cv2.INTER_AREA))
    wide = max(s.shape[1] for s in strips)
    padded = [np.pad(s, ((0, 0), (0, wide - s.shape[1]), (0, 0)), constant_values=255) for s in strips]
    if len(padded) % 2:
        padded.append(np.full_like(padded[0], 255))
    return np.concatenate([np.concatenate(padded[i : i + 2], 1) for i in range(0, len(padded), 2)])


def _coloured(depth, sky, near, far) -> NDArray[np.uint8]:
    log = np.log(np.where(sky, 1.0, np.where(np.isfinite(depth), depth, 1.0)))
    level = np.clip(255 * (far - log) / max(far - near, 1e-6), 0, 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    return np.where(sky[..., None], 0, colours).astype(np.uint8)


@click.command(help=__doc__)
@click.option("--depth", "name", default="builtin", show_default=True, help="a depth engine of splinescape")
@click.option("--worlds", "folder", type=click.Path(path_type=Path), default=ROOT / "out" / "depth-worlds")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "out" / "depth-worlds-scores")
def main(name: str, folder: Path, out: Path) -> None:
    worlds = load(folder)
    choice = choose("depth", DEPTH_ESTIMATORS, name, SceneConfig())
    predictions, started = [], time.perf_counter()
    for world in worlds:
        h, w = world.depth.shape
        predictions.append(choice.engine.predict(world.rgb, K_33=None, view=View(w, h, None, np.eye(4))))
    seconds = (time.perf_counter() - started) / len(worlds)
    rows = {w.name: score(w, p) for w, p in zip(worlds, predictions, strict=True)}
    summary = {
        "constant": means([constant(w) for w in worlds]),
        "fitted ramp": means([ramp(w) for w in worlds]),
    }
    if PRIOR.exists():
        kept = json.loads(PRIOR.read_text())
        summary["hand-made prior"] = means([kept[w.name] for w in worlds if w.name in kept])
    summary[choice.name] = means(list(rows.values()))
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{choice.name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    Image.fromarray(sheet(worlds, predictions)).save(out / f"{choice.name}.png")
    print(table(rows, choice.name), table(summary, f"mean of {len(worlds)}"), sep="\n\n")
    print(f"\n{seconds:.2f} s a picture; {out / choice.name}.json, .png")


if __name__ == "__main__":
    main()
