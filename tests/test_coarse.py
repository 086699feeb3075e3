"""Coarse expansion: which poses are chosen, what the report says, and what an expanded frame may contain."""

from __future__ import annotations

import json

import numpy as np
import pytest
from core_support import K_33, DepthOf, H, InpaintOf, W, field, frame, moved, picture, room
from hypothesis import given, settings
from hypothesis import strategies as st

import worlds
from splinescape import SceneConfig, View
from splinescape.coarse import walk as walking
from splinescape.coarse.expand import Engines, call_depth, call_inpainter, expand_view
from splinescape.coarse.report import CoarseFrame, CoarseSummary, diagnose
from splinescape.coarse.scoring import HOLE_ALPHA, can_see, hole_mask, uncovered_shares
from splinescape.coarse.selection import select_pose
from splinescape.coarse.walk import DensePath, Walk
from splinescape.depth import DepthPrediction
from splinescape.engines import rasterizer
from splinescape.errors import InputError
from splinescape.scene.lift import lift_frame
from splinescape.scene.render import render_view
from splinescape.scene.shell import shell_radius

CPU = rasterizer("cpu")


def config(low=0.05, high=0.25, exclusion=1, fallback="none") -> SceneConfig:
    return SceneConfig(
        coarse_min_inpaint_ratio=low,
        coarse_max_inpaint_ratio=high,
        coarse_adjacent_exclusion=exclusion,
        coarse_fallback_mode=fallback,
    )


ratio_lists = st.lists(st.floats(0, 1), min_size=1, max_size=30).map(np.array)


@given(ratios=ratio_lists, data=st.data(), exclusion=st.integers(0, 3))
@settings(max_examples=80)
def test_the_largest_ratio_in_range_is_chosen_away_from_the_others(ratios, data, exclusion):
    chosen = data.draw(st.lists(st.integers(0, len(ratios) - 1), max_size=4))
    index = select_pose(ratios, chosen, config(exclusion=exclusion))
    allowed = [
        i
        for i, ratio in enumerate(ratios)
        if 0.05 <= ratio <= 0.25 and all(abs(i - c) > exclusion for c in chosen)
    ]
    if not allowed:
        assert index is None
    else:
        assert index in allowed
        assert ratios[index] == max(ratios[i] for i in allowed)


@pytest.mark.parametrize(
    ("ratios", "chosen", "settings", "expected"),
    [
        ([0.1, 0.2, 0.2, 0.3], [], config(), 1),  # the first on a tie; 0.3 is above the range
        ([0.05, 0.0, 0.25], [], config(), 2),  # both ends of the range belong to it
        ([0.2, 0.1, 0.1], [0], config(exclusion=1), 2),
        ([0.2, 0.1, 0.05], [0], config(exclusion=0), 1),
        ([0.2, 0.1, 0.1], [0], config(exclusion=5), None),
        ([0.01, 0.9], [], config(), None),
        ([0.01, 0.9], [], config(fallback="closest"), 0),
        ([0.0, 0.9], [], config(fallback="closest"), 1),  # 0 uncovers nothing
        ([0.0, 0.0], [], config(fallback="closest"), None),
        ([0.0, 0.0], [], config(low=0.0), None),
        ([0.04, 0.04], [0], config(fallback="closest"), None),
    ],
)
def test_the_selection_policy(ratios, chosen, settings, expected):
    assert select_pose(np.array(ratios), chosen, settings) == expected


def test_the_diagnosis_counts_the_poses_that_are_left():
    d = diagnose(np.array([0.3, 0.01, 0.1, 0.4, 0.02, 0.2]), [5], config(exclusion=1))
    assert (d.candidates, d.below_min, d.in_range, d.above_max) == (4, 1, 1, 2)
    assert (d.ratio_min, d.ratio_mean, d.ratio_max) == pytest.approx((0.01, 0.2025, 0.4))
    assert d.top == ((3, 0.4), (0, 0.3), (2, 0.1), (1, 0.01))


