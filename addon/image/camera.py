"""The Blender camera that stands where the picture was taken; the scene is placed in front of it."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Euler, Matrix
from numpy.typing import NDArray

from splinescape.camera.blender import lens_from_intrinsics, placement

NAME = "Input Camera"
_STANDS_AT = Matrix.LocRotScale((0.0, 0.0, 1.6), Euler((math.pi / 2, 0.0, 0.0)), None)
"""Where a new one stands: at eye height, looking along +Y."""
_SHOWN = "splinescape_picture"
"""Custom property of the camera: which of its background images is ours and may be replaced."""


def input_camera(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The scene's input camera; None when there is none or it was deleted from the scene."""
    camera = scene.splinescape.image.camera
    if camera is None or camera.type != "CAMERA" or camera.name not in scene.objects:
        return None
    return camera


def ensure_input_camera(scene: bpy.types.Scene) -> bpy.types.Object:
    """The scene's input camera, which is made when there is none; it shows the picture as its background."""
    camera = input_camera(scene)
    if camera is None:
        camera = bpy.data.objects.new(NAME, bpy.data.cameras.new(NAME))
        camera.matrix_world = _STANDS_AT
        camera.data.sensor_fit = "HORIZONTAL"
        scene.collection.objects.link(camera)
        scene.splinescape.image.camera = camera
        if scene.camera is None:
            scene.camera = camera
    show_picture(camera, scene.splinescape.image.image)
    return camera


def show_picture(camera: bpy.types.Object, image: bpy.types.Image | None) -> None:
    """Have whoever looks through the camera see the picture behind everything; None takes it away."""
    data = camera.data
    shown = data.get(_SHOWN)
    if shown == image and image is not None and any(each.image == image for each in data.background_images):
        return
    for each in [each for each in data.background_images if each.image is not None and each.image == shown]:
        data.background_images.remove(each)
    if image is None:
        data.pop(_SHOWN, None)
        return
    background = data.background_images.new()
    background.image = image
    background.alpha = 1.0
    background.display_depth = "BACK"
    background.frame_method = "FIT"
    data.show_background_images = True
    data[_SHOWN] = image


def set_intrinsics(
    scene: bpy.types.Scene,
    camera: bpy.types.Object,
    K_33: NDArray[np.floating],
    width: int,
    height: int,
    *,
    resolution: bool = False,
) -> None:
    """Give a camera the lens of a picture.

    Args:
        K_33: (3, 3) in pixels, pixel centres at +0.5. width, height: of the picture in pixels.
        resolution: also render in the picture's size and pixel aspect. Without it the view through the camera has
            the picture's lens, but shows as much of it as the scene's own format has room for.
    """
    lens = lens_from_intrinsics(K_33, width, height)
    data = camera.data
    data.type = "PERSP"
    data.sensor_fit = lens.sensor_fit
    data.sensor_width = lens.sensor_width
    data.lens = lens.lens
    data.shift_x, data.shift_y = lens.shift_x, lens.shift_y
    if resolution:
        set_resolution(scene, width, height)
        scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = lens.pixel_aspect_x, lens.pixel_aspect_y


def set_resolution(scene: bpy.types.Scene, width: int, height: int) -> None:
    """Render in this size with square pixels."""
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    scene.render.pixel_aspect_x = scene.render.pixel_aspect_y = 1.0


def camera_focal_px(camera: bpy.types.Object, image: bpy.types.Image) -> float:
    """Focal length of a Blender camera in pixels of a picture that fills its frame."""
    width, height = image.size
    data = camera.data
    if data.sensor_fit == "VERTICAL":
        return float(data.lens / data.sensor_height * height)
    fitted = max(width, height) if data.sensor_fit == "AUTO" else width
    return float(data.lens / data.sensor_width * fitted)


def scene_placement(scene: bpy.types.Scene) -> NDArray[np.float64]:
    """(4, 4) Blender's world from the scene's world: where splats made from the picture belong.

    Without an input camera it is that of the one that would be made.
    """
    camera = input_camera(scene)
    return placement(np.array(_STANDS_AT if camera is None else camera.matrix_world))
