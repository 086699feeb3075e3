"""Cycles and EEVEE render splats as the backend's rasteriser does, and together with other objects."""

from __future__ import annotations

import os
from pathlib import Path

import bpy
import numpy as np
import pytest
from gpu_support import add_camera, add_splats, backend_render, psnr, save_png, srgb
from mathutils import Euler, Matrix

from splinescape.io.splat_arrays import SH_C0, SplatArrays

SIZE = 256
K_33 = np.array([[SIZE, 0, SIZE / 2], [0, SIZE, SIZE / 2], [0, 0, 1.0]])
EEVEE = "BLENDER_EEVEE" if bpy.app.version >= (5, 0) else "BLENDER_EEVEE_NEXT"


def make_splats(
    means: np.ndarray, sigmas: np.ndarray, colors: np.ndarray, opacities: np.ndarray, higher: int = 0
) -> SplatArrays:
    """Splats turned all ways, with `higher` random harmonics beyond the constant one."""
    rng = np.random.default_rng(1)
    n = len(means)
    quats = rng.normal(size=(n, 4))
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    sh = rng.normal(0, 0.1, (n, 1 + higher, 3))
    sh[:, 0] = (colors - 0.5) / SH_C0
    logits = np.log(opacities / (1 - opacities))
    return SplatArrays(*(np.asarray(each, np.float32) for each in (means, np.log(sigmas), quats, logits, sh)))


def cloud(n: int, higher: int = 0) -> SplatArrays:
    rng = np.random.default_rng(0)
    return make_splats(
        rng.uniform((-1, -1, 2), (1, 1, 4), (n, 3)),
        np.exp(rng.uniform(np.log(0.015), np.log(0.06), (n, 3))),
        rng.uniform(0, 1, (n, 3)),
        rng.uniform(0.2, 0.99, n),
        higher,
    )


def show(splats: SplatArrays, engine: str = "CYCLES", *, raw: bool = True) -> bpy.types.Object:
    """The splats in a scene whose render has nothing else in it, exact and without noise."""
    scene = bpy.context.scene
    scene.render.engine = engine
    scene.world = None
    scene.cycles.samples = 8
    scene.cycles.use_denoising = False
    scene.cycles.use_adaptive_sampling = False
    if hasattr(scene.eevee, "taa_render_samples"):
        scene.eevee.taa_render_samples = 4
    scene.view_settings.view_transform = "Raw" if raw else "Standard"
    obj = add_splats(splats)
    obj.splinescape.display.mode = "MATERIAL"
    obj.splinescape.display.raw_colors = raw
    return obj


def render(folder: Path, name: str) -> np.ndarray:
    """(H, W, 3) of the scene's camera as a viewer sees it: through the view transform, in 8 bits."""
    scene = bpy.context.scene
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.filepath = str(folder / f"{name}.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1, :, :3]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where pictures go: they are worth a look."""
    folder = Path(os.environ.get("SPLINESCAPE_TEST_PICTURES", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.slow
def test_cycles_with_raw_colours_renders_what_the_backend_renders(pictures: Path) -> None:
    splats = cloud(2000)
    show(splats)
    add_camera(K_33, SIZE, SIZE, np.eye(4))
    expected = backend_render(pictures, splats, np.eye(4), K_33, SIZE, SIZE)["rgb"]
    save_png(pictures / "expected.png", expected)
    assert psnr(render(pictures, "cycles_raw"), expected) >= 36


@pytest.mark.slow
def test_splats_as_balls_of_light_come_out_alike_where_they_are_larger_than_pixels(pictures: Path) -> None:
    splats = cloud(2000)
    show(splats).splinescape.display.face_camera = False
    add_camera(K_33, SIZE, SIZE, np.eye(4))
    expected = backend_render(pictures, splats, np.eye(4), K_33, SIZE, SIZE)["rgb"]
    assert psnr(render(pictures, "cycles_balls"), expected) >= 33


@pytest.mark.slow
def test_cycles_blends_in_linear_light_by_default(pictures: Path) -> None:
    splats = cloud(2000)
    show(splats, raw=False)
    add_camera(K_33, SIZE, SIZE, np.eye(4))
    encoded = splats.base_colors.astype(np.float64)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    sh = ((linear - 0.5) / SH_C0).astype(np.float32)[:, None]
    in_linear = SplatArrays(splats.means, splats.log_scales, splats.quats, splats.opacity_logits, sh)
    expected = srgb(backend_render(pictures, in_linear, np.eye(4), K_33, SIZE, SIZE)["rgb"])
    assert psnr(render(pictures, "cycles_standard"), expected) >= 33


@pytest.mark.slow
def test_colours_depend_on_the_view_where_there_are_harmonics(pictures: Path) -> None:
    splats = cloud(1000, higher=15)
    obj = show(splats)
    view = np.eye(4)
    view[:3, 3] = (0.4, -0.2, 0.3)
    add_camera(K_33, SIZE, SIZE, view)
    expected = backend_render(pictures, splats, view, K_33, SIZE, SIZE)["rgb"]
    with_harmonics = psnr(render(pictures, "harmonics"), expected)
    obj.splinescape.display.use_sh = False
    without = psnr(render(pictures, "no_harmonics"), expected)
    assert with_harmonics >= 33
    assert without < with_harmonics - 3


@pytest.mark.slow
def test_an_object_that_is_moved_turned_and_scaled_keeps_its_splats_together(pictures: Path) -> None:
    obj = show(cloud(500))
    add_camera(K_33, SIZE, SIZE, np.eye(4))
    camera = bpy.context.scene.camera
    before = render(pictures, "in_place")
    moved = (
        Matrix.Translation((3, -2, 5)) @ Euler((0.7, -0.4, 2.0)).to_matrix().to_4x4() @ Matrix.Scale(2.5, 4)
    )
    obj.matrix_world = moved
    place, turn, _ = (moved @ camera.matrix_world).decompose()
    camera.matrix_world = Matrix.Translation(place) @ turn.to_matrix().to_4x4()
    after = render(pictures, "moved")
    assert before.std() > 0.1
    assert psnr(after, before) >= 38


def _red_in_front_and_blue_behind() -> SplatArrays:
    """Two balls at each side: red ones before, blue ones behind z = 3, where the tests put a green wall."""
    means = np.array([[-0.5, -0.4, 2], [0.4, -0.4, 2], [-0.8, 0.7, 4], [0.7, 0.7, 4]])
    colors = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]])
    return make_splats(means, np.full((4, 3), 0.15), colors, np.full(4, 0.98))


