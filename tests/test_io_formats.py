"""The small formats lose no more than their quantisation, and say what their definitions say."""

from __future__ import annotations

import gzip
import logging
import struct
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import plyfile
import pytest
import torch
from io_support import make_meta, make_splats, rotation_matrices

from splinescape.errors import InputError
from splinescape.io.formats import SUFFIXES, load_splats, save_scene
from splinescape.scene.meta import SceneMeta
from splinescape.scene.splats import SH_C0, Splats

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def reload(folder: Path, suffix: str, splats: Splats) -> Splats:
    save_scene(folder / f"gf{suffix}", splats, make_meta())
    return load_splats(folder / f"gf{suffix}")[0]


def matched(splats: Splats, read: Splats) -> Splats:
    """`splats` in the order of `read`, paired by nearest colour: the compressed PLY changes the order."""
    nearest = torch.cdist(read.base_colors.double(), splats.base_colors.double()).argmin(dim=1)
    assert len(nearest.unique()) == len(splats)
    return splats.select(nearest)


def errors(splats: Splats, read: Splats) -> dict[str, float]:
    """Greatest error of each parameter; opacities and colours in [0, 1], rotations as matrix entries."""
    pairs = {
        "means": (splats.means, read.means),
        "log_scales": (splats.log_scales, read.log_scales),
        "opacities": (splats.opacities, read.opacities),
        "colors": (splats.base_colors.clamp(0, 1), read.base_colors.clamp(0, 1)),
    }
    found = {name: float((a - b).abs().max()) for name, (a, b) in pairs.items()}
    rotations = rotation_matrices(splats.quats) - rotation_matrices(read.quats)
    return found | {"rotations": float(np.abs(rotations).max())}


def within(splats: Splats, read: Splats, **limits: float) -> None:
    found = errors(splats, read)
    assert found.keys() == limits.keys()
    for name, limit in limits.items():
        assert found[name] <= limit, (name, found)


@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 3000])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_number_of_splats(tmp_path: Path, suffix: str, n: int) -> None:
    read = reload(tmp_path, suffix, make_splats(n))
    assert len(read) == n
    assert torch.allclose(read.quats.norm(dim=1), torch.ones(n), atol=1e-6)


def test_spz_quantisation(tmp_path: Path) -> None:
    splats = make_splats(2000)
    read = reload(tmp_path, ".spz", splats)
    within(
        splats,
        read,
        means=0.5 / 2**16,
        log_scales=0.5 / 16,
        opacities=0.5 / 255,
        colors=0.0038,
        rotations=0.005,
    )


def test_splat_quantisation(tmp_path: Path) -> None:
    splats = make_splats(2000)
    read = reload(tmp_path, ".splat", splats)
    within(splats, read, means=0, log_scales=1e-6, opacities=0.5 / 255, colors=0.5 / 255, rotations=0.02)


def test_compressed_ply_quantisation(tmp_path: Path) -> None:
    splats = make_splats(2000)
    read = reload(tmp_path, ".compressed.ply", splats)
    splats = matched(splats, read)
    within(
        splats, read, means=0.02, log_scales=0.0021, opacities=0.5 / 255, colors=0.5 / 255, rotations=0.004
    )


def test_compressed_ply_keeps_near_splats_sharp_before_a_far_shell(tmp_path: Path) -> None:
    splats = make_splats(20_000)
    far = torch.arange(20_000) % 4 == 0
    shell = 2000 * torch.nn.functional.normalize(splats.means, dim=1)
    splats = replace(splats, means=torch.where(far[:, None], shell, splats.means))
    read = reload(tmp_path, ".compressed.ply", splats)
    near = read.means.norm(dim=1) < 500
    _, distance = nearest(read.means[near], splats.means[~far])
    # One chunk may straddle the gap between the scene and the shell.
    assert np.quantile(distance, 0.97) < 0.01
    assert (distance > 0.1).sum() < 256


