"""Every setting changes the result it should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from core_support import InpaintOf, field, moved, oracle, picture, room, sideways

import worlds
from splinescape import CameraPath, SceneConfig, ScenePipeline, SceneResult, engines, pipeline
from splinescape.engines import EngineEntry

TWO_SIDES = CameraPath.from_matrices(np.stack([moved(x) for x in (-0.5, 0, 0.5)]))
LOOSE = {"stage": "coarse", "n_frames": 5, "coarse_min_inpaint_ratio": 0.02, "coarse_max_inpaint_ratio": 0.6}


@pytest.fixture(autouse=True)
def _hardly_any_training(monkeypatch):
    for name in ("FIRST_SCHEDULE", "GROW_SCHEDULE", "SETTLE_SCHEDULE", "FINE_SCHEDULE"):
        monkeypatch.setattr(pipeline, name, replace(getattr(pipeline, name), steps=1))


def run(path: CameraPath | None = TWO_SIDES, rgb=None, **settings) -> SceneResult:
    return oracle(room(), **settings).run(picture(room()) if rgb is None else rgb, path)


def chosen(result: SceneResult) -> list[int]:
    return [frame.dense_pose_index for frame in result.summary.frames]


class Painter:
    """A model that paints what its settings say."""

    def __init__(self, config: SceneConfig) -> None:
        self.config = config

    def inpaint(self, rgb_hw3, mask_hw, *, view, seed):
        """Fill with a colour made of the prompt, the guidance, the steps and the seed."""
        del view
        color = (
            len(self.config.prompt) * 9 % 256,
            int(self.config.guidance) % 256,
            self.config.num_steps % 256,
        )
        filled = np.where(mask_hw[..., None], np.array(color, np.uint8), rgb_hw3)
        noise = np.random.default_rng(seed).integers(0, 2, rgb_hw3.shape, np.uint8)
        return np.where(mask_hw[..., None], filled + noise, filled).astype(np.uint8)


def painted(monkeypatch, **settings) -> np.ndarray:
    """The border's mean colour as a model named "painter" makes it."""
    made = EngineEntry("painter", lambda: None, Painter, "test")
    monkeypatch.setattr(engines, "INPAINTERS", [*engines.INPAINTERS, made])
    config = SceneConfig(stage="outpaint", **settings)
    scene = ScenePipeline(config, inpainter="painter", depth=worlds.OracleDepth(room()), rasterizer="cpu")
    canvas = scene.run(picture(room())).frames[1]
    return canvas.rgb[canvas.inpaint] * 255


@pytest.mark.parametrize(
    ("settings", "channel", "value"),
    [({"prompt": "a barn"}, 0, 54), ({"guidance": 77.0}, 1, 77), ({"num_steps": 50}, 2, 50)],
)
def test_the_settings_of_a_model_reach_it(monkeypatch, settings, channel, value):
    border = painted(monkeypatch, **settings)
    assert set(np.unique(border[:, channel].round())) <= {value, value + 1}
    assert not np.array_equal(border, painted(monkeypatch))


def test_seed_changes_what_a_model_imagines(monkeypatch):
    assert np.array_equal(painted(monkeypatch, seed=3), painted(monkeypatch, seed=3))
    assert not np.array_equal(painted(monkeypatch, seed=3), painted(monkeypatch, seed=4))


def test_the_largest_seed_is_one():
    seeds = []
    paint = InpaintOf(lambda rgb, _mask, _view, seed: (seeds.append(seed), rgb)[1])
    settings = SceneConfig(**(LOOSE | {"seed": 2**63 - 1, "n_frames": 3}))
    ScenePipeline(settings, inpainter=paint, depth=worlds.OracleDepth(room()), rasterizer="cpu").run(
        picture(room()), TWO_SIDES
    )
    assert len(seeds) == 2
    for seed in seeds:
        np.random.default_rng(seed)
        torch.Generator().manual_seed(seed)


def test_stage_decides_how_far_it_goes():
    sizes = [len(run(**(LOOSE | {"stage": stage})).frames) for stage in ("no-outpaint", "outpaint", "coarse")]
    assert sizes[:2] == [1, 2]
    assert sizes[2] > 2


@pytest.mark.parametrize(("value", "size"), [(0.0, (96, 64)), (0.3, (128, 96)), (1.0, (192, 128))])
def test_expansion_percent_is_the_border(value, size):
    canvas = run(stage="outpaint", expansion_percent=value).frames[1]
    assert (canvas.width, canvas.height) == size


def test_a_coarse_run_needs_no_border():
    result = run(**(LOOSE | {"expansion_percent": 0.0}))
    assert len(result.frames) > 2
    assert not result.frames[1].inpaint.any()


@pytest.mark.parametrize("value", [2, 3, 4])
def test_n_frames_is_how_many_there_are_at_most(value):
    result = run(**(LOOSE | {"n_frames": value, "coarse_adjacent_exclusion": 0}))
    assert len(result.frames) == value
    assert len(result.path.sample(1)) == 1


