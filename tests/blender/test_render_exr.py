"""Floating point pictures as Blender writes and reads them."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.render import versions
from bl_ext.user_default.splinescape.render.exr import ExrError, encode_exr, read_exr
from bl_ext.user_default.splinescape.render.files import Frame, FrameFolder

SHAPE = (37, 50)


def some_depth() -> np.ndarray:
    depth = np.random.default_rng(0).uniform(0.5, 80, SHAPE).astype(np.float32)
    depth[3, 4] = 1e10
    return depth


def pixels_of(path: Path) -> np.ndarray:
    """(H, W, 4) as Blender reads them, the first row on top."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(height, width, 4)[::-1]


def test_what_is_written_is_read_again_bit_for_bit(tmp_path: Path) -> None:
    channels = {"Y": some_depth(), "layer.A": some_depth() * -2}
    (tmp_path / "both.exr").write_bytes(encode_exr(channels))
    read = read_exr(tmp_path / "both.exr")
    assert read.keys() == channels.keys()
    for name, plane in channels.items():
        np.testing.assert_array_equal(read[name], plane)


def test_blender_shows_depth_as_grey(tmp_path: Path) -> None:
    depth = some_depth()
    (tmp_path / "depth.exr").write_bytes(encode_exr({"Y": depth}))
    pixels = pixels_of(tmp_path / "depth.exr")
    for channel in range(3):
        np.testing.assert_array_equal(pixels[..., channel], depth)


@pytest.mark.parametrize("codec", ["NONE", "ZIP", "ZIPS"])
def test_it_reads_what_blender_writes(tmp_path: Path, codec: str) -> None:
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    bpy.ops.mesh.primitive_plane_add(size=1, location=(0, 0, -10))
    scene.camera = camera
    render = scene.render
    render.engine, scene.cycles.samples = "CYCLES", 1
    render.resolution_x, render.resolution_y, render.resolution_percentage = 64, 40, 100
    scene.view_layers[0].use_pass_z = True
    versions.set_exr_output(render.image_settings)
    render.image_settings.exr_codec = codec
    render.filepath = str(tmp_path / "passes.exr")
    bpy.ops.render.render(write_still=True)
    channels = read_exr(tmp_path / "passes.exr")
    depth = next(plane for name, plane in channels.items() if name.endswith("Depth.Z"))
    assert depth.shape == (40, 64)
    assert depth[20, 32] == pytest.approx(10, abs=1e-4)
    assert depth[0, 0] == np.float32(1e10)


def test_files_of_another_kind_are_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "bad.exr"
    good = encode_exr({"Y": some_depth()})
    for data in (b"", b"not a picture", good[:60], good[:-200], good.replace(b"box2i", b"xxxxx")[:100]):
        path.write_bytes(data)
        with pytest.raises(ExrError, match=r"bad.exr cannot be read"):
            read_exr(path)


def test_a_damaged_file_never_raises_anything_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    good = np.frombuffer(encode_exr({"Y": some_depth()}), np.uint8)
    path = tmp_path / "damaged.exr"
    refused = 0
    for _ in range(300):
        data = good.copy()
        places = rng.integers(0, 400, rng.integers(1, 6))
        data[places] = rng.integers(0, 256, len(places))
        path.write_bytes(data.tobytes())
        try:
            read_exr(path)
        except ExrError:
            refused += 1
    assert refused > 100


def test_a_frame_that_cannot_be_written_leaves_the_older_one(tmp_path: Path) -> None:
    folder = FrameFolder(tmp_path / "frames")
    old = Frame(np.zeros((*SHAPE, 3), np.uint8), some_depth())
    folder.write(7, old)
    assert folder.numbers() == [7]
    kept = folder.rgb(7).read_bytes(), folder.depth(7).read_bytes()
    with pytest.raises(ValueError):
        folder.write(7, Frame(np.zeros((4, 4, 5), np.uint8), some_depth()))
    blocked = FrameFolder(tmp_path / "frames" / "rgb_0007.png")
    with pytest.raises(OSError):
        blocked.write(7, old)
    assert (folder.rgb(7).read_bytes(), folder.depth(7).read_bytes()) == kept
    assert [each.name for each in folder.path.iterdir() if each.name.startswith(".")] == []
