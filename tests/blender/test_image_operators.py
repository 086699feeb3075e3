"""Choosing the picture: by file, by drop, again, and what cannot be chosen."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest
from bl_ext.user_default.splinescape.image import operators
from generate_support import picture


def test_a_file_becomes_the_picture_with_its_camera(tmp_path: Path) -> None:
    scene = bpy.context.scene
    assert bpy.ops.splinescape.open_image(filepath=str(picture(tmp_path / "wall.png"))) == {"FINISHED"}
    settings = scene.splinescape.image
    assert settings.image.name == "wall.png"
    assert settings.camera.data.background_images[0].image == settings.image
    assert (scene.render.resolution_x, scene.render.resolution_y) == (96, 64)


def test_choosing_the_same_file_again_loads_it_once(tmp_path: Path) -> None:
    path = str(picture(tmp_path / "wall.png"))
    for _ in range(2):
        bpy.ops.splinescape.open_image(filepath=path)
    assert len([image for image in bpy.data.images if image.name.startswith("wall")]) == 1


def test_another_picture_replaces_the_one_behind_the_camera(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        bpy.ops.splinescape.open_image(filepath=str(picture(tmp_path / name)))
    camera = bpy.context.scene.splinescape.image.camera
    assert [each.image.name for each in camera.data.background_images] == ["b.png"]


@pytest.mark.parametrize("content", [b"", b"this is no picture", None])
def test_what_is_no_picture_is_said_and_nothing_is_lost(tmp_path: Path, content: bytes | None) -> None:
    scene = bpy.context.scene
    bpy.ops.splinescape.open_image(filepath=str(picture(tmp_path / "good.png")))
    images = len(bpy.data.images)
    bad = tmp_path / "bad.png"
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(RuntimeError, match="choose"):
        bpy.ops.splinescape.open_image(filepath=str(bad))
    assert scene.splinescape.image.image.name == "good.png"
    assert len(bpy.data.images) == images


def test_a_tiny_picture_is_refused_with_its_size(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="16 x 8 pixels"):
        bpy.ops.splinescape.open_image(filepath=str(picture(tmp_path / "tiny.png", 16, 8)))
    assert bpy.context.scene.splinescape.image.image is None


def test_the_input_camera_is_selected_and_becomes_the_scene_camera(tmp_path: Path) -> None:
    scene = bpy.context.scene
    bpy.ops.splinescape.open_image(filepath=str(picture(tmp_path / "wall.png")))
    other = bpy.data.objects.new("other", bpy.data.cameras.new("other"))
    scene.collection.objects.link(other)
    scene.camera = other
    other.select_set(True)
    assert bpy.ops.splinescape.input_camera() == {"FINISHED"}
    assert bpy.context.selected_objects == [scene.splinescape.image.camera]
    assert scene.camera == scene.splinescape.image.camera


def test_pictures_may_be_dropped_on_the_viewport() -> None:
    handler = operators.DropImage
    assert handler.bl_import_operator == operators.OpenImage.bl_idname
    assert {".png", ".jpg", ".jpeg"} <= set(handler.bl_file_extensions.split(";"))
    assert not handler.poll_drop(bpy.context), "only over the viewport"
    assert issubclass(bpy.types.VIEW3D_FH_empty_image, bpy.types.FileHandler), (
        "Blender's own offer, beside ours"
    )


def test_the_button_opens_the_browser_again_whatever_was_chosen_before(tmp_path: Path) -> None:
    bpy.ops.splinescape.open_image(filepath=str(picture(tmp_path / "wall.png")))
    last = bpy.context.window_manager.operator_properties_last("splinescape.open_image")
    assert last is None or not last.filepath
