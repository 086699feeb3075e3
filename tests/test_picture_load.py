"""Any picture file becomes upright 8-bit sRGB, or a one-line error that says what to do."""

from __future__ import annotations

import math
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from splinescape.errors import InputError
from splinescape.picture import centred_intrinsics, load_picture

EXIF_IFD, ORIENTATION, FOCAL_35, FOCAL = 0x8769, 0x0112, 0xA405, 0x920A
PLANE_RES, PLANE_UNIT, PIXEL_X = 0xA20E, 0xA210, 0xA002


def gradient(width: int = 48, height: int = 40) -> np.ndarray:
    """A picture without any symmetry."""
    v, u = np.mgrid[0:height, 0:width]
    return np.stack([u * 255 // width, v * 255 // height, (u + 2 * v) % 256], -1).astype(np.uint8)


def save(path: Path, rgb: np.ndarray, tags: dict[int, object] | None = None, **options: object) -> Path:
    image = Image.fromarray(rgb)
    exif = image.getexif()
    for tag, value in (tags or {}).items():
        (exif if tag == ORIENTATION else exif.get_ifd(EXIF_IFD))[tag] = value
    image.save(path, exif=exif, **options)
    return path


def assert_one_line_error(path: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        load_picture(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in (path.name, *words):
        assert word in message


# How a camera held at each EXIF orientation stores an upright picture.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_exif_orientation_is_honoured(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = gradient()
    stored = np.ascontiguousarray(STORED[orientation](upright))
    picture = load_picture(save(tmp_path / f"a.{suffix}", stored, {ORIENTATION: orientation}))
    np.testing.assert_array_equal(picture.rgb, upright)


def test_a_turned_jpeg_comes_back_upright(tmp_path: Path) -> None:
    upright = gradient(160, 120)
    path = save(tmp_path / "a.jpg", np.rot90(upright, 1).copy(), {ORIENTATION: 6}, quality=98)
    picture = load_picture(path)
    assert picture.rgb.shape == upright.shape
    assert np.abs(picture.rgb[..., :2].astype(int) - upright[..., :2]).mean() < 4


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "tif", "ppm", "tga", "jp2"])
def test_lossless_formats_arrive_unchanged(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(gradient()).save(path, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(load_picture(path).rgb, gradient())


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "RGBA"])
def test_colour_modes_keep_their_colours(tmp_path: Path, mode: str) -> None:
    source = Image.fromarray(gradient())
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        source = ImageCms.profileToProfile(source, srgb, lab, outputMode="LAB")
    else:
        source = source.convert(mode)
    source.save(tmp_path / "a.tif")
    rgb = load_picture(tmp_path / "a.tif").rgb
    assert np.abs(rgb.astype(int) - gradient()).mean() < 3


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P"])
def test_grey_and_palette_pictures_become_rgb(tmp_path: Path, mode: str) -> None:
    source = Image.fromarray(gradient()).convert(mode)
    source.save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_picture(tmp_path / "a.png").rgb, np.asarray(source.convert("RGB")))


def test_adobe_cmyk_jpeg_is_not_inverted(tmp_path: Path) -> None:
    red = Image.new("RGB", (64, 48), (220, 30, 30)).convert("CMYK")
    red.save(tmp_path / "a.jpg", quality=95)
    mean = load_picture(tmp_path / "a.jpg").rgb.reshape(-1, 3).mean(0)
    assert mean[0] > 180 and mean[1] < 80 and mean[2] < 80


def test_16_bit_grey_keeps_its_whole_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(ramp).save(tmp_path / name)
        picture = load_picture(tmp_path / name)
        np.testing.assert_allclose(picture.rgb[..., 0], ramp / 257.0, atol=0.51)
        assert "8 bits" in picture.notes[0]


def test_16_bit_rgb_png_is_scaled_not_clipped(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    rgb = np.random.default_rng(0).integers(0, 65536, (40, 48, 3), np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), rgb[..., ::-1])
    np.testing.assert_allclose(load_picture(tmp_path / "a.png").rgb, rgb / 257.0, atol=1.0)


@pytest.mark.parametrize("full", [1.0, 255.0, 65535.0])
def test_float_tiff_is_scaled_by_its_range(tmp_path: Path, full: float) -> None:
    values = np.linspace(0, full, 64 * 48, dtype=np.float32).reshape(48, 64)
    values[0, :3] = [np.nan, np.inf, -np.inf]
    Image.fromarray(values).save(tmp_path / "a.tif")
    rgb = load_picture(tmp_path / "a.tif").rgb
    np.testing.assert_allclose(rgb[1:, :, 1], values[1:] * (255 / full), atol=0.51)
    assert (rgb[0, :3] == 0).all()


def test_transparency_is_laid_over_white_and_said(tmp_path: Path) -> None:
    rgba = np.dstack([gradient(), np.full((40, 48), 255, np.uint8)])
    rgba[:10, :, 3], rgba[10:20, :, 3] = 0, 128
    Image.fromarray(rgba).save(tmp_path / "a.png")
    picture = load_picture(tmp_path / "a.png")
    assert (picture.rgb[:10] == 255).all()
    np.testing.assert_allclose(picture.rgb[10:20], rgba[10:20, :, :3] * (128 / 255) + 127, atol=1)
    np.testing.assert_array_equal(picture.rgb[20:], gradient()[20:])
    assert any("white" in note for note in picture.notes)


def test_transparent_palette_colour_is_laid_over_white(tmp_path: Path) -> None:
    indices = Image.fromarray(np.repeat([[0, 1]], 40, 0).repeat(20, 1).astype(np.uint8), "P")
    indices.putpalette([10, 20, 30, 200, 100, 50])
    indices.save(tmp_path / "a.png", transparency=0)
    rgb = load_picture(tmp_path / "a.png").rgb
    assert (rgb[:, :20] == 255).all() and (rgb[:, 20:] == [200, 100, 50]).all()


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animation_gives_its_first_frame_and_says_so(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue", "green")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **options)
    picture = load_picture(tmp_path / f"a.{suffix}")
    assert (picture.rgb == [255, 0, 0]).all()
    assert any("first frame" in note for note in picture.notes)


def test_embedded_profiles_are_converted_to_srgb(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # sRGB with its red and green primaries exchanged, under another name.
    swapped = profile.replace(b"rXYZ", b"?XYZ").replace(b"gXYZ", b"rXYZ").replace(b"?XYZ", b"gXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
    Image.fromarray(gradient()).save(tmp_path / "a.png", icc_profile=swapped)
    rgb = load_picture(tmp_path / "a.png").rgb
    np.testing.assert_allclose(rgb, gradient()[..., [1, 0, 2]], atol=3)


@pytest.mark.parametrize("profile", [b"not a profile", b""])
def test_a_broken_profile_does_not_stop_the_picture(tmp_path: Path, profile: bytes) -> None:
    Image.fromarray(gradient()).save(tmp_path / "a.png", icc_profile=profile)
    np.testing.assert_array_equal(load_picture(tmp_path / "a.png").rgb, gradient())


def test_heic_round_trip(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    rgb = gradient(96, 64)
    Image.fromarray(rgb).save(tmp_path / "a.heic", quality=95)
    loaded = load_picture(tmp_path / "a.heic").rgb
    assert np.abs(loaded.astype(int) - rgb)[..., :2].mean() < 4


def test_heic_without_its_reader_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(Image, "OPEN", {k: v for k, v in Image.OPEN.items() if k != "HEIF"})
    assert_one_line_error(tmp_path / "a.heic", "pip install splinescape[heif]")


def test_avif_round_trip(tmp_path: Path) -> None:
    rgb = gradient(96, 64)
    Image.fromarray(rgb).save(tmp_path / "a.avif", quality=95)
    loaded = load_picture(tmp_path / "a.avif").rgb
    assert np.abs(loaded.astype(int) - rgb)[..., :2].mean() < 4


def test_35_mm_focal_length_compares_diagonals(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", gradient(360, 240), {FOCAL_35: 50})
    assert load_picture(path).focal_px == pytest.approx(500)
    square = save(tmp_path / "b.jpg", gradient(240, 240), {FOCAL_35: 50})
    assert load_picture(square).focal_px == pytest.approx(50 * 240 * math.sqrt(2) / math.hypot(36, 24))


def test_focal_length_survives_rotation(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", gradient(360, 240), {FOCAL_35: 50, ORIENTATION: 6})
    picture = load_picture(path)
    assert picture.rgb.shape == (360, 240, 3)
    assert picture.focal_px == pytest.approx(500)
    np.testing.assert_allclose(
        centred_intrinsics(picture.focal_px, 240, 360), [[500, 0, 120], [0, 500, 180], [0, 0, 1]]
    )


def test_focal_plane_resolution_is_used_without_35_mm(tmp_path: Path) -> None:
    # 100 pixels per millimetre, 8 mm, taken 720 px wide, stored 360 px wide.
    tags = {FOCAL: 8.0, PLANE_RES: 2540.0, PLANE_UNIT: 2, PIXEL_X: 720}
    assert load_picture(save(tmp_path / "a.jpg", gradient(360, 240), tags)).focal_px == pytest.approx(400)


@pytest.mark.parametrize(
    "tags", [{}, {FOCAL_35: 0}, {FOCAL_35: 65000}, {FOCAL: 8.0}, {FOCAL: 8.0, PLANE_RES: 0.0}]
)
def test_useless_focal_tags_are_ignored(tmp_path: Path, tags: dict[int, object]) -> None:
    assert load_picture(save(tmp_path / "a.jpg", gradient(), tags)).focal_px is None


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_does_not_stop_the_picture(tmp_path: Path) -> None:
    Image.fromarray(gradient()).save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xffgarbage")
    np.testing.assert_array_equal(load_picture(tmp_path / "a.png").rgb, gradient())


def test_large_pictures_are_reduced_and_keep_their_field_of_view(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", gradient(1600, 1200), {FOCAL_35: 50})
    whole, reduced = load_picture(path), load_picture(path, max_pixels=200_000)
    height, width = reduced.rgb.shape[:2]
    assert width * height <= 200_000 and width > 300
    assert reduced.focal_px / width == pytest.approx(whole.focal_px / 1600)
    assert any("1600x1200" in note for note in reduced.notes)
    assert not whole.notes


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16", "F", "1"])
def test_every_mode_can_be_reduced(tmp_path: Path, mode: str) -> None:
    values = {"I;16": np.uint16, "F": np.float32}
    if mode in values:
        Image.fromarray(np.full((400, 600), 200).astype(values[mode])).save(tmp_path / "a.tif")
    else:
        Image.new(mode, (600, 400), 1 if mode == "1" else None).save(tmp_path / "a.tif")
    assert load_picture(tmp_path / "a.tif", max_pixels=20_000).rgb.shape[0] <= 115


def test_a_20000_px_jpeg_is_decoded_small(tmp_path: Path) -> None:
    Image.new("L", (20_000, 5_000), 90).save(tmp_path / "a.jpg")
    rgb = load_picture(tmp_path / "a.jpg", max_pixels=2**21).rgb
    assert rgb.shape[0] * rgb.shape[1] <= 2**21
    assert np.abs(rgb.astype(int) - 90).max() <= 1


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


@pytest.mark.parametrize("side", [20_000, 65_000, 2**31 - 1])
def test_a_bomb_is_refused_from_its_header(tmp_path: Path, side: int) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header(side, side))
    assert_one_line_error(tmp_path / "bomb.png", "scale it down")


def test_pillows_own_size_limit_is_left_as_it_was(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    load_picture(save(tmp_path / "a.png", gradient()))
    assert before == Image.MAX_IMAGE_PIXELS


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    assert_one_line_error(tmp_path / "missing.jpg", "no file")
    (tmp_path / "folder.jpg").mkdir()
    assert_one_line_error(tmp_path / "folder.jpg", "folder")
    (tmp_path / "text.jpg").write_text("just some text\nand more of it\n")
    assert_one_line_error(tmp_path / "text.jpg", "not a picture", "JPEG")
    (tmp_path / "empty.png").write_bytes(b"")
    assert_one_line_error(tmp_path / "empty.png", "empty")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    assert_one_line_error(tmp_path / "dot.png", "1x1", "32x32")
    (tmp_path / "page.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\n")
    assert_one_line_error(tmp_path / "page.eps", "not a picture")
    with pytest.raises(InputError):
        load_picture("bad\0name.jpg")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "gif", "heic", "avif", "bmp"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_truncated_files(tmp_path: Path, suffix: str, kept: float) -> None:
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    assert_one_line_error(path)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "gif"])
def test_damaged_bytes_give_a_picture_or_a_clear_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"hurt.{suffix}"
    Image.fromarray(gradient()).save(path)
    data, rng = path.read_bytes(), np.random.default_rng(1)
    for _ in range(60):
        hurt = bytearray(data)
        for place in rng.integers(0, len(data), 6):
            hurt[place] = rng.integers(0, 256)
        path.write_bytes(hurt)
        try:
            assert load_picture(path).rgb.ndim == 3
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
def test_unreadable_file_says_permissions(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", gradient())
    path.chmod(0)
    assert_one_line_error(path, "permissions")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert_one_line_error(tmp_path / "pipe.jpg", "ordinary file")
