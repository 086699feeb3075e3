"""A damaged, cut off or hostile scene file gets an InputError: no crash, no hang, no giant allocation."""

from __future__ import annotations

import gzip
import os
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import plyfile
import pytest
from io_support import make_meta, make_splats

from splinescape.errors import InputError
from splinescape.io.formats import load_splats, save_scene

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

N = 64
MUTATIONS = 300
SPARE_MEMORY = 256 << 20


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """Let this process allocate at most SPARE_MEMORY more than it has; beyond that is a MemoryError."""
    if sys.platform != "linux":
        yield
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    old = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + SPARE_MEMORY, old[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, old)


def refused(path: Path, data: bytes, *words: str) -> str:
    """Check that reading `data` fails at once, in one line with the path and `words`; return the message."""
    path.write_bytes(data)
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        load_splats(path)
    message = str(caught.value)
    assert time.monotonic() - started < 3
    assert str(path) in message and "\n" not in message and len(message) < 600
    for word in words:
        assert word in message, message
    return message


def sample_ply(folder: Path) -> bytes:
    save_scene(folder / "sample.ply", make_splats(N, 4), make_meta())
    return (folder / "sample.ply").read_bytes()


def sample_text_ply(folder: Path) -> bytes:
    (folder / "sample.ply").write_bytes(sample_ply(folder))
    ply = plyfile.PlyData.read(folder / "sample.ply", mmap=False)
    ply.text = True
    ply.write(folder / "text.ply")
    return (folder / "text.ply").read_bytes()


def sample_compressed_ply(folder: Path) -> bytes:
    save_scene(folder / "sample.compressed.ply", make_splats(5 * N, 4), make_meta())
    return (folder / "sample.compressed.ply").read_bytes()


def sample_spz(folder: Path) -> bytes:
    save_scene(folder / "sample.spz", make_splats(N, 4), make_meta())
    return (folder / "sample.spz").read_bytes()


def sample_spz_unpacked(folder: Path) -> bytes:
    return gzip.decompress(sample_spz(folder))


def sample_spz4(folder: Path) -> bytes:
    plain = sample_spz_unpacked(folder)
    ends = np.cumsum([16, *(N * size for size in (9, 1, 3, 3, 4, 9))])
    return spz4([plain[a:b] for a, b in pairwise(ends)], count=N, degree=1)


def sample_splat(folder: Path) -> bytes:
    save_scene(folder / "sample.splat", make_splats(N), make_meta())
    return (folder / "sample.splat").read_bytes()


def spz4(streams: list[bytes], *, count: int, degree: int, sizes: list[int] | None = None) -> bytes:
    packed = [zstd.compress(stream) for stream in streams]
    header = struct.pack("<4sIIBBBBI12x", b"NGSP", 4, count, degree, 12, 0, len(streams), 32)
    plain_sizes = sizes or [len(stream) for stream in streams]
    table = b"".join(struct.pack("<QQ", len(p), s) for p, s in zip(packed, plain_sizes, strict=True))
    return header + table + b"".join(packed)


def spz_header(count: int, *, version: int = 3, degree: int = 0, bits: int = 12) -> bytes:
    return struct.pack("<4sIIBBBB", b"NGSP", version, count, degree, bits, 0, 0)


SAMPLES: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "ply": (".ply", sample_ply),
    "text ply": (".ply", sample_text_ply),
    "compressed ply": (".ply", sample_compressed_ply),
    "spz": (".spz", sample_spz),
    "spz before gzip": (".spz", sample_spz_unpacked),
    "spz 4": (".spz", sample_spz4),
    "splat": (".splat", sample_splat),
}


