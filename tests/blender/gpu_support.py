"""Splats, cameras and pictures for the tests of drawing and rendering."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from splinescape.camera.blender import lens_from_intrinsics, matrix_world
from splinescape.io.splat_arrays import SplatArrays

ROOT = Path(__file__).resolve().parents[2]
MAIN_PYTHON = Path(os.environ.get("SPLINESCAPE_MAIN_PYTHON", ROOT / ".venv" / "bin" / "python"))


def random_splats(count: int, *, harmonics: int = 1, seed: int = 0, sigma: float = 0.04) -> SplatArrays:
    """Needles, discs and balls of all opacities in front of the scene's camera, 2 to 6 units away."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(2, 6, count)
    means = np.stack([rng.uniform(-0.7, 0.7, count) * depth, rng.uniform(-0.5, 0.5, count) * depth, depth], 1)
    sh = np.zeros((count, harmonics, 3))
    sh[:, 0] = (rng.uniform(0, 1, (count, 3)) - 0.5) / 0.28209479177387814
    sh[:, 1:] = rng.normal(0, 0.15, (count, harmonics - 1, 3))
    fields = (
        means,
        np.log(sigma) + rng.normal(0, 0.7, (count, 3)),
        rng.normal(size=(count, 4)),
        rng.normal(0.5, 1.5, count),
        sh,
    )
    return SplatArrays(*(np.ascontiguousarray(each, np.float32) for each in fields))


def add_splats(splats: SplatArrays, world_T_scene: Any = None, name: str = "Splats") -> Any:
    """Link a splat object to the scene."""
    from bl_ext.user_default.splinescape.splats import pointcloud

    made = pointcloud.create_object(name, splats, np.eye(4) if world_T_scene is None else world_T_scene)
    bpy.context.scene.collection.objects.link(made)
    return made


def add_camera(K_33: Any, width: int, height: int, cam_T_world: Any, world_T_scene: Any = None) -> Any:
    """The scene's camera and picture size, with the backend's intrinsics and view matrix."""
    scene = bpy.context.scene
    data = bpy.data.cameras.new("Camera")
    lens = lens_from_intrinsics(K_33, width, height)
    data.sensor_fit = lens.sensor_fit
    data.sensor_width, data.lens = lens.sensor_width, lens.lens
    data.shift_x, data.shift_y = lens.shift_x, lens.shift_y
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = lens.pixel_aspect_x, lens.pixel_aspect_y
    data.clip_start = 0.01
    camera = bpy.data.objects.new("Camera", data)
    scene.collection.objects.link(camera)
    placement = np.eye(4) if world_T_scene is None else np.asarray(world_T_scene)
    camera.matrix_world = Matrix(matrix_world(np.asarray(cam_T_world), placement).tolist())
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    return camera


def render(folder: Path, engine: str = "SPLINESCAPE") -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 4) Combined and (H, W) depth of the scene, linear, as written to EXR files; highest row first."""
    scene = bpy.context.scene
    scene.render.engine = engine
    scene.view_layers[0].use_pass_z = True
    scene.render.use_file_extension = True
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform = "Standard"
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth = "32"
    scene.render.filepath = str(folder / "render.exr")
    bpy.ops.render.render(write_still=True)
    passes = read_exr(folder / "render.exr")
    combined = next(value for name, value in passes.items() if name.endswith("Combined"))
    depth = next(value for name, value in passes.items() if name.endswith(("Depth", "Z")))
    return combined, depth[..., 0]


def render_png(folder: Path) -> np.ndarray:
    """(H, W, C) in [0, 1] of the PNG that the Splinescape engine's rendering is saved as; highest row first."""
    scene = bpy.context.scene
    scene.render.engine = "SPLINESCAPE"
    scene.render.dither_intensity = 0
    scene.view_settings.view_transform = "Standard"
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = "PNG"
    settings.color_mode = "RGBA" if scene.render.film_transparent else "RGB"
    settings.color_depth = "8"
    scene.render.filepath = str(folder / "render.png")
    bpy.ops.render.render(write_still=True)
    return load_png(folder / "render.png")[..., : 4 if scene.render.film_transparent else 3]


def load_png(path: Path) -> np.ndarray:
    """(H, W, 4) stored values in [0, 1]; highest row first."""
    image = bpy.data.images.load(str(path), check_existing=False)
    image.colorspace_settings.name = "Non-Color"
    image.alpha_mode = "CHANNEL_PACKED"
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1]