@pytest.mark.parametrize(
    ("ratios", "chosen", "words"),
    [
        ([0.3, 0.9], [], ["--coarse-max-inpaint-ratio 0.25", "0.32", "closest"]),
        ([0.01, 0.02], [], ["--coarse-min-inpaint-ratio 0.05", "0.0200"]),
        ([0.0, 0.0], [], ["nothing is uncovered"]),
        ([0.1], [0], ["--coarse-adjacent-exclusion", "--coarse-dense-multiplier"]),
    ],
)
def test_the_advice_names_the_knob_and_the_value(ratios, chosen, words):
    advice = diagnose(np.array(ratios), chosen, config()).advice
    for word in words:
        assert word in advice
    assert "\n" not in advice


def test_the_advice_works():
    ratios = np.array([0.3, 0.9])
    value = float(diagnose(ratios, [], config()).advice.split("about ")[1].split(",")[0])
    assert select_pose(ratios, [], config(high=value)) == 0


def test_the_summary_names_every_number():
    frames = (CoarseFrame(37, 0.1234, 5000, 4800, 4801), CoarseFrame(90, 0.2, 6000, 5900, 5901))
    summary = CoarseSummary(
        frames,
        (CoarseFrame(3, 0.001, 70, 60, 61),),
        5,
        5,
        99999,
        0.0,
        diagnose(np.full(9, 0.01), [], config()),
    )
    text = summary.text()
    for word in (
        *("[COARSE] Summary", "selected_extra_frames=2", "scene_frames=5", "gaussian_frames=5"),
        *("dense_pose_index=37", "inpaint_ratio=0.1234", "inpaint_pixels=5000"),
        *("inpaint_wo_edge_pixels=4800", "added_splats=4801", "total_splats=99999", "dense_pose_index=3 "),
        *("[COARSE][DIAG]", "min/mean/max=0.0100/0.0100/0.0100", "below_min=9", "in_range=0", "above_max=0"),
        "top-5: 0:0.0100",
    ):
        assert word in text
    assert "[COARSE][DIAG]" not in CoarseSummary(frames).text()
    assert all(line.startswith("[COARSE]") for line in text.splitlines())


def test_a_hole_is_what_is_less_than_half_covered_and_its_rim():
    alpha = np.ones((40, 60), np.float32)
    alpha[20, 30] = 0.49
    alpha[5, 5] = 0.51
    hole = hole_mask(alpha)
    v, u = np.nonzero(hole)
    assert hole[20, 30]
    assert not hole[5, 5]
    assert (abs(v - 20).max(), abs(u - 30).max()) == (4, 4), "thin holes do not vanish, they grow by 4 pixels"


@pytest.fixture(scope="module")
def half_a_wall():
    """Splats of the left half of a wall 4 m ahead, and the frame they come from."""
    mask = np.zeros((H, W), bool)
    mask[:, : W // 2] = True
    made = frame(np.full((H, W), 4.0), K=K_33, mask=mask)
    return made, lift_frame(made, 1000.0).splats


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.25])
def test_the_score_is_the_uncovered_share(half_a_wall, scale):
    cams = np.stack([moved(x) for x in (0.0, 0.5, -0.5, 9.0)])
    Ks = np.repeat(K_33[None], 4, 0)
    shares = uncovered_shares(half_a_wall[1], cams, Ks, W, H, CPU, scale, grown=False)
    shift = 0.5 * 90 / 4 / W  # pixels that half a metre moves a wall 4 m away
    expected = [0.5, 0.5 + shift, 0.5, 1.0]  # seen from the left, all of the half wall is still in view
    assert shares == pytest.approx(expected, abs=0.025 / scale), "a small rendering is wider by its low-pass"


