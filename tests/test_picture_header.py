"""A picture's header is read without decoding anything, agrees with Pillow, and cannot cost memory or time."""

from __future__ import annotations

import io
import math
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from splinescape.errors import InputError
from splinescape.picture.header import check_picture
from splinescape.picture.load import load_picture

WIDTH, HEIGHT = 75, 51


def encoded(kind: str, mode: str = "RGB", **options: object) -> bytes:
    """A small picture as the bytes of a file."""
    rgb = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(rgb).convert(mode).save(file, kind, **options)
    return file.getvalue()


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


def with_exif(kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 3, "A camera" * 50
    return encoded(kind, exif=exif, icc_profile=bytes(3000))


FILES: dict[str, bytes] = {
    "jpeg": encoded("JPEG"),
    "progressive jpeg": encoded("JPEG", progressive=True),
    "grey jpeg": encoded("JPEG", "L"),
    "cmyk jpeg": encoded("JPEG", "CMYK"),
    "jpeg with restarts": encoded("JPEG", restart_marker_rows=1, optimize=True),
    "jpeg with exif": with_exif("JPEG"),
    "mpo": animated("MPO"),
    "png": encoded("PNG"),
    "palette png": encoded("PNG", "P"),
    "bit png": encoded("PNG", "1"),
    "png with exif": with_exif("PNG"),
    "animated png": animated("PNG"),
    "tiff": encoded("TIFF"),
    "big endian tiff": encoded("TIFF", "L", big_endian=True),
    "deflated tiff": encoded("TIFF", compression="tiff_adobe_deflate"),
    "tiff of two pages": animated("TIFF"),
    "bmp": encoded("BMP"),
    "palette bmp": encoded("BMP", "P"),
    "gif": encoded("GIF", "P"),
    "gif with comment": encoded("GIF", "L", comment=b"x" * 1000),
    "animated gif": animated("GIF"),
    "webp": encoded("WEBP"),
    "lossless webp": encoded("WEBP", lossless=True),
    "webp with alpha": encoded("WEBP", "RGBA", exif=b"Exif\0\0MM\0*"),
    "animated webp": animated("WEBP"),
}


def written(folder: Path, data: bytes) -> Path:
    path = folder / "picture"
    path.write_bytes(data)
    return path


def refusal(path: Path, *limits: int) -> str:
    with pytest.raises(InputError) as caught:
        check_picture(path, *limits)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("name", FILES)
def test_the_size_of_every_kind_is_read(tmp_path: Path, name: str) -> None:
    assert check_picture(written(tmp_path, FILES[name])) == (WIDTH, HEIGHT)


def test_bmp_upside_down_and_of_os2(tmp_path: Path) -> None:
    bmp = bytearray(FILES["bmp"])
    struct.pack_into("<i", bmp, 22, -HEIGHT)
    assert check_picture(written(tmp_path, bmp)) == (WIDTH, HEIGHT)
    old = b"BM" + bytes(12) + struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 24)
    assert check_picture(written(tmp_path, old)) == (WIDTH, HEIGHT)


def test_what_is_no_picture_is_refused_with_what_to_do(tmp_path: Path) -> None:
    assert "is empty" in refusal(written(tmp_path, b""))
    assert "convert it to PNG or JPEG" in refusal(written(tmp_path, b"just some text, and more of it"))
    assert "convert it to PNG or JPEG" in refusal(written(tmp_path, b"\xff"))
    assert "convert it to PNG or JPEG" in refusal(written(tmp_path, b"%!PS-Adobe-3.0 EPSF-3.0\n"))
    assert "HEIC format; convert it" in refusal(written(tmp_path, b"\0\0\0\x18ftypheic" + bytes(90)))
    assert "AVIF format; convert it" in refusal(written(tmp_path, b"\0\0\0\x18ftypavif" + bytes(90)))
    assert "cannot be read" in refusal(tmp_path / "missing")
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_ends_in_its_header_is_damaged(tmp_path: Path, name: str) -> None:
    whole = FILES[name]
    for length in range(len(whole) if len(whole) < 200 else 200):
        try:
            assert check_picture(written(tmp_path, whole[:length])) == (WIDTH, HEIGHT)
        except InputError as error:
            assert any(words in str(error) for words in ("damaged", "empty", "convert it"))