def shrunk_picture(path: Path, width: int, height: int, folder: Path) -> np.ndarray:
    """(H, W, 3) in [0, 1] of a picture at another size."""
    code = (
        "import sys; from PIL import Image; size = int(sys.argv[3]), int(sys.argv[4])\n"
        "Image.open(sys.argv[1]).convert('RGB').resize(size, Image.Resampling.LANCZOS).save(sys.argv[2])"
    )
    target = folder / "shrunk.png"
    subprocess.run([MAIN_PYTHON, "-c", code, path, target, str(width), str(height)], check=True)
    return load_png(target)[..., :3]


def read_exr(path: Path) -> dict[str, np.ndarray]:
    """Passes of a multilayer EXR file as (H, W, C), by the backend's environment, which has OpenEXR."""
    code = (
        "import sys, OpenEXR, numpy as np\n"
        "parts = OpenEXR.File(sys.argv[1], separate_channels=True).parts\n"
        "found = {name: c.pixels.astype(np.float32) for part in parts for name, c in part.channels.items()}\n"
        "np.savez(sys.argv[2], **found)\n"
    )
    target = path.with_suffix(".npz")
    subprocess.run([MAIN_PYTHON, "-c", code, path, target], check=True)
    data = np.load(target)
    passes: dict[str, dict[str, np.ndarray]] = {}
    for name in data.files:
        whole, channel = name.rsplit(".", 1)
        passes.setdefault(whole, {})[channel] = data[name]
    order = {c: i for i, c in enumerate("RGBAXYZV")}
    return {
        name: np.stack([channels[c] for c in sorted(channels, key=order.__getitem__)], -1)
        for name, channels in passes.items()
    }


def backend_render(
    folder: Path, splats: SplatArrays, cam_T_world: Any, K_33: Any, width: int, height: int
) -> dict[str, np.ndarray]:
    """`rgb`, `depth` and `alpha` of the backend's CPU rasteriser."""
    source, target = folder / "reference_in.npz", folder / "reference.npz"
    np.savez(
        source, **dict(splats.arrays()), view=cam_T_world, K=K_33, size=np.array([width, height])
    )  # fmt: skip
    env = {**os.environ, "SPLINESCAPE_THREADS": "1", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    script = Path(__file__).with_name("gpu_reference.py")
    subprocess.run([MAIN_PYTHON, script, source, target], check=True, env=env)
    return dict(np.load(target))


def srgb(linear: np.ndarray) -> np.ndarray:
    """What a screen shows of linear light."""
    low = np.clip(linear, 0, None)
    return np.where(low <= 0.0031308, low * 12.92, 1.055 * low ** (1 / 2.4) - 0.055)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Decibels between two pictures of range 1, clipped to it."""
    difference = np.clip(one, 0, 1).astype(np.float64) - np.clip(other, 0, 1)
    return float(-10 * np.log10(max((difference**2).mean(), 1e-12)))


def save_png(path: Path, rgb: np.ndarray) -> None:
    """(H, W, 3) in [0, 1], to look at."""
    np.save(path.with_suffix(".npy"), (np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8))
    code = "import sys, numpy as np; from PIL import Image; Image.fromarray(np.load(sys.argv[1])).save(sys.argv[2])"
    subprocess.run([MAIN_PYTHON, "-c", code, path.with_suffix(".npy"), path], check=True, stdout=sys.stderr)


def in_gpu_context(work: Callable[[], Any]) -> Any:
    """Do something where Blender has a GPU context without a window: in a render engine. Its result."""
    done: list[Any] = []

    class Workplace(bpy.types.RenderEngine):
        bl_idname = "SPLINESCAPE_TEST"
        bl_label = "Test"
        bl_use_gpu_context = True

        def render(self, _depsgraph: Any) -> None:
            try:
                done.append((work(), ""))
            except Exception:
                # The traceback would keep textures until there is no context to free them.
                done.append((None, traceback.format_exc()))

    bpy.utils.register_class(Workplace)
    try:
        bpy.context.scene.render.engine = "SPLINESCAPE_TEST"
        if bpy.context.scene.camera is None:
            add_camera(np.array([[64, 0, 32.0], [0, 64, 32], [0, 0, 1]]), 64, 64, np.eye(4))
        bpy.ops.render.render()
    finally:
        bpy.utils.unregister_class(Workplace)
    assert done, "the engine was not called"
    assert not done[0][1], done[0][1]
    return done[0][0]