def test_scores_of_a_batch_are_those_of_each_pose(half_a_wall):
    cams = np.stack([moved(x) for x in np.linspace(-1, 1, 21)])
    Ks = np.repeat(K_33[None], 21, 0)
    together = uncovered_shares(half_a_wall[1], cams, Ks, W, H, CPU, 0.25, True)
    for i in range(21):
        one = uncovered_shares(half_a_wall[1], cams[i : i + 1], Ks[:1], W, H, CPU, 0.25, True)
        assert one[0] == together[i]


def test_low_resolution_scores_agree_with_what_would_be_inpainted(half_a_wall):
    cams = np.stack([moved(x) for x in (0.0, 0.3, 0.6)])
    Ks = np.repeat(K_33[None], 3, 0)
    full, small = (uncovered_shares(half_a_wall[1], cams, Ks, W, H, CPU, s, grown=True) for s in (1.0, 0.25))
    assert small == pytest.approx(full, abs=0.06)


def test_only_poses_that_look_at_a_point_can_see_it():
    cams = np.stack([np.eye(4), moved(50), moved(0, 0, 9), moved(0, 0, -9)])
    points = np.array([[0.0, 0.0, 4.0], [0.1, 0.0, 4.0]])
    assert can_see(points, cams, np.repeat(K_33[None], 4, 0), W, H).tolist() == [True, False, False, True]
    assert not can_see(np.zeros((0, 3)), cams, np.repeat(K_33[None], 4, 0), W, H).any()


def dense(n: int = 12, far: float = 1.0, margin: int = 0) -> DensePath:
    cams = np.stack([moved(x) for x in np.linspace(0, far, n)])
    return DensePath(cams, np.repeat(K_33[None], n, 0), (W, H), (W, H), margin)


def test_the_margin_adds_context_but_no_hole(half_a_wall):
    bare, ringed = dense(margin=0), dense(margin=32)
    assert np.array_equal(
        Walk.begin(bare, config(), CPU, half_a_wall[1]).ratios,
        Walk.begin(ringed, config(), CPU, half_a_wall[1]).ratios,
    )
    view = ringed.expanded_view(3)
    assert (view.width, view.height) == (W + 32, H + 32)
    assert view.K_33[0, 2] == W / 2 + 16
    assert view.K_33[1, 2] == H / 2 + 16
    assert view.K_33[0, 0] == K_33[0, 0]


def test_only_poses_that_can_see_the_new_splats_are_rescored(half_a_wall, monkeypatch):
    cams = np.stack([moved(0.0), moved(0.4), moved(40.0), moved(41.0)])
    path = DensePath(cams, np.repeat(K_33[None], 4, 0), (W, H), (W, H), 0)
    walk = Walk.begin(path, config(high=1), CPU, half_a_wall[1])
    scored = []
    original = walking.uncovered_shares

    def spy(splats, poses, *args):
        scored.extend(poses[:, 0, 3].tolist())
        return original(splats, poses, *args)

    monkeypatch.setattr(walking, "uncovered_shares", spy)
    extra = lift_frame(frame(np.full((H, W), 4.0), K=K_33), 1000.0).splats
    scene = type(extra).concatenate([half_a_wall[1], extra])
    before = walk.ratios.copy()
    walk.add("expanded", CoarseFrame(1, 0.4, 1, 1, len(extra)), scene, len(extra))
    assert scored == [0.0, -0.4]
    assert (walk.ratios[:2] < before[:2]).all()
    assert np.array_equal(walk.ratios[2:], before[2:])


