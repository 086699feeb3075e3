"""From RGB-D pixels to splats: nothing shifts, nothing ordinary is dropped, nothing is ever infinite."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from core_support import K_33, DepthOf, H, W, frame, moved, picture, plane_depth, psnr, room
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import worlds
from splinescape.camera.intrinsics import project, unproject
from splinescape.camera.pose import look_at
from splinescape.camera.view import View
from splinescape.coarse.expand import call_depth
from splinescape.depth import DepthPrediction
from splinescape.engines import rasterizer
from splinescape.errors import InputError
from splinescape.scene.edges import inverse_depth, occlusion_edges
from splinescape.scene.lift import FOOTPRINT, lift_frame
from splinescape.scene.meta import SceneMeta
from splinescape.scene.occlusion import TOLERANCE, already_seen, push_behind
from splinescape.scene.ramps import snap_ramps
from splinescape.scene.render import render_view
from splinescape.scene.rims import clean_rims, far_rims
from splinescape.scene.scene import Scene
from splinescape.scene.shell import INSIDE, keep_inside, shell_radius
from splinescape.scene.silhouette import tuck_in
from splinescape.scene.splats import Splats


def rotations(splats: Splats) -> np.ndarray:
    """(N, 3, 3) splat axes as columns."""
    w, x, y, z = splats.quats.double().numpy().T
    return np.moveaxis(
        np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        ),
        2,
        0,
    )


def footprints(splats: Splats, cam_T_world: np.ndarray, K: np.ndarray) -> np.ndarray:
    """(N, 2, 2) image covariances in square pixels, to first order."""
    axes = rotations(splats) * splats.scales.double().numpy()[:, None, :]
    in_camera = cam_T_world[:3, :3] @ axes
    p = splats.means.double().numpy() @ cam_T_world[:3, :3].T + cam_T_world[:3, 3]
    zero = np.zeros(len(p))
    J = np.array(
        [
            [K[0, 0] / p[:, 2], zero, -K[0, 0] * p[:, 0] / p[:, 2] ** 2],
            [zero, K[1, 1] / p[:, 2], -K[1, 1] * p[:, 1] / p[:, 2] ** 2],
        ]
    )
    T = np.moveaxis(J, 2, 0) @ in_camera
    return T @ np.swapaxes(T, 1, 2)


@given(seed=st.integers(0, 2**31), focal=st.floats(30, 3000))
@settings(deadline=None, max_examples=20)
def test_a_lifted_splat_projects_to_its_pixel_centre(seed, focal):
    rng = np.random.default_rng(seed)
    K = np.array([[focal, 0, 23.7], [0, 1.1 * focal, 15.2], [0, 0, 1]])
    pose = look_at(rng.normal(0, 0.5, 3), rng.normal(0, 0.3, 3) + np.array([0, 0, 5]))
    depth = np.exp(rng.normal(1, 0.5, (32, 48)))
    mask = rng.random((32, 48)) < 0.3
    lifted = lift_frame(frame(depth, K=K, cam_T_world=pose, mask=mask), 1000.0)
    pixels, z = project(lifted.splats.means.double().numpy(), pose, K)
    v, u = np.divmod(lifted.pixels, 48)
    # float32 means: a few units in the last place of the coordinates, in pixels
    assert np.abs(pixels - np.stack([u + 0.5, v + 0.5], 1)).max() < 1e-3 * max(1, focal / 300)
    assert z == pytest.approx(depth[v, u], rel=1e-5)
    assert np.array_equal(np.flatnonzero(mask), lifted.pixels)


normals = st.tuples(st.floats(-3, 3), st.floats(-3, 3)).map(
    lambda xy: np.array([*xy, 1.0]) / np.hypot(1, np.hypot(*xy))
)


@given(normal=normals, focal=st.floats(20, 2000), scale=st.floats(1e-3, 1e3))
@settings(deadline=None, max_examples=60)
def test_floors_and_slanted_walls_have_no_occlusion_edges_at_any_scale(normal, focal, scale):
    K = worlds.centred_intrinsics(48, 40, focal).astype(np.float64)
    depth = plane_depth(normal, 2.0 * scale, K, 48, 40)
    assume(np.isfinite(depth).all())
    assert not occlusion_edges(depth).any()
    assert np.array_equal(snap_ramps(depth), depth)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_floor_up_to_the_horizon_is_an_edge_only_where_the_sky_begins(scale):
    K = worlds.centred_intrinsics(64, 64, 80).astype(np.float64)
    depth = plane_depth((0, 1, 0), 1.5 * scale, K, 64, 64)
    edges = occlusion_edges(depth)
    assert not edges[34:].any()
    assert not edges[:31].any()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_an_edge_is_both_sides_of_a_step_and_nothing_else(scale):
    depth = np.full((20, 30), 4.0 * scale, np.float32)
    depth[:, 12:] = 2.0 * scale
    expected = np.zeros((20, 30), bool)
    expected[:, 11:13] = True
    assert np.array_equal(occlusion_edges(depth), expected)


def test_a_crease_between_two_walls_is_no_edge():
    K = worlds.centred_intrinsics(64, 48, 60).astype(np.float64)
    corner = np.minimum(plane_depth((0.8, 0, 0.6), 2, K, 64, 48), plane_depth((-0.8, 0, 0.6), 2, K, 64, 48))
    assert not occlusion_edges(corner).any()


@given(normal=normals)
@settings(deadline=None, max_examples=10)
def test_no_input_pixel_on_a_slanted_surface_is_dropped(normal):
    K = worlds.centred_intrinsics(48, 32, 40).astype(np.float64)
    depth = plane_depth(normal, 2.0, K, 48, 32)
    assert len(lift_frame(frame(depth, K=K), 1000.0).splats) == 48 * 32


@pytest.mark.parametrize("steps", range(1, 7))
def test_soft_ramps_become_steps_between_the_two_surfaces(steps):
    depth = np.full((20, 30), 4.0, np.float32)
    depth[:, 15 + steps :] = 2.0
    for i in range(steps):
        depth[:, 15 + i] = 1 / (0.25 + 0.25 * (i + 1) / (steps + 1))
    snapped = snap_ramps(depth)
    assert set(np.unique(snapped)) == {2.0, 4.0}
    assert np.array_equal(snap_ramps(snapped), snapped)


@given(seed=st.integers(0, 2**31), scale=st.floats(1e-2, 1e2))
@settings(deadline=None, max_examples=25)
def test_splats_lie_in_the_surface_and_look_round_from_their_own_camera(seed, scale):
    rng = np.random.default_rng(seed)
    K = worlds.centred_intrinsics(32, 24, 60).astype(np.float64)
    normal = rng.normal(0, 1, 3) + np.array([0, 0, 2])
    normal /= np.linalg.norm(normal)
    depth = plane_depth(normal, 3.0 * scale, K, 32, 24)
    assume(np.isfinite(depth).all() and depth.max() < 8 * depth.min())
    pose = look_at((0.3 * scale, -0.2 * scale, 0), (0, 0, 4 * scale))
    splats = lift_frame(frame(depth, K=K, cam_T_world=pose), 1e4 * scale).splats
    thin = rotations(splats)[:, :, 2] @ pose[:3, :3].T
    slant = np.abs(thin @ normal)
    assert np.degrees(np.arccos(np.clip(slant, 0, 1))).max() < 1.0
    axes = np.linalg.eigvalsh(footprints(splats, pose, K))
    assert np.abs(axes / FOOTPRINT**2 - 1).max() < 0.02


def test_the_normal_beside_an_edge_is_that_of_its_own_surface():
    K = worlds.centred_intrinsics(40, 24, 50).astype(np.float64)
    near, far = plane_depth((0.5, 0, 0.8), 1.5, K, 40, 24), plane_depth((0, 0, 1), 6, K, 40, 24)
    depth = np.where(np.arange(40) < 20, far, near).astype(np.float32)
    axes = rotations(lift_frame(frame(depth, K=K), 1000.0).splats)[:, :, 2].reshape(24, 40, 3)
    normal = np.array([0.5, 0, 0.8]) / np.hypot(0.5, 0.8)
    assert (np.abs(axes[:, :20, 2]) > np.cos(np.radians(1))).all()
    assert (np.abs(axes[:, 20:] @ normal) > np.cos(np.radians(1))).all()


def test_the_untrained_splats_already_show_the_picture():
    rgb = picture(room())
    depth = room().render_depth(np.eye(4), K_33, W, H)
    lifted = lift_frame(frame(depth, rgb.astype(np.float32) / 255, K_33), 1000.0)
    shown = render_view(lifted.splats, View(W, H, K_33, np.eye(4)), rasterizer("cpu"))
    assert psnr(shown.rgb, rgb) > 28, "96x64 stripes are coarse; the bar of 36 dB is held at full size"
    assert shown.alpha.min() > 0.9


@given(
    bad=st.sampled_from([np.nan, 0.0, -1.0, -np.inf, np.inf, 1e-30]),
    share=st.floats(0.01, 1.0),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=25)
def test_unusable_depth_never_puts_a_non_finite_number_into_a_scene(bad, share, seed):
    def spoilt(rgb, _K, _view):
        depth = np.full(rgb.shape[:2], 3.0, np.float32)
        depth[np.random.default_rng(seed).random(depth.shape) < share] = bad
        return DepthPrediction(depth, np.ones(depth.shape, np.float32), np.eye(3, dtype=np.float32) * 20)

    rgb = np.zeros((12, 16, 3), np.uint8)
    prediction = call_depth(DepthOf(spoilt), rgb, None, View(16, 12, None, np.eye(4)))
    assert (prediction.depth > 0).all()
    assert np.array_equal(prediction.confidence == 0, np.isinf(prediction.depth))
    lifted = lift_frame(frame(prediction.depth), shell_radius(prediction.depth))
    for _, tensor in lifted.splats.tensors():
        assert torch.isfinite(tensor).all()


def test_confidence_zero_means_unknown_and_goes_to_the_shell():
    confidence = np.where(np.arange(16) < 8, 1, 0) * np.ones((12, 1), np.float32)
    unsure = DepthPrediction(np.full((12, 16), 3, np.float32), confidence, np.eye(3, dtype=np.float32))
    engine = DepthOf(lambda _rgb, _K, _view: unsure)
    prediction = call_depth(engine, np.zeros((12, 16, 3), np.uint8), None, View(16, 12, None, np.eye(4)))
    assert np.isinf(prediction.depth[:, 8:]).all()
    assert (prediction.depth[:, :8] == 3).all()


@pytest.mark.parametrize("pose", [np.eye(4), moved(0.5, -0.4, 0.6), look_at((1, 0, 0), (0, -3, 5))])
def test_sky_lies_on_the_shell_far_behind_every_surface(pose):
    depth = np.full((24, 32), 7.0, np.float32)
    depth[:12] = np.inf
    radius = shell_radius(depth)
    splats = lift_frame(frame(depth, cam_T_world=pose), radius).splats
    distance = splats.means.double().norm(dim=1).reshape(24, 32)
    assert distance[:12].numpy() == pytest.approx(radius, rel=1e-5)
    assert distance[12:].max() < 0.1 * radius
    assert np.trace(footprints(splats, pose, frame(depth).K_33)[0]) == pytest.approx(
        2 * FOOTPRINT**2, rel=0.02
    )


def test_the_shell_is_there_without_any_depth_and_behind_one_far_pixel():
    assert shell_radius(np.full((4, 4), np.inf, np.float32)) == 100
    depth = np.full((100, 100), 2.0, np.float32)
    depth[0, 0] = 5000
    assert INSIDE * shell_radius(depth) > 5000


def test_surfaces_of_later_views_stay_in_front_of_the_shell():
    kept = keep_inside(np.array([[1.0, 1e9, np.inf]], np.float32), 100.0)
    assert kept.tolist() == [[1.0, pytest.approx(100 * INSIDE), np.inf]]


def test_a_camera_outside_the_shell_is_an_error_not_a_nan():
    with pytest.raises(ValueError, match="outside the far shell"):
        lift_frame(frame(np.full((4, 4), np.inf), cam_T_world=moved(0, 0, 20)), 10.0)


def test_new_points_never_stand_in_front_of_what_an_older_frame_saw():
    rng = np.random.default_rng(0)
    old = frame(np.where(np.arange(48) < 24, 4.0, np.inf) * np.ones((32, 1)))
    pose, K = look_at((0.8, -0.1, 0), (0, 0, 3)), old.K_33
    depth = np.exp(rng.normal(0.5, 0.6, (32, 48))).astype(np.float32)
    moved_hw = rng.random((32, 48)) < 0.7
    out = push_behind(depth, moved_hw, K, pose, [old], 300.0)
    assert np.array_equal(out[~moved_hw], depth[~moved_hw])
    assert (out[moved_hw] >= depth[moved_hw]).all(), "moved back along the ray, never forward"
    points = unproject(out, K) @ np.linalg.inv(pose)[:3, :3].T + np.linalg.inv(pose)[:3, 3]
    points = points[moved_hw & np.isfinite(out)]
    pixels, z = project(points, old.cam_T_world, K)
    u, v = np.floor(pixels).astype(int).T
    seen = (z > 0) & (u >= 1) & (v >= 1) & (u < 47) & (v < 31)
    around = np.stack([old.depth[v[seen] + i, u[seen] + j] for i in (-1, 0, 1) for j in (-1, 0, 1)]).min(0)
    assert seen.sum() > 50
    assert (z[seen] / around).min() >= (1 - TOLERANCE) * (1 - 1e-5)


def test_a_point_before_the_sky_of_an_older_frame_becomes_sky():
    old = frame(np.full((32, 48), np.inf))
    out = push_behind(
        np.full((32, 48), 5, np.float32), np.ones((32, 48), bool), old.K_33, np.eye(4), [old], 300.0
    )
    assert np.isinf(out).all()


def test_points_no_older_frame_looks_at_stay_where_they_are():
    old = frame(np.full((32, 48), 4.0))
    behind_its_back = look_at((0, 0, -1), (0, 0, -5))
    depth = np.full((32, 48), 2.0, np.float32)
    assert np.array_equal(push_behind(depth, depth > 0, old.K_33, behind_its_back, [old], 300.0), depth)


def test_already_seen_are_the_points_that_an_older_frame_brought():
    mask = np.zeros((32, 48), bool)
    mask[:, :24] = True
    old = frame(np.full((32, 48), 4.0), mask=mask)
    everything = np.ones((32, 48), bool)
    assert np.array_equal(already_seen(old.depth, everything, old.K_33, np.eye(4), [old]), mask)
    assert not already_seen(old.depth * 1.5, everything, old.K_33, np.eye(4), [old]).any()


def test_splats_do_not_depend_on_the_number_of_threads(monkeypatch):
    rng = np.random.default_rng(0)
    depth = np.where(np.arange(300) < 130, 2.0, 6.0) * np.exp(rng.normal(0, 0.01, (256, 1)))
    depth[:40] = np.inf
    new = frame(depth, rng.random((256, 300, 3)), cam_T_world=look_at((0.4, 0, 0), (0, 0, 4)))
    old = frame(np.where(np.arange(300) < 150, 2.5, 5.0) * np.ones((256, 1)))

    def made():
        pushed = push_behind(new.depth, new.inpaint, new.K_33, new.cam_T_world, [old, old], 300.0)
        splats = tuck_in(lift_frame(replace(new, depth=pushed), 300.0).splats, [old])
        seen = already_seen(new.depth, new.inpaint, new.K_33, new.cam_T_world, [old])
        return [pushed, seen, *(tensor.numpy() for _, tensor in splats.tensors())]

    monkeypatch.setenv("SPLINESCAPE_THREADS", "1")
    alone = made()
    for threads in ("2", "7"):
        monkeypatch.setenv("SPLINESCAPE_THREADS", threads)
        assert all(np.array_equal(a, b) for a, b in zip(made(), alone, strict=True))


def test_background_beside_a_silhouette_takes_clean_background_colour():
    depth = np.full((20, 30), 5.0, np.float32)
    depth[:, 15:] = 2.0
    rgb = np.zeros((20, 30, 3), np.float32)
    rgb[:, 15:] = (1, 0, 0)
    rgb[:, 14] = (0.5, 0, 0)  # the camera mixes the two
    w = inverse_depth(depth)
    rims = far_rims(w, occlusion_edges(depth))
    assert np.array_equal(np.flatnonzero(rims.any(0)), [14])
    clean = clean_rims(rgb, w, rims)
    assert (clean[:, 14] == 0).all()
    assert np.array_equal(clean[:, 15:], rgb[:, 15:])


def test_a_scene_with_a_number_that_is_not_finite_cannot_be_made():
    good = lift_frame(frame(np.full((4, 4), 2.0)), 100.0).splats
    for name, tensor in good.tensors():
        for bad in (np.nan, np.inf, -np.inf):
            spoilt = tensor.clone()
            spoilt.view(-1)[3] = bad
            with pytest.raises(ValueError, match=f"1 non-finite numbers in {name}"):
                Splats(**{**dict(good.tensors()), name: spoilt})


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("log_scales", (4, 2)),
        ("quats", (3, 4)),
        ("opacity_logits", (4, 1)),
        ("sh", (4, 2, 3)),
        ("sh", (4, 3)),
    ],
)
def test_splats_of_the_wrong_shape_are_refused(name, shape):
    good = dict(lift_frame(frame(np.full((2, 2), 2.0)), 100.0).splats.tensors())
    with pytest.raises(ValueError, match=name):
        Splats(**{**good, name: torch.zeros(shape)})


def test_nothing_to_lift_gives_an_empty_scene():
    nothing = lift_frame(frame(np.full((4, 4), 2.0), mask=np.zeros((4, 4), bool)), 100.0)
    assert len(nothing.splats) == 0
    assert len(nothing.pixels) == len(nothing.fixed) == 0


def test_rendering_has_the_promised_shapes_and_refuses_impossible_views():
    splats = lift_frame(frame(np.full((32, 48), 2.0)), 100.0).splats
    scene = Scene(splats, SceneMeta(), rasterizer("cpu"))
    view = scene.render(np.eye(4), worlds.centred_intrinsics(50, 30, 90), 50, 30)
    assert (view.rgb.shape, view.depth.shape, view.alpha.shape) == ((30, 50, 3), (30, 50), (30, 50))
    assert {t.dtype for t in (view.rgb, view.depth, view.alpha)} == {torch.float32}
    assert torch.equal(
        scene.render(torch.eye(4), torch.tensor(frame(np.ones((30, 50))).K_33), 50, 30).rgb, view.rgb
    )
    assert not scene.render(look_at((0, 0, 0), (0, 0, -1)), np.eye(3) * 50, 20, 20).alpha.any()
    for cam, K, size in [
        (np.eye(3), np.eye(3), (8, 8)),
        (np.eye(4) * np.nan, np.eye(3), (8, 8)),
        (np.eye(4), np.full((3, 3), np.inf), (8, 8)),
        (np.eye(4), np.eye(3), (0, 8)),
    ]:
        with pytest.raises(InputError):
            scene.render(cam, K, *size)
