"""The depth network, what it is asked, what is kept of it, and how it is judged."""

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional

from training.depth import checkpoint, metrics
from training.depth import compile as compiling
from training.depth.feed import Batch, FeedSettings
from training.depth.generator import HAZE, SKY, THING, Views
from training.depth.losses import edge_weight, labels_of, losses
from training.depth.network import STRIDE, DepthNetwork, Prediction
from training.depth.together import Team, run
from training.depth.train import Recipe, Trainer, rate_at

H, W = 64, 96


def views_of(depth: torch.Tensor, what: torch.Tensor) -> Views:
    n = len(depth)
    normal = torch.zeros(n, 3, *depth.shape[1:])
    normal[:, 2] = torch.where(what == SKY, 0.0, -1.0)
    up = torch.tensor([[0.0, -1.0, 0.0]]).repeat(n, 1)
    tan_half = torch.full((n,), 0.6)
    return Views(
        torch.rand(n, 3, *depth.shape[1:]),
        depth,
        normal,
        what,
        tan_half,
        up,
        torch.zeros(n, dtype=torch.long),
    )


@pytest.fixture
def labels():
    depth = 1 + 9 * torch.rand(2, H, W, generator=torch.Generator().manual_seed(1))
    what = torch.full((2, H, W), THING, dtype=torch.int32)
    what[:, :10], depth[:, :10] = SKY, math.inf
    what[:, 10:12] = HAZE
    return labels_of(views_of(depth, what))


def perfect(t) -> Prediction:
    return Prediction(
        log_depth=t.log_depth.clone(),
        log_scale=t.log_scale.clone(),
        sky_logit=torch.where(t.sky, 20.0, -20.0),
        log_error=torch.full_like(t.log_depth, -6.0),
        normal=t.normal.clone(),
        log_tan_half=t.log_tan_half.clone(),
        up=t.up.clone(),
    )


def changed(p: Prediction, **values) -> Prediction:
    return Prediction(**(vars(p) | values))


def test_a_perfect_answer_costs_nothing_but_its_confidence(labels):
    _, parts = losses(perfect(labels), labels)
    assert {name for name, value in parts.items() if float(value) > 1e-4} <= {"error"}
    assert float(parts["error"]) == pytest.approx(-6, abs=1e-3)


def test_the_size_of_the_world_costs_only_the_absolute_part(labels):
    p = perfect(labels)
    _, parts = losses(changed(p, log_depth=p.log_depth + 0.7), labels)
    assert float(parts["absolute"]) == pytest.approx(0.7, abs=1e-4)
    for name in ("depth", "local", "gradient", "disparity"):
        assert float(parts[name]) < 1e-4


def test_depth_in_the_sky_and_in_haze_is_not_asked(labels):
    p = perfect(labels)
    wild = torch.where(labels.valid, p.log_depth, 9.0)
    _, parts = losses(changed(p, log_depth=wild), labels)
    for name in ("depth", "gradient", "local", "disparity"):
        assert float(parts[name]) < 1e-4
    haze = ~labels.valid & ~labels.sky
    _, parts = losses(changed(p, sky_logit=torch.where(haze, 20.0, p.sky_logit)), labels)
    assert float(parts["sky"]) < 1e-4


