"""gf.ply keeps every bit, and the PLY files of other tools load."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import hypothesis.extra.numpy
import hypothesis.strategies as st
import numpy as np
import plyfile
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from io_support import bits, make_meta, make_splats

from splinescape.errors import InputError
from splinescape.io.formats import load_splats, save_scene
from splinescape.scene.meta import SceneMeta
from splinescape.scene.splats import Splats

GEOMETRY = ["x", "y", "z", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3", "opacity"]
DC = ["f_dc_0", "f_dc_1", "f_dc_2"]


def columns_of(splats: Splats) -> dict[str, np.ndarray]:
    """The standard columns of a 3DGS PLY, made without the code under test."""
    columns = {name: splats.means[:, i].numpy() for i, name in enumerate("xyz")}
    columns |= {f"scale_{i}": splats.log_scales[:, i].numpy() for i in range(3)}
    columns |= {f"rot_{i}": splats.quats[:, i].numpy() for i in range(4)}
    columns |= {"opacity": splats.opacity_logits.numpy()}
    columns |= {f"f_dc_{c}": splats.sh[:, 0, c].numpy() for c in range(3)}
    higher = splats.sh.shape[1] - 1
    columns |= {
        f"f_rest_{c * higher + k}": splats.sh[:, 1 + k, c].numpy() for c in range(3) for k in range(higher)
    }
    return columns


def write_foreign(
    path: Path,
    columns: dict[str, np.ndarray],
    *,
    kind: str = "<f4",
    kinds: dict[str, str] | None = None,
    text: bool = False,
    before: list[plyfile.PlyElement] | None = None,
    after: list[plyfile.PlyElement] | None = None,
) -> None:
    n = len(next(iter(columns.values())))
    rows = np.empty(n, [(name, (kinds or {}).get(name, kind)) for name in columns])
    for name, values in columns.items():
        rows[name] = values
    elements = [*(before or []), plyfile.PlyElement.describe(rows, "vertex"), *(after or [])]
    plyfile.PlyData(elements, text=text, byte_order=">" if kind.startswith(">") else "<").write(path)


def faces() -> plyfile.PlyElement:
    rows = np.array([([0, 1, 2],), ([0, 2, 1],)], dtype=[("vertex_indices", "i4", (3,))])
    return plyfile.PlyElement.describe(rows, "face")


def assert_same(a: Splats, b: Splats) -> None:
    for (name, left), (_, right) in zip(a.tensors(), b.tensors(), strict=True):
        assert left.shape == right.shape, name
        assert bits(left) == bits(right), name


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
@pytest.mark.parametrize("n", [0, 1, 1000])
def test_round_trip_keeps_every_bit(tmp_path: Path, n: int, coefficients: int) -> None:
    splats = make_splats(n, coefficients)
    save_scene(tmp_path / "gf.ply", splats, make_meta())
    assert_same(load_splats(tmp_path / "gf.ply")[0], splats)


def test_round_trip_keeps_unusual_numbers(tmp_path: Path) -> None:
    means = torch.tensor([[-0.0, 1e-42, 3e38], [0.1, -1e-38, -3e38]])
    splats = Splats(means, -means.sign() * 80, torch.eye(4)[:2], torch.tensor([90.0, -90.0]), -means[:, None])
    save_scene(tmp_path / "gf.ply", splats, SceneMeta())
    assert_same(load_splats(tmp_path / "gf.ply")[0], splats)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=hypothesis.extra.numpy.arrays(
        np.float32,
        hypothesis.extra.numpy.array_shapes(min_dims=2, max_dims=2, min_side=22, max_side=22),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False, max_value=80),
    )
)
def test_round_trip_keeps_any_finite_number(tmp_path: Path, numbers: np.ndarray) -> None:
    rows = torch.from_numpy(numbers)
    quats = torch.nn.functional.normalize(torch.randn(22, 4), dim=1)
    splats = Splats(rows[:, :3], rows[:, 3:6], quats, rows[:, 6], rows[:, 7:19].reshape(22, 4, 3))
    save_scene(tmp_path / "gf.ply", splats, SceneMeta())
    assert_same(load_splats(tmp_path / "gf.ply")[0], splats)


def test_round_trip_keeps_the_meta(tmp_path: Path) -> None:
    meta = make_meta()
    save_scene(tmp_path / "gf.ply", make_splats(3), meta)
    read = load_splats(tmp_path / "gf.ply")[1]
    assert meta.K_33 is not None and read.K_33 is not None
    assert read.K_33.tobytes() == meta.K_33.tobytes()
    assert (read.width, read.height, read.units, read.up) == (512, 384, "metres", "-y")
    assert (read.version, read.seed, dict(read.engines), read.dropped) == ("0.1.0", 7, dict(meta.engines), 0)


def test_meta_of_a_scene_without_a_camera(tmp_path: Path) -> None:
    save_scene(tmp_path / "gf.ply", make_splats(3), SceneMeta(version="0.1.0"))
    read = load_splats(tmp_path / "gf.ply")[1]
    assert (read.K_33, read.width, read.height, read.seed, read.units) == (None, None, None, None, "relative")


def test_writing_what_was_read_gives_the_same_file(tmp_path: Path) -> None:
    splats = make_splats(500)
    odd = replace(splats, quats=splats.quats * 3.7)
    save_scene(tmp_path / "first.ply", odd, make_meta())
    save_scene(tmp_path / "second.ply", *load_splats(tmp_path / "first.ply"))
    assert (tmp_path / "first.ply").read_bytes() == (tmp_path / "second.ply").read_bytes()


def test_quaternions_are_written_with_unit_length(tmp_path: Path) -> None:
    splats = make_splats(100)
    zero = torch.zeros(1, 4)
    quats = torch.cat([splats.quats[1:] * torch.linspace(1e-15, 1e15, 99)[:, None], zero])
    save_scene(tmp_path / "gf.ply", replace(splats, quats=quats), SceneMeta())
    stored = plyfile.PlyData.read(tmp_path / "gf.ply")["vertex"]
    norms = np.linalg.norm(np.stack([stored[f"rot_{i}"] for i in range(4)]).astype(np.float64), axis=0)
    np.testing.assert_allclose(norms, 1, atol=1e-6)
    assert [stored[f"rot_{i}"][-1] for i in range(4)] == [1, 0, 0, 0]


@pytest.mark.parametrize("coefficients", [1, 16])
def test_layout_is_the_standard_one(tmp_path: Path, coefficients: int) -> None:
    splats = make_splats(40, coefficients)
    save_scene(tmp_path / "gf.ply", splats, make_meta())
    ply = plyfile.PlyData.read(tmp_path / "gf.ply")
    rest = [f"f_rest_{i}" for i in range(3 * (coefficients - 1))]
    expected = ["x", "y", "z", *DC, *rest, "opacity", "scale_0", "scale_1", "scale_2"]
    expected += ["rot_0", "rot_1", "rot_2", "rot_3"]
    assert [p.name for p in ply["vertex"].properties] == expected
    assert {p.val_dtype for p in ply["vertex"].properties} == {"f4"}
    assert (ply.byte_order, ply.text, len(ply.elements)) == ("<", False, 1)
    for name, values in columns_of(splats).items():
        np.testing.assert_array_equal(ply["vertex"][name], values, err_msg=name)


def test_header_tells_version_camera_units_and_up_axis(tmp_path: Path) -> None:
    save_scene(tmp_path / "gf.ply", make_splats(1), make_meta())
    comments = plyfile.PlyData.read(tmp_path / "gf.ply").comments
    assert "splinescape.version 0.1.0" in comments
    assert "splinescape.units metres" in comments
    assert "splinescape.up -y" in comments
    assert "splinescape.image_size 512 384" in comments
    assert any(line.startswith("splinescape.K 460.1 0.0 255.7") for line in comments)


def test_a_name_cannot_end_the_header() -> None:
    with pytest.raises(InputError, match="printable"):
        SceneMeta(engines={"depth": "x\nend_header"})


@pytest.mark.parametrize("K_33", [np.full((3, 3), np.nan), np.zeros((3, 3)), np.eye(4)])
def test_an_impossible_camera_is_refused(K_33: np.ndarray) -> None:
    with pytest.raises(InputError, match="K_33"):
        SceneMeta(K_33=K_33)


def test_writes_a_scene_in_training(tmp_path: Path) -> None:
    splats = make_splats(10)
    for _, tensor in splats.tensors():
        tensor.requires_grad_(True)
    save_scene(tmp_path / "gf.ply", splats, SceneMeta())
    assert_same(load_splats(tmp_path / "gf.ply")[0], splats)


# Files of other tools


def test_inria_layout_with_normals_and_45_harmonics(tmp_path: Path) -> None:
    splats = make_splats(200, 16)
    columns = columns_of(splats)
    order = ["x", "y", "z", "nx", "ny", "nz", *DC, *(f"f_rest_{i}" for i in range(45)), "opacity"]
    order += ["scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    assert len(order) == 62
    columns |= {name: np.zeros(200, np.float32) for name in ("nx", "ny", "nz")}
    write_foreign(tmp_path / "point_cloud.ply", {name: columns[name] for name in order})
    read, meta = load_splats(tmp_path / "point_cloud.ply")
    assert_same(read, splats)
    assert (meta.version, meta.units, meta.K_33) == ("", "relative", None)


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_any_number_type_byte_order_text_and_degree(
    tmp_path: Path, kind: str, text: bool, coefficients: int
) -> None:
    splats = make_splats(30, coefficients)
    write_foreign(tmp_path / "a.ply", columns_of(splats), kind=kind, text=text)
    assert_same(load_splats(tmp_path / "a.ply")[0], splats)


def test_any_order_and_extra_fields(tmp_path: Path) -> None:
    splats = make_splats(100, 4)
    columns = columns_of(splats)
    columns |= {"red": np.full(100, 255), "label": np.arange(100), "f_extra": np.full(100, np.nan)}
    names = list(np.random.default_rng(0).permutation(list(columns)))
    write_foreign(
        tmp_path / "a.ply", {name: columns[name] for name in names}, kinds={"red": "u1", "label": "i4"}
    )
    assert_same(load_splats(tmp_path / "a.ply")[0], splats)


@pytest.mark.parametrize("text", [False, True])
def test_other_elements_around_the_splats(tmp_path: Path, text: bool) -> None:
    splats = make_splats(20)
    camera = plyfile.PlyElement.describe(np.zeros(3, [("fov", "f8"), ("id", "u1")]), "camera")
    write_foreign(tmp_path / "a.ply", columns_of(splats), text=text, before=[camera], after=[faces()])
    assert_same(load_splats(tmp_path / "a.ply")[0], splats)


def test_text_with_lists_before_the_splats(tmp_path: Path) -> None:
    splats = make_splats(20)
    write_foreign(tmp_path / "a.ply", columns_of(splats), text=True, before=[faces()])
    assert_same(load_splats(tmp_path / "a.ply")[0], splats)


def test_binary_lists_before_the_splats_are_refused(tmp_path: Path) -> None:
    write_foreign(tmp_path / "a.ply", columns_of(make_splats(2)), before=[faces()])
    with pytest.raises(InputError, match="'face' with lists"):
        load_splats(tmp_path / "a.ply")


@pytest.mark.parametrize("newline", [b"\r\n", b"\r"])
def test_line_ends_of_other_systems(tmp_path: Path, newline: bytes) -> None:
    splats = make_splats(20)
    save_scene(tmp_path / "a.ply", splats, make_meta())
    header, data = (tmp_path / "a.ply").read_bytes().split(b"end_header\n", 1)
    (tmp_path / "b.ply").write_bytes((header + b"end_header\n").replace(b"\n", newline) + data)
    read, meta = load_splats(tmp_path / "b.ply")
    assert_same(read, splats)
    assert meta.width == 512


def test_quaternions_of_any_length_are_normalised(tmp_path: Path) -> None:
    splats = make_splats(50)
    columns = columns_of(splats)
    for i in range(4):
        columns[f"rot_{i}"] = columns[f"rot_{i}"] * np.float32(5.5)
    write_foreign(tmp_path / "a.ply", columns)
    read = load_splats(tmp_path / "a.ply")[0]
    torch.testing.assert_close(read.quats, splats.quats, atol=1e-6, rtol=0)


def test_flat_splats_of_2dgs_get_a_thin_third_axis(tmp_path: Path) -> None:
    splats = make_splats(10)
    columns = columns_of(splats)
    del columns["scale_2"]
    write_foreign(tmp_path / "a.ply", columns)
    read = load_splats(tmp_path / "a.ply")[0]
    assert bits(read.log_scales[:, :2]) == bits(splats.log_scales[:, :2])
    np.testing.assert_allclose(read.scales[:, 2], 1e-6, rtol=1e-5)


def test_opacities_of_exactly_zero_and_one_become_finite(tmp_path: Path) -> None:
    columns = columns_of(make_splats(2))
    columns["opacity"] = np.array([np.inf, -np.inf], np.float32)
    write_foreign(tmp_path / "a.ply", columns)
    opacities = load_splats(tmp_path / "a.ply")[0].opacities
    assert 1 - 1e-6 < opacities[0] <= 1
    assert 0 <= opacities[1] < 1e-6


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, np.nan) for name in [*GEOMETRY, *DC, "f_rest_8"]]
    + [(name, -np.inf) for name in ["x", "scale_0"]],
)
def test_splats_with_numbers_that_are_not_finite_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, value: float
) -> None:
    splats = make_splats(10, 4)
    columns = columns_of(splats)
    columns[name] = columns[name].copy()
    columns[name][[3, 7]] = value
    write_foreign(tmp_path / "a.ply", columns)
    with caplog.at_level(logging.WARNING):
        read, meta = load_splats(tmp_path / "a.ply")
    assert_same(read, splats.select(torch.tensor([0, 1, 2, 4, 5, 6, 8, 9])))
    assert meta.dropped == 2
    assert "left out 2 of 10 splats" in caplog.text and "number 3" in caplog.text


def test_scales_beyond_every_float_are_left_out(tmp_path: Path) -> None:
    columns = columns_of(make_splats(3))
    columns["scale_1"] = np.array([0, 1e30, 0], np.float32)
    write_foreign(tmp_path / "a.ply", columns)
    read, meta = load_splats(tmp_path / "a.ply")
    assert (len(read), meta.dropped) == (2, 1)
    assert torch.isfinite(read.scales).all()


def test_harmonics_of_degree_4_are_cut_to_3(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    splats = make_splats(10, 16)
    columns = columns_of(make_splats(10))
    columns |= {f"f_rest_{i}": np.zeros(10) for i in range(72)}
    for c in range(3):
        for k in range(15):
            columns[f"f_rest_{c * 24 + k}"] = splats.sh[:, 1 + k, c].numpy()
    write_foreign(tmp_path / "a.ply", columns)
    assert bits(load_splats(tmp_path / "a.ply")[0].sh[:, 1:]) == bits(splats.sh[:, 1:])
    assert "above degree 3" in caplog.text


@pytest.mark.parametrize("count", [1, 10, 12, 44])
def test_an_incomplete_band_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture, count: int) -> None:
    columns = columns_of(make_splats(10))
    columns |= {f"f_rest_{i}": np.ones(10) for i in range(count)}
    write_foreign(tmp_path / "a.ply", columns)
    assert load_splats(tmp_path / "a.ply")[0].sh.shape == (10, 1, 3)
    assert "no whole band" in caplog.text


def test_a_point_cloud_is_told_from_splats(tmp_path: Path) -> None:
    write_foreign(tmp_path / "a.ply", {name: np.zeros(3) for name in ("x", "y", "z", "red", "green", "blue")})
    with pytest.raises(InputError, match=r"a\.ply.*plain point cloud or mesh.*scale_0"):
        load_splats(tmp_path / "a.ply")


@pytest.mark.parametrize("name", [*GEOMETRY, *DC])
def test_a_missing_property_is_named(tmp_path: Path, name: str) -> None:
    columns = columns_of(make_splats(3))
    del columns[name]
    write_foreign(tmp_path / "a.ply", columns)
    if name == "scale_2":
        assert len(load_splats(tmp_path / "a.ply")[0]) == 3
        return
    with pytest.raises(InputError, match=f"{name} missing"):
        load_splats(tmp_path / "a.ply")