@pytest.mark.parametrize(
    ("value", "size"), [(32, (32, 32)), (64, (64, 32)), (96, (96, 64)), (512, (192, 128))]
)
def test_max_resolution_is_the_longest_side(value, size):
    rgb = picture(room(), 192, 128, 180.0)
    if value == 32:
        rgb = np.ascontiguousarray(rgb[:, :128])
    inner = run(rgb=rgb, max_resolution=value).frames[0]
    assert (inner.width, inner.height) == size


@pytest.mark.parametrize("value", [1, 20])
def test_coarse_dense_multiplier_is_the_candidates_per_frame(value):
    result = run(
        **(LOOSE | {"coarse_dense_multiplier": value, "n_frames": 4, "coarse_min_inpaint_ratio": 0.6})
    )
    assert result.summary.diagnostics.candidates == 4 * value


@pytest.mark.parametrize("value", [0, 32, 50])
def test_coarse_margin_is_added_to_expanded_views(value):
    result = run(**(LOOSE | {"coarse_margin": value}))
    canvas, expanded = result.frames[1:3]
    assert (expanded.width, expanded.height) == (canvas.width + value, canvas.height + value)
    assert expanded.K_33[0, 2] == expanded.width / 2


def test_coarse_margin_does_not_change_what_is_chosen():
    first = [run(**(LOOSE | {"coarse_margin": value, "n_frames": 3})).summary.frames[0] for value in (0, 64)]
    assert first[0].dense_pose_index == first[1].dense_pose_index
    assert first[0].inpaint_ratio == first[1].inpaint_ratio


def test_coarse_min_inpaint_ratio_leaves_little_holes_to_the_closing_frames():
    eager = run(**LOOSE).summary
    lazy = run(**(LOOSE | {"coarse_min_inpaint_ratio": 0.6})).summary
    assert len(eager.frames) > 0
    assert len(lazy.frames) == 0
    assert all(frame.inpaint_ratio >= 0.02 for frame in eager.frames)
    assert lazy.diagnostics.below_min == lazy.diagnostics.candidates


def test_coarse_max_inpaint_ratio_bounds_what_is_expanded_at_once():
    bold = run(**LOOSE).summary.frames
    careful = run(**(LOOSE | {"coarse_max_inpaint_ratio": 0.1})).summary.frames
    assert max(frame.inpaint_ratio for frame in bold) > 0.1
    assert careful
    assert max(frame.inpaint_ratio for frame in careful) <= 0.1


def test_coarse_adjacent_exclusion_keeps_chosen_poses_apart():
    settings = LOOSE | {"coarse_max_inpaint_ratio": 0.1, "n_frames": 6, "coarse_min_inpaint_ratio": 0.005}
    for value in (0, 12):
        poses = sorted(chosen(run(**(settings | {"coarse_adjacent_exclusion": value}))))
        assert len(poses) >= 2
        assert min(np.diff(poses)) > value
    assert len(chosen(run(**(settings | {"coarse_adjacent_exclusion": 100})))) == 1


def test_coarse_fallback_mode_decides_what_happens_without_a_pose_in_range():
    settings = LOOSE | {"coarse_min_inpaint_ratio": 0.58, "n_frames": 3}
    none = run(**(settings | {"coarse_fallback_mode": "none"})).summary
    closest = run(**(settings | {"coarse_fallback_mode": "closest"})).summary
    assert not none.frames
    assert len(closest.frames) == 1
    assert closest.frames[0].inpaint_ratio == none.diagnostics.ratio_max


def spiral_eyes(**settings) -> np.ndarray:
    world_T_cam = np.linalg.inv(run(None, stage="outpaint", **settings).path.cam_T_world)
    return world_T_cam[:, :3, 3]


def test_traj_forward_ratio_is_how_far_the_spiral_goes_forward():
    once, twice = (spiral_eyes(traj_forward_ratio=value)[:, 2] for value in (0.3, 0.6))
    assert twice.max() == pytest.approx(2 * once.max())
    assert twice.min() == pytest.approx(once.min())


def test_traj_backward_ratio_is_how_far_the_spiral_goes_back():
    once, twice = (spiral_eyes(traj_backward_ratio=value)[:, 2] for value in (0.3, 0.6))
    assert twice.min() == pytest.approx(2 * once.min())
    assert twice.max() == pytest.approx(once.max())


@pytest.mark.parametrize("settings", [{"traj_min_percentage": 30}, {"traj_max_percentage": 90}])
def test_traj_percentages_are_the_size_of_the_spiral(settings):
    plain, other = np.abs(spiral_eyes()).max(), np.abs(spiral_eyes(**settings)).max()
    assert (other > plain * 1.1) if "traj_max_percentage" in settings else (other < plain * 0.9)


def test_sky_does_not_blow_the_spiral_up():
    path = oracle(field(), stage="outpaint").run(picture(field())).path
    assert np.abs(np.linalg.inv(path.cam_T_world)[:, :3, 3]).max() < 20


def test_the_type_of_path_is_the_callers_business_but_a_given_path_wins():
    result = run(sideways(0.1), stage="outpaint")
    assert np.array_equal(result.path.cam_T_world, sideways(0.1).cam_T_world)