def test_a_missed_edge_costs_more_than_a_smooth_error(labels):
    p = perfect(labels)
    step = torch.zeros_like(p.log_depth)
    step[:, :, W // 2 :] = 0.4
    ramp = torch.linspace(0, 0.4, W).expand_as(step)
    sharp = losses(changed(p, log_depth=p.log_depth + step), labels)[1]
    soft = losses(changed(p, log_depth=p.log_depth + ramp), labels)[1]
    assert float(sharp["local"]) > 1.5 * float(soft["local"])


def a_post_before_a_wall():
    depth = torch.full((1, H, W), 8.0)
    depth[:, :, 40:48] = 2.0
    return labels_of(views_of(depth, torch.full((1, H, W), THING, dtype=torch.int32)))


def test_a_blurred_edge_costs_more_than_a_tilted_plane_of_the_same_mean_error():
    t = a_post_before_a_wall()
    p = perfect(t)
    blurred = functional.avg_pool2d(t.log_depth[None], (1, 7), 1, (0, 3), count_include_pad=False)[0]
    ramp = torch.linspace(-1, 1, W).expand_as(blurred)
    tilted = t.log_depth + ramp * float((blurred - t.log_depth).abs().mean() / ramp.abs().mean())
    parts = [losses(changed(p, log_depth=x), t)[1] for x in (blurred, tilted)]
    assert float(parts[0]["absolute"]) == pytest.approx(float(parts[1]["absolute"]), rel=1e-3)
    assert float(parts[0]["depth"]) > 1.8 * float(parts[1]["depth"])
    assert float(parts[0]["gradient"]) > 5 * float(parts[1]["gradient"])


def test_two_pixels_on_both_sides_of_an_edge_count_three_times_and_no_others():
    t = a_post_before_a_wall()
    expected = torch.ones(W)
    expected[[38, 39, 40, 41, 46, 47, 48, 49]] = 3.0
    torch.testing.assert_close(edge_weight(t), expected.expand(1, H, W))


def test_what_is_not_asked_has_no_weight_and_haze_is_no_edge(labels):
    weight = edge_weight(labels)
    assert (weight[~labels.valid] == 0).all()
    depth = torch.full((1, H, W), 3.0)
    what = torch.full((1, H, W), THING, dtype=torch.int32)
    what[:, :8] = HAZE
    assert float(edge_weight(labels_of(views_of(depth, what))).max()) == 1.0


@pytest.mark.parametrize("size", [(STRIDE, 2 * STRIDE), (3 * STRIDE, STRIDE)])
def test_the_network_takes_any_shape_and_every_weight_learns(size):
    torch.manual_seed(0)
    model = DepthNetwork()
    assert 12e6 < sum(p.numel() for p in model.parameters()) < 16e6
    p = model(torch.rand(2, 3, *size))
    assert p.log_depth.shape == (2, *size)
    assert p.normal.shape == (2, 3, *size)
    total = sum((value.float() ** 2).sum() for value in vars(p).values())
    total.backward()
    assert all(q.grad is not None and torch.isfinite(q.grad).all() for q in model.parameters())
    silent = [name for name, q in model.named_parameters() if not q.grad.any()]
    assert silent == []


def trained(steps=2):
    trainer = Trainer(torch.device("cpu"), 0, 1e-3)
    depth = 1 + torch.rand(1, 32, 32)
    labels = labels_of(views_of(depth, torch.full((1, 32, 32), THING, dtype=torch.int32)))
    for _ in range(steps):
        trainer.step(Batch(torch.rand(1, 3, 32, 32), labels), 1e-3)
    return trainer


def test_every_part_of_a_state_comes_back(tmp_path):
    dice = torch.Generator().manual_seed(3)
    weight = torch.randn(7, 90, generator=dice)
    tensors = {"w": weight}
    state = checkpoint.State(
        weights=tensors,
        average={"w": weight + 1e-3 * torch.randn(7, 90, generator=dice)},
        first={"w": 1e-4 * torch.randn(7, 90, generator=dice)},
        second={"w": 1e-9 * torch.rand(7, 90, generator=dice)},
        meta={"step": 4, "images": 512},
    )
    checkpoint.save(state, tmp_path)
    back = checkpoint.load(tmp_path)
    assert back.meta == state.meta
    torch.testing.assert_close(back.weights["w"], weight, rtol=5e-4, atol=1e-6)
    torch.testing.assert_close(back.average["w"], state.average["w"], rtol=0, atol=5e-5)
    torch.testing.assert_close(back.first["w"], state.first["w"], rtol=0, atol=5e-5)
    torch.testing.assert_close(back.second["w"], state.second["w"], rtol=0.1, atol=1e-14)


@pytest.mark.slow
def test_a_checkpoint_comes_back_as_it_was_written_within_its_precision(tmp_path):
    trainer = trained()
    size = trainer.save(tmp_path)
    assert size < 64 * 2**20
    assert all(p.stat().st_size <= 16 * 2**20 for p in tmp_path.iterdir())
    other = Trainer(torch.device("cpu"), 5, 1e-3)
    other.resume(tmp_path)
    assert other.meta == trainer.meta
    for (name, a), (_, b) in zip(
        trainer.model.named_parameters(), other.model.named_parameters(), strict=True
    ):
        torch.testing.assert_close(b, a.half().float(), rtol=0, atol=0)
        torch.testing.assert_close(other.average[name], trainer.average[name], rtol=1e-3, atol=2e-4)
        mine, theirs = trainer.optimizer.state[a], other.optimizer.state[b]
        ratio = theirs["exp_avg_sq"] / mine["exp_avg_sq"].clamp(min=1e-20)
        known = mine["exp_avg_sq"] > 1e-12
        assert not known.any() or (ratio[known].log2().abs().max() < 0.13)
        top = float(mine["exp_avg"].abs().max())
        torch.testing.assert_close(theirs["exp_avg"], mine["exp_avg"], rtol=0, atol=top / 13)


def test_a_checkpoint_with_a_missing_part_or_a_changed_byte_is_refused(tmp_path):
    state = checkpoint.State({"a": torch.randn(5)}, {"a": torch.randn(5)}, meta={"step": 3})
    checkpoint.save(state, tmp_path)
    part = tmp_path / "part-0.bin"
    whole = part.read_bytes()
    part.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(checkpoint.DamagedCheckpointError, match="damaged"):
        checkpoint.load(tmp_path)
    part.write_bytes(whole[:-3])
    with pytest.raises(checkpoint.DamagedCheckpointError):
        checkpoint.load(tmp_path)
    part.unlink()
    with pytest.raises(checkpoint.DamagedCheckpointError, match="no checkpoint"):
        checkpoint.load(tmp_path)


def test_a_smaller_checkpoint_leaves_no_part_of_a_larger_one(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "PART_BYTES", 1000)
    big = checkpoint.State({"a": torch.randn(4000)}, {"a": torch.randn(4000)})
    small = checkpoint.State({"a": torch.randn(40)}, {"a": torch.randn(40)}, meta={"step": 1})
    checkpoint.save(big, tmp_path)
    assert len(list(tmp_path.iterdir())) > 5
    checkpoint.save(small, tmp_path)
    assert checkpoint.load(tmp_path).meta == {"step": 1}


def test_a_gradient_that_is_not_finite_changes_nothing():
    trainer = trained(1)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    depth = 1 + torch.rand(1, 32, 32)
    labels = labels_of(views_of(depth, torch.full((1, 32, 32), THING, dtype=torch.int32)))
    norm, _ = trainer.step(Batch(torch.full((1, 3, 32, 32), math.nan), labels), 1e-3)
    assert not math.isfinite(norm)
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))


