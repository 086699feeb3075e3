"""The analytic worlds tell the truth: depth, colours, light and the engines made of them."""

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion

import worlds
from splinescape.camera.intrinsics import pixel_rays, project, unproject
from splinescape.camera.pose import check_rigid, invert, look_at
from splinescape.camera.view import View
from worlds import light
from worlds import textures as tx
from worlds.noise import sample_tile, spectral_noise
from worlds.occluder import ShapeTree
from worlds.shapes import box, cone, ellipsoid, ground, roof

W, H = 128, 96
K_33 = worlds.centred_intrinsics(W, H, 115.0)
WORLDS = {"indoor": worlds.indoor, "outdoor": worlds.outdoor}
GRAY = tx.plain((0.5, 0.5, 0.5))
SHAPES = {
    "box": box((0.3, -0.2, 4.0), (1.0, 2.0, 0.7), GRAY, yaw=30),
    "room": box((0.0, 0.2, 1.0), (6.0, 4.0, 12.0), GRAY, inside=True),
    "roof": roof((0.1, -1.0, 5.0), (3.0, 1.2, 4.0), GRAY, yaw=-20),
    "ground": ground(1.5, GRAY, shadows=((-4.0, 0.0), (4.0, 9.0))),
    "ellipsoid": ellipsoid((-0.4, 0.3, 4.0), (1.0, 0.6, 1.4), GRAY),
    "cone": cone((0.2, -1.5, 5.0), 2.5, 0.9, GRAY),
}


def outside(shape, points):
    """How far world points (3, N) are outside a shape by its own definition; 0 on the surface."""
    if hasattr(shape, "normals"):
        local = shape.world_R_local.T @ (points - shape.center[:, None])
        distance = (shape.normals @ local - shape.offsets[:, None]).max(0)
        return -distance if shape.inside else distance
    if hasattr(shape, "radii"):
        return np.sqrt((((points - shape.center[:, None]) / shape.radii[:, None]) ** 2).sum(0)) - 1
    local = points - shape.apex[:, None]
    return np.hypot(local[0], local[2]) - np.where(local[1] < shape.height, local[1], -1) * (
        shape.radius / shape.height
    )


@pytest.mark.parametrize("name", SHAPES)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**31))
def test_the_first_hit_is_on_the_surface_and_nothing_is_in_front_of_it(name, seed):
    shape, rng = SHAPES[name], np.random.default_rng(seed)
    origin = rng.uniform(-1, 1, (3, 1)).astype(np.float32) * 0.5
    dirs = np.stack([rng.uniform(-0.6, 0.6, 200), rng.uniform(-0.6, 0.6, 200), np.ones(200)]).astype(
        np.float32
    )
    t, _ = shape.hit(origin, dirs)
    found = np.isfinite(t)
    assert np.abs(outside(shape, origin + dirs[:, found] * t[found])).max(initial=0) < 2e-4
    for share in np.linspace(0.02, 0.98, 25):
        way = np.where(found, t, 30.0) * share
        assert outside(shape, origin + dirs * way.astype(np.float32)).min() > -2e-4


@pytest.mark.parametrize("name", SHAPES)
def test_face_coordinates_and_points_are_inverse(name):
    shape = SHAPES[name]
    for face, (low, high) in enumerate(shape.charts()):
        share = np.random.default_rng(face).uniform(0.1, 0.9, (2, 50)).astype(np.float32)
        uv = low[:, None] + share * (high - low)[:, None]
        points, normals = shape.from_uv(face, uv)
        surface = shape.surface(points.astype(np.float32), np.full(50, face))
        np.testing.assert_allclose(surface.uv, uv, atol=2e-3)
        np.testing.assert_allclose(surface.normal, normals, atol=2e-3)
        shift = outside(shape, (points + 1e-2 * normals).astype(np.float32))
        if name not in ("roof", "box", "room"):  # charts are rectangles, larger than a gable
            assert (shift > 1e-3).all(), "normals point out of the shape"