def mutate(data: bytes, random: np.random.Generator) -> bytes:
    """Damage `data` in one to four random ways."""
    out = bytearray(data)
    for _ in range(random.integers(1, 5)):
        at = int(random.integers(0, len(out) + 1))
        near_start = int(random.integers(0, min(len(out), 1200) + 1))
        size = int(2 ** random.uniform(0, 9))
        match random.integers(0, 9):
            case 0:
                del out[at:]
            case 1:
                for position in random.integers(0, max(len(out), 1), size=min(size, len(out))):
                    out[position] ^= 1 << int(random.integers(0, 8))
            case 2 | 3:  # most harm is done in the header
                if near_start < len(out):
                    out[near_start] = int(random.integers(0, 256))
            case 4:
                del out[near_start : near_start + size]
            case 5:
                out[at:at] = random.bytes(size)
            case 6:
                out[near_start:near_start] = out[at : at + size]
            case 7:
                digits = [i for i, byte in enumerate(out[:1200]) if chr(byte).isdigit()]
                if digits:
                    out[digits[int(random.integers(0, len(digits)))]] = int(random.integers(48, 58))
            case 8:
                lines = bytes(out[:1200]).split(b"\n")
                line = lines[int(random.integers(0, len(lines)))]
                out[near_start:near_start] = b"\n" + line * int(random.integers(1, 4)) + b"\n"
        out = out or bytearray(b"\0")
    return bytes(out)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", SAMPLES)
def test_damage_gives_splats_or_an_input_error(tmp_path: Path, kind: str, seed: int) -> None:
    suffix, make = SAMPLES[kind]
    data = make(tmp_path)
    random = np.random.default_rng(seed)
    path = tmp_path / f"damaged{suffix}"
    read = errors = 0
    for _ in range(MUTATIONS // 4):
        damaged = mutate(data, random)
        if kind == "spz before gzip":
            damaged = gzip.compress(damaged, 1)
        path.write_bytes(damaged)
        started = time.monotonic()
        try:
            splats, _ = load_splats(path)
            assert all(tensor.isfinite().all() for _, tensor in splats.tensors())
            read += 1
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) < 600
            errors += 1
        assert time.monotonic() - started < 3
    assert errors > 0  # the mutations do harm
    assert read > 0 or kind == "spz"  # and not only at the first byte


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, kind: str) -> None:
    suffix, make = SAMPLES[kind]
    data = make(tmp_path)
    if kind == "text ply":
        data = data.rstrip()  # without its last line break the file is still whole
    step = 32 if kind == "splat" else 1
    lengths = np.unique(np.linspace(0, len(data) - 1, 60).astype(int))
    for length in lengths:
        if kind == "splat" and length % step == 0:
            continue  # there is no header that could tell
        if kind == "text ply" and data[length - 1 : length + 1].strip() == data[length - 1 : length + 1]:
            continue  # a shorter last number is a number too
        cut = data[:length]
        refused(tmp_path / f"cut{suffix}", gzip.compress(cut) if kind == "spz before gzip" else cut)


def ply_with(header: str, data: bytes = b"") -> bytes:
    return f"ply\nformat binary_little_endian 1.0\n{header}end_header\n".encode() + data