def test_the_rate_warms_up_stays_and_falls_only_in_the_last_piece():
    plain = Recipe(9, 0, False, 1e-3, FeedSettings())
    last = Recipe(9, 0, True, 1e-3, FeedSettings())
    assert rate_at(plain, 0, 0) < 1e-5
    assert rate_at(plain, 5000, 0.99) == 1e-3
    assert rate_at(last, 5000, 0) == 1e-3
    assert rate_at(last, 5000, 1.0) == 0


def test_alignment_undoes_scale_and_shift_of_inverse_depth():
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 20, (30, 40))
    valid = np.ones(truth.shape, bool)
    found = metrics.align_scale_shift(3.0 / truth + 0.4, truth, valid)
    assert metrics.depth_errors(found, truth, valid) == pytest.approx({"absrel": 0, "delta1": 1}, abs=1e-6)
    assert metrics.depth_errors(metrics.align_scale(7 * truth, truth, valid), truth, valid)["delta1"] == 1


def test_edge_f1_knows_found_missed_and_invented_edges():
    truth = np.full((40, 40), 5.0)
    truth[:, 20:] = 9.0
    valid = np.ones(truth.shape, bool)
    edges = metrics.edges(truth, valid)
    assert metrics.edge_f1(np.roll(edges, 2, 1), edges) == pytest.approx(1)
    assert metrics.edge_f1(np.zeros_like(edges), edges) == 0
    assert metrics.edge_f1(np.ones_like(edges), edges) < 0.3


@pytest.mark.slow
@pytest.mark.skipif(compiling.find_compiler("cpu") is None, reason="needs a C++ compiler")
def test_a_piece_of_training_can_be_followed_by_another(tmp_path):
    from training.depth.train import train

    feed = FeedSettings(pixels=2 * 64 * 64, samples=1, sizes=((64, 64),))
    recipe = Recipe(9, 2, False, 1e-3, feed)
    alone = Team(), torch.device("cpu")
    train(recipe, tmp_path / "a", None, None, *alone)
    train(recipe, tmp_path / "b", tmp_path / "a" / "checkpoint", None, *alone)
    lines = [json.loads(line) for line in (tmp_path / "b" / "log.jsonl").read_text().splitlines()]
    events = [line["event"] for line in lines]
    assert events[0] == "start"
    assert events[-1] == "end"
    assert lines[-1]["meta"]["step"] == 4
    assert lines[-1]["meta"]["images"] == 8
    assert lines[-1]["meta"]["world"] == 8
    assert "all" in lines[events.index("figures")]
    assert (tmp_path / "b" / "worlds.png").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.skipif(compiling.find_compiler("cpu") is None, reason="needs a C++ compiler")
def test_two_that_train_together_learn_from_both_their_pictures(tmp_path):
    from training.depth.feed import Feed
    from training.depth.generator import Generator
    from training.depth.train import train

    settings = FeedSettings(pixels=2 * 64 * 64, samples=1, sizes=((64, 64),))
    run(2, partial(train, Recipe(9, 1, False, 1e-3, settings), tmp_path, None, None), "cpu")
    made = checkpoint.load(tmp_path / "checkpoint")
    assert made.meta["images"] == made.meta["world"] == 4

    def gradient(rank: int) -> torch.Tensor:
        feed = Feed(Generator("cpu", 1), replace(settings, rank=rank, ranks=2), 0, 0)
        batch = feed.next()
        feed.close()
        model = Trainer(torch.device("cpu"), settings.seed, 1e-3).model
        losses(model(batch.rgb), batch.labels)[0].backward()
        return torch.cat([p.grad.flatten() for p in model.parameters()])

    first, second = gradient(0), gradient(1)
    kept = torch.cat([moment.flatten() for moment in made.first.values()])  # in seven steps either way
    assert functional.cosine_similarity(kept, first + second, dim=0) > 0.98
    assert functional.cosine_similarity(kept, first, dim=0) < 0.95
    assert functional.cosine_similarity(kept, second, dim=0) < 0.95
