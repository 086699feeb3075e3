"""Training looks only at what it is told to look at, and changes only what that shows."""

from __future__ import annotations

from dataclasses import replace
from threading import Event

import numpy as np
import pytest
import torch
from core_support import K_33, H, W, frame, moved, picture, psnr, room
from torch.nn.functional import conv2d

from splinescape.camera.view import View
from splinescape.engines import rasterizer
from splinescape.errors import CancelledError
from splinescape.scene.lift import lift_frame
from splinescape.scene.render import render_view
from splinescape.scene.splats import Splats
from splinescape.train.loss import masked_dssim, masked_smooth_l1
from splinescape.train.match import match_colors
from splinescape.train.trainer import Schedule, TrainingView, train_splats

CPU = rasterizer("cpu")
QUICK = Schedule(steps=12, settled=0)


def pictures(seed: int, shape=(24, 20, 3)) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    image, target = torch.rand(shape, generator=rng), torch.rand(shape, generator=rng)
    weight = (torch.rand(shape[:2], generator=rng) < 0.6).float()
    return image, target, weight


def plain_ssim(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """SSIM map, written from the definition of Wang et al. 2004."""
    taps = torch.exp(-((torch.arange(11, dtype=image.dtype) - 5) ** 2) / (2 * 1.5**2))
    window = torch.outer(taps, taps) / taps.sum() ** 2

    def mean(x):
        return conv2d(x.permute(2, 0, 1)[:, None], window[None, None], padding=5)[:, 0].permute(1, 2, 0)

    mx, my = mean(image), mean(target)
    vx, vy = mean(image * image) - mx * mx, mean(target * target) - my * my
    cov = mean(image * target) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))


@pytest.mark.parametrize("shape", [(24, 20, 3), (5, 7, 3), (1, 40, 3)])
def test_dssim_and_its_gradient_are_those_of_the_definition(shape):
    image, target, weight = pictures(0, shape)
    ours, plain = image.clone().requires_grad_(), image.double().requires_grad_()
    loss = masked_dssim(ours, target, weight)
    loss.backward()
    mixed = torch.where((weight > 0)[..., None], plain, target.double())
    expected = ((1 - plain_ssim(mixed, target.double())).mean(-1) * weight).sum() / weight.sum()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    scale = plain.grad.abs().max()
    assert ((ours.grad - plain.grad).abs().max() / scale).item() < 1e-3


@pytest.mark.parametrize("loss", [masked_dssim, lambda *a: masked_smooth_l1(*a, beta=0.02)])
def test_unsupervised_pixels_change_neither_loss_nor_gradient(loss):
    image, target, weight = pictures(1)
    hidden = (weight == 0)[..., None]
    results = []
    for junk in (0.0, 1.0, 37.0):
        x = torch.where(hidden, torch.tensor(junk), image).requires_grad_()
        value = loss(x, target, weight)
        value.backward()
        results.append((value.detach(), x.grad))
        assert (x.grad[hidden.expand_as(image)] == 0).all()
    for value, grad in results[1:]:
        assert torch.equal(value, results[0][0])
        assert torch.equal(grad, results[0][1])


def test_a_perfect_picture_has_no_loss_and_weights_do_not_scale_it():
    image, target, weight = pictures(2)
    assert masked_smooth_l1(image, image, weight, 0.02) == 0
    assert masked_dssim(image, image, weight).abs() < 1e-6
    for loss in (masked_dssim, lambda *a: masked_smooth_l1(*a, beta=0.02)):
        assert loss(image, target, weight * 7).item() == pytest.approx(
            loss(image, target, weight).item(), rel=1e-5
        )


def wall(rgb: np.ndarray, z: float = 2.0) -> tuple[Splats, TrainingView]:
    """Grey splats of a wall, and the picture they should show."""
    height, width = rgb.shape[:2]
    lifted = lift_frame(frame(np.full((height, width), z), np.full_like(rgb, 0.5)), 1000.0)
    K = frame(np.ones((height, width))).K_33
    return lifted.splats, TrainingView(rgb, np.ones((height, width), np.float32), K, np.eye(4))


def shown(splats: Splats, view: TrainingView) -> torch.Tensor:
    height, width = view.weight.shape
    return render_view(splats, View(width, height, view.K_33, view.cam_T_world), CPU).rgb