PROPERTIES = "".join(
    f"property float {name}\n"
    for name in [
        *("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
        *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
    ]
)


@pytest.mark.parametrize("count", ["1000000000000", "999999999999999999", "3"])
def test_more_rows_than_bytes(tmp_path: Path, count: str) -> None:
    data = ply_with(f"element vertex {count}\n{PROPERTIES}", bytes(2 * 56))
    refused(tmp_path / "a.ply", data, f"{count} rows of 'vertex'", "cut off or damaged", "byte")


@pytest.mark.parametrize("count", ["1000000000000", "3"])
def test_more_text_rows_than_bytes(tmp_path: Path, count: str) -> None:
    data = ply_with(f"element vertex {count}\n{PROPERTIES}", b"0 0 0 0 0 0 0 0 0 0 1 0 0 0\n" * 2)
    refused(tmp_path / "a.ply", data.replace(b"binary_little_endian", b"ascii"), count, "cut off or damaged")


@pytest.mark.parametrize("count", ["-5", "1e9", "0x10", "٣", "9" * 5000, "1_000", ""])
def test_a_count_that_is_no_number(tmp_path: Path, count: str) -> None:
    refused(tmp_path / "a.ply", ply_with(f"element vertex {count}\n{PROPERTIES}", bytes(56)), "line 3")


def test_a_far_element_before_the_splats(tmp_path: Path) -> None:
    header = f"element camera 999999999999999999\nproperty double fov\nelement vertex 1\n{PROPERTIES}"
    refused(tmp_path / "a.ply", ply_with(header, bytes(56)), "cut off or damaged")
    text = ply_with(header, bytes(56)).replace(b"binary_little_endian", b"ascii")
    refused(tmp_path / "a.ply", text, "cut off or damaged")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["does not start with the line 'ply'"]),
        (b"ply", ["does not start"]),
        (b"\x89PNG\r\n\x1a\n", ["not a PLY file"]),
        (b"ply\nformat ascii 1.0\n", ["end_header"]),
        (b"ply\n" + b"comment x\n" * 100_000, ["end_header", "262144"]),
        (b"ply\ncomment " + b"x" * 10_000_000, ["end_header"]),
        (b"ply\nend_header\n", ["no line 'format'"]),
        (b"ply\nformat ascii 2.0\nend_header\n", ["line 2", "format ascii 2.0"]),
        (b"ply\nformat ascii 1.0\nformat ascii 1.0\nend_header\n", ["line 3"]),
        (ply_with("property float x\n"), ["line 3", "property float x"]),
        (ply_with("element vertex 1\nproperty float17 x\n"), ["line 4", "float17"]),
        (ply_with("element vertex 1\nproperty float x\nproperty float x\n"), ["line 5", "comes twice"]),
        (ply_with("element vertex 1\nelement vertex 1\n"), ["line 4", "comes twice"]),
        (ply_with("element vertex 1\n" + "".join(f"property char p{i}\n" for i in range(9000))), ["4096"]),
        (ply_with("".join(f"element e{i} 1\n" for i in range(9000))), ["more than 256 elements"]),
        (ply_with("what is this\n"), ["line 3", "what is this"]),
        (ply_with("element face 1\nproperty char a\n"), ["no element 'vertex'"]),
        (ply_with(f"element vertex 1\n{PROPERTIES}property list uchar int i\n", bytes(99)), ["list"]),
        (ply_with("comment splinescape.K 1 2\nelement vertex 0\n" + PROPERTIES), ["splinescape.K 1 2"]),
        (ply_with(f"comment splinescape.K {'nan ' * 9}\nelement vertex 0\n{PROPERTIES}"), ["K_33"]),
        (ply_with(f"comment splinescape.seed x{'y' * 9999}\nelement vertex 0\n{PROPERTIES}"), ["seed"]),
        (ply_with(f"comment splinescape.image_size 0 5\nelement vertex 0\n{PROPERTIES}"), ["width"]),
    ],
)
def test_headers_name_what_is_wrong(tmp_path: Path, data: bytes, words: list[str]) -> None:
    refused(tmp_path / "a.ply", data, *words)


def test_text_rows_name_what_is_wrong(tmp_path: Path) -> None:
    good = b"0 0 0 0 0 0 0 0 0 0 1 0 0 0\n"
    start = ply_with(f"element vertex 3\n{PROPERTIES}").replace(b"binary_little_endian", b"ascii")
    refused(tmp_path / "a.ply", start + good + good.replace(b"1", b"one") + good, "'one'", "row 1")
    refused(tmp_path / "a.ply", start + (b"0 " * 13 + b"\n") * 4, "13 values each instead of 14")
    refused(tmp_path / "a.ply", start + good + b"0 " * 13 + b"\n" + good * 2, "row")
    refused(tmp_path / "a.ply", start + good + b" " * 100_000 + b"\n" + good, "line of more than 65536 bytes")
    refused(tmp_path / "a.ply", start + good + b"\n" * 100, "ended at byte")


