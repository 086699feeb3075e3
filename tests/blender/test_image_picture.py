"""What the service gets of an image in Blender: the file as it is, or a PNG of what Blender alone has."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.image import picture, png


def colours(width: int = 40, height: int = 30) -> np.ndarray:
    """(H, W, 3) uint8 whose four corners differ."""
    v, u = np.mgrid[0:height, 0:width]
    return np.stack([u * 255 // width, v * 255 // height, np.full_like(u, 60)], -1).astype(np.uint8)


def written(folder: Path, name: str = "colours.png") -> Path:
    path = folder / name
    path.write_bytes(png.png_bytes(colours()))
    return path


def decoded(data: bytes) -> np.ndarray:
    """A PNG of ours, read without Blender; (H, W, C) with the first row on top."""
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    channels = {2: 3, 6: 4}[kind]
    assert depth == 8
    start = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[start - 4 : start])
    rows = np.frombuffer(zlib.decompress(data[start + 4 : start + 4 + length]), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, channels)


def test_blender_reads_the_png_as_it_was_meant(tmp_path: Path) -> None:
    image = bpy.data.images.load(str(written(tmp_path)))
    assert tuple(image.size) == (40, 30)
    assert (picture.image_pixels(image) == colours()).all()


def test_a_file_is_passed_on_untouched(tmp_path: Path) -> None:
    path = written(tmp_path)
    with path.open("ab") as file:
        file.write(b"whatever stands behind the picture, such as EXIF data of some cameras")
    data, name, focal_px = picture.picture_file(bpy.data.images.load(str(path)))
    assert (data, name, focal_px) == (path.read_bytes(), "colours.png", None)


def test_a_packed_file_is_passed_on_though_the_original_is_gone(tmp_path: Path) -> None:
    path = written(tmp_path)
    image = bpy.data.images.load(str(path))
    image.pack()
    original = path.read_bytes()
    path.unlink()
    assert picture.picture_file(image)[:2] == (original, "colours.png")


def test_a_relative_file_is_found_beside_the_blend(tmp_path: Path) -> None:
    path = written(tmp_path)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    image = bpy.data.images.load("//colours.png")
    assert picture.picture_file(image)[0] == path.read_bytes()


def test_a_painted_picture_is_sent_as_it_looks_now(tmp_path: Path) -> None:
    image = bpy.data.images.load(str(written(tmp_path)))
    pixels = np.array(image.pixels[:], np.float32).reshape(30, 40, 4)
    pixels[-10:, :10] = (1, 0, 0, 1)  # Blender's last row is the top one
    image.pixels.foreach_set(pixels.ravel())
    assert image.is_dirty
    expected = colours()
    expected[:10, :10] = (255, 0, 0)
    data, name, _ = picture.picture_file(image)
    assert name == "colours.png"
    assert (decoded(data) == expected).all()


def test_a_generated_picture_keeps_its_transparency() -> None:
    image = bpy.data.images.new("made here", 8, 4, alpha=True)
    image.pixels.foreach_set(np.tile(np.array([0.2, 0.4, 0.6, 0.5], np.float32), 32))
    pixels = decoded(picture.picture_file(image)[0])
    assert pixels.shape == (4, 8, 4)
    assert np.abs(pixels[0, 0].astype(int) - (51, 102, 153, 128)).max() <= 1


def test_linear_light_is_encoded_for_the_eye(tmp_path: Path) -> None:
    image = bpy.data.images.new("light", 8, 4, float_buffer=True)
    image.pixels.foreach_set(np.tile(np.array([0.2140411, 1.5, 0.0, 1.0], np.float32), 32))
    pixels = decoded(picture.picture_file(image)[0])
    assert np.abs(pixels[0, 0].astype(int) - (128, 255, 0)).max() <= 1
    image.filepath_raw, image.file_format = str(tmp_path / "light.exr"), "OPEN_EXR"
    image.save()
    on_disk = bpy.data.images.load(image.filepath_raw)
    data, name, _ = picture.picture_file(on_disk)
    assert name == "light.png"
    assert (decoded(data)[0, 0] == png.srgb8(np.array(on_disk.pixels[:3]))).all()


def test_a_sequence_gives_the_file_of_the_frame(tmp_path: Path) -> None:
    for number in (3, 4, 5):
        (tmp_path / f"shot_{number:04d}.png").write_bytes(png.png_bytes(colours() // number))
    image = bpy.data.images.load(str(tmp_path / "shot_0003.png"))
    image.source = "SEQUENCE"
    for frame, file in ((4, 4), (1, 3), (99, 5)):
        bpy.context.scene.frame_set(frame)
        assert picture.picture_file(image)[0] == (tmp_path / f"shot_{file:04d}.png").read_bytes()
    (tmp_path / "shot_0006.png").mkdir()
    with pytest.raises(picture.PictureError, match=r"cannot be read from .*shot_0006.png"):
        picture.picture_file(image, 6)


def test_a_movie_gives_the_picture_of_the_frame(tmp_path: Path) -> None:
    movie = make_movie(tmp_path)
    scenes = len(bpy.data.scenes)
    image = bpy.data.images.load(str(movie))
    assert image.source == "MOVIE"
    bpy.context.scene.frame_set(7)
    for frame, level in ((1, 60), (3, 180), (20, 180)):
        data, name, _ = picture.picture_file(image, frame)
        path = tmp_path / f"frame_{frame}.png"
        path.write_bytes(data)
        pixels = picture.image_pixels(bpy.data.images.load(str(path)))
        assert name.endswith(".png")
        assert pixels.shape[:2] == (48, 64)
        assert abs(float(pixels[..., :3].mean()) - level) < 8
    assert len(bpy.data.scenes) == scenes


def make_movie(folder: Path) -> Path:
    """Three frames, each of one grey: 60, 120, 180."""
    scene = bpy.data.scenes.new("film")
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    for i in range(3):
        path = folder / f"grey_{i}.png"
        path.write_bytes(png.png_bytes(np.full((48, 64, 3), 60 * (i + 1), np.uint8)))
        strip = strips.new_image(f"grey {i}", str(path), 1, i + 1)
        strip.frame_final_duration = 1
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = 64, 48, 100
    for each in (scene, bpy.context.scene):  # what is rendered is the range of one or the other, by version
        each.frame_start, each.frame_end = 1, 3
    scene.view_settings.view_transform = "Standard"
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec = "MPEG4", "H264"
    render.ffmpeg.constant_rate_factor = "HIGH"
    render.filepath = str(folder / "film.mp4")
    render.use_file_extension = False
    bpy.ops.render.render(animation=True, scene=scene.name)
    bpy.data.scenes.remove(scene)
    return folder / "film.mp4"


@pytest.mark.parametrize("what", ["missing", "folder", "empty"])
def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path: Path, what: str) -> None:
    path = written(tmp_path)
    image = bpy.data.images.load(str(path))
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "empty":
        path.write_bytes(b"")
    image.reload()
    with pytest.raises(picture.PictureError, match="again"):
        picture.picture_file(image)
