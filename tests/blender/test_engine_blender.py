"""The render engine and what Blender asks of every engine."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.display.gpu import picture
from bl_ext.user_default.splinescape.render import engine as engine_module
from gpu_support import add_camera, add_splats, psnr, random_splats, render, render_png, srgb
from mathutils import Matrix

from splinescape.io.splat_arrays import SH_C0, SplatArrays

WIDTH, HEIGHT = 128, 96
K = np.array([[115, 0, 64.0], [0, 115, 48], [0, 0, 1]])


def wall(
    color: tuple[float, float, float], depth: float, sigma: float = 0.5, logit: float = 9.0
) -> SplatArrays:
    """One flat splat in front of the camera."""
    return SplatArrays(
        np.array([[0, 0, depth]], np.float32),
        np.log(np.array([[sigma, sigma, 1e-4]], np.float32)),
        np.array([[1, 0, 0, 0]], np.float32),
        np.array([logit], np.float32),
        ((np.array([[color]], np.float32) - 0.5) / SH_C0).astype(np.float32),
    )


def camera() -> bpy.types.Object:
    return add_camera(K, WIDTH, HEIGHT, np.eye(4))


def test_colour_and_depth_of_one_splat(tmp_path: Path) -> None:
    add_splats(wall((0.8, 0.4, 0.2), 3))
    camera()
    combined, depth = render(tmp_path)
    middle = HEIGHT // 2, WIDTH // 2
    assert np.allclose(srgb(combined[middle][:3]), (0.8, 0.4, 0.2), atol=2e-3)
    assert depth[middle] == pytest.approx(3, rel=1e-4)
    assert depth[0, 0] == np.float32(1e10)
    assert not engine_module._packs._kept, "the splats' memory is given back"


def test_up_is_up_and_right_is_right(tmp_path: Path) -> None:
    splat = wall((1, 1, 1), 3, sigma=0.1)
    splat.means[0, :2] = 0.8, -0.6
    add_splats(splat)
    camera()
    row, column = np.unravel_index(render(tmp_path)[0][..., 0].argmax(), (HEIGHT, WIDTH))
    assert abs(column + 0.5 - (64 + 115 * 0.8 / 3)) <= 1
    assert abs(row + 0.5 - (48 - 115 * 0.6 / 3)) <= 1


def test_a_transparent_film_keeps_straight_colours(tmp_path: Path) -> None:
    add_splats(wall((0.8, 0.4, 0.2), 3, logit=0.0))
    camera()
    bpy.context.scene.render.film_transparent = True
    saved = render_png(tmp_path)
    assert np.allclose(saved[HEIGHT // 2, WIDTH // 2], (0.8, 0.4, 0.2, 0.5), atol=0.012)
    assert saved[0, 0, 3] == 0


def test_objects_are_sorted_together(tmp_path: Path) -> None:
    add_splats(wall((0, 1, 0), 2), name="Near")
    far = add_splats(wall((1, 0, 0), 4), name="Far")
    camera()
    assert np.allclose(srgb(render(tmp_path)[0][48, 64, :3]), (0, 1, 0), atol=0.04)
    far.matrix_world = Matrix.Translation((0, 0, -3))
    assert np.allclose(srgb(render(tmp_path)[0][48, 64, :3]), (1, 0, 0), atol=0.04)


def test_hidden_objects_are_not_rendered_and_instances_are(tmp_path: Path) -> None:
    made = add_splats(wall((0, 1, 0), 3, sigma=0.1))
    camera()
    made.hide_render = True
    assert render(tmp_path)[0][..., :3].max() == 0
    made.hide_render = False
    hidden = bpy.data.collections.new("Library")
    bpy.context.scene.collection.objects.unlink(made)
    hidden.objects.link(made)
    instance = bpy.data.objects.new("Instance", None)
    instance.instance_type, instance.instance_collection = "COLLECTION", hidden
    instance.location = 0.5, 0, 0
    bpy.context.scene.collection.objects.link(instance)
    combined, _ = render(tmp_path)
    assert combined[..., 1].argmax() % WIDTH == pytest.approx(64 + 115 * 0.5 / 3, abs=1)


def test_turning_and_stretching_an_object_stretches_its_splats(tmp_path: Path) -> None:
    """The same scene, once with the transform in the object and once in the splats."""
    splats = random_splats(300)
    made = add_splats(splats)
    camera()
    made.matrix_world = Matrix.Diagonal((2, 2, 2, 1)) @ Matrix.Rotation(0.5, 4, "Z")
    moved, _ = render(tmp_path)
    c, s = np.cos(0.5), np.sin(0.5)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    w, x, y, z = splats.quats.T / np.linalg.norm(splats.quats, axis=1)
    a, b = np.cos(0.25), np.sin(0.25)
    quats = np.stack([a * w - b * z, a * x - b * y, a * y + b * x, a * z + b * w], 1)
    fields = (
        2 * splats.means @ turn.T,
        splats.log_scales + np.log(2),
        quats,
        splats.opacity_logits,
        splats.sh,
    )
    applied = SplatArrays(*(np.ascontiguousarray(each, np.float32) for each in fields))
    bpy.data.objects.remove(made)
    add_splats(applied)
    assert psnr(srgb(moved[..., :3]), srgb(render(tmp_path)[0][..., :3])) > 70


@pytest.mark.parametrize("kind", ["percentage", "region", "crop"])
def test_parts_and_sizes_of_the_picture(kind: str, tmp_path: Path) -> None:
    add_splats(random_splats(500))
    camera()
    whole, _ = render(tmp_path)
    settings = bpy.context.scene.render
    if kind == "percentage":
        settings.resolution_percentage = 50
        assert render(tmp_path)[0].shape == (HEIGHT // 2, WIDTH // 2, 4)
        return
    settings.use_border, settings.use_crop_to_border = True, kind == "crop"
    settings.border_min_x, settings.border_max_x = 0.25, 0.75
    settings.border_min_y, settings.border_max_y = 0.5, 1.0
    part, _ = render(tmp_path)
    expected = whole[: HEIGHT // 2, WIDTH // 4 : 3 * WIDTH // 4, :3]
    found = part if kind == "crop" else part[: HEIGHT // 2, WIDTH // 4 : 3 * WIDTH // 4]
    assert found.shape[:2] == expected.shape[:2]
    assert np.abs(found[..., :3] - expected).max() < 1e-3
    if kind == "region":
        assert part[HEIGHT // 2 :, :, :3].max() == 0


def test_odd_sizes_are_those_that_blender_expects() -> None:
    settings = bpy.context.scene.render
    settings.resolution_x, settings.resolution_y, settings.resolution_percentage = 100, 50, 29
    assert engine_module.full_size(settings) == (29, 14)
    settings.resolution_percentage = 100
    settings.use_border, settings.border_min_x, settings.border_max_x = True, 0.0, 0.29
    assert engine_module.render_rectangle(settings)[2] == int(np.float32(0.29) * np.float32(100))


def test_tiles_fit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_splats(random_splats(500))
    camera()
    whole, depth = render(tmp_path)
    monkeypatch.setattr(picture, "_TILE", 50)
    tiled, tiled_depth = render(tmp_path)
    assert np.abs(tiled - whole).max() < 1e-3
    seen = depth < 1e9
    assert np.abs(tiled_depth[seen] / depth[seen] - 1).max() < 1e-3


def test_shift_lens_pixel_aspect_and_orthographic(tmp_path: Path) -> None:
    """Where Blender says that a point is in the picture, its splat is."""
    from bpy_extras.object_utils import world_to_camera_view

    splat = wall((1, 1, 1), 3, sigma=0.05)
    splat.means[0, :2] = 0.3, 0.2
    made = add_splats(splat)
    scene, it = bpy.context.scene, camera()
    for kind, shift, aspect, scale in (("PERSP", 0.1, 2.0, 1), ("ORTHO", -0.1, 1.5, 3), ("PERSP", 0, 1, 1)):
        it.data.type, it.data.shift_x, it.data.shift_y = kind, shift, shift / 2
        it.data.ortho_scale = scale
        scene.render.pixel_aspect_y = aspect
        it.data.sensor_fit = "AUTO"
        shown = render_png(tmp_path)[..., 0]
        place = world_to_camera_view(
            scene, it, made.matrix_world @ Matrix.Translation(splat.means[0]).translation
        )
        rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
        centre = (shown * columns).sum() / shown.sum(), (shown * rows).sum() / shown.sum()
        assert centre == pytest.approx((place.x * WIDTH, (1 - place.y) * HEIGHT), abs=0.6)


def test_an_animation_shows_every_frame(tmp_path: Path) -> None:
    made = add_splats(wall((1, 1, 1), 3, sigma=0.1))
    camera()
    render_png(tmp_path)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 3
    for frame in (1, 3):
        made.location.x = (frame - 2) * 0.8
        made.keyframe_insert("location", frame=frame)
    scene.render.filepath = str(tmp_path / "frame_")
    bpy.ops.render.render(animation=True)
    from gpu_support import load_png

    columns = [load_png(tmp_path / f"frame_{n:04}.png")[..., 0].argmax() % WIDTH for n in (1, 2, 3)]
    assert columns[0] < columns[1] < columns[2]


@pytest.mark.parametrize("problem", ["no camera", "panorama"])
def test_problems_are_one_sentence(problem: str, tmp_path: Path) -> None:
    add_splats(random_splats(10))
    if problem == "panorama":
        camera().data.type = "PANO"
    scene = bpy.context.scene
    scene.render.engine = "SPLINESCAPE"
    scene.render.filepath = str(tmp_path / "nothing")
    with pytest.raises(RuntimeError, match="camera"):
        bpy.ops.render.render(write_still=True)


def test_nothing_wild_and_huge_splats_are_drawn_without_harm(tmp_path: Path) -> None:
    camera()
    combined, depth = render(tmp_path)
    assert combined[..., :3].max() == 0 and (depth == np.float32(1e10)).all()
    wild = random_splats(200)
    wild.means[:50, 2] *= -1
    wild.means[50:60] = 0
    wild.means[60:80] *= 1e18
    wild.log_scales[80:100] = 25
    wild.log_scales[100:120] = -80
    wild.sh[120:140] = 1e20
    add_splats(wild)
    combined, depth = render(tmp_path)
    assert np.isfinite(combined).all() and np.isfinite(depth).all()


def test_an_accident_while_drawing_is_reported_and_the_next_frame_renders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_splats(wall((0, 1, 0), 3))
    camera()

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(picture, "draw_picture", fail)
        bpy.context.scene.render.engine = "SPLINESCAPE"
        with pytest.raises(RuntimeError, match="out of memory"):
            bpy.ops.render.render()
    assert render(tmp_path)[0][48, 64, 1] > 0.9


def test_the_passes_are_offered_to_the_compositor() -> None:
    layer = bpy.context.view_layer
    layer.use_pass_z = True
    bpy.context.scene.render.engine = "SPLINESCAPE"
    layer.update_render_passes()
    assert engine_module.SplinescapeEngine.bl_idname == "SPLINESCAPE"
    assert "SPLINESCAPE" in bpy.types.RENDER_PT_format.COMPAT_ENGINES