def test_compressed_ply_with_the_wrong_chunks(tmp_path: Path) -> None:
    data = sample_compressed_ply(tmp_path)
    refused(tmp_path / "a.ply", data.replace(b"element chunk 2", b"element chunk 1"), "need 2 chunks of 256")
    refused(tmp_path / "a.ply", data.replace(b"element chunk 2", b"element chunx 2"), "'chunk'")
    refused(tmp_path / "a.ply", data.replace(b"float max_scale_y", b"float max_scale_q"), "'max_scale_y'")
    refused(tmp_path / "a.ply", data.replace(b"uint packed_color", b"int packed_color"), "type uint32")
    refused(tmp_path / "a.ply", data.replace(b"element sh 320", b"element sh 319"), "319 rows for 320")
    refused(tmp_path / "a.ply", data.replace(b"uchar f_rest_8", b"uchar f_rest_9"), "f_rest")


def test_a_gzip_bomb_is_refused(tmp_path: Path) -> None:
    count = 50_000_000
    bomb = gzip.compress(spz_header(count) + bytes(64 << 20), 9)
    assert len(bomb) < 100_000
    refused(tmp_path / "a.spz", bomb, f"{count} splats", "fill the memory")


def test_more_data_than_the_header_says_are_not_unpacked(tmp_path: Path) -> None:
    packing = zlib.compressobj(9, wbits=31)  # in pieces: this process has little memory too
    pieces = [packing.compress(spz_header(0)), *(packing.compress(bytes(1 << 20)) for _ in range(128))]
    (tmp_path / "a.spz").write_bytes(b"".join([*pieces, packing.flush()]))
    started = time.monotonic()
    assert len(load_splats(tmp_path / "a.spz")[0]) == 0
    assert time.monotonic() - started < 1


def test_a_zstd_bomb_is_refused(tmp_path: Path) -> None:
    count = 50_000_000
    sizes = [count * size for size in (9, 1, 3, 3, 4)]
    bomb = spz4([bytes(1 << 24)] * 5, count=count, degree=0, sizes=sizes)
    refused(tmp_path / "a.spz", bomb, f"{count} splats", "fill the memory")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["neither"]),
        (b"hello", ["neither"]),
        (gzip.compress(b"hello"), ["too early"]),
        (gzip.compress(b"x" * 100), ["do not begin with 'NGSP'"]),
        (gzip.compress(spz_header(1, version=9) + bytes(20)), ["version 9"]),
        (gzip.compress(spz_header(1, version=4) + bytes(20)), ["version 4"]),
        (gzip.compress(spz_header(1, degree=4) + bytes(99)), ["degree 4"]),
        (gzip.compress(spz_header(1, bits=60) + bytes(20)), ["60 fractional bits"]),
        (gzip.compress(spz_header(2**32 - 1) + bytes(20)), ["4294967295 splats"]),
        (gzip.compress(spz_header(1000) + bytes(20)), ["too early"]),
        (gzip.compress(spz_header(1) + bytes(20))[:-8] + bytes(8), ["CRC"]),
        (spz_header(1, version=4), ["ends at byte 16"]),
        (spz_header(1, version=3) + bytes(40), ["version 3", "gzip"]),
        (spz4([bytes(9)] * 4, count=1, degree=0), ["4 streams"]),
        (spz4([bytes(9)] * 5, count=1, degree=0), ["stream 1"]),
        (spz4([bytes(9), b"1", b"123", b"123", b"1234"], count=1, degree=0)[:-3], ["stream 4"]),
    ],
)
def test_spz_errors_name_what_is_wrong(tmp_path: Path, data: bytes, words: list[str]) -> None:
    refused(tmp_path / "a.spz", data, *words)


@pytest.mark.parametrize("size", [1, 31, 33, 100])
def test_splat_of_odd_size(tmp_path: Path, size: int) -> None:
    refused(tmp_path / "a.splat", bytes(size), f"{size} bytes", "multiple of 32")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("suffix", [".ply", ".spz", ".splat"])
def test_pipes_and_folders_are_refused(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(InputError, match="not a regular file"):
            load_splats(tmp_path / f"{name}{suffix}")