def test_pure_black_and_pure_white_can_be_learnt():
    rgb = np.zeros((32, 32, 3), np.float32)
    rgb[:, 16:] = 1
    splats, view = wall(rgb)
    trained = train_splats(splats, [view], CPU, Schedule(steps=60, settled=0, lr_sh=0.1))
    assert psnr(shown(trained, view)[:, 2:14], np.zeros((32, 12, 3), np.uint8)) > 40
    assert psnr(shown(trained, view)[:, 18:30], np.full((32, 12, 3), 255, np.uint8)) > 35
    for _, tensor in trained.tensors():
        assert torch.isfinite(tensor).all()
    assert trained.opacity_logits.abs().max() <= 7


@pytest.mark.parametrize("value", [0, 255])
def test_saturated_pixels_lift_to_finite_trainable_colours(value):
    rgb = np.full((16, 16, 3), value / 255, np.float32)
    splats = lift_frame(frame(np.full((16, 16), 2.0), rgb), 1000.0).splats
    assert torch.isfinite(splats.sh).all()
    view = replace(wall(rgb)[1], rgb=np.full((16, 16, 3), 0.5, np.float32))
    trained = train_splats(splats, [view], CPU, Schedule(steps=80, settled=0, lr_sh=0.1))
    assert psnr(shown(trained, view), np.full((16, 16, 3), 128, np.uint8)) > 30, "not stuck at the limit"


