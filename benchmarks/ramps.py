"""Ramps that depth networks draw over occlusion edges: what the repair makes of them, and what it does to the rest.

    python benchmarks/ramps.py [--path]

True depth of analytic worlds is softened as networks do it: blurred, or made small and enlarged, in log depth, inverse
depth or depth, also with an outline that misses the true one by a pixel (one standard deviation) and with noise.
`--path` also runs the whole pipeline on softened depth.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

import worlds
from splinescape import CameraPath, SceneConfig, ScenePipeline
from splinescape.depth import DepthPrediction
from splinescape.scene.edges import occlusion_edges
from splinescape.scene.ramps import snap_ramps

NAMES = ("plain_room", "indoor", "outdoor")
TO = {"log": np.log, "inverse": lambda z: 1 / z, "depth": lambda z: z}
BACK = {"log": np.exp, "inverse": lambda x: 1 / x, "depth": lambda x: x}
CASES = (
    ("blur 0.7 px, log", {"blur": 0.7}),
    ("blur 1.5 px, log", {"blur": 1.5}),
    ("blur 1.5 px, inverse", {"blur": 1.5, "space": "inverse"}),
    ("blur 1.5 px, depth", {"blur": 1.5, "space": "depth"}),
    ("blur 2 px, log, noise 1 %", {"blur": 2.0, "noise": 0.01}),
    ("enlarged 2x, log", {"enlarged": 2}),
    ("enlarged 4x, inverse, noise 1 %", {"enlarged": 4, "space": "inverse", "noise": 0.01}),
    ("blur 1.5 px, log, outline off", {"blur": 1.5, "off": 1.0}),
    ("enlarged 2x, inverse, outline off", {"enlarged": 2, "space": "inverse", "off": 1.0}),
)
RADIUS = 3


def soften(depth, blur=0.0, enlarged=1, space="log", noise=0.0, off=0.0):
    """Depth as a network draws it; sky is far away while it is averaged, and cut out where it is half."""
    rng = np.random.default_rng(5)
    height, width = depth.shape
    if off:
        v, u = np.mgrid[:height, :width].astype(np.float32)
        push = [cv2.GaussianBlur(rng.normal(size=depth.shape), (0, 0), 6) for _ in range(2)]
        push = [(off * p / p.std()).astype(np.float32) for p in push]
        depth = cv2.remap(depth, u + push[0], v + push[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    sky = ~np.isfinite(depth)

    def average(a):
        if blur:
            return cv2.GaussianBlur(a, (0, 0), blur)
        small = cv2.resize(a, (width // enlarged, height // enlarged), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)

    out = BACK[space](average(TO[space](np.where(sky, 3 * depth[~sky].max(), depth).astype(np.float64))))
    if noise:
        waves = cv2.GaussianBlur(rng.normal(size=depth.shape), (0, 0), 8)
        out *= np.exp(noise * waves / waves.std() + 0.3 * noise * rng.normal(size=depth.shape))
    out[average(sky.astype(np.float64)) > 0.5] = np.inf
    return out.astype(np.float32)


def log_depth(depth):
    return np.log(np.where(np.isfinite(depth), depth, 1e4))


def measure(depth, soft, truth):
    """Floating pixels in %, outline error in px, right ones among the changed in %, changed far from edges in %."""
    here, right = log_depth(depth), log_depth(truth)
    around = np.pad(right, RADIUS, mode="edge")
    on_surface = np.zeros(depth.shape, bool)
    for i in range(2 * RADIUS + 1):
        for j in range(2 * RADIUS + 1):
            on_surface |= abs(here - around[i : i + depth.shape[0], j : j + depth.shape[1]]) < 0.05
    edges = occlusion_edges(truth)
    near_edge = cv2.dilate(edges.astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
    changed = depth != soft
    good = 100 * (abs(here - right) < 0.1)[changed].mean() if changed.any() else np.nan
    outline = (abs(here - right) > 0.1).sum() / (edges.sum() / 2)
    return 100 * (~on_surface).mean(), outline, good, 100 * (changed & ~near_edge).mean()


def table(pictures):
    print("floating %, outline px, right among the changed %, changed far from edges %")
    print(f"{'':34s} {'as drawn':>12s} | {'depth alone':>24s} | {'with the picture':>24s}")
    for label, case in CASES:
        rows = []
        for rgb, truth in pictures:
            soft = soften(truth, **case)
            outs = soft, snap_ramps(soft), snap_ramps(soft, rgb)
            rows.append([measure(out, soft, truth) for out in outs])
        before, blind, seeing = np.mean(rows, 0)
        fields = ["{:5.2f} {:5.2f} {:5.1f} {:6.3f}".format(*m) for m in (blind, seeing)]
        print(f"{label:34s} {before[0]:6.2f} {before[1]:5.2f} | {fields[0]} | {fields[1]}", flush=True)
    for (rgb, truth), name in zip(pictures, NAMES, strict=True):
        print(f"{name}: {(snap_ramps(truth, rgb) != truth).mean():.4%} of perfect depth changed")


def timing(picture):
    rgb, truth = (cv2.resize(a, (672, 512), interpolation=cv2.INTER_NEAREST) for a in picture)
    for label, depth in (("perfect", truth), ("blurred", soften(truth, blur=1.5))):
        times = []
        for _ in range(20):
            start = time.thread_time()
            snap_ramps(depth, rgb)
            times.append(time.thread_time() - start)
        print(f"672x512, {label}: {1000 * min(times):.1f} ms of processor time")


class SoftDepth:
    """A depth engine that knows the world and draws it softly."""

    def __init__(self, world, K, case):
        self.oracle, self.case = worlds.OracleDepth(world, K), case

    def predict(self, rgb_hw3, *, K_33, view):
        true = self.oracle.predict(rgb_hw3, K_33=K_33, view=view)
        if self.case is None:
            return true
        depth = soften(true.depth, **self.case)
        return DepthPrediction(depth, np.isfinite(depth).astype(np.float32), true.K_33)


def on_path(name, case, width=320, height=240):
    """PSNR at the input view and along the path of a scene made with softened depth."""
    world = worlds.soften(getattr(worlds, name)(), 0.06)
    K = worlds.centred_intrinsics(width, height, 460 * width / 512).astype(np.float64)
    poses = worlds.forward_side_path(n=101)
    rgb = world.render(np.eye(4), K, width, height).rgb
    pipeline = ScenePipeline(
        SceneConfig(stage="coarse"),
        inpainter=worlds.OracleInpainter(world, K),
        depth=SoftDepth(world, K, case),
        rasterizer="cpu",
    )
    scene = pipeline.run(rgb, path=CameraPath.from_matrices(poses)).scene

    def psnr(cam):
        shown = scene.render(cam, K, width, height).rgb.clamp(0, 1).numpy()
        return -10 * np.log10(((shown - world.render(cam, K, width, height).rgb / 255) ** 2).mean())

    return psnr(np.eye(4)), np.mean([psnr(poses[round((i + 0.5) / 11 * 100)]) for i in range(11)])


@click.command()
@click.option("--path", is_flag=True, help="Also make whole scenes from softened depth; minutes.")
def main(path):
    """Print the tables."""
    K = worlds.centred_intrinsics(512, 384).astype(np.float64)
    pictures = [(image.rgb, image.depth) for image in (_world(name, K) for name in NAMES)]
    table(pictures)
    timing(pictures[1])
    if path:
        for name in ("plain_room", "outdoor"):
            for case in (None, {"blur": 1.5}, {"blur": 1.5, "space": "inverse", "off": 1.0}):
                print(
                    f"{name}, {case}: input {{:.2f}} dB, path {{:.2f}} dB".format(*on_path(name, case)),
                    flush=True,
                )


def _world(name, K):
    return getattr(worlds, name)().render(np.eye(4), K, 512, 384)


if __name__ == "__main__":
    main()