@pytest.mark.parametrize("name", WORLDS)
def test_depth_is_camera_z_at_the_pixel_centres(name):
    pose = look_at((0.4, -0.3, 0.2), (0.2, 0.4, 5))
    image = WORLDS[name]().render(pose, K_33, W, H)
    points = (
        unproject(image.depth, K_33)[np.isfinite(image.depth)] @ invert(pose)[:3, :3].T + invert(pose)[:3, 3]
    )
    shapes = WORLDS[name]().shapes
    on_some = np.min([np.abs(outside(shape, points.T.astype(np.float32))) for shape in shapes], axis=0)
    assert np.quantile(on_some, 0.99) < 1e-3
    floor = image.depth[-1, W // 2 - 8]
    ray = invert(pose)[:3, :3] @ pixel_rays(W, H, K_33)[-1, W // 2 - 8]
    assert floor <= (1.5 + 0.3) / ray[1] + 1e-4, "nothing is below the floor"


@pytest.mark.parametrize("name", WORLDS)
def test_looking_only_where_a_shape_can_be_finds_all_of_it(name, monkeypatch):
    world = WORLDS[name]()
    poses = [look_at((0.5, -0.4, 0.6), (0.5, 0.5, 4)), look_at((0.9, 0.2, 3.0), (-2, 1, 5), roll_deg=30)]
    quick = [world.render_depth(pose, K_33, W, H) for pose in poses]
    whole = "worlds.world._Camera.window"
    monkeypatch.setattr(
        whole, lambda _self, _bounds, _top, _ss, rows, columns: (slice(0, rows), slice(0, columns))
    )
    for pose, depth in zip(poses, quick, strict=True):
        assert np.array_equal(depth, world.render_depth(pose, K_33, W, H))


def test_the_sky_is_endless_and_depends_on_the_direction_only():
    world = worlds.outdoor()
    here = world.render(np.eye(4), K_33, W, H)
    moved = np.eye(4)
    moved[:3, 3] = (0.5, 0.2, -0.7)
    there = world.render(moved, K_33, W, H)
    sky = ~np.isfinite(here.depth) & ~np.isfinite(there.depth)
    sky = binary_erosion(sky, np.ones((5, 5)))  # not the pixels that a roof or a tree shares
    assert 0.05 < sky.mean() < 0.6
    assert np.abs(here.rgb[sky].astype(int) - there.rgb[sky]).max() <= 1
    assert np.array_equal(here.confidence, np.isfinite(here.depth).astype(np.float32))
    assert (here.depth[~np.isfinite(here.depth)] == np.inf).all()


@pytest.mark.parametrize("name", WORLDS)
def test_a_surface_has_the_same_colour_from_every_camera(name):
    world = WORLDS[name]()
    K = worlds.centred_intrinsics(256, 192, 230.0)
    pose = look_at((0.25, -0.2, 0.1), (0, 0, 5))
    here, there = world.render(np.eye(4), K, 256, 192), world.render(pose, K, 256, 192)
    world_points = unproject(here.depth, K)
    finite = np.isfinite(here.depth)
    pixels, z = project(world_points[finite], pose, K)
    column, row = np.floor(pixels).astype(int).T
    inside = (column >= 0) & (column < 256) & (row >= 0) & (row < 192)
    column, row, z = column[inside], row[inside], z[inside]
    visible = np.abs(there.depth[row, column] / z - 1) < 0.01
    difference = here.rgb[finite][inside][visible].astype(float) - there.rgb[row[visible], column[visible]]
    assert visible.mean() > 0.6
    assert np.abs(np.median(difference)) < 1
    assert np.abs(difference).mean() < 8


@pytest.mark.parametrize("name", WORLDS)
def test_pictures_do_not_depend_on_the_number_of_threads(name, monkeypatch):
    world = WORLDS[name]()
    image = world.render(np.eye(4), K_33, W, H)
    for count in (1, 5):
        monkeypatch.setattr(os, "cpu_count", lambda n=count: n)
        again = world.render(np.eye(4), K_33, W, H)
        assert np.array_equal(image.rgb, again.rgb)
        assert np.array_equal(image.depth, again.depth)


@pytest.mark.parametrize("name", WORLDS)
def test_the_path_uncovers_what_the_picture_did_not_show(name):
    world = WORLDS[name]()
    image = world.render(np.eye(4), K_33, W, H)
    last = worlds.forward_side_path(n=3)[-1]
    end = world.render(last, K_33, W, H)
    finite = np.isfinite(end.depth)
    points = unproject(end.depth, K_33)[finite] @ invert(last)[:3, :3].T + invert(last)[:3, 3]
    pixels, z = project(points, np.eye(4), K_33)
    column, row = np.floor(pixels).astype(int).T
    inside = (column >= 0) & (column < W) & (row >= 0) & (row < H)
    hidden = z[inside] > 1.03 * image.depth[row[inside], column[inside]]
    assert hidden.mean() > 0.02
    assert image.rgb.reshape(-1, 3).std(0).min() > 25, "a picture, not a flat colour"


def test_even_and_odd_supersampling_agree_on_depth_and_nearly_on_colour():
    world = worlds.indoor()
    two, five = (world.render(np.eye(4), K_33, W, H, supersample=n) for n in (2, 5))
    assert np.array_equal(two.depth, five.depth)
    assert np.abs(two.rgb.astype(float) - five.rgb).mean() < 2


def test_something_in_the_way_of_the_sun_casts_a_shadow():
    floor, block = ground(1.0, GRAY, shadows=((-3.0, -3.0), (3.0, 3.0))), box((0, 0, 0), (1, 0.2, 1), GRAY)
    lighting = light.Lighting((light.sun((0, -1, 0), (1, 1, 1)),), (0.1, 0.1, 0.1), (0, 0, 0), 0.5)
    floor_map, _ = light.bake((floor, block), lighting, light.BakeQuality())
    at = np.array([[0.0, 2.0], [0.0, 0.0]], np.float32)
    shadow, sunny = floor_map(at, np.zeros(2, int))[0] ** 2.2
    assert sunny == pytest.approx(1.1, abs=0.03)
    assert shadow == pytest.approx(0.1, abs=0.03)


def test_the_tree_finds_what_trying_every_shape_finds():
    shapes = worlds.outdoor().shapes
    tree, rng = ShapeTree.of(shapes), np.random.default_rng(2)
    points = rng.uniform((-6, -2, 0), (6, 1.4, 20), (400, 3)).T.astype(np.float32)
    way = rng.normal(size=(3, 400)).astype(np.float32) * 4
    each = np.stack([shape.hit(points, way)[0] for shape in shapes])
    nearest, owner = tree.nearest(points, way, np.inf)
    assert np.array_equal(nearest, each.min(0))
    assert np.array_equal(owner, np.where(np.isfinite(nearest), each.argmin(0), -1))
    assert np.array_equal(tree.blocked(points, way), (each < 1).any(0))


def test_light_bounces_and_takes_the_colour_of_what_it_leaves():
    floor = ground(1.0, tx.plain((0.8, 0.1, 0.1)), shadows=((-3.0, -3.0), (3.0, 3.0)))
    lid = box((0, 0, 0), (1, 0.2, 1), GRAY)
    lighting = light.Lighting((light.sun((0.5, -1, 0), (1, 1, 1)),), (0, 0, 0), (0, 0, 0), 0.5)
    quality = light.BakeQuality(texel=0.2, bounces=1, bounce_rays=32)
    below = light.bake((floor, lid), lighting, quality)[1]
    red, green, _ = below(np.zeros((2, 1), np.float32), np.array([2]))[:, 0] ** 2.2
    assert red > 0.1
    assert green < 0.05 * red


def test_noise_repeats_and_stays_in_its_band():
    noise = spectral_noise((64, 64), 3, 9, 0.5, seed=4)
    assert noise.std() == pytest.approx(1, abs=1e-3)
    power = np.abs(np.fft.fft2(noise)) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(64, 1 / 64), np.fft.fftfreq(64, 1 / 64)))
    assert power[frequency > 16].sum() < 1e-4 * power.sum()
    u, v = np.random.default_rng(0).uniform(-1, 1, (2, 30)).astype(np.float32)
    np.testing.assert_allclose(sample_tile(noise, u, v), sample_tile(noise, u + 2, v - 1), atol=1e-3)