@pytest.mark.parametrize("over", ["no frame is left", "only gaps are closed"])
def test_nothing_is_scored_for_a_choice_that_will_not_be_made(half_a_wall, monkeypatch, over):
    settings = config(0.01, 0.6).model_copy(update={"n_frames": 3 if over == "no frame is left" else 10})
    walk = Walk.begin(dense(), settings, CPU, half_a_wall[1])
    walk.selecting = over == "no frame is left"
    extra = lift_frame(frame(np.full((H, W), 4.0), K=K_33), 1000.0).splats
    scene = type(extra).concatenate([half_a_wall[1], extra])
    scored = []
    original = walking.uncovered_shares
    monkeypatch.setattr(walking, "uncovered_shares", lambda *a: scored.append(a[-1]) or original(*a))
    phase = "expanded" if walk.selecting else "closing"
    walk.add(phase, CoarseFrame(3, 0.5, 10, 10, len(extra)), scene, len(extra))
    assert scored == []
    assert walk.summary(3, 4).uncovered >= 0
    assert scored == [False], "what stays open is measured all the same"


def test_a_walk_restored_from_its_state_goes_on_the_same(half_a_wall):
    walk = Walk.begin(dense(), config(0.01, 0.6), CPU, half_a_wall[1])
    extra = lift_frame(frame(np.full((H, W), 4.0), K=K_33), 1000.0).splats
    scene = type(extra).concatenate([half_a_wall[1], extra])
    index, phase = next(walk.poses())
    walk.add(phase, CoarseFrame(index, 0.5, 10, 10, len(extra)), scene, len(extra))
    walk.skip(7)
    state = json.loads(json.dumps(walk.state()))
    again = Walk.restore(dense(), config(0.01, 0.6), CPU, scene, state)
    assert np.array_equal(again.ratios, walk.ratios)
    assert again.state() == walk.state()
    assert next(again.poses(), None) == next(walk.poses(), None)
    assert again.summary(3, 4) == walk.summary(3, 4)


def test_the_budget_is_n_frames_less_the_two_first(half_a_wall):
    for n in (2, 3, 5):
        settings = SceneConfig(n_frames=n, coarse_max_inpaint_ratio=1, coarse_adjacent_exclusion=0)
        walk = Walk.begin(dense(n=40), settings, CPU, half_a_wall[1])
        taken = []
        for index, phase in walk.poses():
            taken.append(index)
            (walk.frames if phase == "expanded" else walk.closing).append(CoarseFrame(index, 1, 1, 1, 1))
        assert len(taken) == n - 2
        assert walk.budget_left() == 0


def test_a_pose_with_nothing_to_fill_is_not_tried_again(half_a_wall):
    walk = Walk.begin(dense(), config(0.01, 1), CPU, half_a_wall[1])
    tried = []
    for index, _ in walk.poses():
        assert index not in tried
        tried.append(index)
        walk.skip(index)
    assert tried
    assert walk.summary(2, 0).frames == ()


@pytest.fixture(scope="module")
def seen_once():
    """The room as the input camera shows it: its frame and splats."""
    depth = room().render_depth(np.eye(4), K_33, W, H)
    made = frame(depth, picture(room()).astype(np.float32) / 255, K_33)
    return made, lift_frame(made, shell_radius(depth)).splats


def engines(world, inpainter=None, depth=None) -> Engines:
    return Engines(
        inpainter or worlds.OracleInpainter(world, K_33), depth or worlds.OracleDepth(world, K_33), CPU
    )


VIEW = View(W, H, K_33, moved(0.6))


def test_an_expanded_frame_keeps_what_is_known_and_fills_what_is_not(seen_once):
    made, splats = seen_once
    junk = InpaintOf(lambda rgb, _mask, _view, _seed: np.full_like(rgb, 200))
    new = expand_view(VIEW, [made], splats, 200.0, engines(room(), junk), seed=0)
    known = render_view(splats, VIEW, CPU)
    alpha = known.alpha.numpy()
    assert np.array_equal(new.inpaint, hole_mask(alpha))
    assert np.abs(new.rgb[new.inpaint] - 200 / 255).max() < 1e-6
    solid = ~new.inpaint & (alpha > 0.97)
    assert solid.mean() > 0.4
    assert np.abs(new.rgb[solid] - known.rgb.numpy()[solid].clip(0, 1)).max() < 0.03, "not the engine's 200"
    assert not (new.inpaint_wo_edge & ~new.inpaint).any()
    assert new.inpaint_wo_edge[alpha < HOLE_ALPHA].mean() > 0.99
    assert np.array_equal(new.cam_T_world, VIEW.cam_T_world)


