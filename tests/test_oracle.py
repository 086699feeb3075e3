"""How much the pipeline itself loses: with perfect models on analytic worlds, the bars of picture quality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from core_support import frame, psnr

import worlds
from splinescape import CameraPath, SceneConfig, ScenePipeline, SceneResult
from splinescape.camera.view import View
from splinescape.engines import rasterizer
from splinescape.scene.lift import lift_frame
from splinescape.scene.render import render_view
from splinescape.scene.shell import shell_radius
from splinescape.train.match import match_colors

pytestmark = pytest.mark.slow

W, H = 512, 384
K_33 = worlds.centred_intrinsics(W, H).astype(np.float64)
POSES = worlds.forward_side_path(n=101)
SOFT = 0.06
HELD_OUT = [POSES[round((i + 0.5) / 11 * 100)] for i in range(11)]


@dataclass(frozen=True, eq=False)
class Measured:
    """A finished scene, the world it was made from, and its PSNR at the input view and along the path."""

    world: worlds.World
    result: SceneResult
    at_input: float
    on_path: float
    uncovered: float


def measure(world: worlds.World) -> Measured:
    pipeline = ScenePipeline(
        SceneConfig(stage="coarse"),
        inpainter=worlds.OracleInpainter(world),
        depth=worlds.OracleDepth(world),
        rasterizer="cpu",
    )
    rgb = world.render(np.eye(4), K_33, W, H).rgb
    result = pipeline.run(rgb, path=CameraPath.from_matrices(POSES))
    views = [result.scene.render(cam, K_33, W, H) for cam in HELD_OUT]
    truths = [world.render(cam, K_33, W, H).rgb for cam in HELD_OUT]
    return Measured(
        world,
        result,
        psnr(result.scene.render(np.eye(4), K_33, W, H).rgb, rgb),
        float(np.mean([psnr(view.rgb, truth) for view, truth in zip(views, truths, strict=True)])),
        max(float((view.alpha < 0.5).float().mean()) for view in views),
    )


@pytest.fixture(scope="module")
def indoor() -> Measured:
    """Planes, boxes and balls; softened, so that resampling the picture is not what is measured."""
    return measure(worlds.soften(worlds.plain_room(), SOFT))


@pytest.fixture(scope="module")
def outdoor() -> Measured:
    """The village green under its sky."""
    return measure(worlds.soften(worlds.outdoor(), SOFT))


def test_the_input_view_of_the_room_is_kept(indoor):
    assert indoor.at_input >= 50


def test_the_path_through_the_room_is_right(indoor):
    assert indoor.on_path >= 40


def test_the_input_view_of_the_green_is_kept(outdoor):
    assert outdoor.at_input >= 48


def test_the_path_over_the_green_is_right(outdoor):
    assert outdoor.on_path >= 36


@pytest.mark.parametrize("name", ["indoor", "outdoor"])
def test_nothing_on_the_path_stays_uncovered_and_nothing_is_infinite(name, request):
    measured = request.getfixturevalue(name)
    assert measured.uncovered < 0.001
    shell = shell_radius(measured.result.frames[1].depth)
    for _, tensor in measured.result.scene.splats.tensors():
        assert torch.isfinite(tensor).all()
    assert measured.result.scene.means.norm(dim=1).max() <= shell * 1.0001


@pytest.mark.parametrize("name", ["indoor", "outdoor"])
def test_frames_are_added_where_something_is_uncovered_and_nowhere_else(name, request):
    summary = request.getfixturevalue(name).result.summary
    added = [*summary.frames, *summary.closing_frames]
    assert 1 <= len(added) <= 8
    assert all(frame.added_splats > 0 for frame in added)
    assert summary.uncovered < 0.001


@pytest.mark.parametrize(("name", "bar"), [("indoor", 36), ("outdoor", 32)])
def test_untrained_splats_already_show_the_picture(name, bar):
    world = worlds.soften(getattr(worlds, name)(), SOFT)
    image = world.render(np.eye(4), K_33, W, H)
    made = frame(image.depth, image.rgb.astype(np.float32) / 255, K_33)
    lifted = lift_frame(made, shell_radius(image.depth))
    cpu = rasterizer("cpu")
    splats = match_colors(lifted.splats, 0, made, lifted.pixels, lifted.fixed, cpu)
    shown = render_view(splats, View(W, H, K_33, np.eye(4)), cpu)
    assert psnr(shown.rgb, image.rgb) >= bar