def test_softening_a_world_removes_detail_and_nothing_else():
    world = worlds.indoor()
    soft = worlds.soften(world, 0.05)
    sharp_image, soft_image = (w.render(np.eye(4), K_33, W, H) for w in (world, soft))
    assert np.array_equal(sharp_image.depth, soft_image.depth)
    detail = [np.abs(np.diff(i.rgb.astype(float), axis=1)).mean() for i in (sharp_image, soft_image)]
    assert detail[1] < 0.8 * detail[0]
    assert np.abs(sharp_image.rgb.mean((0, 1)) - soft_image.rgb.mean((0, 1))).max() < 3


def test_the_path_of_the_bars_goes_forward_right_and_up_and_watches_one_point():
    poses = worlds.forward_side_path(n=21)
    assert np.array_equal(poses[0], np.eye(4))
    check_rigid(poses)
    np.testing.assert_allclose(invert(poses[-1])[:3, 3], (0.5, -0.5, 0.5), atol=1e-12)
    seen = poses @ [0, 0, 5, 1]
    np.testing.assert_allclose(seen[:, :2], 0, atol=1e-12)
    forward = invert(poses)[:, 2, 3]
    assert (np.diff(forward) > 0).all()


def view(width=W, height=H, K=K_33, pose=None):
    return View(width, height, K, np.eye(4) if pose is None else pose)


