"""The input camera: where the picture was taken, with its lens and the picture behind everything."""

from __future__ import annotations

import bpy
import numpy as np
from bl_ext.user_default.splinescape.image import camera
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector


def test_it_is_made_once_and_looks_along_y() -> None:
    scene = bpy.context.scene
    made = camera.ensure_input_camera(scene)
    assert camera.ensure_input_camera(scene) == made == scene.splinescape.image.camera == scene.camera
    assert np.allclose(made.matrix_world.translation, (0, 0, 1.6))
    forward = made.matrix_world.to_3x3() @ Vector((0, 0, -1))
    assert np.allclose(forward, (0, 1, 0), atol=1e-6)


def test_a_deleted_one_is_made_anew() -> None:
    scene = bpy.context.scene
    made = camera.ensure_input_camera(scene)
    bpy.data.objects.remove(made)
    assert camera.input_camera(scene) is None
    assert camera.ensure_input_camera(scene).name in scene.objects


def test_another_scene_camera_stays() -> None:
    scene = bpy.context.scene
    other = bpy.data.objects.new("Shot", bpy.data.cameras.new("Shot"))
    scene.collection.objects.link(other)
    scene.camera = other
    assert camera.ensure_input_camera(scene) != other
    assert scene.camera == other


def test_the_picture_is_seen_through_it_and_replaced_with_the_picture() -> None:
    scene = bpy.context.scene
    first, second = (bpy.data.images.new(name, 8, 8) for name in "ab")
    scene.splinescape.image.image = first
    made = camera.ensure_input_camera(scene)
    artists = made.data.background_images.new()
    artists.image = bpy.data.images.new("reference", 8, 8)
    for image in (first, second, second, first):
        scene.splinescape.image.image = image
        camera.ensure_input_camera(scene)
        assert sorted(each.image.name for each in made.data.background_images) == sorted(
            ["reference", image.name]
        )
    camera.show_picture(made, None)
    assert [each.image.name for each in made.data.background_images] == ["reference"]


def test_points_of_the_scene_land_on_their_pixels() -> None:
    scene = bpy.context.scene
    made = camera.ensure_input_camera(scene)
    made.matrix_world = made.matrix_world @ camera.Matrix.Translation((0.3, -0.2, 0.5))
    K_33 = np.array([[310.0, 0, 190.0], [0, 330.0, 100.0], [0, 0, 1]])
    camera.set_intrinsics(scene, made, K_33, 400, 240, resolution=True)
    bpy.context.view_layer.update()
    assert (scene.render.resolution_x, scene.render.resolution_y) == (400, 240)
    points = np.random.default_rng(0).uniform((-1, -1, 2), (1, 1, 5), (50, 3))
    pixels = points @ K_33.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    world = np.c_[points, np.ones(50)] @ camera.scene_placement(scene).T
    for point, pixel in zip(world[:, :3], pixels, strict=True):
        x, y, _ = world_to_camera_view(scene, made, Vector(point))
        assert np.allclose((x * 400, (1 - y) * 240), pixel, atol=0.01)


def test_without_a_camera_the_scene_belongs_where_one_would_stand() -> None:
    scene = bpy.context.scene
    before = camera.scene_placement(scene)
    camera.ensure_input_camera(scene)
    assert np.allclose(before, camera.scene_placement(scene), atol=1e-6)