def _green_wall() -> None:
    """A block at the right, from z = 2.9 to 3.1."""
    bpy.ops.mesh.primitive_cube_add(size=1, location=(0.6, 0, 3), scale=(1, 4, 0.2))
    material = bpy.data.materials.new("Green")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    emission = nodes.new("ShaderNodeEmission")
    emission.inputs[0].default_value = (0, 1, 0, 1)
    material.node_tree.links.new(emission.outputs[0], nodes.new("ShaderNodeOutputMaterial").inputs[0])
    bpy.context.object.data.materials.append(material)


def _pixel(picture: np.ndarray, point: tuple[float, float, float]) -> np.ndarray:
    x, y, w = K_33 @ np.asarray(point)
    return picture[int(y / w), int(x / w)]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["CYCLES", EEVEE])
def test_objects_hide_splats_behind_them_and_are_hidden_by_splats_before_them(
    engine: str, pictures: Path
) -> None:
    show(_red_in_front_and_blue_behind(), engine)
    _green_wall()
    add_camera(K_33, SIZE, SIZE, np.eye(4))
    picture = render(pictures, f"wall_{engine}")
    assert _pixel(picture, (-0.5, -0.4, 2)) == pytest.approx([1, 0, 0], abs=0.05)
    assert _pixel(picture, (0.4, -0.4, 2)) == pytest.approx([1, 0, 0], abs=0.05)
    assert _pixel(picture, (-0.8, 0.7, 4)) == pytest.approx([0, 0, 1], abs=0.05)
    assert _pixel(picture, (0.7, 0.7, 4)) == pytest.approx([0, 1, 0], abs=0.05)


@pytest.mark.slow
def test_eevee_sorts_splats(pictures: Path) -> None:
    splats = cloud(2000)
    show(splats, EEVEE)
    add_camera(K_33, SIZE, SIZE, np.eye(4))
    expected = backend_render(pictures, splats, np.eye(4), K_33, SIZE, SIZE)["rgb"]
    assert psnr(render(pictures, "eevee"), expected) >= 40


@pytest.mark.slow
def test_splats_are_seen_in_a_mirror(pictures: Path) -> None:
    """Behind the camera, reflected by a mirror before it: no cards face the camera there, so they are balls."""
    obj = show(_red_in_front_and_blue_behind())
    obj.splinescape.display.face_camera = False
    obj.matrix_world = Matrix.Rotation(np.pi, 4, "Y")
    bpy.ops.mesh.primitive_plane_add(size=20, location=(0, 0, 1))
    material = bpy.data.materials.new("Mirror")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    glossy = nodes.new("ShaderNodeBsdfGlossy")
    glossy.inputs["Roughness"].default_value = 0
    glossy.inputs["Color"].default_value = (1, 1, 1, 1)
    material.node_tree.links.new(glossy.outputs[0], nodes.new("ShaderNodeOutputMaterial").inputs[0])
    bpy.context.object.data.materials.append(material)
    add_camera(K_33, SIZE, SIZE, np.eye(4))
    picture = render(pictures, "mirror")
    # Turned by half a turn, (x, y, z) stands at (-x, y, -z), and in the mirror at (-x, y, z + 2).
    assert _pixel(picture, (-0.4, -0.4, 4)) == pytest.approx([1, 0, 0], abs=0.05)
    assert _pixel(picture, (0.8, 0.7, 6)) == pytest.approx([0, 0, 1], abs=0.05)


@pytest.mark.slow
def test_a_wall_parallel_to_the_picture_has_no_holes(pictures: Path) -> None:
    """Its cards would lie in one plane, of which Cycles finds only one at a time."""
    step = 2 * 2.0 / 96
    x, y = np.meshgrid(np.arange(-1.5, 1.5, step), np.arange(-1.5, 1.5, step))
    n = x.size
    wall = SplatArrays(
        np.stack([x.ravel(), y.ravel(), np.full(n, 2.0)], axis=1).astype(np.float32),
        np.tile(np.log(np.float32([0.6 * step, 0.6 * step, 0.01 * step])), (n, 1)),
        np.tile(np.float32([1, 0, 0, 0]), (n, 1)),
        np.full(n, 3, np.float32),
        np.full((n, 1, 3), 0.4 / SH_C0, np.float32),
    )
    show(wall)
    add_camera(K_33, SIZE, SIZE, np.eye(4))
    expected = backend_render(pictures, wall, np.eye(4), K_33, SIZE, SIZE)["rgb"]
    rendered = render(pictures, "wall")
    assert expected.min() > 0.85
    assert (rendered < 0.84).mean() < 0.04
    assert rendered.min() > 0.6
    assert psnr(rendered, expected) >= 36