def test_what_no_supervised_pixel_shows_stays_bit_for_bit():
    rgb = picture(room()).astype(np.float32) / 255
    splats, view = wall(rgb)
    weight = view.weight.copy()
    weight[:, W // 2 :] = 0
    trained = train_splats(splats, [replace(view, weight=weight)], CPU, QUICK)
    untouched = torch.zeros(H, W, dtype=torch.bool)
    untouched[:, W // 2 + 6 :] = True
    for name, before in splats.tensors():
        after = getattr(trained, name)
        assert torch.equal(after[untouched.ravel()], before[untouched.ravel()]), name
    assert not torch.equal(trained.sh, splats.sh)


def test_junk_under_the_mask_does_not_change_the_result():
    rgb = picture(room()).astype(np.float32) / 255
    splats, view = wall(rgb)
    weight = (np.random.default_rng(0).random((H, W)) < 0.5).astype(np.float32)
    junk = np.where(weight[..., None] > 0, rgb, np.float32(0.123))
    one = train_splats(splats, [replace(view, weight=weight)], CPU, QUICK)
    two = train_splats(splats, [replace(view, weight=weight, rgb=junk)], CPU, QUICK)
    for name, tensor in one.tensors():
        assert torch.equal(tensor, getattr(two, name)), name


def test_a_rate_of_zero_freezes_a_parameter():
    splats, view = wall(picture(room()).astype(np.float32) / 255)
    moving = {"lr_sh": "sh", "lr_log_scales": "log_scales", "lr_opacity": "opacity_logits"}
    moving |= {"lr_means": "means", "lr_quats": "quats"}
    frozen = dict.fromkeys(moving, 0.0)
    for rate, name in moving.items():
        trained = train_splats(splats, [view], CPU, Schedule(steps=4, settled=0, **(frozen | {rate: 0.01})))
        changed = {n for n, t in splats.tensors() if not torch.equal(t, getattr(trained, n))}
        assert changed == {name}
    assert trained.quats.norm(dim=1) == pytest.approx(1, abs=1e-5)


def test_fixed_colours_stay():
    splats, view = wall(picture(room()).astype(np.float32) / 255)
    fixed = np.random.default_rng(0).random(len(splats)) < 0.3
    trained = train_splats(splats, [view], CPU, QUICK, fixed)
    assert torch.equal(trained.sh[fixed], splats.sh[fixed])
    assert not torch.equal(trained.sh[~fixed], splats.sh[~fixed])


def test_frozen_splats_keep_everything_bit_for_bit():
    splats, view = wall(picture(room()).astype(np.float32) / 255)
    trained = train_splats(splats, [view], CPU, QUICK, frozen=1000)
    for name, tensor in splats.tensors():
        assert torch.equal(getattr(trained, name)[:1000], tensor[:1000]), name
    assert not torch.equal(trained.sh[1000:], splats.sh[1000:])


def test_training_leaves_its_input_alone_and_gives_the_same_every_time():
    splats, view = wall(picture(room()).astype(np.float32) / 255)
    before = {name: t.clone() for name, t in splats.tensors()}
    one, two = (train_splats(splats, [view], CPU, QUICK) for _ in range(2))
    for name, tensor in splats.tensors():
        assert torch.equal(tensor, before[name])
        assert torch.equal(getattr(one, name), getattr(two, name))


@pytest.mark.parametrize("dssim", [0.0, 0.2])
def test_the_result_does_not_depend_on_the_number_of_threads(dssim):
    splats, view = wall(
        np.tile(picture(room()), (2, 3, 1)).astype(np.float32) / 255
    )  # torch splits from 32k on
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(train_splats(splats, [view], CPU, Schedule(steps=3, settled=0, dssim=dssim)))
    finally:
        torch.set_num_threads(1)
    for other in results[1:]:
        for name, tensor in results[0].tensors():
            assert torch.equal(tensor, getattr(other, name)), name


def test_views_are_drawn_by_their_share():
    seen = []

    class Counting:
        device = CPU.device

        def rasterize(self, *args):
            seen.append(float(args[5][0, 3]))
            return CPU.rasterize(*args)

    splats, view = wall(np.full((16, 16, 3), 0.3, np.float32))
    views = [replace(view, cam_T_world=moved(0.1), share=3.0), replace(view, share=1.0)]
    train_splats(splats, views, Counting(), Schedule(steps=20, settled=0))
    assert len(seen) == 20
    assert sum(x != 0 for x in seen) == 15


def test_training_stops_when_the_loss_has_settled():
    rgb = np.full((16, 16, 3), 0.5, np.float32)
    splats, view = wall(rgb)
    steps = []
    train_splats(splats, [view], CPU, Schedule(steps=400, settled=0.05), on_step=lambda *s: steps.append(s))
    assert len(steps) < 400
    assert [s[0] for s in steps] == list(range(1, len(steps) + 1))
    assert {s[1] for s in steps} == {400}
    assert all(s[2] is None or s[2] >= 0 for s in steps)


def test_cancel_stops_before_the_next_step():
    splats, view = wall(np.full((16, 16, 3), 0.3, np.float32))
    cancel, steps = Event(), []

    def on_step(step, _total, _eta):
        steps.append(step)
        if step == 3:
            cancel.set()

    with pytest.raises(CancelledError):
        train_splats(splats, [view], CPU, Schedule(steps=50), on_step=on_step, cancel=cancel)
    assert steps == [1, 2, 3]


@pytest.mark.parametrize("what", ["no splats", "no views", "no steps"])
def test_nothing_to_train_changes_nothing(what):
    splats, view = wall(np.full((8, 8, 3), 0.3, np.float32))
    splats = Splats.empty() if what == "no splats" else splats
    views = [] if what == "no views" else [view]
    assert train_splats(splats, views, CPU, Schedule(steps=0 if what == "no steps" else 3)) is splats


def test_matching_colours_comes_closer_to_the_picture_and_touches_only_new_splats():
    rgb = picture(room()).astype(np.float32) / 255
    old = lift_frame(frame(np.full((H, W), 9.0), cam_T_world=moved(0, 50)), 1000.0).splats
    view = frame(room().render_depth(np.eye(4), K_33, W, H), rgb, K_33)
    lifted = lift_frame(view, 1000.0)
    scene = Splats.concatenate([old, lifted.splats])
    fixed = lifted.fixed
    matched = match_colors(scene, len(old), view, lifted.pixels, fixed, CPU)
    before, after = (render_view(s, view.view, CPU).rgb for s in (scene, matched))
    assert psnr(after, picture(room())) > psnr(before, picture(room())) + 2
    assert torch.equal(matched.sh[: len(old)], scene.sh[: len(old)])
    assert (matched.sh - scene.sh)[len(old) :][fixed].abs().max() < 1e-5
    assert (matched.base_colors - scene.base_colors).abs().max() <= 0.3 + 1e-6
    assert torch.equal(matched.means, scene.means)


def test_the_fine_terms_need_no_more_than_a_mask_of_one_pixel():
    splats, view = wall(picture(room()).astype(np.float32) / 255)
    weight = np.zeros((H, W), np.float32)
    weight[10, 10] = 1
    trained = train_splats(splats, [replace(view, weight=weight)], CPU, replace(QUICK, dssim=0.2))
    for _, tensor in trained.tensors():
        assert torch.isfinite(tensor).all()
