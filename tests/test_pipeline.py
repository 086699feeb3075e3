"""The pipeline as a whole: the public API, every stage, awkward pictures, paths and engines."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from core_support import (
    K_33,
    DepthOf,
    H,
    InpaintOf,
    W,
    field,
    moved,
    oracle,
    picture,
    psnr,
    room,
    sideways,
)

import worlds
from splinescape import (
    CameraPath,
    DepthPrediction,
    SceneConfig,
    ScenePipeline,
    SceneResult,
    View,
    load_scene,
    pipeline,
)
from splinescape.camera.pose import look_at
from splinescape.errors import CancelledError, InputError
from splinescape.events import CoarseReported, FrameAdded, Progress, SceneChanged, StageStarted

COARSE = {"stage": "coarse", "n_frames": 5, "coarse_max_inpaint_ratio": 0.5}


@pytest.fixture
def quick(monkeypatch):
    """Hardly any training: for tests of everything around it."""
    for name in ("FIRST_SCHEDULE", "GROW_SCHEDULE", "SETTLE_SCHEDULE", "FINE_SCHEDULE"):
        monkeypatch.setattr(pipeline, name, replace(getattr(pipeline, name), steps=2))


def ply_bytes(result: SceneResult, tmp_path: Path) -> bytes:
    file = tmp_path / "scene.ply"
    result.save_ply(file)
    return file.read_bytes()


@pytest.fixture(scope="module")
def coarse() -> tuple[SceneResult, list]:
    """One whole coarse run in the room, and its events."""
    events = []
    result = oracle(room(), **COARSE).run(picture(room()), path=sideways(), on_event=events.append)
    return result, events


def test_the_public_api_works_as_written(tmp_path, capsys):
    config = SceneConfig(stage="coarse", n_frames=3, expansion_percent=0.3, max_resolution=64, seed=0)
    made = ScenePipeline(config, inpainter="builtin", depth="builtin", rasterizer=None)
    path = CameraPath.from_matrices(np.stack([moved(x) for x in (0, 0.3)]))
    result = made.run(picture(room()), path=path, on_event=print, cancel=threading.Event())
    assert "[COARSE] Summary" in capsys.readouterr().out
    cam_T_world, K, width, height = moved(0.1), worlds.centred_intrinsics(40, 30, 50), 40, 30
    rendering = result.scene.render(cam_T_world, K, width, height)
    assert (rendering.rgb.shape, rendering.depth.shape, rendering.alpha.shape) == (
        (30, 40, 3),
        (30, 40),
        (30, 40),
    )
    assert {t.dtype for t in (rendering.rgb, rendering.depth, rendering.alpha)} == {torch.float32}
    assert isinstance(rendering.rgb, torch.Tensor)
    assert result.scene.num_splats == len(result.scene.means) > 0
    for name in ("means", "log_scales", "quats", "opacity_logits", "sh"):
        assert getattr(result.scene, name).dtype == torch.float32
    assert result.frames[0].rgb.shape == (32, 64, 3)
    assert result.summary.scene_frames == len(result.frames)
    result.save_ply(tmp_path / "gf.ply")
    again = load_scene(tmp_path / "gf.ply")
    for name, tensor in result.scene.splats.tensors():
        assert torch.equal(getattr(again, name), tensor), "the round trip is exact"
    assert torch.equal(again.render(cam_T_world, K, width, height).rgb, rendering.rgb)


def test_engines_by_name_are_imported_as_documented():
    from splinescape.engines import depth_estimator, inpainter, rasterizer

    assert hasattr(depth_estimator("builtin"), "predict")
    assert hasattr(inpainter("builtin"), "inpaint")
    assert hasattr(rasterizer("cpu"), "rasterize")


def test_the_picture_is_shown_faithfully_and_the_path_has_no_holes(coarse):
    result, _ = coarse
    assert psnr(result.scene.render(np.eye(4), K_33, W, H).rgb, picture(room())) > 40
    for x in (0.12, 0.27, 0.43):
        view = result.scene.render(moved(x), K_33, W, H)
        truth = room().render(moved(x), K_33, W, H)
        assert psnr(view.rgb, truth.rgb) > 27, "a picture of 96x64 is coarse; the bar is held at full size"
        assert (view.alpha > 0.5).float().mean() > 0.999


def test_no_number_of_a_scene_is_infinite_and_no_splat_lies_behind_the_shell():
    for world in (room(), field()):
        result = oracle(world, **COARSE).run(picture(world), path=sideways())
        for name, tensor in result.scene.splats.tensors():
            assert torch.isfinite(tensor).all(), name
        shell = pipeline.shell_radius(result.frames[1].depth)
        assert result.scene.means.norm(dim=1).max() <= shell * 1.0001
        assert result.scene.quats.norm(dim=1) == pytest.approx(1, abs=1e-5)


def test_picture_and_canvas_agree_on_the_camera(coarse):
    inner, canvas = coarse[0].frames[:2]
    left, top = (canvas.width - inner.width) // 2, (canvas.height - inner.height) // 2
    window = np.s_[top : top + inner.height, left : left + inner.width]
    assert (inner.width, inner.height) == (W, H)
    assert np.array_equal(inner.rgb, canvas.rgb[window])
    assert np.array_equal(inner.rgb, picture(room()).astype(np.float32) / np.float32(255))
    assert np.array_equal(inner.depth, canvas.depth[window])
    assert np.array_equal(inner.confidence, canvas.confidence[window])
    assert inner.K_33[0, 2] == canvas.K_33[0, 2] - left == W / 2
    assert inner.K_33[1, 2] == canvas.K_33[1, 2] - top == H / 2
    assert np.array_equal(inner.K_33[:2, :2], canvas.K_33[:2, :2])
    assert not canvas.inpaint[window].any()
    assert canvas.inpaint.sum() == canvas.inpaint.size - W * H
    assert inner.inpaint.all()
    assert inner.inpaint_wo_edge.all(), "no known pixel is dropped"


def test_frames_summary_and_events_tell_the_same_story(coarse):
    result, events = coarse
    added = [e for e in events if isinstance(e, FrameAdded)]
    assert [e.role for e in added[:2]] == ["input", "outpaint"]
    assert [e.index for e in added] == list(range(len(result.frames)))
    assert all(
        e.frame is f or np.array_equal(e.frame.rgb, f.rgb) for e, f in zip(added, result.frames, strict=True)
    )
    extra = [*result.summary.frames, *result.summary.closing_frames]
    assert len(result.summary.frames) >= 1
    assert [e.role for e in added[2:]] == ["expanded"] * len(result.summary.frames) + ["closing"] * len(
        result.summary.closing_frames
    )
    for event, told, made in zip(added[2:], extra, result.frames[2:], strict=True):
        assert told.inpaint_pixels == made.inpaint.sum()
        assert told.inpaint_wo_edge_pixels == made.inpaint_wo_edge.sum()
        assert told.added_splats == len(event.splats) > 0
        cams = result.path.sample(50)
        assert np.array_equal(made.cam_T_world, cams[told.dense_pose_index])
    assert result.summary.total_splats == result.scene.num_splats == sum(len(e.splats) for e in added)
    assert [e.summary for e in events if isinstance(e, CoarseReported)] == [result.summary]
    assert isinstance(events[-1], SceneChanged)
    assert all(str(event) for event in events)
    stages = [e.stage for e in events if isinstance(e, StageStarted)]
    assert stages[:4] == ["outpaint", "depth", "train", "coarse"]
    assert all(0 <= e.step <= e.total for e in events if isinstance(e, Progress))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("stage", "frames"), [("no-outpaint", 1), ("outpaint", 2), ("coarse", 3), ("fine", 3)]
)
def test_every_stage_runs(stage, frames):
    events = []
    result = oracle(room(), **(COARSE | {"stage": stage})).run(
        picture(room()), sideways(), on_event=events.append
    )
    assert len(result.frames) >= frames if stage in ("coarse", "fine") else len(result.frames) == frames
    stages = {e.stage for e in events if isinstance(e, StageStarted)}
    assert ("outpaint" in stages) == (stage != "no-outpaint")
    assert ("coarse" in stages) == (stage in ("coarse", "fine"))
    assert ("fine" in stages) == (stage == "fine")
    assert result.scene.meta.width == W
    assert np.array_equal(result.scene.meta.K_33, result.frames[0].K_33)


@pytest.mark.usefixtures("quick")
def test_fine_trains_what_coarse_leaves_alone():
    run = {"path": sideways(), "rgb_hw3": picture(room())}
    before = oracle(room(), **COARSE).run(**run).scene
    after = oracle(room(), **(COARSE | {"stage": "fine"})).run(**run).scene
    assert len(before.means) == len(after.means)
    assert not torch.equal(before.quats, after.quats)
    assert not torch.equal(before.sh, after.sh)
    assert torch.equal(before.means, after.means), "neighbours at equal depths keep their order"


@pytest.mark.slow
def test_fine_does_not_spoil_the_picture(coarse):
    fine = oracle(room(), **(COARSE | {"stage": "fine"})).run(picture(room()), sideways()).scene
    kept, changed = (
        psnr(s.render(np.eye(4), K_33, W, H).rgb, picture(room())) for s in (coarse[0].scene, fine)
    )
    assert changed > kept


@pytest.mark.usefixtures("quick")
def test_a_path_that_uncovers_nothing_adds_no_frame():
    turn = CameraPath.from_matrices(np.stack([np.eye(4), look_at((0, 0, 0), (0.05, 0, 5))]))
    result = oracle(room(), **COARSE).run(picture(room()), turn)
    assert len(result.frames) == 2
    assert result.summary.frames == result.summary.closing_frames == ()
    assert "nothing is uncovered" in result.summary.text() or "uncovers less" in result.summary.text()


@pytest.mark.usefixtures("quick")
def test_a_camera_that_stands_still_is_a_path():
    still = CameraPath.from_matrices(np.stack([np.eye(4)] * 3))
    assert len(oracle(room(), **COARSE).run(picture(room()), still).frames) == 2


@pytest.mark.usefixtures("quick")
def test_a_path_may_start_away_from_the_picture():
    away = CameraPath.from_matrices(np.stack([moved(0.4, 0.1), moved(0.8, 0.1, 0.2)]))
    result = oracle(room(), **(COARSE | {"coarse_max_inpaint_ratio": 1})).run(picture(room()), away)
    assert len(result.frames) > 2
    assert np.array_equal(result.frames[0].cam_T_world, np.eye(4))
    for cam in away.sample(5):
        assert (result.scene.render(cam, K_33, W, H).alpha > 0.5).float().mean() > 0.99


@pytest.mark.usefixtures("quick")
def test_fields_of_view_of_the_path_are_degrees_of_the_pictures_height():
    K = np.array(K_33)
    same = np.degrees(2 * np.arctan(H / 2 / K[1, 1]))
    poses = np.stack([np.eye(4)] * 2)
    settings = COARSE | {"coarse_max_inpaint_ratio": 1}
    result = oracle(room(), **settings).run(picture(room()), CameraPath.from_matrices(poses, [same, same]))
    assert len(result.frames) == 2, "the picture's own field of view uncovers nothing"
    result = oracle(room(), **settings).run(picture(room()), CameraPath.from_matrices(poses, [same, 60.0]))
    assert len(result.frames) > 2, "zooming out does"
    widest = max(result.frames[2:], key=lambda f: -f.K_33[1, 1])
    assert widest.K_33[1, 1] == pytest.approx(H / 2 / np.tan(np.radians(30)), rel=0.05)


@pytest.mark.usefixtures("quick")
def test_a_long_path_with_one_frame_to_spend_and_a_fine_stage():
    result = oracle(room(), stage="fine", n_frames=2).run(picture(room()), sideways())
    assert len(result.frames) == 2


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("stage", ["no-outpaint", "coarse"])
def test_a_picture_of_32_pixels_is_enough(stage):
    rgb = np.ascontiguousarray(picture(room())[:32, :32])
    result = ScenePipeline(SceneConfig(stage=stage, n_frames=3)).run(rgb)
    assert result.frames[0].rgb.shape == (32, 32, 3)
    assert result.scene.num_splats >= 32 * 32


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("size", [(64, 32), (32, 64), (45, 77)])
def test_any_size_is_brought_onto_the_grid(size):
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    frame = ScenePipeline(SceneConfig()).run(rgb).frames[0]
    assert frame.width % 32 == frame.height % 32 == 0


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("value", [np.inf, np.nan, 0.0, -3.0])
@pytest.mark.parametrize("stage", ["no-outpaint", "coarse"])
def test_a_picture_without_any_depth_becomes_a_painted_sphere(stage, value):
    def nothing(rgb, K, _view):
        depth = np.full(rgb.shape[:2], value, np.float32)
        height, width = depth.shape
        K = worlds.centred_intrinsics(width, height, 80) if K is None else K
        return DepthPrediction(depth, np.ones_like(depth), K)

    settings = {"stage": stage, "n_frames": 3}
    made = ScenePipeline(
        SceneConfig(**settings), inpainter=InpaintOf(lambda rgb, *_: rgb), depth=DepthOf(nothing)
    )
    result = made.run(picture(room()), sideways() if stage == "coarse" else None)
    for _, tensor in result.scene.splats.tensors():
        assert torch.isfinite(tensor).all()
    assert result.scene.render(np.eye(4), result.frames[0].K_33, W, H).alpha.min() > 0.5


@pytest.mark.usefixtures("quick")
def test_black_and_white_pictures_train_without_infinities():
    for value in (0, 255):
        made = ScenePipeline(SceneConfig()).run(np.full((32, 64, 3), value, np.uint8))
        for _, tensor in made.scene.splats.tensors():
            assert torch.isfinite(tensor).all()


@pytest.mark.parametrize(
    "rgb",
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64, 3), np.float32),
        [[[0, 0, 0]]],
        None,
        np.zeros((0, 0, 3), np.uint8),
        np.zeros((1, 1, 3), np.uint8),
    ],
    ids=["grey", "rgba", "float", "list", "none", "empty", "one pixel"],
)
def test_things_that_are_no_pictures_are_refused(rgb):
    with pytest.raises(InputError):
        ScenePipeline(rasterizer="cpu").run(rgb)


@pytest.mark.parametrize("focal", [0, -3, np.nan, np.inf])
def test_an_impossible_focal_length_is_refused(focal):
    with pytest.raises(InputError, match="focal_px must be a positive number"):
        ScenePipeline(rasterizer="cpu").run(picture(room()), focal_px=focal)


@pytest.mark.usefixtures("quick")
def test_a_known_focal_length_is_scaled_and_offered_to_the_depth_engine():
    told = []

    def remember(rgb, K, view):
        told.append(K)
        return worlds.OracleDepth(room(), K_33).predict(rgb, K_33=K, view=view)

    made = ScenePipeline(SceneConfig(max_resolution=96), depth=DepthOf(remember), rasterizer="cpu")
    made.run(picture(room(), 192, 128, 180.0), focal_px=180.0)
    made.run(picture(room()))
    assert told[0][0, 0] == told[0][1, 1] == pytest.approx(90)
    assert told[0][0, 2] == 48
    assert told[1] is None


@pytest.mark.usefixtures("quick")
def test_an_inpainter_cannot_change_the_picture():
    junk = InpaintOf(lambda rgb, *_: 255 - rgb)
    made = ScenePipeline(
        SceneConfig(stage="outpaint"), inpainter=junk, depth=worlds.OracleDepth(room(), K_33)
    )
    assert np.array_equal(
        made.run(picture(room())).frames[0].rgb, picture(room()).astype(np.float32) / np.float32(255)
    )


class SlowInpainter:
    """Paints in five steps, and stops between them when it is told to."""

    def __init__(self, stop_in_picture: int = 0) -> None:
        self.pictures = self.steps = 0
        self._stop_in_picture = stop_in_picture

    def inpaint(self, rgb_hw3, mask_hw, *, view, seed, on_step, cancel):  # noqa: ARG002
        self.pictures += 1
        for step in range(5):
            self.steps += 1
            on_step(step + 1, 5)
            if self.pictures == self._stop_in_picture:
                cancel.set()
            if cancel is not None and cancel.is_set():
                raise CancelledError("stopped on request")
        return np.where(mask_hw[..., None], np.uint8(90), rgb_hw3)


@pytest.mark.usefixtures("quick")
def test_an_inpainters_steps_are_progress_of_its_stage():
    events, slow = [], SlowInpainter()
    made = ScenePipeline(
        SceneConfig(**(COARSE | {"n_frames": 3})), inpainter=slow, depth=worlds.OracleDepth(room(), K_33)
    )
    made.run(picture(room()), sideways(), on_event=events.append)
    told = [
        (event.step, event.total, event.eta_s)
        for event in events
        if getattr(event, "stage", "") == "outpaint" and isinstance(event, Progress)
    ]
    assert told[-1] == (5, 5, None)
    assert slow.pictures > 1 and "expanded" in {
        event.stage for event in events if isinstance(event, Progress)
    }


@pytest.mark.usefixtures("quick")
def test_painting_and_training_of_a_frame_are_one_bar_that_never_runs_back():
    bars = [[]]

    def listen(event):
        if isinstance(event, StageStarted):
            bars.append([])
        elif isinstance(event, Progress) and event.stage in ("expanded", "closing"):
            bars[-1].append((event.step, event.total))

    made = ScenePipeline(
        SceneConfig(**COARSE), inpainter=SlowInpainter(), depth=worlds.OracleDepth(room(), K_33)
    )
    made.run(picture(room()), sideways(), on_event=listen)
    told = [bar for bar in bars if bar]
    assert told and all(bar[0][0] == 1 and len(bar) > 1 for bar in told)  # painting, and then training
    for bar in told:
        assert bar == sorted(bar)
        assert {total for _, total in bar} == {5 + pipeline.GROW_SCHEDULE.steps}
        assert bar[-1][0] > 5


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("number", [1, 2])
def test_cancel_reaches_an_inpainter_inside_a_picture(number):
    slow = SlowInpainter(stop_in_picture=number)
    made = ScenePipeline(
        SceneConfig(**(COARSE | {"n_frames": 3})), inpainter=slow, depth=worlds.OracleDepth(room(), K_33)
    )
    with pytest.raises(CancelledError):
        made.run(picture(room()), sideways(), cancel=threading.Event())
    assert slow.steps == 5 * (number - 1) + 1


@pytest.mark.usefixtures("quick")
def test_engines_get_fresh_arrays_that_they_may_scribble_on():
    mine = picture(room()).copy()

    def scribble(rgb, mask, _view, _seed):
        filled = np.where(mask[..., None], np.uint8(90), rgb)
        rgb[:] = 0
        return filled

    made = ScenePipeline(
        SceneConfig(stage="outpaint"), inpainter=InpaintOf(scribble), depth=worlds.OracleDepth(room(), K_33)
    )
    made.run(mine)
    assert np.array_equal(mine, picture(room())), "the caller's picture is never written to"


@pytest.mark.usefixtures("quick")
def test_the_same_seed_gives_the_same_bytes(tmp_path):
    settings = COARSE | {"n_frames": 4, "seed": 7}
    runs = [ScenePipeline(SceneConfig(**settings)).run(picture(room()), sideways()) for _ in range(2)]
    one, two = (ply_bytes(result, tmp_path) for result in runs)
    assert one == two


THREADS = """
import sys
sys.path[:0] = ["examples", "tests"]
import torch
from core_support import *
torch.set_num_threads(int(sys.argv[2]))
made = oracle(room(), stage="coarse", n_frames=3, coarse_max_inpaint_ratio=0.5)
made.run(picture(room()), sideways()).save_ply(sys.argv[1])
"""


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_number_of_threads(tmp_path):
    results = []
    for threads in ("1", "3"):
        file = tmp_path / f"{threads}.ply"
        subprocess.run(
            [sys.executable, "-c", THREADS, str(file), threads],
            env=os.environ | {"SPLINESCAPE_THREADS": threads},
            cwd=Path(__file__).parent.parent,
            check=True,
        )
        results.append(file.read_bytes())
    assert results[0] == results[1]


def test_cancel_before_the_start_stops_at_once():
    cancel = threading.Event()
    cancel.set()
    calls = []
    made = ScenePipeline(SceneConfig(), depth=DepthOf(lambda *_: calls.append(1)), rasterizer="cpu")
    with pytest.raises(CancelledError):
        made.run(picture(room()), cancel=cancel)
    assert not calls


@pytest.mark.parametrize("stage", ["depth", "train", "coarse", "expanded", "settle", "fine"])
def test_cancel_stops_within_a_step_wherever_the_run_is(stage):
    cancel, asked = threading.Event(), []

    def on_event(event):
        if not asked and getattr(event, "stage", "") == stage:
            asked.append(time.monotonic())
            cancel.set()

    with pytest.raises(CancelledError):
        oracle(room(), **(COARSE | {"stage": "fine", "n_frames": 3})).run(
            picture(room()), sideways(), on_event=on_event, cancel=cancel
        )
    assert asked
    assert time.monotonic() - asked[0] < 5, "the step in progress is finished, no more"


@pytest.mark.usefixtures("quick")
def test_one_pipeline_may_run_many_times(tmp_path):
    made = oracle(room(), **COARSE)
    first = ply_bytes(made.run(picture(room()), sideways()), tmp_path)
    made.run(picture(room()), sideways(-0.4))
    assert ply_bytes(made.run(picture(room()), sideways()), tmp_path) == first


@pytest.mark.usefixtures("quick")
def test_an_error_of_the_listener_is_not_swallowed():
    def fail(event):
        if isinstance(event, StageStarted):
            raise KeyError("listener")

    with pytest.raises(KeyError, match="listener"):
        oracle(room()).run(picture(room()), on_event=fail)


@pytest.mark.usefixtures("quick")
def test_the_default_path_is_the_spiral_of_the_scene():
    result = oracle(room(), stage="outpaint").run(picture(room()))
    canvas = result.frames[1]
    radius = pipeline.scene_radius(canvas.depth, canvas.K_33, 5, 50)
    assert np.array_equal(result.path.cam_T_world, CameraPath.spiral(radius).cam_T_world)


@pytest.mark.usefixtures("quick")
def test_a_view_says_where_the_camera_of_an_engine_stands():
    views = []

    def paint(rgb, mask, view, seed):
        views.append((view, seed))
        return worlds.OracleInpainter(room(), K_33).inpaint(rgb, mask, view=view, seed=seed)

    made = ScenePipeline(
        SceneConfig(**COARSE, seed=5), inpainter=InpaintOf(paint), depth=worlds.OracleDepth(room(), K_33)
    )
    result = made.run(picture(room()), sideways())
    (first, seed), *rest = views
    assert isinstance(first, View)
    assert (first.width, first.height, first.K_33, seed) == (128, 96, None, 5)
    assert len(rest) == len(result.frames) - 2
    for (view, _), frame in zip(rest, result.frames[2:], strict=True):
        assert np.array_equal(view.cam_T_world, frame.cam_T_world)
        assert np.array_equal(view.K_33, frame.K_33)
    assert len({seed for _, seed in views}) == len(views), "every frame imagines anew"


def test_a_trajectory_from_a_file_needs_its_path():
    pipeline = ScenePipeline(SceneConfig(traj_type="json"), depth="builtin", rasterizer="cpu")
    with pytest.raises(InputError, match="needs a path"):
        pipeline.run(np.zeros((64, 64, 3), np.uint8))
