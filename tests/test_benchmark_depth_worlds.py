"""The judge of depth engines judges rightly, and every scene that is modelled is also rendered."""

import ast
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import depth_worlds
from benchmarks.blender_worlds.catalogue import SCENES
from benchmarks.depth_worlds import World, score
from splinescape.depth import DepthPrediction

FOLDER = Path(depth_worlds.__file__).parent / "blender_worlds"
H, W = 48, 64


def world(indoor=False, sky_rows=12) -> World:
    """A floor that recedes under a sky, with a box on it."""
    rows = np.arange(H)[:, None] + np.zeros((H, W))
    depth = 60 / np.maximum(rows - sky_rows + 4, 1)
    depth[20:36, 20:40] = 2.0
    depth[:sky_rows] = np.inf
    K = np.array([[50, 0, W / 2], [0, 50, H / 2], [0, 0, 1]], np.float32)
    return World("floor", np.zeros((H, W, 3), np.uint8), depth.astype(np.float32), K, indoor)


def prediction(depth, K) -> DepthPrediction:
    return DepthPrediction(
        depth.astype(np.float32), np.isfinite(depth).astype(np.float32), K.astype(np.float32)
    )


def test_the_truth_is_perfect():
    w = world()
    row = score(w, prediction(w.depth, w.K_33))
    assert row["absrel"] < 1e-5
    assert row["delta1"] == row["sky_iou"] == 1
    assert row["edge_f1"] == pytest.approx(1)
    assert row["fov_error"] == 0
    assert "false_sky" not in row


def test_scale_and_shift_of_inverse_depth_cost_nothing():
    w = world()
    with np.errstate(divide="ignore"):
        other = 1 / (0.3 / w.depth + 0.02)
    other[w.sky] = np.inf
    row = score(w, prediction(other, w.K_33))
    assert row["absrel"] < 1e-4
    assert row["delta1"] == 1


def test_sky_where_there_is_none_costs_depth_and_is_counted_indoors():
    w = world(indoor=True, sky_rows=0)
    depth = w.depth.copy()
    depth[:12] = np.inf
    row = score(w, prediction(depth, w.K_33))
    assert row["false_sky"] == pytest.approx(12 / H)
    assert "sky_iou" not in row
    assert row["delta1"] < 0.95


def test_a_few_wild_pixels_do_not_move_the_alignment():
    w = world()
    depth = w.depth.copy()
    depth[30:34, 50:60] *= 50
    assert score(w, prediction(depth, w.K_33))["delta1"] > 0.97


def test_confidence_that_is_low_where_depth_is_wrong_ranks_the_errors():
    w = world()
    noise = np.random.default_rng(1).normal(size=w.depth.shape)
    p = prediction(w.depth * np.exp(0.3 * noise), w.K_33)
    honest = DepthPrediction(p.depth, np.exp(-np.abs(noise)).astype(np.float32), p.K_33)
    lying = DepthPrediction(p.depth, 1 - np.exp(-np.abs(noise)).astype(np.float32), p.K_33)
    assert score(w, honest)["error_rank"] > 0.9
    assert score(w, lying)["error_rank"] < -0.9
    assert "error_rank" not in score(w, p)


def test_half_of_the_sky_is_half_of_the_iou():
    w = world()
    depth = w.depth.copy()
    depth[6:12] = 500
    assert score(w, prediction(depth, w.K_33))["sky_iou"] == pytest.approx(0.5)


def test_the_field_of_view_is_that_of_the_longer_side():
    K = np.array([[100, 0, 50], [0, 50, 50], [0, 0, 1]])
    assert depth_worlds.fov(K, (100, 60)) == pytest.approx(90)
    assert depth_worlds.fov(K, (60, 200)) == pytest.approx(90)


def test_baselines_are_worse_than_the_truth_and_the_ramp_better_than_nothing():
    w = world()
    constant, ramp = depth_worlds.constant(w), depth_worlds.ramp(w)
    assert ramp["absrel"] < constant["absrel"]
    assert ramp["absrel"] > 0


def test_means_leave_out_what_a_picture_cannot_have():
    mean = depth_worlds.means([{"absrel": 1.0, "sky_iou": 0.5}, {"absrel": 3.0, "edge_f1": float("nan")}])
    assert mean == {"absrel": 2.0, "sky_iou": 0.5}
    assert "| a | 2.000 |  |" in depth_worlds.table({"a": mean}, "engine")


def test_kinds_of_scenes_have_means_of_their_own():
    rows = {"street": {"delta1": 0.6}, "courtyard": {"delta1": 0.8}, "lake": {"delta1": 0.3}}
    kinds = depth_worlds.families(rows)
    assert kinds["all streets"]["delta1"] == pytest.approx(0.7)
    assert kinds["all landscapes"] == {"delta1": 0.3}
    assert kinds["all rooms"] == {}


def test_pictures_of_other_shapes_fit_on_one_sheet():
    w = world()
    tall = World(w.name, w.rgb[:, :30], w.depth[:, :30], w.K_33, False)
    worlds = [w, tall, w]
    page = depth_worlds.sheet(worlds, [prediction(x.depth, x.K_33) for x in worlds], height=48)
    assert page.shape == (96, 2 * 3 * W, 3)


def test_no_rendered_scene_is_said(tmp_path):
    with pytest.raises(Exception, match=r"no rendered scenes in .*render\.py"):
        depth_worlds.load(tmp_path)


def test_every_build_function_is_in_the_catalogue_once():
    built = {
        (path.stem, node.name.removeprefix("build_"))
        for path in FOLDER.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("build_")
    }
    listed = [(s.family, s.name) for s in SCENES]
    assert set(listed) == built
    assert len(listed) == len(set(listed)) >= 16


def test_the_hand_made_prior_was_judged_on_every_scene():
    kept = json.loads(depth_worlds.PRIOR.read_text())
    assert set(kept) == {s.name for s in SCENES}
    assert all({"absrel", "delta1", "fov_error"} <= set(row) for row in kept.values())


def test_cameras_differ_and_the_catalogue_needs_no_blender():
    fovs = [s.fov for s in SCENES]
    assert min(fovs) < 45 and max(fovs) > 85
    assert {s.size for s in SCENES} >= {(512, 384), (384, 512), (640, 360)}
    assert any(s.indoor for s in SCENES) and any(s.roll for s in SCENES) and any(s.focus for s in SCENES)
    for s in SCENES:
        assert depth_worlds.fov(s.intrinsics(), (s.height, s.width)) == pytest.approx(s.fov, abs=1e-3)
    assert "bpy" not in sys.modules or importlib.util.find_spec("bpy")