def nearest(queries: torch.Tensor, points: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    from scipy.spatial import cKDTree

    distance, index = cKDTree(points.numpy()).query(queries.numpy())
    return index, distance


@pytest.mark.parametrize("suffix", [".compressed.ply", ".spz"])
@pytest.mark.parametrize("coefficients", [4, 9, 16])
def test_harmonics_survive(tmp_path: Path, suffix: str, coefficients: int) -> None:
    splats = make_splats(300, coefficients)
    splats = replace(splats, sh=splats.sh.clamp(-0.9, 0.9))
    read = reload(tmp_path, suffix, splats)
    assert read.sh.shape == splats.sh.shape
    step = {".compressed.ply": 1 / 64, ".spz": 0.5 / 128}[suffix]
    difference = (matched(splats, read) if suffix == ".compressed.ply" else splats).sh[:, 1:] - read.sh[:, 1:]
    assert difference.abs().max() <= step + 1e-6


@pytest.mark.parametrize("suffix", [".ply", ".compressed.ply"])
def test_ply_formats_carry_the_meta(tmp_path: Path, suffix: str) -> None:
    save_scene(tmp_path / f"gf{suffix}", make_splats(5), make_meta())
    meta = load_splats(tmp_path / f"gf{suffix}")[1]
    assert (meta.width, meta.height, meta.units, meta.seed) == (512, 384, "metres", 7)


def test_splat_says_that_it_drops_harmonics(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert reload(tmp_path, ".splat", make_splats(5, 16)).sh.shape == (5, 1, 3)
    assert "view-dependent" in caplog.text


def test_the_suffix_may_be_in_capitals_and_compressed_is_told_by_content(tmp_path: Path) -> None:
    save_scene(tmp_path / "GF.SPZ", make_splats(5), make_meta())
    assert len(load_splats(tmp_path / "GF.SPZ")[0]) == 5
    save_scene(tmp_path / "a.compressed.ply", make_splats(5), make_meta())
    (tmp_path / "a.compressed.ply").rename(tmp_path / "a.ply")
    assert len(load_splats(tmp_path / "a.ply")[0]) == 5


@pytest.mark.parametrize("name", ["gf.obj", "gf", "ply"])
def test_an_unknown_suffix_names_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"use one of \.compressed\.ply, \.ply, \.spz, \.splat"):
        save_scene(tmp_path / name, make_splats(1), make_meta())
    with pytest.raises(InputError, match="use one of"):
        load_splats(tmp_path / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_file_is_named(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(InputError, match=rf"cannot read .*gf{suffix}: No such file"):
        load_splats(tmp_path / f"gf{suffix}")


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_extreme_numbers_are_clamped_quietly(tmp_path: Path, suffix: str) -> None:
    extreme = torch.tensor([3.4e38, -3.4e38, 0.0])
    splats = Splats(
        means=torch.zeros(3, 3) if suffix == ".spz" else extreme[:, None].repeat(1, 3),
        log_scales=-extreme[:, None].abs().repeat(1, 3),
        quats=torch.eye(4)[:3] * 1e30,
        opacity_logits=extreme,
        sh=extreme[:, None, None].repeat(1, 4, 3),
    )
    read = reload(tmp_path, suffix, splats)
    assert len(read) == 3
    assert all(tensor.isfinite().all() for _, tensor in read.tensors())
    assert sorted(read.opacities.tolist())[::2] == pytest.approx([0, 1], abs=1e-6)


# The definitions


def test_splat_record(tmp_path: Path) -> None:
    splats = Splats(
        torch.tensor([[1.0, 2.0, 3.0]]),
        torch.tensor([[0.0, 1.0, 2.0]]),
        torch.tensor([[0.5, -0.5, 0.5, -0.5]]),
        torch.tensor([0.0]),
        ((torch.tensor([[[1.0, 0.5, 0.0]]]) - 0.5) / SH_C0),
    )
    save_scene(tmp_path / "a.splat", splats, SceneMeta())
    record = (tmp_path / "a.splat").read_bytes()
    numbers = struct.unpack("<6f8B", record)
    np.testing.assert_allclose(numbers[:6], [1, 2, 3, 1, np.e, np.e**2], rtol=1e-6)
    assert numbers[6:] == (255, 128, 0, 128, 192, 64, 192, 64)


def test_splat_with_a_flat_axis_and_a_negative_one(tmp_path: Path) -> None:
    flat = struct.pack("<6f8B", 0, 0, 0, 1, 1, 0, *[128] * 4, 255, 128, 128, 128)
    negative = struct.pack("<6f8B", 0, 0, 0, 1, -1, 1, *[128] * 4, 255, 128, 128, 128)
    (tmp_path / "a.splat").write_bytes(flat + negative)
    read, meta = load_splats(tmp_path / "a.splat")
    assert (len(read), meta.dropped) == (1, 1)
    assert torch.isfinite(read.log_scales).all() and read.scales[0, 2] < 1e-30


def test_spz_header_and_positions(tmp_path: Path) -> None:
    splats = make_splats(3)
    splats = replace(splats, means=torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [-1.5, 100.0, -4.0]]))
    save_scene(tmp_path / "a.spz", splats, SceneMeta())
    data = gzip.decompress((tmp_path / "a.spz").read_bytes())
    magic, version, count, degree, bits, flags, reserved = struct.unpack_from("<4sIIBBBB", data)
    assert (magic, version, count, degree, flags, reserved) == (b"NGSP", 3, 3, 0, 0, 0)
    assert len(data) == 16 + 3 * (9 + 1 + 3 + 3 + 4)
    stored = [int.from_bytes(data[16 + 3 * i : 19 + 3 * i], "little", signed=True) for i in range(9)]
    # x right, y up, z back: y and z change sign.
    np.testing.assert_allclose(np.array(stored) / 2**bits, [1, -2, -3, 0, 0, 0, -1.5, -100, 4], atol=2e-5)


def test_spz_keeps_far_splats_and_refuses_the_impossible(tmp_path: Path) -> None:
    splats = make_splats(2)
    far = torch.tensor([[8e6, -8e6, 8e6], [1.0, 1.0, 1.0]])
    read = reload(tmp_path, ".spz", replace(splats, means=far))
    assert (read.means - far).abs().max() <= 0.5
    with pytest.raises(InputError, match=r"8388607.*write \.ply"):
        reload(tmp_path, ".spz", replace(splats, means=far * 2))


def sh_basis(direction: np.ndarray) -> np.ndarray:
    """Real harmonics of degree 1 to 3 in the order of 3DGS, up to positive factors and signs of 3DGS."""
    x, y, z = direction
    return np.array(
        [
            *(-y, z, -x),
            *(x * y, -y * z, 2 * z * z - x * x - y * y, -x * z, x * x - y * y),
            -y * (3 * x * x - y * y),
            x * y * z,
            -y * (4 * z * z - x * x - y * y),
            z * (2 * z * z - 3 * x * x - 3 * y * y),
            -x * (4 * z * z - x * x - y * y),
            z * (x * x - y * y),
            -x * (x * x - 3 * y * y),
        ]
    )


def test_spz_turns_harmonics_and_rotations_with_its_world(tmp_path: Path) -> None:
    """Whoever reads the file as x right, y up, z back must see the same scene."""
    splats = make_splats(50, 16)
    splats = replace(splats, sh=splats.sh.clamp(-0.9, 0.9))
    save_scene(tmp_path / "a.spz", splats, SceneMeta())
    data = np.frombuffer(gzip.decompress((tmp_path / "a.spz").read_bytes()), np.uint8)
    turn = np.diag([1.0, -1.0, -1.0])
    rest = data[-50 * 45 :].reshape(50, 15, 3).astype(float) / 128 - 1
    for direction in np.random.default_rng(0).normal(size=(10, 3)):
        ours = np.einsum("nkc,k->nc", splats.sh[:, 1:].double().numpy(), sh_basis(direction))
        theirs = np.einsum("nkc,k->nc", rest, sh_basis(turn @ direction))
        np.testing.assert_allclose(theirs, ours, atol=0.005 * np.abs(sh_basis(direction)).sum())
    packed = data[-50 * 49 : -50 * 45].copy().view("<u4")
    xyzw = np.zeros((50, 4))
    for i, word in enumerate(packed):  # as the format's text says: 2 bits, then three of sign + 9 bits
        largest, places = word >> 30, [k for k in range(4) if k != word >> 30]
        for place, shift in zip(places, (20, 10, 0), strict=True):
            code = (word >> shift) & 1023
            xyzw[i, place] = (code & 511) / 511 / np.sqrt(2) * (-1 if code >> 9 else 1)
        xyzw[i, largest] = np.sqrt(1 - (xyzw[i] ** 2).sum())
    theirs = rotation_matrices(torch.tensor(xyzw[:, [3, 0, 1, 2]]))
    np.testing.assert_allclose(theirs, turn @ rotation_matrices(splats.quats) @ turn, atol=0.01)


def spz_body(splats: Splats, version: int) -> list[bytes]:
    """The attributes of an .spz file, degree 0, 12 fractional bits, made without the code under test."""
    n = len(splats)
    flip = np.array([1, -1, -1])
    fixed = np.rint(splats.means.double().numpy() * flip * 4096).astype(int)
    positions = b"".join(int(v).to_bytes(3, "little", signed=True) for v in fixed.ravel())
    _, x, y, z = splats.quats.double().numpy().T * np.where(splats.quats[:, 0].numpy() < 0, -1, 1)
    if version == 2:
        rotations = np.rint((np.stack([x, -y, -z], 1) + 1) * 127.5).astype(np.uint8).tobytes()
    else:
        rotations = struct.pack("<I", 3 << 30) * n  # the identity: w is the largest
    return [
        positions,
        np.rint(splats.opacities.numpy() * 255).astype(np.uint8).tobytes(),
        np.rint((splats.sh[:, 0].numpy() * 0.15 + 0.5) * 255).astype(np.uint8).tobytes(),
        np.rint((splats.log_scales.numpy() + 10) * 16).astype(np.uint8).tobytes(),
        rotations,
    ]


def test_reads_spz_version_2(tmp_path: Path) -> None:
    splats = make_splats(100)
    body = struct.pack("<4sIIBBBB", b"NGSP", 2, 100, 0, 12, 1, 0) + b"".join(spz_body(splats, 2))
    (tmp_path / "a.spz").write_bytes(gzip.compress(body))
    read = load_splats(tmp_path / "a.spz")[0]
    within(
        splats, read, means=0.5 / 4096 + 1e-6, log_scales=0.032, opacities=0.002, colors=0.0038, rotations=0.2
    )


@pytest.mark.parametrize("extension", [b"", b"\x07\x00\x00\x00\x04\x00\x00\x00abcd"])
def test_reads_spz_version_4(tmp_path: Path, extension: bytes, caplog: pytest.LogCaptureFixture) -> None:
    splats = make_splats(100)
    identity = torch.tensor([[1.0, 0, 0, 0]]).repeat(100, 1)
    plain = spz_body(splats, 4)
    packed = [zstd.compress(stream) for stream in plain]
    flags, table = (2 if extension else 0), 32 + len(extension)
    header = struct.pack("<4sIIBBBBI12x", b"NGSP", 4, 100, 0, 12, flags, 5, table) + extension
    header += b"".join(struct.pack("<QQ", len(p), len(s)) for p, s in zip(packed, plain, strict=True))
    (tmp_path / "a.spz").write_bytes(header + b"".join(packed))
    with caplog.at_level(logging.WARNING):
        read = load_splats(tmp_path / "a.spz")[0]
    within(
        replace(splats, quats=identity),
        read,
        means=0.5 / 4096 + 1e-6,
        log_scales=0.032,
        opacities=0.002,
        colors=0.0038,
        rotations=1e-6,
    )
    assert ("extensions" in caplog.text) == bool(extension)


def test_compressed_ply_layout(tmp_path: Path) -> None:
    save_scene(tmp_path / "a.compressed.ply", make_splats(300, 4), make_meta())
    ply = plyfile.PlyData.read(tmp_path / "a.compressed.ply")
    assert [(e.name, e.count) for e in ply.elements] == [("chunk", 2), ("vertex", 300), ("sh", 300)]
    assert [p.name for p in ply["vertex"].properties] == [
        *("packed_position", "packed_rotation", "packed_scale", "packed_color")
    ]
    assert {p.val_dtype for p in ply["vertex"].properties} == {"u4"}
    assert len(ply["chunk"].properties) == 18
    assert [(p.name, p.val_dtype) for p in ply["sh"].properties] == [(f"f_rest_{i}", "u1") for i in range(9)]


def test_compressed_ply_words(tmp_path: Path) -> None:
    """One chunk by hand: the corners of the ranges, a known rotation, colour and opacity."""
    chunk = np.zeros(1, [(name, "f4") for name in compressed_ranges()])
    chunk["min_x"], chunk["max_x"], chunk["max_y"], chunk["min_z"] = -1, 3, 2, -8
    chunk["max_scale_y"] = 1
    chunk["max_r"] = chunk["max_g"] = chunk["max_b"] = 1
    vertex = np.zeros(2, [(f"packed_{name}", "u4") for name in ("position", "rotation", "scale", "color")])
    vertex["packed_position"] = [0, (2047 << 21) | (1023 << 11) | 2047]
    vertex["packed_scale"] = [0, 1023 << 11]
    center = (511 << 20) | (511 << 10) | 511
    vertex["packed_rotation"] = [center, (2 << 30) | center]
    vertex["packed_color"] = [0x00000080, 0xFF8000FF]
    elements = [plyfile.PlyElement.describe(chunk, "chunk"), plyfile.PlyElement.describe(vertex, "vertex")]
    plyfile.PlyData(elements, byte_order="<").write(tmp_path / "a.ply")
    read = load_splats(tmp_path / "a.ply")[0]
    np.testing.assert_allclose(read.means, [[-1, 0, -8], [3, 2, 0]], atol=1e-6)
    np.testing.assert_allclose(read.log_scales, [[0, 0, 0], [0, 1, 0]], atol=1e-6)
    np.testing.assert_allclose(read.quats, [[1, 0, 0, 0], [0, 0, 1, 0]], atol=1e-3)
    np.testing.assert_allclose(read.base_colors, [[0, 0, 0], [1, 128 / 255, 0]], atol=1e-6)
    np.testing.assert_allclose(read.opacities, [128 / 255, 1], atol=1e-6)


def compressed_ranges() -> list[str]:
    bounds = [f"{end}_{axis}" for end in ("min", "max") for axis in "xyz"]
    scales = [f"{end}_scale_{axis}" for end in ("min", "max") for axis in "xyz"]
    return bounds + scales + [f"{end}_{channel}" for end in ("min", "max") for channel in "rgb"]
