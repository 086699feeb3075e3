"""Renders the scenes: run by a Python that has bpy.

    .venv-bpy-4.5/bin/python benchmarks/blender_worlds/render.py [NAME ...] [--out out/depth-worlds] [--threads 2]

Writes NAME.png and NAME.npz: rgb (H, W, 3) uint8; depth (H, W) float32, camera z in metres at pixel centres, +inf for
sky; K_33, pixel centres at +0.5; indoor. Glass has the depth of its surface, an open window that of what is behind it.
"""

from __future__ import annotations

import argparse
import importlib
import math
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from blender_worlds import light  # noqa: E402
from blender_worlds.catalogue import SCENES, Scene  # noqa: E402

_BEYOND = 1e9  # Blender's depth where a ray hits nothing is 1e10
_GREY = 0.15  # linear; pictures are exposed so that this is the geometric mean of their light


def build(scene: Scene) -> None:
    """An empty Blender, then this scene and its camera."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    module = importlib.import_module(f"blender_worlds.{scene.family}")
    getattr(module, f"build_{scene.name}")(random.Random(scene.seed))
    light.camera(bpy.context.scene, scene.at, scene.to, scene.fov, scene.roll, scene.focus)


def settings(scene: Scene, threads: int) -> None:
    s = bpy.context.scene
    s.render.engine = "CYCLES"
    s.render.resolution_x, s.render.resolution_y, s.render.resolution_percentage = (
        scene.width,
        scene.height,
        100,
    )
    s.render.use_persistent_data = True  # three renderings of one scene
    s.render.threads_mode, s.render.threads = "FIXED", threads
    s.render.image_settings.file_format, s.render.image_settings.color_mode = "PNG", "RGB"
    c = s.cycles
    c.device, c.seed, c.max_bounces, c.diffuse_bounces, c.glossy_bounces = "CPU", scene.seed, 8, 4, 4
    c.transmission_bounces, c.transparent_max_bounces = 6, 8
    c.caustics_reflective = c.caustics_refractive = False
    c.sample_clamp_indirect = 8.0
    s.view_settings.view_transform = scene.tone
    if scene.look:
        s.view_settings.look = scene.look


def picture(scene: Scene, path: Path) -> np.ndarray:
    """(H, W, 3) uint8, and the file."""
    s = bpy.context.scene
    s.view_settings.exposure = scene.brighter + math.log2(_GREY / _brightness())
    c = s.cycles
    c.samples, c.use_adaptive_sampling, c.adaptive_threshold = scene.samples, True, 0.05
    c.use_denoising, c.denoiser = True, "OPENIMAGEDENOISE"
    s.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return np.round(_pixels(path) * 255).astype(np.uint8)


def _brightness() -> float:
    """Geometric mean of the light in a small, noisy rendering."""
    s = bpy.context.scene
    full = s.render.resolution_percentage
    s.render.resolution_percentage, s.cycles.samples, s.cycles.use_denoising = 15, 16, False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.exr"
        s.render.image_settings.file_format = "OPEN_EXR"
        s.render.filepath = str(path)
        bpy.ops.render.render(write_still=True)
        luminance = _pixels(path) @ np.array([0.2126, 0.7152, 0.0722])
    s.render.image_settings.file_format = "PNG"
    s.render.resolution_percentage = full
    return float(np.exp(np.log(np.clip(luminance, 1e-3 * luminance.mean(), None)).mean()))


def depth() -> np.ndarray:
    """(H, W) float32 from one ray through each pixel's centre, without blur."""
    s = bpy.context.scene
    s.camera.data.dof.use_dof = False
    c = s.cycles
    c.samples, c.use_adaptive_sampling, c.use_denoising, c.max_bounces = 1, False, False, 0
    c.pixel_filter_type, c.filter_width = "BOX", 0.01
    s.view_layers[0].use_pass_z = True
    s.use_nodes = True
    nodes = s.node_tree.nodes
    nodes.clear()
    layers, output = nodes.new("CompositorNodeRLayers"), nodes.new("CompositorNodeOutputFile")
    output.format.file_format, output.format.color_depth = "OPEN_EXR", "32"
    output.file_slots.clear()
    output.file_slots.new("depth")
    s.node_tree.links.new(layers.outputs["Depth"], output.inputs[0])
    with tempfile.TemporaryDirectory() as folder:
        output.base_path = folder
        bpy.ops.render.render()
        values = _pixels(next(Path(folder).glob("*.exr")))[..., 0]
    return np.where(values > _BEYOND, np.inf, values).astype(np.float32)


def _pixels(path: Path) -> np.ndarray:
    """(H, W, 3), first row on top, as stored."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    values = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(values)
    values = values.reshape(image.size[1], image.size[0], -1)[::-1, :, :3].copy()
    bpy.data.images.remove(image)
    return values


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help="all that are not there yet when none is given")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "depth-worlds")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--draft", action="store_true", help="smaller and noisy, only to look at")
    args = parser.parse_args()
    unknown = set(args.names) - {s.name for s in SCENES}
    if unknown:
        parser.error(
            f"no such scene: {', '.join(sorted(unknown))}; there are {', '.join(s.name for s in SCENES)}"
        )
    args.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    for scene in SCENES:
        there = (args.out / f"{scene.name}.npz").exists()
        if scene.name not in args.names if args.names else there:
            continue
        t = time.perf_counter()
        build(scene)
        if args.draft:
            scene = replace(scene, samples=10, size=(scene.width // 2, scene.height // 2))
        settings(scene, args.threads)
        rgb = picture(scene, args.out / f"{scene.name}.png")
        z = depth()
        np.savez_compressed(
            args.out / f"{scene.name}.npz", rgb=rgb, depth=z, K_33=scene.intrinsics(), indoor=scene.indoor
        )
        print(f"{scene.name}: {time.perf_counter() - t:.1f} s, sky {np.isinf(z).mean():.2f}", flush=True)
    print(f"together {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
