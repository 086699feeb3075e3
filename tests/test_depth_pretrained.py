"""Depth Pro and Depth Anything: what they answer is what their publications define, for every picture and camera."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pretrained_support import (
    DEPTH_PRO_SIDE,
    change_json,
    full_depth_anything,
    full_depth_pro,
    picture,
    save_depth_anything,
    save_depth_pro,
)

from splinescape.camera.view import View
from splinescape.depth import DepthPrediction
from splinescape.depth.pretrained import DepthAnythingDepth, DepthProDepth, depth_anything, loading, missing
from splinescape.depth.pretrained.folder import open_folder
from splinescape.depth.pretrained.frame import guessed_intrinsics
from splinescape.depth.pretrained.sky import find_sky
from splinescape.errors import InputError
from splinescape.picture.focal import centred_intrinsics

CPU = torch.device("cpu")
SHAPES = [(96, 128), (128, 96), (70, 70), (33, 400), (300, 21), (5, 7), (1, 1)]


@pytest.fixture(scope="module")
def pro_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_depth_pro(tmp_path_factory.mktemp("pro"))


@pytest.fixture(scope="module")
def pro(pro_folder: Path) -> DepthProDepth:
    return DepthProDepth(pro_folder, CPU)


@pytest.fixture(scope="module")
def indoor_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_depth_anything(tmp_path_factory.mktemp("indoor"))


@pytest.fixture(scope="module")
def indoor(indoor_folder: Path) -> DepthAnythingDepth:
    return DepthAnythingDepth(indoor_folder, CPU)


def ask(engine: Any, rgb: np.ndarray, K_33: np.ndarray | None = None) -> DepthPrediction:
    height, width = rgb.shape[:2]
    return engine.predict(rgb, K_33=K_33, view=View(width, height, K_33, np.eye(4)))


def published_depth_pro(monkeypatch: pytest.MonkeyPatch) -> Any:
    """transformers' own image processor of Depth Pro; only its resizing of pictures needs torchvision."""
    if importlib.util.find_spec("torchvision") is None:
        for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.v2"):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        sys.modules["torchvision.transforms.v2"].functional = None  # type: ignore[attr-defined]
    module = importlib.import_module("transformers.models.depth_pro.image_processing_depth_pro")
    bilinear = module.PILImageResampling.BILINEAR
    monkeypatch.setattr(
        module, "pil_torch_interpolation_mapping", {bilinear: types.SimpleNamespace(value="bilinear")}
    )
    return module.DepthProImageProcessor


def network(folder: Path, name: str) -> Any:
    import transformers

    return getattr(transformers, name).from_pretrained(folder, dtype=torch.float32).eval()


def test_the_libraries_are_here() -> None:
    assert missing() is None


