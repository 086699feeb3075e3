"""A scene to be generated, as an artist would set it up, and looking at what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bl_ext.user_default.splinescape.generate import jobs, timer
from bl_ext.user_default.splinescape.generate.job_view import JobView
from bl_ext.user_default.splinescape.image import camera, png
from bl_ext.user_default.splinescape.splats import pointcloud
from service import TINY, until


def picture(path: Path, width: int = 96, height: int = 64) -> Path:
    """A bright ground, a dark wall, some noise; its corners differ."""
    rng = np.random.default_rng(0)
    rgb = np.zeros((height, width, 3))
    rgb[: height // 2] = (90, 120, 160)
    rgb[height // 2 :] = (150, 130, 100)
    rgb[height // 4 : 3 * height // 4, width // 3 : width // 2] = (60, 40, 30)
    rgb[: height // 5, : width // 5] = (220, 40, 40)
    rgb += rng.normal(0, 8, rgb.shape)
    path.write_bytes(png.png_bytes(rgb.clip(0, 255).astype(np.uint8)))
    return path


def set_up(folder: Path, settings: dict[str, Any] = TINY) -> bpy.types.Scene:
    """A picture from a file, a curve in front of the input camera, small settings."""
    scene = bpy.context.scene
    assert bpy.ops.splinescape.open_image(filepath=str(picture(folder / "wall.png"))) == {"FINISHED"}
    curve = bpy.data.curves.new("Path", "CURVE")
    curve.dimensions = "3D"
    spline = curve.splines.new("POLY")
    spline.points.add(1)
    for point, position in zip(spline.points, ((0, 0, 1.6), (1.5, 1.2, 1.9)), strict=True):
        point.co = (*position, 1)
    path = bpy.data.objects.new("Path", curve)
    scene.collection.objects.link(path)
    scene.splinescape.path.object = path
    for name, value in settings.items():
        setattr(scene.splinescape.generate, name, value)
    bpy.context.view_layer.update()
    return scene


def view() -> JobView:
    found = jobs.view_of(bpy.context.scene)
    assert found is not None
    return found


def finish(seconds: float = 120.0) -> None:
    """Turn after turn of the timer, as in a window, until the scene is there."""
    until(lambda: not jobs.is_working(bpy.context.scene), seconds, timer.tick)


def check_scene(scene: bpy.types.Scene) -> int:
    """The splats stand where the input camera sees them as its picture; how many there are."""
    own = scene.splinescape.generate
    made = own.scene_object
    assert made is not None
    assert made.name in scene.objects
    assert pointcloud.is_splats(made)
    splats = pointcloud.read_splats(made)
    assert np.allclose(np.array(made.matrix_world), camera.scene_placement(scene), atol=1e-5)
    assert made["splinescape_job"] == own.job
    assert made["splinescape_seed"] == own.seed
    _check_colours(scene, made, splats)
    return len(splats.means)


def _check_colours(scene: bpy.types.Scene, made: bpy.types.Object, splats: Any) -> None:
    """The red corner of the picture is top left in the input camera's view."""
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    colours = 0.5 + 0.28209479 * splats.sh[:, 0]
    red = np.flatnonzero((colours[:, 0] > 0.7) & (colours[:, 1] < 0.35))
    assert len(red) > 5
    bpy.context.view_layer.update()
    input_camera = scene.splinescape.image.camera
    seen = np.array(
        [world_to_camera_view(scene, input_camera, made.matrix_world @ Vector(splats.means[i])) for i in red]
    )
    inside = seen[(np.abs(seen[:, :2] - 0.5) < 0.5).all(1)]
    assert len(inside) > 5
    assert (inside[:, 0] < 0.25).mean() > 0.9
    assert (inside[:, 1] > 0.75).mean() > 0.9
    assert (inside[:, 2] > 0).all()
