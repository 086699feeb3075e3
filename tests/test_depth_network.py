"""What the depth network's engine makes of what its network says: sizes, sky, steps, camera, confidence."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from network_support import random_engine
from numpy.typing import NDArray
from pretrained_support import picture

from splinescape.camera.view import View
from splinescape.depth import DepthPrediction
from splinescape.depth.network import estimator
from splinescape.depth.network.estimator import NetworkDepth
from splinescape.depth.network.framing import resized, working_size
from splinescape.depth.network.model import STRIDE, Prediction
from splinescape.depth.network.sky import find_sky
from splinescape.depth.network.upsample import along_edges
from splinescape.devices import torch_threads
from splinescape.errors import InputError
from splinescape.picture.focal import centred_intrinsics


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> NetworkDepth:
    return random_engine(tmp_path_factory.mktemp("weights"))


class Says(torch.nn.Module):
    """A network that sees a wall 2 units away, half a sky over it, and expects an error of 0.1 everywhere."""

    def __init__(self, **changes: torch.Tensor) -> None:
        super().__init__()
        self.changes = changes

    def forward(self, rgb: torch.Tensor) -> Prediction:
        n, _, h, w = rgb.shape
        logit = torch.full((n, h, w), -8.0)
        logit[:, : h // 2] = 8.0
        p = Prediction(
            log_depth=torch.full((n, h, w), math.log(2.0)),
            log_scale=torch.full((n,), math.log(3.0)),
            sky_logit=logit,
            log_error=torch.full((n, h, w), math.log(0.1)),
            normal=torch.tensor([0.0, 0.0, -1.0]).view(1, 3, 1, 1).expand(n, 3, h, w),
            log_tan_half=torch.zeros(n),
            up=torch.tensor([[0.0, -1.0, 0.0]]),
        )
        return replace(p, **{name: value.expand_as(getattr(p, name)) for name, value in self.changes.items()})


def saying(engine: NetworkDepth, **changes: torch.Tensor) -> NetworkDepth:
    other = object.__new__(NetworkDepth)
    other.__dict__.update(engine.__dict__, _network=Says(**changes))
    return other


def ask(
    engine: NetworkDepth, rgb: NDArray[np.uint8], K_33: NDArray[np.float32] | None = None
) -> DepthPrediction:
    return engine.predict(rgb, K_33=K_33, view=View(rgb.shape[1], rgb.shape[0], K_33, np.eye(4)))


@pytest.mark.parametrize(
    "size", [(512, 384), (4000, 3000), (3000, 4000), (1920, 1080), (1000, 1000), (700, 300), (8000, 4000)]
)
def test_ordinary_pictures_are_looked_at_in_their_proportions_at_the_same_cost(size: tuple[int, int]) -> None:
    width, height = working_size(*size)
    assert width % STRIDE == height % STRIDE == 0
    assert abs(math.log(width / height * size[1] / size[0])) < 0.07
    assert 0.85 < width * height / (512 * 384) < 1.03


def test_odd_pictures_are_looked_at_too() -> None:
    assert working_size(512, 384) == (512, 384)
    assert working_size(1, 1) == (STRIDE, STRIDE)
    assert working_size(8, 8) == (STRIDE, STRIDE)
    assert working_size(1, 30_000)[1] <= 1024
    for size in ((8000, 300), (300, 8000), (1, 400)):
        width, height = working_size(*size)
        assert (width > height) == (size[0] > size[1])
        assert width * height <= 1.03 * 512 * 384


def test_pixels_that_are_not_square_become_square() -> None:
    assert working_size(512, 768, pixel_height=0.5) == working_size(512, 384)


@pytest.mark.parametrize("size", [(7, 5), (64, 48), (32, 96), (300, 20)])
def test_a_picture_in_another_size_lies_where_it_lay(size: tuple[int, int]) -> None:
    ramp = np.repeat(np.linspace(0, 255, 64)[None, :, None], 48, 0).repeat(3, 2).astype(np.uint8)
    small = resized(ramp, *size)
    assert small.shape == (size[1], size[0], 3)
    at = (np.arange(size[0]) + 0.5) / size[0]
    expected = np.clip((at * 64 - 0.5) / 63, 0, 1) * 255
    np.testing.assert_allclose(small[:, :, 1], np.broadcast_to(expected, small.shape[:2]), atol=4)


def elevation(h: int, w: int, horizon: int) -> NDArray[np.float64]:
    return np.repeat((horizon - np.arange(h)[:, None] - 0.5) / h, w, 1)


def test_sky_touches_the_top_or_the_horizon() -> None:
    logit = np.full((100, 120), -6, np.float32)
    logit[:30, :50] = 6  # at the top
    logit[40:58, 60:70] = 6  # through a window, down to the horizon
    logit[10:30, 80:110] = 6  # a blue picture on a wall
    sky = find_sky(logit, elevation(100, 120, 60))
    assert sky[:30, :50].all() and sky[40:58, 60:70].all()
    assert sky.sum() == 30 * 50 + 18 * 10


def test_sky_is_where_the_network_is_sure_and_around_it() -> None:
    logit = np.full((100, 120), -6, np.float32)
    logit[:20, :40] = 0.5
    logit[2:5, :40] = 4
    logit[:20, 60:] = 0.5
    logit[2:12, 60:] = 4
    sky = find_sky(logit, elevation(100, 120, 60))
    assert not sky[:, :60].any()
    assert sky[:20, 60:].all()


def test_what_hangs_in_the_sky_is_no_sky() -> None:
    logit = np.full((100, 120), 8, np.float32)
    logit[60:] = -8
    logit[20:24, 30:40] = -8  # a bird
    logit[:60, 70] = -8  # a wire
    sky = find_sky(logit, elevation(100, 120, 60))
    np.testing.assert_array_equal(sky, logit > 0)


def test_depth_steps_where_the_colours_do() -> None:
    """Four times the size; the true edge is a slanted line that small pixels cannot follow."""
    h, w, k = 24, 32, 4
    v, u = np.mgrid[: h * k, : w * k] + 0.5
    near = u + 0.3 * v < 60
    rgb = np.where(near[..., None], np.uint8(40), np.uint8(200)).repeat(3, 2)
    small = resized(rgb, w, h)
    values = np.where(small[..., 0] < 120, np.float32(0.5), np.float32(1.5))
    out = along_edges(values, small, rgb)
    assert set(np.unique(out.round(4))) == {0.5, 1.5}
    assert ((out < 1) != near).mean() < 0.002
    assert ((np.kron(values, np.ones((k, k))) < 1) != near).mean() > 0.005


def test_slanted_surfaces_have_no_steps() -> None:
    small, rgb = picture(24, 32), picture(72, 96, seed=2)
    values = np.mgrid[:24, :32].sum(0).astype(np.float32) * np.float32(0.01)
    out = along_edges(values, small, rgb)
    v, u = np.mgrid[:72, :96]
    expected = ((v + 0.5) / 3 + (u + 0.5) / 3 - 1) * 0.01
    np.testing.assert_allclose(out[3:-3, 3:-3], expected[3:-3, 3:-3], atol=1e-5)


def test_nothing_lies_between_a_thing_and_the_sky(engine: NetworkDepth) -> None:
    rgb = picture(900, 1200)
    with np.errstate(all="raise"):
        depth = ask(saying(engine), rgb).depth
    sky = np.isinf(depth)
    assert 0.48 < sky.mean() < 0.52
    np.testing.assert_allclose(depth[~sky], 6, rtol=1e-5)


def test_the_field_of_view_is_the_networks_within_bounds(engine: NetworkDepth) -> None:
    rgb = picture(60, 80)
    for said, degrees in ((1.0, 90), (0.5, 2 * math.degrees(math.atan(0.5))), (1e-3, 20), (1e3, 110)):
        K = ask(saying(engine, log_tan_half=torch.tensor(math.log(said))), rgb).K_33
        assert math.degrees(2 * math.atan(40 / K[0, 0])) == pytest.approx(degrees, abs=1e-3)
        np.testing.assert_array_equal(K[:2, 2], [40, 30])


def test_things_stay_as_large_as_they_look_when_the_field_of_view_is_given(engine: NetworkDepth) -> None:
    """At twice the focal length the same picture shows things of the same size twice as far away."""
    rgb, other = picture(60, 80), saying(engine)
    free = ask(other, rgb)
    twice = ask(other, rgb, centred_intrinsics(2 * float(free.K_33[0, 0]), 80, 60))
    seen = np.isfinite(free.depth)
    np.testing.assert_allclose(twice.depth[seen], 2 * free.depth[seen], rtol=1e-5)
    same = ask(other, rgb, free.K_33)
    np.testing.assert_allclose(same.depth, free.depth, rtol=1e-5)


def test_normals_lean_with_the_depth_that_is_stretched(engine: NetworkDepth) -> None:
    slanted = torch.tensor([0.0, -1.0, -1.0]).view(1, 3, 1, 1)
    other = saying(engine, normal=slanted)
    K = ask(other, picture(60, 80)).K_33
    K[0, 0] = K[1, 1] = 2 * K[0, 0]
    normals = ask(other, picture(60, 80), K).normals
    assert normals is not None
    np.testing.assert_allclose(normals[30, 40], np.array([0, -2, -1]) / math.sqrt(5), atol=1e-4)


def test_confidence_is_the_probability_of_being_right_to_a_quarter(engine: NetworkDepth) -> None:
    errors = torch.linspace(-8, 5, 512)
    p = ask(saying(engine, log_error=errors.view(1, 1, -1)), picture(384, 512))
    row = p.confidence[-1]
    assert (np.diff(row) <= 0).all() and 0 < row[-1] < 0.02 and row[0] == 1
    middle = int((errors + 2).abs().argmin())
    assert row[middle] == pytest.approx(
        1 - math.exp(-math.log(1.25) / math.exp(float(errors[middle]))), abs=1e-5
    )


def test_what_is_no_picture_or_no_camera_is_refused(engine: NetworkDepth) -> None:
    for rgb in (np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8)):
        with pytest.raises(InputError, match="uint8 picture"):
            engine.predict(rgb, K_33=None, view=View(5, 5, None, np.eye(4)))
    for focal in (0.0, -5.0, math.nan):
        with pytest.raises(InputError, match="no camera"):
            ask(engine, picture(5, 5), centred_intrinsics(focal, 5, 5))


def test_without_weights_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        NetworkDepth(weights=tmp_path / "weights.safetensors")


def test_the_number_of_threads_does_not_matter(engine: NetworkDepth) -> None:
    """Training and renderings of a service change it."""
    answers = []
    for threads in (1, 2, 4):
        with torch_threads(threads):
            answers.append(ask(engine, picture(48, 64)))
            assert torch.get_num_threads() == threads
    for answer in answers[1:]:
        for name in ("depth", "confidence", "normals", "K_33"):
            np.testing.assert_array_equal(getattr(answer, name), getattr(answers[0], name))


def test_it_runs_without_the_libraries_of_the_rest() -> None:
    """Where it is trained, only torch and numpy are there beside `model`."""
    source = Path(estimator.__file__).with_name("model.py").read_text()
    imported = {
        line.split()[1].split(".")[0] for line in source.splitlines() if line.startswith(("import ", "from "))
    }
    assert imported == {"__future__", "dataclasses", "torch"}