@pytest.mark.parametrize("shape", [(96, 128), (300, 21), (128, 128)])
def test_depth_pro_answers_what_transformers_answers(
    pro: DepthProDepth, pro_folder: Path, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb = picture(*shape)
    # Half-pixel bilinear without a filter, by other hands than torch's.
    side = (DEPTH_PRO_SIDE, DEPTH_PRO_SIDE)
    pixels = cv2.resize(rgb.astype(np.float32) / 127.5 - 1, side, interpolation=cv2.INTER_LINEAR)
    processor = published_depth_pro(monkeypatch)
    with torch.no_grad():
        output = network(pro_folder, "DepthProForDepthEstimation")(
            pixel_values=torch.from_numpy(pixels).permute(2, 0, 1)[None]
        )
        [expected] = processor.post_process_depth_estimation(
            types.SimpleNamespace(resample=processor.resample), output, target_sizes=[shape]
        )
    answer = ask(pro, rgb)
    published = expected["predicted_depth"].numpy()
    seen = published < 1000
    assert seen.mean() > 0.9
    np.testing.assert_allclose(answer.depth[seen], published[seen], rtol=1e-3)
    assert np.isinf(answer.depth[published > 1001]).all()
    assert answer.K_33[0, 0] == pytest.approx(float(expected["focal_length"]), rel=1e-5)
    np.testing.assert_array_equal(
        answer.K_33, centred_intrinsics(float(answer.K_33[0, 0]), shape[1], shape[0])
    )


def test_depth_pro_with_twice_the_focal_length_sees_twice_as_far(pro: DepthProDepth) -> None:
    rgb = picture(96, 128)
    near = ask(pro, rgb, centred_intrinsics(100, 128, 96))
    far = ask(pro, rgb, centred_intrinsics(200, 128, 96))
    both = np.isfinite(far.depth)
    assert both.mean() > 0.9
    np.testing.assert_allclose(far.depth[both], 2 * near.depth[both], rtol=1e-6)


def test_depth_pro_given_its_own_field_of_view_answers_the_same(pro: DepthProDepth) -> None:
    rgb = picture(96, 128)
    free = ask(pro, rgb)
    given = ask(pro, rgb, free.K_33)
    np.testing.assert_array_equal(given.K_33, free.K_33)
    np.testing.assert_allclose(given.depth, free.depth, rtol=1e-6)


@pytest.mark.parametrize("fov", [None, -20.0, 179.0, float("nan")])
def test_depth_pro_without_a_field_of_view_takes_the_usual_one(tmp_path: Path, fov: float | None) -> None:
    answer = ask(DepthProDepth(save_depth_pro(tmp_path, fov=fov), CPU), picture(96, 128))
    np.testing.assert_array_equal(answer.K_33, guessed_intrinsics(128, 96))
    assert 2 * np.degrees(np.arctan(64 / answer.K_33[0, 0])) == pytest.approx(70)


@pytest.mark.parametrize(("level", "all_far"), [(1e-5, True), (1e6, False), (float("nan"), True)])
def test_depth_pro_beyond_its_limits(tmp_path: Path, level: float, all_far: bool) -> None:
    """Inverse depth at nearly zero is sky; beyond the published clamp it is 0.1 mm; broken numbers are unknown."""
    answer = ask(DepthProDepth(save_depth_pro(tmp_path, level=level), CPU), picture(40, 60))
    assert_sound(answer, (40, 60))
    assert np.isinf(answer.depth).all() == all_far
    if not all_far:
        assert np.median(answer.depth) == np.float32(1e-4)


def assert_sound(answer: DepthPrediction, shape: tuple[int, int]) -> None:
    assert answer.depth.shape == answer.confidence.shape == shape
    assert answer.depth.dtype == answer.confidence.dtype == answer.K_33.dtype == np.float32
    assert (answer.depth > 0).all() and np.isfinite(answer.K_33).all()
    np.testing.assert_array_equal(answer.confidence, np.isfinite(answer.depth))
    assert answer.normals is None


@pytest.mark.parametrize("shape", [*SHAPES, (384, 512), (2000, 3), (3, 2000)])
def test_depth_anything_sees_what_transformers_processor_makes(
    indoor_folder: Path, shape: tuple[int, int]
) -> None:
    from transformers import DPTImageProcessorPil

    how = open_folder(indoor_folder, "Depth Anything", "depth_anything").preprocessing
    ours = depth_anything.network_input(picture(*shape), how)
    assert ours.shape[2] % 14 == ours.shape[3] % 14 == 0
    if min(ours.shape[2:]) == 14:
        return  # ribbons, for which the published rule can give a side of 0
    processor = DPTImageProcessorPil.from_pretrained(indoor_folder)
    published = processor(picture(*shape), return_tensors="np", input_data_format="channels_last")[
        "pixel_values"
    ]
    np.testing.assert_allclose(ours, published, atol=1e-5)


def test_depth_anything_answers_what_transformers_answers(
    indoor: DepthAnythingDepth, indoor_folder: Path
) -> None:
    from transformers import DPTImageProcessorPil

    processor = DPTImageProcessorPil.from_pretrained(indoor_folder)
    model = network(indoor_folder, "DepthAnythingForDepthEstimation")
    for shape, tolerance in (((70, 70), 1e-4), ((140, 210), 0.05)):
        rgb = picture(*shape)
        with torch.no_grad():
            output = model(**processor(rgb, return_tensors="pt"))
            [expected] = processor.post_process_depth_estimation(output, target_sizes=[shape])
        published = expected["predicted_depth"].numpy()
        answer = ask(indoor, rgb).depth
        seen = np.isfinite(answer)
        assert seen.mean() > 0.9
        # Of the same size nothing is interpolated; else bilinear and bicubic differ a little.
        difference = np.abs(answer[seen] / published[seen] - 1)
        assert np.quantile(difference, 0.9) < tolerance
        if shape == (70, 70):
            np.testing.assert_array_equal(seen, published < 19)


def test_depth_anything_does_not_change_with_the_focal_length(indoor: DepthAnythingDepth) -> None:
    """Its publication has no focal length: metres are those of its training cameras."""
    rgb = picture(96, 128)
    answers = [ask(indoor, rgb, centred_intrinsics(f, 128, 96)) for f in (100, 200)]
    np.testing.assert_array_equal(answers[0].depth, answers[1].depth)
    np.testing.assert_array_equal(ask(indoor, rgb).K_33, guessed_intrinsics(128, 96))


def test_depth_anything_at_its_limit_sees_no_surface(tmp_path: Path) -> None:
    for level, far_share in ((8.0, 1.0), (-200.0, 0.0), (float("nan"), 1.0)):
        engine = DepthAnythingDepth(save_depth_anything(tmp_path, level=level), CPU)
        answer = ask(engine, picture(40, 60))
        assert_sound(answer, (40, 60))
        assert np.isinf(answer.depth).mean() == far_share
        if far_share == 0:
            assert (answer.depth == np.float32(1e-3)).all()


def meadow() -> np.ndarray:
    """Brown grainy ground below a blue sky."""
    grain = np.random.default_rng(0).normal(0, 12, (96, 128, 1))
    rgb = np.clip(np.array([120.0, 95, 60]) + grain, 0, 255).astype(np.uint8)
    rgb[:40] = (130, 170, 235)
    return rgb


@pytest.mark.parametrize(
    ("limit", "level", "found"),
    [(80, 0.0, True), (80, float("nan"), True), (80, -4.0, False), (20, 0.0, False)],
    ids=["outdoor", "broken", "near", "indoor"],
)
def test_a_certain_sky_outdoors_is_infinitely_far(
    tmp_path: Path, limit: int, level: float, found: bool
) -> None:
    """The outdoor models never saw a sky's depth in training, so they may answer anything there."""
    engine = DepthAnythingDepth(save_depth_anything(tmp_path, limit=limit, level=level), CPU)
    answer = ask(engine, meadow())
    assert_sound(answer, (96, 128))
    assert np.isinf(answer.depth[:38]).all() == found
    if not np.isnan(level):
        assert np.isfinite(answer.depth[50:]).mean() > 0.9


def test_an_overcast_sky_needs_a_dark_skyline() -> None:
    rgb = np.full((120, 160, 3), 250, np.uint8)
    rgb[60:] = (70, 80, 60)
    assert find_sky(rgb.astype(np.float32) / np.float32(255))[:55].all()
    rgb[60:] = (215, 210, 200)
    assert not find_sky(rgb.astype(np.float32) / np.float32(255)).any()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("which", ["pro", "indoor"])
def test_off_centre_cameras(which: str, shape: tuple[int, int], request: pytest.FixtureRequest) -> None:
    engine = request.getfixturevalue(which)
    height, width = shape
    for cx, cy in ((0.25, 0.5), (0.6, 0.9), (1.5, -0.2)):
        K = np.array([[90, 0, cx * width], [0, 90, cy * height], [0, 0, 1]], np.float32)
        answer = ask(engine, picture(*shape), K)
        assert_sound(answer, shape)
        np.testing.assert_array_equal(answer.K_33, K)


@pytest.mark.parametrize("which", ["pro", "indoor"])
def test_an_off_centre_camera_is_a_part_of_a_centred_one(which: str, request: pytest.FixtureRequest) -> None:
    """A picture whose rim is plain may be cropped: with its principal point given, the depth stays what it was."""
    engine = request.getfixturevalue(which)
    whole = picture(96, 128)
    whole[:, :32] = whole[:, 32:33]
    whole[80:] = whole[79]
    K = centred_intrinsics(110, 128, 96)
    part_K = K.copy()
    part_K[0, 2] -= 32
    answer = ask(engine, np.ascontiguousarray(whole[:80, 32:]), part_K)
    np.testing.assert_array_equal(answer.depth, ask(engine, whole, K).depth[:80, 32:])


@pytest.mark.parametrize("which", ["pro", "indoor"])
def test_what_is_no_picture_or_camera_is_refused(which: str, request: pytest.FixtureRequest) -> None:
    engine = request.getfixturevalue(which)
    for rgb in (np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((0, 8, 3), np.uint8)):
        with pytest.raises(InputError, match="uint8 picture"):
            engine.predict(rgb, K_33=None, view=View(8, 8, None, np.eye(4)))
    for K in (np.zeros((3, 3), np.float32), np.full((3, 3), np.nan, np.float32), np.eye(4, dtype=np.float32)):
        with pytest.raises(InputError, match="intrinsics"):
            ask(engine, picture(8, 8), K)


KINDS = {"pro": (DepthProDepth, save_depth_pro), "anything": (DepthAnythingDepth, save_depth_anything)}


def assert_nearly_the_same(half: DepthPrediction, full: DepthPrediction) -> None:
    """Within half precision, and without the terraces that its numbers would make of a depth."""
    both = np.isfinite(full.depth) & np.isfinite(half.depth)
    assert both.mean() > 0.9
    assert np.median(np.abs(half.depth[both] / full.depth[both] - 1)) < 0.02
    assert half.K_33[0, 0] == pytest.approx(full.K_33[0, 0], rel=0.02)
    assert len(np.unique(half.depth)) > 0.5 * len(np.unique(full.depth))


@pytest.mark.parametrize("which", KINDS)
def test_half_precision_answers_nearly_the_same(
    which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: everything in float16 but the layer that says the depth."""
    make, save = KINDS[which]
    folder, rgb = save(tmp_path), picture(96, 128)
    full = ask(make(folder, CPU), rgb)
    monkeypatch.setattr(loading, "working_dtype", lambda _device: torch.float16)
    assert_nearly_the_same(ask(make(folder, CPU), rgb), full)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("which", KINDS)
def test_a_gpu_answers_nearly_the_same_every_time(which: str, tmp_path: Path) -> None:
    make, save = KINDS[which]
    folder, rgb = save(tmp_path), picture(96, 128)
    engine = make(folder, torch.device("cuda"))
    first = ask(engine, rgb)
    assert_nearly_the_same(first, ask(make(folder, CPU), rgb))
    np.testing.assert_array_equal(ask(engine, rgb).depth, first.depth)


def test_settings_of_an_older_transformers_are_read(tmp_path: Path) -> None:
    """The published folders were written years ago."""
    folder = save_depth_anything(tmp_path)
    first = ask(DepthAnythingDepth(folder, CPU), picture(50, 60)).depth
    change_json(
        folder / "config.json",
        backbone=None,
        use_pretrained_backbone=False,
        use_timm_backbone=False,
        torch_dtype="float16",
        transformers_version="4.45.0.dev0",
        max_depth=20.0,
        auto_map={"AutoModel": "somebody/else--code.Model"},
        attn_implementation="somebody/kernels",
        _attn_implementation_internal="somebody/kernels",
    )
    np.testing.assert_array_equal(ask(DepthAnythingDepth(folder, CPU), picture(50, 60)).depth, first)


PUBLISHED_SIZES = {"depth-pro": 952.0, "depth-anything small": 24.8, "depth-anything large": 335.3}


@pytest.mark.parametrize("which", PUBLISHED_SIZES)
def test_the_published_networks_have_the_published_number_of_parameters(which: str) -> None:
    """In millions; nothing of them is put into memory."""
    import transformers

    with torch.device("meta"):
        if which == "depth-pro":
            model = transformers.DepthProForDepthEstimation(full_depth_pro())
        else:
            model = transformers.DepthAnythingForDepthEstimation(full_depth_anything(which.split()[1]))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert parameters / 1e6 == pytest.approx(PUBLISHED_SIZES[which], abs=0.05)