def test_too_small(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (400, 31)).save(file, "PNG")
    assert "400x31 px; at least 32x32 px" in refusal(written(tmp_path, file.getvalue()))


# Bombs: small files that promise a picture larger than anybody's memory.


def png_of(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


def jpeg_of(width: int, height: int, progressive: bool = False) -> bytes:
    data = bytearray(encoded("JPEG", progressive=progressive))
    frame = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    struct.pack_into(">HH", data, frame + 5, height, width)
    return bytes(data)


def tiff_of(width: int, height: int) -> bytes:
    data = bytearray(FILES["tiff"])
    (directory,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, directory)
    for at in range(directory + 2, directory + 2 + 12 * count, 12):
        for tag, side in ((256, width), (257, height)):
            if struct.unpack_from("<H", data, at) == (tag,):
                struct.pack_into("<HII", data, at + 2, 4, 1, side)
    return bytes(data)


def gif_of(width: int, height: int) -> bytes:
    """The frame reaches further than the screen, by which Pillow enlarges the picture."""
    data = bytearray(FILES["gif"])
    frame = data.index(b",\0\0\0\0" + struct.pack("<HH", WIDTH, HEIGHT))
    struct.pack_into(
        "<HHHH", data, frame + 1, width // 2, height // 2, width - width // 2, height - height // 2
    )
    return bytes(data)


def webp_of(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 100) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + canvas + bytes(80)


def bmp_of(width: int, height: int) -> bytes:
    data = bytearray(FILES["bmp"])
    struct.pack_into("<II", data, 18, width, height)
    return bytes(data)


BOMBS: dict[str, Callable[[int, int], bytes]] = {
    "png": png_of,
    "jpeg": lambda width, height: jpeg_of(width, height, progressive=True),
    "tiff": tiff_of,
    "gif": gif_of,
    "webp": webp_of,
    "bmp": bmp_of,
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_from_its_header(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, BOMBS[kind](60_000, 60_000))
    assert "60000x60000 px, too large to decode; scale it down to at most 268 megapixels" in refusal(path)


@pytest.mark.parametrize("kind", BOMBS)
def test_the_limit_is_the_callers(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, BOMBS[kind](4000, 3000))
    assert check_picture(path, 12_000_000) == (4000, 3000)
    assert "at most 11 megapixels" in refusal(path, 11_999_999)


def test_a_second_size_in_the_same_file_is_not_believed(tmp_path: Path) -> None:
    png = png_of(64, 64)
    twice = png[:33] + png_of(60_000, 60_000)[8:33] + png[33:]
    assert "damaged" in refusal(written(tmp_path, twice))
    jpeg = jpeg_of(64, 64)
    frame = jpeg.index(b"\xff\xc0")
    twice = jpeg[:frame] + jpeg_of(60_000, 60_000)[frame : frame + 19] + jpeg[frame:]
    assert "damaged" in refusal(written(tmp_path, twice))
    tiff = tiff_of(64, 64)
    (directory,) = struct.unpack_from("<I", tiff, 4)
    entry = tiff[directory + 2 : directory + 14]
    twice = bytearray(tiff[:directory] + struct.pack("<H", 3) + entry * 2 + tiff[directory + 14 :])
    assert "damaged" in refusal(written(tmp_path, twice))


SIDES = st.one_of(st.integers(32, 65_535), st.sampled_from([8191, 8192, 16_384, 23_170, 46_341, 65_535]))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(width=SIDES, height=SIDES, progressive=st.booleans())
def test_what_decoding_a_jpeg_takes_is_what_the_loader_asks_for(
    tmp_path: Path, width: int, height: int, progressive: bool
) -> None:
    path = written(tmp_path, jpeg_of(width, height, progressive))
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(path) as image:
            factor = max(1.0, math.sqrt(width * height / 2**26))
            if not progressive:
                image.draft(None, (math.ceil(width / factor), math.ceil(height / factor)))
            decoded = image.width * image.height
    finally:
        Image.MAX_IMAGE_PIXELS = before
    assert check_picture(path, decoded) == (width, height)
    assert "too large" in refusal(path, decoded - 1)


# Files made to keep a parser busy or to make it remember things.


def many_tags() -> bytes:
    tag = struct.pack("<HHII", 700, 7, 2**20, 0)
    sizes = struct.pack("<HHII", 256, 4, 1, 64) + struct.pack("<HHII", 257, 4, 1, 64)
    return b"II*\0" + struct.pack("<IH", 8, 4002) + sizes + tag * 4000 + bytes(2**20)


LABYRINTHS = {
    "jpeg segments": lambda: b"\xff\xd8" + b"\xff\xe1\0\2" * 2**20,
    "jpeg junk": lambda: b"\xff\xd8\xff" + bytes(2**22),
    "jpeg fill bytes": lambda: b"\xff\xd8" + b"\xff" * 2**22,
    "jpeg restarts": lambda: b"\xff\xd8" + b"\xff\xd0" * 2**21,
    "png chunks": lambda: png_of(64, 64)[:33] + (struct.pack(">I", 0) + b"teXt" + bytes(4)) * 2**18,
    "one huge png chunk": lambda: png_of(64, 64)[:33] + struct.pack(">I", 2**32 - 1) + b"teXt" + bytes(2**20),
    "gif blocks": lambda: b"GIF89a" + bytes(7) + b"!\xfe" + b"\1x" * 2**21,
    "gif extensions": lambda: b"GIF89a" + bytes(7) + b"!\xfe\1x\0" * 2**20,
    "gif junk": lambda: b"GIF89a" + bytes(2**22),
    "tiff tags": lambda: b"II*\0" + struct.pack("<IH", 8, 65_535) + bytes(12 * 65_535),
    "tiff tags that share their data": many_tags,
}


@pytest.mark.parametrize("name", LABYRINTHS)
def test_a_labyrinth_costs_neither_time_nor_memory(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, LABYRINTHS[name]())
    tracemalloc.start()
    began = time.thread_time()
    try:
        assert "damaged" in refusal(path)
        took, (_, peak) = time.thread_time() - began, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert took < 0.5
    assert peak < 500_000


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(FILES)),
    hurt=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.one_of(st.none(), st.integers(0, 1000)),
)
@example(name="bmp", hurt=[(25, 255)], cut=None)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hurt_headers_are_refused_or_read_as_pillow_reads_them(
    tmp_path: Path, name: str, hurt: list[tuple[int, int]], cut: int | None
) -> None:
    data = bytearray(FILES[name])
    if "tiff" in name:  # its header is where its first directory is
        (start,) = struct.unpack_from(">I" if data[:2] == b"MM" else "<I", data, 4)
    else:
        start = 0
    for place, value in hurt:
        data[(start + place) % len(data)] = value
    path = written(tmp_path, data[:cut])
    try:
        size = check_picture(path)
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert min(size) >= 32
    if size[0] * size[1] > 2**22:
        return
    try:
        with Image.open(path) as image:
            seen = image.size
    except Exception:  # what Pillow cannot open, a worker refuses
        return
    assert sorted(seen) == sorted(size)  # Pillow turns a TIFF before it tells its size


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    magic=st.sampled_from(
        [
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"II*\0",
            b"MM\0*",
            b"GIF89a",
            b"RIFF\0\0\0\0WEBP",
            b"BM",
            b"",
        ]
    ),
    rest=st.binary(max_size=300),
)
def test_random_bytes_give_nothing_but_input_errors(tmp_path: Path, magic: bytes, rest: bytes) -> None:
    try:
        width, height = check_picture(written(tmp_path, magic + rest))
        assert min(width, height) >= 32 and max(width, height) <= 65_535
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", FILES)
def test_what_passes_here_is_loaded_by_a_worker(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, FILES[name])
    width, height = check_picture(path)
    assert load_picture(path).rgb.shape[:2] == (height, width)


def test_nothing_heavy_is_loaded_to_read_a_header(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from splinescape.picture.header import check_picture\n"
        "print(check_picture(Path(sys.argv[1])))\n"
        "assert not {'numpy', 'torch', 'PIL', 'cv2'} & sys.modules.keys()"
    )
    path = written(tmp_path, FILES["jpeg"])
    ran = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == f"({WIDTH}, {HEIGHT})"
