"""What a GPU is spared: an engine that draws views together is asked for that, and the scene is the same."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from core_support import K_33, H, W, frame, moved, picture, room
from torch import Tensor

import worlds
from splinescape import CameraPath, SceneConfig, ScenePipeline
from splinescape.camera.view import View
from splinescape.coarse import expand, scoring
from splinescape.errors import CancelledError, InputError
from splinescape.raster import Rendering
from splinescape.raster.cpu import CpuRasterizer
from splinescape.render import RenderedFrame, render_path
from splinescape.scene import growing
from splinescape.scene import resident as keeping
from splinescape.scene.lift import lift_frame
from splinescape.scene.meta import SceneMeta
from splinescape.scene.render import render_together, render_view
from splinescape.scene.resident import Resident, keep, resident
from splinescape.scene.scene import Scene
from splinescape.scene.splats import SH_C0, Splats
from splinescape.train import step as stepping
from splinescape.train import trainer
from splinescape.train.loss import masked_dssim, masked_smooth_l1
from splinescape.train.settled import Losses
from splinescape.train.trainer import Schedule, TrainingView, train_splats

CPU = CpuRasterizer()


class Together(CpuRasterizer):
    """The CPU's pictures from an engine that draws many views in a call."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, bool]] = []

    def rasterize_views(self, *args: Any, with_depth: bool = True) -> Rendering:
        *shapes, colors, cams, Ks, width, height = args
        self.calls.append((len(cams), with_depth))
        each = [
            self.rasterize(*shapes, colors if colors.ndim == 2 else colors[i], cam, K, width, height)
            for i, (cam, K) in enumerate(zip(cams, Ks, strict=True))
        ]
        return Rendering(*(torch.stack([getattr(r, n) for r in each]) for n in ("rgb", "depth", "alpha")))


def wall(depth: float = 2.0) -> Splats:
    rgb = picture(room()).astype(np.float32) / 255
    return lift_frame(frame(np.full((H, W), depth), rgb, K_33), 1000.0).splats


def scene(splats: Splats, engine: CpuRasterizer) -> Scene:
    meta = SceneMeta(version="0", K_33=K_33, width=W, height=H, seed=0, engines={})
    return Scene(splats, meta, engine)


def along(count: int, width: int = W, height: int = H) -> list[View]:
    return [View(width, height, K_33, moved(0.02 * i)) for i in range(count)]


def film(splats: Splats, engine: CpuRasterizer, views: list[View], **more: Any) -> list[RenderedFrame]:
    frames: list[RenderedFrame] = []
    render_path(scene(splats, engine), views, frames.append, **more)
    return frames


@pytest.mark.slow
def test_a_coarse_run_is_the_same_to_the_bit_on_an_engine_that_draws_views_together():
    world = room()
    path = CameraPath.from_matrices(np.stack([moved(0.03 * i) for i in range(8)]))
    config = SceneConfig(stage="coarse", n_frames=3, coarse_min_inpaint_ratio=0.01, max_resolution=W)
    engine = Together()
    runs = [
        ScenePipeline(
            config,
            inpainter=worlds.OracleInpainter(world, K_33),
            depth=worlds.OracleDepth(world, K_33),
            rasterizer=rasterizer,
        ).run(picture(world), path)
        for rasterizer in (CPU, engine)
    ]
    assert len(runs[0].frames) > 2, "something was expanded"
    for name, tensor in runs[0].scene.splats.tensors():
        assert torch.equal(tensor, getattr(runs[1].scene.splats, name)), name
    assert (1, False) in engine.calls, "training wants no depth"


