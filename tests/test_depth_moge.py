"""The MoGe engine keeps the promises of a depth engine, on checkpoints in the true format that tests make up.

The networks here see a tilted surface through a pinhole camera that is known exactly (`see_pinhole`), so what must come
out is known too. What networks with random weights say is compared with the published code in
test_depth_moge_published.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from moge_support import (
    PUBLISHED,
    SMALL_V1,
    SMALL_V2,
    empty_state,
    noise_picture,
    random_state,
    see_pinhole,
    write_checkpoint,
)
from numpy.typing import NDArray

from splinescape.camera.intrinsics import pixel_rays
from splinescape.camera.view import View
from splinescape.depth import DepthPrediction
from splinescape.depth.moge import MogeDepth
from splinescape.depth.moge.checkpoint import load_network
from splinescape.depth.moge.layers import in_full_precision
from splinescape.errors import InputError

CPU = torch.device("cpu")
FOCAL, SLOPE, LOG_DEPTH = 1.2, 0.5, 0.7
METRES = 2.5
Make = Callable[..., MogeDepth]


@pytest.fixture
def engine(tmp_path: Path) -> Make:
    """A pinhole checkpoint of a version, loaded; `normal` is what its normal head says everywhere."""

    def make(
        config: dict[str, Any], normal: tuple[float, float, float] = (0, 0, -1), **seen: float
    ) -> MogeDepth:
        seen = {"focal": FOCAL, "slope": SLOPE, "log_depth": LOG_DEPTH} | seen
        state = see_pinhole(empty_state(config), **seen)
        if "scale_head.4.bias" in state:
            state["scale_head.4.bias"] = torch.tensor([math.log(METRES)])
            state["normal_head.output_blocks.4.bias"] = torch.tensor(normal, dtype=torch.float32)
        return MogeDepth(write_checkpoint(tmp_path / "model.pt", config, state), CPU)

    return make


def predict(
    engine: MogeDepth, height: int, width: int, K_33: NDArray[np.float32] | None = None
) -> DepthPrediction:
    view = View(width, height, K_33, np.eye(4))
    return engine.predict(noise_picture(height, width), K_33=K_33, view=view)


def camera(focal: float, cx: float, cy: float, ratio: float = 1.0) -> NDArray[np.float32]:
    return np.array([[focal, 0, cx], [0, focal * ratio, cy], [0, 0, 1]], np.float32)


def check_promises(prediction: DepthPrediction, height: int, width: int) -> None:
    depth, confidence = prediction.depth, prediction.confidence
    assert depth.shape == confidence.shape == (height, width)
    assert depth.dtype == confidence.dtype == prediction.K_33.dtype == np.float32
    assert not np.isnan(depth).any() and (depth > 0).all()
    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert (confidence[np.isinf(depth)] == 0).all() and (confidence[np.isfinite(depth)] > 0).all()
    assert np.isfinite(prediction.K_33).all() and prediction.K_33[0, 0] > 0
    if prediction.normals is not None:
        assert prediction.normals.shape == (height, width, 3)
        np.testing.assert_allclose(np.linalg.norm(prediction.normals, axis=-1), 1, atol=1e-5)
        assert ((prediction.normals * pixel_rays(width, height, prediction.K_33)).sum(-1) < 0).all()


@pytest.mark.parametrize(("config", "unit"), [(SMALL_V1, 1.0), (SMALL_V2, METRES)], ids=["v1", "v2"])
def test_camera_and_depth_are_what_the_network_sees(
    engine: Make, config: dict[str, Any], unit: float
) -> None:
    height, width = 90, 120
    prediction = predict(engine(config), height, width)
    check_promises(prediction, height, width)
    half_diagonal = math.hypot(height, width) / 2
    assert prediction.K_33[0, 0] == pytest.approx(FOCAL * half_diagonal, rel=0.01)
    assert prediction.K_33[0, 2] == width / 2 and prediction.K_33[1, 2] == height / 2
    v = (np.arange(height) + 0.5 - height / 2) / half_diagonal
    seen = np.broadcast_to((v > -0.4)[:, None] & (v < 0.5)[:, None], (height, width))
    expected = np.broadcast_to(unit * np.exp(LOG_DEPTH + SLOPE * v)[:, None], (height, width))
    np.testing.assert_allclose(prediction.depth[seen], expected[seen], rtol=0.01)
    assert np.isinf(prediction.depth[v < -0.55]).all()


@pytest.mark.parametrize("config", [SMALL_V1, SMALL_V2], ids=["v1", "v2"])
@pytest.mark.parametrize("ratio", [1.0, 0.5], ids=["square pixels", "tall pixels"])
def test_a_given_camera_off_centre_is_honoured_exactly(
    engine: Make, config: dict[str, Any], ratio: float
) -> None:
    """The surface must lie where that camera sees it, not where one with a centred principal point would."""
    height, width, cx, cy = 80, 110, 61.25, 33.0
    padded_height, padded_width = height + 14, width + 12
    half_diagonal = math.hypot(padded_height / ratio, padded_width) / 2
    K = camera(FOCAL * half_diagonal, cx, cy, ratio)
    prediction = predict(engine(config, slope=0.8, horizon=-2.0), height, width, K)
    check_promises(prediction, height, width)
    np.testing.assert_array_equal(prediction.K_33, K)
    v = (np.arange(height) + 0.5 - cy) / ratio / half_diagonal
    unit = METRES if config is SMALL_V2 else 1.0
    expected = np.broadcast_to(unit * np.exp(LOG_DEPTH + 0.8 * v)[:, None], (height, width))
    np.testing.assert_allclose(prediction.depth[8:-4, 8:-8], expected[8:-4, 8:-8], rtol=0.01)


def test_another_given_field_of_view_changes_the_shift_alone(engine: Make) -> None:
    moge = engine(SMALL_V2)
    own = predict(moge, 60, 80)
    narrow = predict(moge, 60, 80, camera(1.5 * float(own.K_33[0, 0]), 40, 30))
    assert narrow.K_33[0, 0] == pytest.approx(1.5 * own.K_33[0, 0])
    known = np.isfinite(own.depth) & np.isfinite(narrow.depth)
    further = narrow.depth[known] - own.depth[known]
    assert known.any() and further.min() > 0.1
    np.testing.assert_allclose(further, further[0], rtol=1e-3)


def test_confidence_is_the_mask(engine: Make) -> None:
    prediction = predict(engine(SMALL_V2), 90, 120)
    v = (np.arange(90) + 0.5 - 45) / 75
    expected = 1 / (1 + np.exp(-8 * (v + 0.5)))
    rows = (v > -0.45) & (v < 0.5)
    np.testing.assert_allclose(prediction.confidence[rows, 60], expected[rows], atol=0.02)


def test_normals_face_the_camera(engine: Make) -> None:
    towards = predict(engine(SMALL_V2, normal=(0, -0.6, -0.8)), 40, 60)
    assert towards.normals is not None
    np.testing.assert_allclose(towards.normals[20, 30], (0, -0.6, -0.8), atol=1e-5)
    check_promises(predict(engine(SMALL_V2, normal=(0.0, 0.1, 0.8)), 40, 60), 40, 60)
    check_promises(predict(engine(SMALL_V2, normal=(0.0, 0.0, 0.0)), 40, 60), 40, 60)
    assert predict(engine(SMALL_V1), 40, 60).normals is None


@pytest.mark.parametrize(
    "seen", [{"horizon": 5.0}, {"log_depth": math.nan}, {"log_depth": 500.0}, {"focal": -1.0}]
)
@pytest.mark.parametrize("config", [SMALL_V1, SMALL_V2], ids=["v1", "v2"])
@pytest.mark.parametrize("given", [True, False], ids=["camera given", "no camera"])
def test_nonsense_becomes_unknown(
    engine: Make, config: dict[str, Any], seen: dict[str, float], given: bool
) -> None:
    """All sky, not a number, overflow, and points that no camera can have seen."""
    prediction = predict(engine(config, **seen), 30, 40, camera(35, 20, 15) if given else None)
    check_promises(prediction, 30, 40)
    if "focal" not in seen:
        assert np.isinf(prediction.depth).all()
    if not given:
        assert prediction.K_33[0, 0] == pytest.approx(20 / math.tan(math.radians(35)))


@pytest.fixture(scope="module")
def random_engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MogeDepth]:
    folder = tmp_path_factory.mktemp("moge")
    return {
        name: MogeDepth(write_checkpoint(folder / f"{name}.pt", config, random_state(config, 5)), CPU)
        for name, config in (("v1", SMALL_V1), ("v2", SMALL_V2))
    }


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (150, 10), (10, 150), (3, 400), (70, 90)], ids=str)
def test_every_size_of_picture_works(
    random_engines: dict[str, MogeDepth], version: str, size: tuple[int, int]
) -> None:
    check_promises(predict(random_engines[version], *size), *size)
    K = camera(max(size), size[1] * 0.6, size[0] * 0.4)
    check_promises(predict(random_engines[version], *size, K), *size)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_same_picture_gives_the_same_answer(random_engines: dict[str, MogeDepth], version: str) -> None:
    one, two = (predict(random_engines[version], 61, 83) for _ in range(2))
    np.testing.assert_array_equal(one.depth, two.depth)
    np.testing.assert_array_equal(one.K_33, two.K_33)


def test_pictures_and_cameras_that_are_none_are_refused(random_engines: dict[str, MogeDepth]) -> None:
    moge, view = random_engines["v2"], View(4, 4, None, np.eye(4))
    for picture in (
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ):
        with pytest.raises(InputError, match="picture"):
            moge.predict(picture, K_33=None, view=view)
    with pytest.raises(InputError, match="no camera"):
        moge.predict(noise_picture(4, 4), K_33=camera(-3, 2, 2), view=view)


@pytest.mark.parametrize("model", PUBLISHED)
def test_every_published_model_loads_at_full_size(model: str, tmp_path: Path) -> None:
    """Published names and shapes, strictly; the weights are zeros that take no memory."""
    file = write_checkpoint(tmp_path / "model.pt", PUBLISHED[model], empty_state(PUBLISHED[model]))
    network = load_network(tmp_path, CPU)
    assert network.metric == (model != "moge-vitl")
    assert network.tokens_range == ((1275, 2551) if model == "moge-vitl" else (1200, 3600))
    assert file.stat().st_size < 1e6


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    data[2000:2400] = bytes(400)
    path.write_bytes(bytes(data))


def _text(path: Path) -> None:
    path.write_text("<html>Not found</html>")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _absent(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_truncated, "is cut off"),
        (_flipped, "is damaged"),
        (_text, "is not a PyTorch checkpoint"),
        (_empty, "is not a PyTorch checkpoint"),
        (_absent, "there is no MoGe checkpoint"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, damage: Callable[[Path], None], says: str) -> None:
    path = write_checkpoint(tmp_path / "model.pt", SMALL_V2, empty_state(SMALL_V2))
    damage(path)
    with pytest.raises(InputError, match=says) as caught:
        MogeDepth(path, CPU)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


class _Foreign:
    """What a pickle must not bring along."""


def _without(state: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: tensor for name, tensor in state.items() if name not in names}


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "a list": (lambda: [1, 2], "holds list"),
    "no settings": (lambda: {"model": empty_state(SMALL_V2)}, "has no 'model_config'"),
    "no weights": (lambda: {"model_config": SMALL_V2}, "has no 'model'"),
    "foreign objects": (lambda: {"model_config": _Foreign(), "model": {}}, "more than tensors"),
    "settings of nobody": (lambda: {"model_config": {"version": 9}, "model": {}}, "neither version 1 nor"),
    "an encoder that is not known": (
        lambda: {"model_config": SMALL_V1 | {"encoder": "dinov2_vitg14"}, "model": {}},
        "dinov2_vitg14",
    ),
    "blocks that are not there": (
        lambda: {"model_config": SMALL_V1 | {"intermediate_layers": [5, 40]}, "model": {}},
        "no blocks",
    ),
    "a head that does not fit": (
        lambda: {"model_config": SMALL_V2 | {"mask_head": SMALL_V2["normal_head"]}, "model": {}},
        "mask_head has 3 outputs",
    ),
    "a decoder with too few levels": (
        lambda: {"model_config": SMALL_V2 | {"neck": SMALL_V2["neck"] | {"dim_in": [386, 2]}}, "model": {}},
        "5 levels",
    ),
    "settings missing": (
        lambda: {"model_config": SMALL_V2 | {"neck": {}}, "model": {}},
        r"neck\.\w+: Field required",
    ),
    "weights missing": (
        lambda: {
            "model_config": SMALL_V2,
            "model": _without(empty_state(SMALL_V2), "encoder.backbone.cls_token"),
        },
        "encoder.backbone.cls_token is missing",
    ),
    "weights of version 1": (
        lambda: {"model_config": SMALL_V2, "model": empty_state(SMALL_V1)},
        "and 336 more are missing|more are missing",
    ),
    "weights of a newer network": (
        lambda: {
            "model_config": SMALL_V2,
            "model": empty_state(SMALL_V2) | {"refiner.weight": torch.zeros(1)},
        },
        "refiner.weight is in its weights",
    ),
    "weights of another size": (
        lambda: {"model_config": SMALL_V2, "model": _resized(empty_state(SMALL_V2))},
        r"scale_head.0.bias has the shape \(5,\)",
    ),
    "no tensors": (lambda: {"model_config": SMALL_V2, "model": {"a": 1}}, "not a table of tensors"),
}


def _resized(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return state | {"scale_head.0.bias": torch.zeros(5)}


@pytest.mark.parametrize("name", WRONG)
def test_other_files_are_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    make, says = WRONG[name]
    path = tmp_path / "model.pt"
    torch.save(make(), path)
    with pytest.raises(InputError, match=says) as caught:
        MogeDepth(path, CPU)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_the_layer_that_says_where_points_are_keeps_full_precision_in_half() -> None:
    layer = torch.nn.Conv2d(8, 3, 1)
    x = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    exact = layer(x.float())
    layer.half()
    in_full_precision(layer)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.float32
        torch.testing.assert_close(layer(x), exact, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_that_layer_says_all_there_is_of_points(random_engines: dict[str, MogeDepth], version: str) -> None:
    network = random_engines[version]._network
    silenced = network.last.register_forward_hook(lambda _layer, _inputs, output: torch.zeros_like(output))
    with torch.inference_mode():
        points = network(torch.rand(1, 3, 56, 56), 16).points
    silenced.remove()
    torch.testing.assert_close(points, points[:1, :1].expand_as(points))