def test_the_oracle_paints_the_truth_inside_the_mask_only():
    world = worlds.outdoor()
    pose = worlds.forward_side_path(n=4)[2]
    truth = world.render(pose, K_33, W, H)
    mask = np.zeros((H, W), bool)
    mask[20:60, 30:90] = True
    given_rgb = np.full((H, W, 3), 7, np.uint8)
    painted = worlds.OracleInpainter(world).inpaint(given_rgb, mask, view=view(pose=pose), seed=3)
    assert np.array_equal(painted[mask], truth.rgb[mask])
    assert (painted[~mask] == 7).all()
    assert painted.dtype == np.uint8


def test_the_oracle_measures_true_depth_with_the_given_intrinsics():
    world = worlds.outdoor()
    prediction = worlds.OracleDepth(world).predict(
        np.zeros((H, W, 3), np.uint8), K_33=K_33, view=view(K=None)
    )
    truth = world.render(np.eye(4), K_33, W, H)
    assert np.array_equal(prediction.depth, truth.depth)
    assert np.array_equal(prediction.confidence, truth.confidence)
    assert np.array_equal(prediction.K_33, K_33)
    assert prediction.depth.dtype == prediction.confidence.dtype == prediction.K_33.dtype == np.float32


def test_without_intrinsics_the_oracle_takes_the_standard_camera_centred():
    world = worlds.indoor()
    prediction = worlds.OracleDepth(world).predict(
        np.zeros((96, 160, 3), np.uint8), K_33=None, view=view(160, 96, None)
    )
    np.testing.assert_array_equal(prediction.K_33, [[460, 0, 80], [0, 460, 48], [0, 0, 1]])
    other = worlds.OracleDepth(world, K_33).predict(
        np.zeros((H, W, 3), np.uint8), K_33=None, view=view(K=None)
    )
    np.testing.assert_array_equal(other.K_33, K_33)


def test_an_outpainted_canvas_with_an_even_border_continues_the_picture():
    world = worlds.indoor()
    inner = world.render(np.eye(4), K_33, W, H)
    wide_K = worlds.centred_intrinsics(W + 32, H + 16, 115.0)
    outer = world.render(np.eye(4), wide_K, W + 32, H + 16)
    assert np.array_equal(outer.depth[8:-8, 16:-16], inner.depth)
    assert np.abs(outer.rgb[8:-8, 16:-16].astype(int) - inner.rgb).max() <= 1


def test_worlds_are_immutable_values():
    with pytest.raises(AttributeError):
        worlds.indoor().shapes = ()
    assert replace(worlds.indoor()).shapes is worlds.indoor().shapes
