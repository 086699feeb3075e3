"""The generated worlds tell the truth: depth, normals, cameras, sky, mirrors; and the photographs keep it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from training.depth import compile as compiling
from training.depth import photo
from training.depth.feed import HELD_OUT, Feed, FeedSettings, photograph
from training.depth.generator import (
    _EYE,
    GROUND,
    HAZE,
    KINDS,
    MIRROR,
    SKY,
    WATER,
    Generator,
    Views,
    seeds_from,
)
from training.depth.losses import labels_of

pytestmark = pytest.mark.skipif(compiling.find_compiler("cpu") is None, reason="needs a C++ compiler")

H, W = 48, 64
STREET, ROOM, TABLE, PEOPLE = (KINDS.index(k) for k in ("street", "room", "table", "people"))
MOUNTAIN, WATERSIDE, GARDEN = (KINDS.index(k) for k in ("mountain", "waterside", "garden"))
MOST_SHAPES = 6000


@pytest.fixture(scope="module")
def generator():
    return Generator("cpu", threads=1)


def look(generator, seeds, kind, height=H, width=W, samples=1) -> Views:
    return generator.render(generator.build(seeds, [kind] * len(seeds)), height, width, samples)


def points_of(views: Views, i: int) -> np.ndarray:
    """(H, W, 3) camera-space points from depth, focal length and pixel centres at +0.5."""
    h, w = views.depth.shape[1:]
    f = float(views.focal[i])
    x = (np.arange(w) + 0.5 - w / 2) / f
    y = (np.arange(h) + 0.5 - h / 2) / f
    rays = np.stack([*np.meshgrid(x, y), np.ones((h, w))], -1)
    return rays * views.depth[i].numpy()[..., None]


def shapes_and_eyes(worlds, generator):
    """Per world its shapes, (n, 16) floats as in `Prim`, and its eye (3,)."""
    heads = worlds.data[: len(worlds) * int(generator._sizes[0])].numpy().reshape(len(worlds), -1)
    spans = np.ascontiguousarray(heads[:, :8]).view(np.int32)
    size, start = int(generator._sizes[1]), int(worlds.offsets[1])
    prims = [
        worlds.data[start + a * size : start + (a + n) * size].numpy().view(np.float32).reshape(n, -1)
        for a, n in spans
    ]
    return prims, np.ascontiguousarray(heads[:, _EYE : _EYE + 12]).view(np.float32)


def test_a_flat_ground_is_one_plane_at_one_height_under_the_camera(generator):
    views = look(generator, range(12), STREET)
    checked = 0
    for i in range(12):
        ground = views.what[i].numpy() == GROUND
        if ground.sum() < 50:
            continue
        up = views.up[i].numpy()
        height = -(points_of(views, i)[ground] @ up)
        assert height.min() > 0
        np.testing.assert_allclose(height, np.median(height), rtol=2e-3)
        normals = views.normal[i].permute(1, 2, 0).numpy()[ground]
        np.testing.assert_allclose(normals, np.broadcast_to(up, normals.shape), atol=1e-3)
        checked += 1
    assert checked >= 4


NO_FOLIAGE = (
    "room",
    "hall",
    "street",
    "table",
    "shelves",
    "above",
    "clutter",
)  # leaves have normals of their own


@pytest.mark.parametrize("name", NO_FOLIAGE)
def test_normals_are_those_of_the_depth_and_look_at_the_camera(generator, name):
    views = look(generator, [7], KINDS.index(name), 96, 128)
    points = points_of(views, 0)
    surface = np.isfinite(views.depth[0].numpy())
    normals = views.normal[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(np.linalg.norm(normals[surface], axis=-1), 1, atol=1e-3)
    assert ((normals * np.nan_to_num(points, posinf=0, neginf=0)).sum(-1)[surface] <= 1e-3).mean() > 0.995
    points[~surface] = np.nan
    dx, dy = points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1]
    seen = np.cross(dy, dx)
    seen /= np.linalg.norm(seen, axis=-1, keepdims=True)
    cosine = (seen * normals[1:-1, 1:-1]).sum(-1)
    assert np.nanmedian(cosine) > 0.98  # most pixels are not on an edge


def test_the_sky_and_only_the_sky_is_infinitely_far(generator):
    for kind in range(len(KINDS)):
        views = look(generator, [3, 4], kind)
        sky = views.what == SKY
        assert torch.equal(sky, torch.isinf(views.depth))
        assert (views.depth > 0).all()
        assert (views.normal.abs().sum(1)[sky] == 0).all()
        assert torch.isfinite(views.rgb).all()


def test_a_mirror_has_the_depth_of_its_surface(generator):
    found = 0
    for kind, seeds in ((ROOM, range(40)), (TABLE, range(10))):
        views = look(generator, seeds, kind)
        for i in range(len(seeds)):
            mirror = views.what[i].numpy() == MIRROR
            if mirror.sum() < 30:
                continue
            points, normals = points_of(views, i)[mirror], views.normal[i].permute(1, 2, 0).numpy()[mirror]
            main = np.abs(normals @ normals[0]) > 0.999
            offset = points[main] @ normals[0]
            nearest = np.abs(offset - np.median(offset)) < 0.01
            assert nearest.mean() > 0.4  # one mirror of perhaps several; a reflected room would not be flat
            found += 1
    assert found >= 2


def test_no_strip_of_sky_lies_between_level_ground_and_the_hills_behind_it(generator):
    views = look(generator, range(18), MOUNTAIN)
    level = views.up[:, 0].abs() < 0.03
    what = views.what[level]
    ground_above = torch.cummax((what == GROUND).int(), dim=1).values.bool()
    hidden = (what == SKY) & ground_above
    assert len(what) > 6
    assert float(hidden.float().mean()) < 1e-3


def test_landscapes_reach_far_and_often_lie_under_grey_structured_skies(generator):
    views = look(generator, range(40), MOUNTAIN)
    land = (views.what == GROUND) | (views.what == WATER)
    farthest = torch.where(land, views.depth, 0.0).flatten(1).amax(1)
    assert int((farthest > 1000).sum()) >= 20
    assert int((farthest > 5000).sum()) >= 8
    grey = 0
    for rgb, what in zip(views.rgb, views.what, strict=True):
        sky = rgb[:, what == SKY]
        if sky.shape[1] < 200:
            continue
        mean = sky.mean(1)
        coloured = float((mean.max() - mean.min()) / mean.max())
        structured = float(sky.mean(0).std() / mean.mean())
        grey += coloured < 0.22 and structured > 0.08
    assert grey >= 8


def test_land_has_the_normals_of_its_depth(generator):
    views = look(generator, range(12), MOUNTAIN, 192, 256)
    cosines = []
    for i in range(12):
        points = points_of(views, i)
        points[~np.isfinite(points)] = np.nan
        dx, dy = points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1]
        seen = np.cross(dy, dx)
        seen /= np.linalg.norm(seen, axis=-1, keepdims=True)
        cosine = (seen * views.normal[i].permute(1, 2, 0).numpy()[1:-1, 1:-1]).sum(-1)
        ground = views.what[i].numpy() == GROUND
        inner = (
            ground[1:-1, 1:-1] & ground[:-2, 1:-1] & ground[2:, 1:-1] & ground[1:-1, :-2] & ground[1:-1, 2:]
        )
        cosines.append(cosine[inner])
    assert np.nanmedian(np.concatenate(cosines)) > 0.97


def test_what_clouds_and_haze_hide_is_neither_sky_nor_surface(generator):
    views = look(generator, range(60), MOUNTAIN)
    hidden = views.what == HAZE
    assert int((hidden.flatten(1).sum(1) > 30).sum()) >= 4
    labels = labels_of(views)
    assert not labels.valid[hidden].any()
    assert not labels.sky[hidden].any()
    assert not labels.sky_known[hidden].any()
    assert torch.isfinite(views.depth[hidden]).all()


def test_some_rooms_are_bare_and_their_ceilings_are_no_sky(generator):
    worlds = generator.build(range(120), [ROOM] * 120)
    heads = worlds.data[: 120 * int(generator._sizes[0])].numpy().reshape(120, -1)
    bare = np.flatnonzero(np.ascontiguousarray(heads[:, -4:]).view(np.int32)[:, 0] == 2)
    assert 12 <= len(bare) <= 40
    for seed in bare[:12]:
        views = look(generator, [int(seed)], ROOM)
        points = np.nan_to_num(points_of(views, 0), posinf=0, neginf=0)
        high = points @ views.up[0].numpy() / np.maximum(np.linalg.norm(points, axis=-1), 1e-6) > 0.7
        assert not (high & (views.what[0].numpy() == SKY)).any()


@pytest.mark.parametrize("name", ["village", "street", "garden"])
def test_no_camera_stands_in_a_house(generator, name):
    worlds = generator.build(range(20), [KINDS.index(name)] * 20)
    prims, eyes = shapes_and_eyes(worlds, generator)
    for mine, eye in zip(prims, eyes, strict=True):
        maps = mine[mine[:, 12].view(np.int32) == 0][:, :12].reshape(-1, 3, 4)  # boxes
        half = 1 / np.linalg.norm(maps[:, :, :3], axis=2)
        within = (np.abs(maps[:, :, :3] @ eye + maps[:, :, 3]) < 0.99).all(1)
        assert not (within & (half.min(1) > 0.5)).any()


def test_many_watersides_show_a_far_shore_beyond_near_water(generator):
    views = look(generator, range(60), WATERSIDE)
    wet = (views.what[:, -1] == WATER).float().mean(1) > 0.2
    land = torch.where((views.what == SKY) | (views.what == WATER), 0.0, views.depth).flatten(1).amax(1)
    nearest = views.depth.flatten(1).amin(1)
    assert int((wet & (land > 35) & (land / nearest > 10)).sum()) >= 35


@pytest.mark.slow
def test_some_gardens_are_seen_through_thin_things(generator):
    views = look(generator, range(200, 320), GARDEN, 96, 128)
    row = views.depth.clamp(max=1e4).log()
    post = (row[:, :, 1:-1] < row[:, :, :-2] - 0.4) & (row[:, :, 1:-1] < row[:, :, 2:] - 0.4)
    crowded = (post & (views.depth[:, :, 1:-1] < 7)).flatten(1).sum(1) > 100
    assert 36 <= int(crowded.sum()) <= 80


def test_no_world_outgrows_its_share_of_memory(generator):
    for kind in range(len(KINDS)):
        for seed in range(6):
            worlds = generator.build([seed], [kind])
            shapes = (worlds.offsets[2] - worlds.offsets[1]) / generator._sizes[1]
            assert shapes <= MOST_SHAPES


def test_cameras_are_of_the_promised_range(generator):
    worlds = generator.build(range(200))
    fov = 2 * np.degrees(np.arctan(worlds.tan_half))
    assert fov.min() >= 24.9
    assert fov.max() <= 100.1
    assert np.ptp(fov) > 50
    np.testing.assert_allclose(np.linalg.norm(worlds.up, axis=1), 1, atol=1e-4)
    assert (np.bincount(worlds.kind, minlength=len(KINDS)) > 0).sum() >= len(KINDS) - 3


def test_a_seed_is_a_world_and_neighbours_have_nothing_in_common(generator):
    first = look(generator, [11, 12], PEOPLE)
    again = Generator("cpu", threads=3).render(generator.build([11, 12], [PEOPLE] * 2), H, W, 1)
    assert torch.equal(first.rgb, again.rgb)
    assert torch.equal(first.depth, again.depth)
    assert first.tan_half[0] != first.tan_half[1]
    worlds = [generator.build([s]) for s in range(40)]
    assert len({(round(float(w.tan_half[0]), 5), int(w.kind[0])) for w in worlds}) == 40


def test_a_world_is_the_same_in_a_batch_of_any_size(generator):
    seeds = seeds_from(0, 140)
    assert (generator.build(seeds).kind == [int(generator.build([s]).kind[0]) for s in seeds]).all()


def test_more_samples_change_the_colours_and_not_the_labels(generator):
    one, four = look(generator, [5], STREET, samples=1), look(generator, [5], STREET, samples=4)
    assert torch.equal(one.depth, four.depth)
    assert torch.equal(one.normal, four.normal)
    assert not torch.equal(one.rgb, four.rgb)


def test_a_mirrored_photograph_has_mirrored_labels(generator):
    views = look(generator, [2], ROOM)
    straight = turned = None
    for seed in range(20):
        batch = photograph(views, seed)
        same = torch.equal(batch.labels.normal, views.normal)
        straight, turned = (batch, turned) if same else (straight, batch)
    assert straight is not None
    assert turned is not None
    a, b = straight.labels, turned.labels
    metres = [t.log_depth + t.log_scale.view(-1, 1, 1) for t in (a, b)]
    torch.testing.assert_close(metres[0][a.valid], metres[1].flip(-1)[a.valid])
    assert torch.equal(a.valid, b.valid.flip(-1))
    assert torch.equal(a.normal[:, 0], -b.normal[:, 0].flip(-1))
    assert torch.equal(a.up[:, 0], -b.up[:, 0])
    assert torch.equal(a.up[:, 1:], b.up[:, 1:])


def test_batches_repeat_from_any_step(generator):
    settings = FeedSettings(pixels=2 * 64 * 64, samples=1, sizes=((64, 64), (64, 96)))
    feed = Feed(generator, settings, 0, 0)
    first, second = feed.next(), feed.next()
    world = feed.world
    third = feed.next()
    feed.close()
    assert not torch.equal(first.rgb, second.rgb)
    later = Feed(generator, settings, 2, world)
    again = later.next()
    later.close()
    assert torch.equal(third.rgb, again.rgb)
    assert torch.equal(third.labels.log_depth, again.labels.log_depth)


def test_an_error_in_the_background_reaches_the_trainer(generator):
    feed = Feed(generator, FeedSettings(pixels=64 * 64, samples=1, sizes=((60, 60),)), 0, 0)
    with pytest.raises(RuntimeError):
        feed.next()
    feed.close()


def test_training_never_reaches_the_held_out_worlds():
    assert HELD_OUT > 1e10


def test_photographs_are_8_bit_and_repeat(generator):
    views = look(generator, range(6), ROOM, 64, 96)
    device = torch.device("cpu")
    a = photo.develop(views.rgb, views.depth, photo.Dice.of(4, device))
    b = photo.develop(views.rgb, views.depth, photo.Dice.of(4, device))
    assert torch.equal(a, b)
    assert a.min() >= 0
    assert a.max() <= 1
    np.testing.assert_allclose(a * 255, (a * 255).round(), atol=1e-4)
    assert 0.1 < float(a.mean()) < 0.75


def test_out_of_focus_blurs_what_is_far_from_the_focal_plane():
    dice = photo.Dice.of(1, torch.device("cpu"))
    x = torch.rand(24, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    depth = torch.full((24, 64, 96), 0.3)
    depth[:, :, 48:] = 3.0
    out = photo._out_of_focus(x, depth, dice)
    detail = [
        (part[..., 1:] - part[..., :-1]).abs().mean((1, 2, 3))
        for part in (x[..., :40], x[..., 56:], out[..., :40], out[..., 56:])
    ]
    kept = torch.stack([detail[2] / detail[0], detail[3] / detail[1]])
    assert (kept.amax(0) > 0.9).all()
    assert int((kept.amin(0) < 0.5).sum()) >= 18
    torch.testing.assert_close(out.mean((1, 2, 3)), x.mean((1, 2, 3)), rtol=0.03, atol=0)


def test_jpeg_keeps_the_picture_and_loses_more_at_low_quality():
    y, x = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 96), indexing="ij")
    picture = torch.stack([x, y, 0.5 + 0.4 * torch.sin(12 * x * y)])[None]
    quality = torch.tensor([95.0, 12.0]).view(2, 1, 1, 1)
    out = photo.jpeg(picture.expand(2, -1, -1, -1), quality)
    error = (out - picture).abs().mean((1, 2, 3))
    assert error[0] < 0.012
    assert error[0] < error[1] < 0.08


@pytest.mark.slow
@pytest.mark.skipif(compiling.find_compiler("cuda") is None, reason="needs nvcc")
def test_the_same_source_compiles_for_gpus(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling, "BUILD", tmp_path)
    compiling._compile("cuda", compiling._CUDA_FLAGS, tmp_path / "world.so")
    assert (tmp_path / "world.so").stat().st_size > 50_000


def test_loading_the_ray_caster_leaves_small_numbers_alone():
    """In a process of its own: other libraries may have changed this one."""
    code = (
        "import numpy as np; from training.depth import compile; compile.library('cpu');"
        "assert np.float64(5e-324) * np.float64(1) > 0; assert np.float32(1e-40) * np.float32(1) > 0"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=True)