def test_older_views_are_compared_together():
    before, engine = wall(), Together()
    after = Splats.concatenate([before, wall(1.5)])
    rgb = np.zeros((H, W, 3), np.float32)
    frames = [frame(np.full((H, W), 2.0), rgb, K_33, moved(0.02 * i)) for i in range(11)]
    frames[2:2] = [frame(np.full((H // 2, W), 2.0), rgb[: H // 2], K_33)]
    there = resident(after, CPU.device)
    ours, plain = (list(expand._changes(before, there, frames, e)) for e in (engine, CPU))
    assert [m.shape for m in ours] == [f.depth.shape for f in frames]
    assert all(np.array_equal(a, b) for a, b in zip(ours, plain, strict=True))
    assert any(m.any() for m in ours)
    assert engine.calls == [(n, False) for n in (2, 2, 1, 1, 8, 8, 1, 1)]


@pytest.mark.parametrize("count", [1, 5, 9])
def test_a_film_drawn_ahead_has_the_pictures_of_one_drawn_in_turn(count, monkeypatch):
    monkeypatch.setattr("splinescape.render._BATCH_PIXELS", 4 * W * H)
    engine = Together()
    views = along(count) + along(2, W, H // 2)
    splats = wall()
    ours, plain = film(splats, engine, views), film(splats, CPU, views)
    assert [(f.index, f.total) for f in ours] == [(i, count + 2) for i in range(count + 2)]
    for a, b in zip(ours, plain, strict=True):
        assert a.rgb.dtype == np.uint8
        assert np.array_equal(a.rgb, b.rgb)
        assert np.array_equal(a.depth, b.depth)
        assert a.view is b.view
    assert sum(views for views, _ in engine.calls) == count + 2
    assert max(views for views, _ in engine.calls) == min(4, count) if count > 1 else 2


def test_pictures_of_a_film_drawn_ahead_do_not_share_memory():
    frames = film(wall(), Together(), along(3))
    frames[0].rgb[:] = 7
    frames[0].depth[:] = 7
    assert not (frames[1].rgb == 7).all()
    assert not (frames[1].depth == 7).all()
    assert frames[1].rgb.flags.owndata


def test_a_film_drawn_ahead_stops_when_it_is_told_to():
    cancel, frames = threading.Event(), []

    def on_frame(frame: RenderedFrame) -> None:
        frames.append(frame)
        cancel.set()

    with pytest.raises(CancelledError, match="1 of 30"):
        render_path(scene(wall(), Together()), along(30), on_frame, cancel)
    assert len(frames) == 1


def test_a_film_drawn_ahead_refuses_a_camera_that_is_not_finite():
    views = along(2)
    views[1] = replace(views[1], cam_T_world=np.full((4, 4), np.nan))
    with pytest.raises(InputError, match="finite"):
        film(wall(), Together(), views)


@pytest.mark.parametrize("radius", [0, 1, 2, 4, 5])
@pytest.mark.parametrize("hw", [(8, 8), (23, 31), (96, 128)])
def test_holes_grown_on_a_gpu_are_opencvs_to_the_pixel(radius, hw):
    rng = torch.Generator().manual_seed(radius)
    alpha = 1 - torch.rand(6, *hw, generator=rng) ** 4
    alpha[1], alpha[2] = 0, 1
    alpha[3] = 1
    alpha[3, 0, 0] = alpha[3, -1, -1] = 0
    alpha[4, :, 0] = scoring.HOLE_ALPHA
    here, there = scoring._count_here(alpha, radius), scoring._count_there(alpha, radius)
    assert here.dtype == there.dtype == torch.int64
    assert torch.equal(here, there)


def views_of(rgb: np.ndarray) -> TrainingView:
    return TrainingView(rgb, np.ones(rgb.shape[:2], np.float32), K_33, np.eye(4))


@pytest.mark.parametrize("steps_that_rest", [20, 40])
def test_a_late_answer_is_the_same_answer_a_step_later(steps_that_rest):
    falling = [1 / (1 + i) for i in range(60 - steps_that_rest)]
    losses = [torch.tensor(x) for x in falling + [falling[-1]] * 200]

    def stops_at(late: bool) -> int:
        watch = Losses(0.01, 10, 10, 1000, one_step_late=late)
        for i, loss in enumerate(losses):
            watch.add(loss)
            if watch.settled():
                return i
        raise AssertionError("never settled")

    assert stops_at(late=True) == stops_at(late=False) + 1


def test_a_share_of_zero_never_settles():
    watch = Losses(0.0, 10, 10, 1000, one_step_late=True)
    for _ in range(100):
        watch.add(torch.tensor(1.0))
        assert not watch.settled()


@pytest.mark.parametrize(("share", "steps"), [(0.0, 1000), (0.01, 20)])
def test_a_loss_is_computed_only_where_it_can_end_a_training_early(share, steps, monkeypatch):
    assert not Losses(share, 10, 10, steps, one_step_late=False).watching
    assert Losses(0.01, 10, 10, 21, one_step_late=False).watching
    asked = []
    loss = stepping.masked_smooth_l1
    monkeypatch.setattr(stepping, "masked_smooth_l1", lambda *a: asked.append(1) or loss(*a))
    view = views_of(np.full((H, W, 3), 0.5, np.float32))
    for count in (20, 21):
        train_splats(wall(), [view], CPU, Schedule(steps=count))
    assert len(asked) in (20, 21), "the longer one's alone"


def by_autograd(
    splats: Splats, view: TrainingView, schedule: Schedule, frozen: int, fixed: np.ndarray
) -> Splats:
    """The same training, written down plainly: everything by autograd, stepped by torch's Adam."""
    rates = {
        "log_scales": schedule.lr_log_scales,
        "opacity_logits": schedule.lr_opacity,
        "sh": schedule.lr_sh,
    }
    whole = {n: t.clone().requires_grad_(n in rates) for n, t in splats.tensors()}
    start = frozen - frozen % 16
    parts = {n: whole[n].detach()[start:].requires_grad_() for n in rates}
    adam = torch.optim.Adam([{"params": [parts[n]]} for n in rates], eps=1e-12, fused=True)
    target, weight = torch.from_numpy(view.rgb), torch.from_numpy(view.weight)
    K, cam = (torch.from_numpy(a.astype(np.float32)) for a in (view.K_33, view.cam_T_world))
    for step in range(schedule.steps):
        scales, opacities = torch.exp(whole["log_scales"]), torch.sigmoid(whole["opacity_logits"])
        colors = 0.5 + SH_C0 * whole["sh"][:, 0]
        out = CPU.rasterize(whole["means"], whole["quats"], scales, opacities, colors, cam, K, W, H)
        rgb = out.rgb if step % 2 else out.rgb + (1 - out.alpha)[..., None]
        loss = masked_smooth_l1(rgb, target, weight, 0.02)
        if schedule.dssim > 0:
            loss = loss + schedule.dssim * 0.02 * masked_dssim(rgb, target, weight)
        loss.backward()
        for group, (name, rate) in zip(adam.param_groups, rates.items(), strict=True):
            group["lr"] = rate * trainer._decay(step, schedule.steps)
            parts[name].grad = whole[name].grad[start:]
            parts[name].grad[: frozen - start] = 0
            whole[name].grad = None
        parts["sh"].grad *= torch.from_numpy(~fixed[start:])[:, None, None]
        adam.step()
        with torch.no_grad():
            parts["opacity_logits"][frozen - start :].clamp_(-7, 7)
    return Splats(**{n: t.detach() for n, t in whole.items()})


@pytest.mark.parametrize("dssim", [0.0, 0.2])
@pytest.mark.parametrize("frozen", [0, 16, 1003])
def test_a_step_taken_by_hand_is_autograds_to_the_bit(frozen, dssim):
    splats = wall()
    rng = np.random.default_rng(0)
    fixed = rng.random(len(splats)) < 0.3
    view = views_of(rng.random((H, W, 3), np.float32))
    view = replace(view, weight=(rng.random((H, W)) < 0.5).astype(np.float32))
    schedule = Schedule(steps=14, settled=0, dssim=dssim)
    ours = train_splats(splats, [view], CPU, schedule, fixed, frozen)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        plain = by_autograd(splats, view, schedule, frozen, fixed)
    finally:
        torch.set_num_threads(threads)
    for name, tensor in plain.tensors():
        assert torch.equal(getattr(ours, name), tensor), name
    assert not torch.equal(ours.sh, splats.sh)


def test_frozen_splats_are_no_business_of_the_optimisers(monkeypatch):
    seen: list[int] = []
    step = torch._fused_adam_

    def spy(tensors: list[Tensor], *rest: Any, **options: Any) -> None:
        seen.extend(len(t) for t in tensors)
        step(tensors, *rest, **options)

    monkeypatch.setattr(torch, "_fused_adam_", spy)
    splats = wall()
    view = views_of(np.full((H, W, 3), 0.5, np.float32))
    trained = train_splats(splats, [view], CPU, Schedule(steps=2, settled=0), frozen=1003)
    assert set(seen) == {len(splats) - 992}, "from the last full register on"
    for name, tensor in splats.tensors():
        assert torch.equal(getattr(trained, name)[:1003], tensor[:1003]), name
    assert not torch.equal(trained.sh[1003:], splats.sh[1003:])


def test_frozen_splats_keep_even_an_opacity_that_training_would_limit():
    splats = wall()
    logits = splats.opacity_logits.clone()
    logits[:1003] = 9.0
    splats = replace(splats, opacity_logits=logits)
    view = views_of(np.full((H, W, 3), 0.5, np.float32))
    trained = train_splats(splats, [view], CPU, Schedule(steps=2, settled=0), frozen=1003)
    assert (trained.opacity_logits[:1003] == 9).all()


def test_what_training_leaves_on_the_device_is_what_it_returns():
    splats = wall()
    view = views_of(np.full((H, W, 3), 0.5, np.float32))
    trained = train_splats(splats, [view], CPU, Schedule(steps=3, settled=0))
    there = resident(trained, CPU.device)
    for name, tensor in trained.tensors():
        assert torch.equal(there.params[name], tensor), name
    assert torch.equal(there.scales, trained.scales)
    assert torch.equal(there.opacities, trained.opacities)
    assert torch.equal(there.colors, trained.base_colors)
    assert trained.means is splats.means, "nothing that did not change is copied"


def test_a_scene_goes_to_the_device_once_and_leaves_with_its_owner():
    splats = wall()
    assert resident(splats, CPU.device) is resident(splats, CPU.device)
    before = len(keeping._kept)
    del splats
    gc.collect()
    assert len(keeping._kept) == before - 1


def test_old_scenes_leave_when_there_is_no_room(monkeypatch):
    one, two, three = (wall(z) for z in (2.0, 3.0, 4.0))
    gc.collect()
    size = resident(one, CPU.device).nbytes
    assert size == (14 + 7) * 4 * len(one)
    monkeypatch.setattr(keeping, "_MOST_BYTES", 2 * size)
    resident(two, CPU.device)
    resident(three, CPU.device)
    assert one not in keeping._kept
    assert two in keeping._kept
    monkeypatch.setattr(keeping, "_MOST_BYTES", 0)
    keep(one, Resident.of(dict(one.tensors()), CPU.device))
    assert list(keeping._kept) == [one], "what is looked at now is always kept"


@pytest.mark.parametrize("harmonics", [1, 4])
def test_views_drawn_together_are_those_drawn_alone(harmonics):
    splats = wall()
    extra = 0.3 * torch.randn(len(splats), harmonics - 1, 3, generator=torch.Generator().manual_seed(0))
    splats = replace(splats, sh=torch.cat([splats.sh, extra], 1))
    views = along(3)
    drawn: list[Tensor] = [
        render_together(resident(splats, CPU.device), views, engine).rgb for engine in (CPU, Together())
    ]
    assert torch.equal(*drawn)
    for i, view in enumerate(views):
        assert torch.equal(drawn[0][i], render_view(splats, view, CPU).rgb)
    assert torch.equal(drawn[0][0], drawn[0][1]) is False


META = torch.device("meta")
"""Stands for a GPU where only who is asked for what can be looked at."""


def test_new_splats_travel_alone_to_a_device_that_has_the_older_ones(monkeypatch):
    older, newer = wall(), wall(3.0)
    there = resident(older, META)
    sent = []
    copy = Tensor.to
    monkeypatch.setattr(Tensor, "to", lambda t, *args, **kw: sent.append(len(t)) or copy(t, *args, **kw))
    both = growing.joined(older, newer, META)
    assert set(sent) == {len(newer)}
    assert len(both.opacities) == len(older) + len(newer)
    assert resident(older, META) is there


def test_joined_splats_are_those_that_were_joined():
    older, newer = wall(), wall(3.0)
    both = growing.joined(older, newer, torch.device("cpu"))
    for name, tensor in Splats.concatenate([older, newer]).tensors():
        assert torch.equal(both.params[name], tensor), name


def first_of(splats: Splats, count: int) -> Splats:
    return splats.select(torch.arange(count))


def on_a_gpu(splats: Splats) -> Resident:
    """As it would lie there."""
    return replace(Resident.of(dict(splats.tensors()), CPU.device), device=torch.device("cuda"))


def test_a_scene_grows_without_a_copy_of_what_was_there():
    first, parts = wall(), [wall(z) for z in (1.5, 3.0, 4.0)]
    expected = scene_now = first
    places = []
    for part in parts:
        expected = Splats.concatenate([expected, part])
        ready = on_a_gpu(expected)
        scene_now = growing.whole_scene(scene_now, ready)
        assert resident(scene_now, ready.device) is ready
        for name, tensor in expected.tensors():
            assert torch.equal(getattr(scene_now, name), tensor), name
        places.append(scene_now.means.data_ptr())
    assert places[0] != first.means.data_ptr(), "who gave the first ones keeps them"
    assert len(set(places)) == 2, "room for half a scene more was made, and used"


def test_a_scene_that_grows_twice_from_one_state_keeps_both():
    older, parts = (
        growing.appended(wall(), dict(wall(3.0).tensors())),
        (first_of(wall(1.5), 5), first_of(wall(4.0), 7)),
    )
    ours = [growing.appended(older, dict(part.tensors())) for part in parts]
    for whole, part in zip(ours, parts, strict=True):
        for name, tensor in Splats.concatenate([older, part]).tensors():
            assert torch.equal(getattr(whole, name), tensor), name
    assert ours[0].means.data_ptr() == older.means.data_ptr() != ours[1].means.data_ptr()


def test_the_room_of_a_scene_is_gone_with_it():
    gc.collect()
    before = len(growing._rooms)
    whole = growing.appended(wall(), dict(wall(3.0).tensors()))
    assert len(growing._rooms) == before + 1
    del whole
    gc.collect()
    assert len(growing._rooms) == before


def test_what_is_forgotten_is_copied_again():
    splats = wall()
    first = resident(splats, META)
    keeping.forget()
    assert resident(splats, META) is not first
