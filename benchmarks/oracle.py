"""How much the pipeline itself loses: run it with perfect models on analytic worlds.

    python benchmarks/oracle.py [--soft METRES] [--save DIR]

Prints, per world: PSNR at the input view before and after training, over eleven poses between the chosen ones, pixels
left uncovered, splats, expanded frames and seconds. "warp bound" is the PSNR of a bicubic warp of the picture with true
depth, on the pixels it can see: no method that only knows the picture gets past it there by much.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

import worlds
from splinescape import CameraPath, SceneConfig, ScenePipeline
from splinescape.events import StageStarted

W, H = 512, 384
K = worlds.centred_intrinsics(W, H).astype(np.float64)
HELD_OUT = 11


def psnr(a, b, mask=None):
    error = (np.asarray(a, np.float64) - b) ** 2
    return float(-10 * np.log10(error.mean() if mask is None else error[mask].mean()))


def warp_bound(picture, cam, truth):
    """PSNR of a bicubic warp of the input picture, with true depth, where the picture sees the surface."""
    v, u = np.mgrid[:H, :W]
    depth = np.where(np.isfinite(truth.depth), truth.depth, 1e5)
    points = np.stack([(u + 0.5 - K[0, 2]) / K[0, 0], (v + 0.5 - K[1, 2]) / K[1, 1], np.ones((H, W))], -1)
    world_T_cam = np.linalg.inv(cam)
    points = (points * depth[..., None]) @ world_T_cam[:3, :3].T + world_T_cam[:3, 3]
    x = (K[0, 0] * points[..., 0] / points[..., 2] + K[0, 2] - 0.5).astype(np.float32)
    y = (K[1, 1] * points[..., 1] / points[..., 2] + K[1, 2] - 0.5).astype(np.float32)
    seen = cv2.remap(
        np.where(np.isfinite(picture.depth), picture.depth, 1e5), x, y, cv2.INTER_NEAREST, borderValue=-1
    )
    visible = np.abs(seen / points[..., 2] - 1) < 0.03
    warped = cv2.remap(picture.rgb.astype(np.float32) / 255, x, y, cv2.INTER_CUBIC)
    return psnr(np.clip(warped, 0, 1), truth.rgb / 255, visible)


def run(name, soft, save, verbose):
    world = worlds.soften(getattr(worlds, name)(), soft) if soft else getattr(worlds, name)()
    poses = worlds.forward_side_path(n=101)
    picture = world.render(np.eye(4), K, W, H)
    spent = {"oracle": 0.0}

    class Timed:
        def __init__(self, engine):
            self.engine = engine

        def predict(self, *args, **kwargs):
            t = time.perf_counter()
            out = self.engine.predict(*args, **kwargs)
            spent["oracle"] += time.perf_counter() - t
            return out

        def inpaint(self, rgb, mask, *, view, seed):
            t = time.perf_counter()
            out = self.engine.inpaint(rgb, mask, view=view, seed=seed)
            spent["oracle"] += time.perf_counter() - t
            return out

    pipeline = ScenePipeline(
        SceneConfig(stage="coarse"),
        inpainter=Timed(worlds.OracleInpainter(world)),
        depth=Timed(worlds.OracleDepth(world)),
        rasterizer="cpu",
    )
    start = time.perf_counter()
    marks = []

    def on_event(event):
        if verbose and isinstance(event, StageStarted):
            print(f"  {time.perf_counter() - start:6.1f} s {event}")
            marks.append(event)

    result = pipeline.run(picture.rgb, path=CameraPath.from_matrices(poses), on_event=on_event)
    seconds = time.perf_counter() - start
    view = result.scene.render(np.eye(4), K, W, H)
    at_input = psnr(view.rgb.clamp(0, 1), picture.rgb / 255)
    scores, bounds, uncovered = [], [], []
    for i in range(HELD_OUT):
        cam = poses[round((i + 0.5) / HELD_OUT * 100)]
        truth = world.render(cam, K, W, H)
        view = result.scene.render(cam, K, W, H)
        rgb = view.rgb.clamp(0, 1).numpy()
        scores.append(psnr(rgb, truth.rgb / 255))
        bounds.append(warp_bound(picture, cam, truth))
        uncovered.append(float((view.alpha < 0.5).float().mean()))
        if save:
            Path(save).mkdir(parents=True, exist_ok=True)
            error = np.clip(np.abs(rgb - truth.rgb / 255) * 5, 0, 1)
            Image.fromarray((np.hstack([rgb, error]) * 255).astype(np.uint8)).save(
                f"{save}/{name}_{i:02d}.png"
            )
    finite = all(bool(torch.isfinite(t).all()) for _, t in result.scene.splats.tensors())
    if verbose:
        print(result.summary.text())
        print(
            "  path PSNR",
            " ".join(f"{s:.1f}" for s in scores),
            " bound",
            " ".join(f"{b:.1f}" for b in bounds),
        )
    print(
        f"{name:10s} | {at_input:6.2f} | {np.mean(scores):6.2f} | {np.mean(bounds):6.2f} |"
        f" {100 * np.max(uncovered):7.3f} % |"
        f" {result.scene.num_splats:8d} | {len(result.summary.frames)}+{len(result.summary.closing_frames)} |"
        f" {finite} | {seconds:6.1f} s ({spent['oracle']:.1f} s in the world)",
        flush=True,
    )


@click.command()
@click.option("--soft", default=0.06, show_default=True, help="Blur of the worlds' textures in metres.")
@click.option("--save", default=None, help="Folder for frames beside their errors (x5).")
@click.option("--world", "names", multiple=True, default=("plain_room", "indoor", "outdoor"))
@click.option("-v", "--verbose", is_flag=True)
def main(soft, save, names, verbose):
    """Print the oracle table."""
    print("world      | input dB | path dB | warp bound | uncovered max | splats | frames | finite | time")
    for name in names:
        run(name, soft, save, verbose)


if __name__ == "__main__":
    main()