def test_the_depth_engine_is_told_the_field_of_view_and_the_camera(seen_once):
    made, splats = seen_once
    told = []

    def remember(rgb, K, view):
        told.append((K, view))
        return worlds.OracleDepth(room(), K_33).predict(rgb, K_33=K, view=view)

    wide = View(W + 32, H + 32, np.array([[70.0, 0, 64], [0, 70, 48], [0, 0, 1]]), moved(0.3))
    expand_view(wide, [made], splats, 200.0, engines(room(), depth=DepthOf(remember)), seed=0)
    ((K, view),) = told
    assert np.array_equal(K, wide.K_33.astype(np.float32))
    assert K.dtype == np.float32
    assert np.array_equal(view.cam_T_world, wide.cam_T_world)
    assert (view.width, view.height) == (W + 32, H + 32)


def test_the_depth_of_a_filled_hole_is_that_of_the_world_whatever_unit_the_engine_uses(seen_once):
    made, splats = seen_once
    truth = room().render_depth(VIEW.cam_T_world, K_33, W, H)

    def other_units(rgb, K, view):
        true = worlds.OracleDepth(room(), K_33).predict(rgb, K_33=K, view=view)
        return DepthPrediction((1 / (0.3 / true.depth + 0.02)).astype(np.float32), true.confidence, true.K_33)

    new = expand_view(VIEW, [made], splats, 200.0, engines(room(), depth=DepthOf(other_units)), seed=0)
    error = np.abs(new.depth / truth - 1)[new.inpaint_wo_edge]
    assert np.quantile(error, 0.95) < 0.03


def test_a_view_without_a_hole_gives_no_frame(seen_once):
    made, splats = seen_once
    inside = View(32, 32, worlds.centred_intrinsics(32, 32, 90.0).astype(np.float64), np.eye(4))
    assert expand_view(inside, [made], splats, 200.0, engines(room()), seed=0) is None


def test_a_sky_hole_becomes_sky():
    depth = field().render_depth(np.eye(4), K_33, W, H)
    made = frame(depth, picture(field()).astype(np.float32) / 255, K_33)
    shell = shell_radius(depth)
    splats = lift_frame(made, shell).splats
    new = expand_view(VIEW, [made], splats, shell, engines(field()), seed=0)
    truth = field().render_depth(VIEW.cam_T_world, K_33, W, H)
    hole = new.inpaint_wo_edge
    assert np.isinf(truth[hole]).any()
    agree = np.isinf(new.depth[hole]) == np.isinf(truth[hole])
    assert agree.mean() > 0.97
    assert (new.confidence[np.isinf(new.depth)] == 0).all()


def test_the_known_pixels_are_pasted_back_over_any_inpainter():
    rng = np.random.default_rng(0)
    rgb, mask = rng.integers(0, 256, (8, 9, 3), np.uint8), rng.random((8, 9)) < 0.5
    junk = InpaintOf(lambda rgb, _mask, _view, _seed: 255 - rgb)
    out = call_inpainter(junk, rgb, mask, SMALL, 0, None)
    assert np.array_equal(out[~mask], rgb[~mask])
    assert np.array_equal(out[mask], 255 - rgb[mask])


def test_an_inpainter_that_asks_for_the_depth_is_told_it(seen_once):
    made, splats = seen_once
    told = []

    class Aware:
        def inpaint(self, rgb_hw3, mask_hw, *, view, seed, depth_hw):
            told.append((depth_hw, mask_hw, seed))
            assert (view.width, view.height) == (W, H)
            return rgb_hw3

    expand_view(VIEW, [made], splats, 200.0, engines(room(), Aware()), seed=41)
    ((depth, mask, seed),) = told
    truth = room().render_depth(VIEW.cam_T_world, K_33, W, H)
    assert seed == 41
    assert np.median(np.abs(depth / truth - 1)[~mask]) < 0.01


