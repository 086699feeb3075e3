"""A thousand damaged and hostile files through the import operator of one Blender: an object or one line, never more.

The readers' own tests damage files of every kind; here is what Blender makes of what they let through.
"""

from __future__ import annotations

import gzip
import time
from collections import Counter
from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.splats.pointcloud import read_splats
from splat_support import make_meta, make_splats

from splinescape.io.formats import save_arrays

FILES = 1000
SLOWEST_S = 3.0
SPARE_MB = 400
COUNTS = (b"0", b"1", b"63", b"65", b"4294967295", b"999999999999", b"-1", b"1e6", b"0x40")
NUMBERS = (np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e30, 1e-45, 88.0, -104.0)


def samples(folder: Path) -> list[tuple[str, bytes]]:
    """(suffix, bytes) of whole files of every kind."""
    found = []
    for suffix in (".ply", ".compressed.ply", ".spz", ".splat"):
        save_arrays(folder / f"whole{suffix}", make_splats(64, 4), make_meta())
        found.append((suffix, (folder / f"whole{suffix}").read_bytes()))
    found.append((".ply", in_text(found[0][1])))
    found.append((".unpacked.spz", gzip.decompress(found[2][1])))
    return found


def in_text(ply: bytes) -> bytes:
    header, data = ply.split(b"end_header\n", 1)
    rows = np.frombuffer(data, "<f4").reshape(64, -1)
    lines = "\n".join(" ".join(map(repr, row)) for row in rows.tolist())
    return header.replace(b"binary_little_endian", b"ascii") + b"end_header\n" + lines.encode() + b"\n"


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """`data` changed in one to three ways: cut, bits, header, counts, numbers, lists, pieces moved."""
    for _ in range(random.integers(1, 4)):
        at = int(random.integers(0, len(data) + 1))
        first_row = data.find(b"end_header\n") + 11 if b"end_header\n" in data else 0
        match int(random.integers(0, 9)):
            case 0:
                data = data[:at]
            case 1:
                out = bytearray(data)
                for place in random.integers(0, max(len(out), 1), size=min(20, len(out))):
                    out[place] ^= 1 << int(random.integers(0, 8))
                data = bytes(out)
            case 2:
                place = int(random.integers(0, min(len(data), 800) + 1))
                data = data[:place] + random.bytes(int(random.integers(0, 4))) + data[place + 1 :]
            case 3:
                data = data.replace(b"vertex 64", b"vertex " + COUNTS[random.integers(0, len(COUNTS))], 1)
            case 4 | 5:
                number = np.float32(NUMBERS[random.integers(0, len(NUMBERS))]).tobytes()
                place = first_row + 4 * int(random.integers(0, 800))
                data = data[:place] + number * int(random.integers(1, 60)) + data[place + 4 :]
            case 6:
                data = data.replace(b"property float", b"property list uchar float", 1)
            case 7:
                kind = (b"double", b"uchar", b"int", b"list int uint")[random.integers(0, 4)]
                data = data.replace(b"property float", b"property " + kind, int(random.integers(1, 9)))
            case 8:
                data = data[:at] + data[int(random.integers(0, len(data) + 1)) :] + data[:at]
    return data


def memory_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


@pytest.mark.slow
def test_a_thousand_hostile_files(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    whole = samples(tmp_path)
    outcomes: Counter[str] = Counter()
    sentences: set[str] = set()
    greatest = started_with = memory_mb()
    slowest = 0.0
    for number in range(FILES):
        suffix, data = whole[number % len(whole)]
        path = tmp_path / f"hostile{suffix}"
        broken = damaged(data, random)
        path.write_bytes(gzip.compress(broken, 1) if suffix == ".unpacked.spz" else broken)
        began = time.monotonic()
        try:
            assert bpy.ops.splinescape.import_splats(filepath=str(path)) == {"FINISHED"}
            outcomes["object"] += 1
        except RuntimeError as error:
            outcomes["report"] += 1
            sentence = str(error).strip()
            errors = [line for line in sentence.split("\n") if line.startswith("Error: ")]
            assert len(errors) == 1 and len(sentence) < 1000, sentence
            assert "Traceback" not in sentence and path.name in sentence
            sentences.add(errors[0].split(path.name)[1])
        bpy.context.view_layer.update()
        slowest = max(slowest, time.monotonic() - began)
        greatest = max(greatest, memory_mb())
        clean_up()
    assert slowest < SLOWEST_S, slowest
    assert greatest - started_with < SPARE_MB, (started_with, greatest)
    assert outcomes["object"] > 100 and outcomes["report"] > 100, outcomes
    assert len(sentences) > 20
    print(outcomes, f"slowest {slowest:.3f} s, {greatest - started_with:.0f} MB more")


def clean_up() -> None:
    """Read what was made, then take it away; a failure must have left nothing."""
    for made in list(bpy.data.objects):
        splats = read_splats(made)
        assert all(np.isfinite(array).all() for _, array in splats.arrays())
        bpy.data.pointclouds.remove(made.data)
    for collection in list(bpy.data.collections):
        bpy.data.collections.remove(collection)
    assert not bpy.data.objects and not bpy.data.pointclouds and not bpy.data.meshes


def test_special_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.ply").mkdir()
    (tmp_path / "cube.ply").write_bytes(
        b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n0\n"
    )
    (tmp_path / "nothing.spz").write_bytes(b"")
    for name, words in (
        ("folder.ply", "not a regular file"),
        ("cube.ply", "plain point cloud or mesh"),
        ("nothing.spz", "not an .spz file"),
        ("picture.png", "chosen by its suffix"),
        ("missing.splat", "No such file"),
    ):
        with pytest.raises(RuntimeError, match=rf"Error: .*{name}.*{words}"):
            bpy.ops.splinescape.import_splats(filepath=str(tmp_path / name))