SMALL = View(9, 8, None, np.eye(4))
BLACK = np.zeros((8, 9, 3), np.uint8)
BAD_PICTURES = {
    "float": lambda rgb: rgb.astype(np.float32),
    "smaller": lambda rgb: rgb[:-1],
    "four channels": lambda rgb: np.concatenate([rgb, rgb[..., :1]], -1),
    "nothing": lambda _rgb: None,
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_an_inpainter_that_returns_something_else_is_named(name):
    engine = InpaintOf(lambda rgb, _mask, _view, _seed: BAD_PICTURES[name](rgb))
    with pytest.raises(InputError, match=r"engine InpaintOf returned .* must return uint8\(8, 9, 3\)"):
        call_inpainter(engine, BLACK, np.ones((8, 9), bool), SMALL, 0, None)


GOOD = DepthPrediction(np.ones((8, 9), np.float32), np.ones((8, 9), np.float32), np.eye(3, dtype=np.float32))
BAD_DEPTHS = {
    "transposed": DepthPrediction(GOOD.depth.T, GOOD.confidence.T, GOOD.K_33),
    "confidence of another size": DepthPrediction(GOOD.depth, np.ones((4, 4), np.float32), GOOD.K_33),
    "flat intrinsics": DepthPrediction(GOOD.depth, GOOD.confidence, np.zeros((3, 3), np.float32)),
    "NaN intrinsics": DepthPrediction(GOOD.depth, GOOD.confidence, np.full((3, 3), np.nan, np.float32)),
    "4x4 intrinsics": DepthPrediction(GOOD.depth, GOOD.confidence, np.eye(4, dtype=np.float32)),
}


@pytest.mark.parametrize("name", BAD_DEPTHS)
def test_a_depth_engine_that_returns_something_else_is_named(name):
    with pytest.raises(InputError, match="the depth engine DepthOf returned"):
        call_depth(
            DepthOf(lambda *_: BAD_DEPTHS[name]),
            np.zeros((8, 9, 3), np.uint8),
            None,
            SMALL,
        )


def test_a_prediction_is_copied_not_changed():
    mine = DepthPrediction(
        np.array([[1.0, np.nan, -2.0]], np.float32), np.ones((1, 3), np.float32), GOOD.K_33
    )
    mine.depth.flags.writeable = False
    out = call_depth(
        DepthOf(lambda *_: mine), np.zeros((1, 3, 3), np.uint8), None, View(3, 1, None, np.eye(4))
    )
    assert out.depth.tolist() == [[1.0, np.inf, np.inf]]
    assert np.isnan(mine.depth[0, 1])


def test_a_prediction_may_lie_in_memory_column_by_column():
    depth = np.where(np.arange(9) < 4, np.nan, 2).astype(np.float32) * np.ones((8, 1), np.float32)
    by_column = DepthPrediction(np.asfortranarray(depth), np.asfortranarray(GOOD.confidence), GOOD.K_33)
    out = call_depth(DepthOf(lambda *_: by_column), BLACK, None, SMALL)
    assert np.array_equal(out.depth, np.where(np.isnan(depth), np.inf, depth))
    assert np.array_equal(out.confidence, np.isfinite(out.depth))


def test_a_far_depth_is_kept_as_a_float():
    far = DepthPrediction(np.full((8, 9), 70_000.25, np.float32), GOOD.confidence, GOOD.K_33)
    out = call_depth(DepthOf(lambda *_: far), BLACK, None, SMALL)
    assert out.depth.dtype == np.float32
    assert (out.depth == np.float32(70_000.25)).all()
