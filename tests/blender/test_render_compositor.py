"""CG objects between the splats of rendered frames, through Blender's compositor."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.render import compositor, versions
from bl_ext.user_default.splinescape.render.exr import read_exr
from bl_ext.user_default.splinescape.render.files import Frame, FrameFolder
from bl_ext.user_default.splinescape.render.frames import render_frames
from gpu_support import add_splats, random_splats
from mathutils import Vector

from splinescape.camera.blender import placement
from splinescape.io.splat_arrays import SplatArrays

SIZE = 128
WALL = (40, 160, 60)


def write_wall(folder: FrameFolder, numbers: range, distance: float) -> None:
    """Frames of a green wall across the left three quarters of the picture; the rest is empty."""
    rgb = np.zeros((SIZE, SIZE, 3), np.uint8)
    depth = np.full((SIZE, SIZE), np.inf, np.float32)
    rgb[:, : 3 * SIZE // 4] = WALL
    depth[:, : 3 * SIZE // 4] = distance
    for number in numbers:
        folder.write(number, Frame(rgb, depth + np.float32(number - 1)))


def red_material() -> bpy.types.Material:
    material = bpy.data.materials.new("red")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    emission, output = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    emission.inputs["Color"].default_value = (1, 0, 0, 1)
    material.node_tree.links.new(emission.outputs[0], output.inputs[0])
    return material


def make_scene() -> bpy.types.Scene:
    """A camera that looks along +Y, and a bar that goes from 4 to 6.5 in front of it, from the left to the right."""
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 8
    render = scene.render
    render.engine = "CYCLES"
    scene.cycles.samples = 16
    scene.cycles.use_denoising = (
        False  # it does not touch alpha, which then does not fit the colours of an edge
    )
    render.dither_intensity = 0.0
    render.resolution_x = render.resolution_y = SIZE
    render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.rotation_euler = (np.pi / 2, 0, 0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    # At the middle of the picture it is at depth 5: it passes through a wall there.
    corners = [(-1.2, 4, -0.5), (1.8, 6.5, -0.5), (1.8, 6.5, 0.5), (-1.2, 4, 0.5)]
    mesh = bpy.data.meshes.new("bar")
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    bar = bpy.data.objects.new("bar", mesh)
    mesh.materials.append(red_material())
    scene.collection.objects.link(bar)
    return scene


def rendered(path: Path) -> np.ndarray:
    """(H, W, 3) of what Blender renders and composites now, 0 to 1 in linear light."""
    scene = bpy.context.scene
    scene.render.filepath = str(path)
    settings = scene.render.image_settings
    settings.file_format = "PNG"
    bpy.ops.render.render(write_still=True)
    return rendered_file(path)


def is_red(rgb: np.ndarray) -> np.ndarray:
    return (rgb[..., 0] > 0.8) & (rgb[..., 1] < 0.2)


@pytest.fixture
def folder(tmp_path: Path) -> FrameFolder:
    folder = FrameFolder(tmp_path / "frames")
    write_wall(folder, range(1, 4), 5.0)
    return folder


@pytest.mark.slow
def test_an_object_is_seen_where_it_is_nearer_than_the_splats(folder: FrameFolder, tmp_path: Path) -> None:
    scene = make_scene()
    setup = compositor.setup_compositor(scene, bpy.context.view_layer, folder)
    assert setup.connected and setup.todo == ""
    rgb = rendered(tmp_path / "still.png")
    row = rgb[SIZE // 2]
    middle = SIZE // 2
    assert is_red(row[30 : middle - 2]).all(), "before the wall"
    wall = np.array(WALL) / 255
    assert np.abs(row[middle + 2 : 3 * SIZE // 4 - 2] - wall).max() < 0.02, "behind the wall"
    assert is_red(row[3 * SIZE // 4 + 2 :][:3]).all(), "where there is no wall, nothing hides it"
    assert np.abs(rgb[5, 5] - wall).max() < 0.02
    assert rgb[5, -5].max() < 0.02


@pytest.mark.slow
def test_the_frame_of_the_sequence_is_that_of_the_scene(folder: FrameFolder, tmp_path: Path) -> None:
    scene = make_scene()
    compositor.setup_compositor(scene, bpy.context.view_layer, folder)
    scene.frame_set(3)  # the wall is at 7 now, behind the whole bar
    row = rendered(tmp_path / "later.png")[SIZE // 2]
    assert is_red(row[30 : 3 * SIZE // 4]).all()


@pytest.mark.slow
def test_edges_are_smooth(folder: FrameFolder, tmp_path: Path) -> None:
    scene = make_scene()
    scene.camera.rotation_euler[1] = 0.2
    compositor.setup_compositor(scene, bpy.context.view_layer, folder)
    scene.frame_set(3)
    rgb = rendered(tmp_path / "tilted.png")
    part = np.zeros((SIZE, SIZE), bool)
    green = WALL[1] / 255
    left = rgb[:, : 3 * SIZE // 4 - 2]
    part[:, : 3 * SIZE // 4 - 2] = (left[..., 1] > 0.1) & (left[..., 1] < green - 0.1)
    assert part.sum() > 100, "pixels that are neither all bar nor all wall"
    # Between red (1, 0, 0) and the wall in linear light; a dark fringe would be below that line.
    linear = np.where(left <= 0.04045, left / 12.92, ((left + 0.055) / 1.055) ** 2.4)
    wall = ((np.array(WALL) / 255 + 0.055) / 1.055) ** 2.4
    red_part = (linear[..., 0] - wall[0]) / (1 - wall[0])
    assert np.abs(linear[..., 1] - wall[1] * (1 - red_part)).max() < 0.03, "no fringe"


def test_it_is_made_once_and_then_brought_up_to_date(folder: FrameFolder, tmp_path: Path) -> None:
    scene = make_scene()
    first = compositor.setup_compositor(scene, bpy.context.view_layer, folder)
    counts = [len(each) for each in (bpy.data.node_groups, bpy.data.images)]
    nodes = len(versions.compositor_tree(scene).nodes)
    other = FrameFolder(tmp_path / "other")
    write_wall(other, range(5, 9), 3.0)
    second = compositor.setup_compositor(scene, bpy.context.view_layer, other)
    assert second == first
    assert [len(each) for each in (bpy.data.node_groups, bpy.data.images)] == counts
    assert len(versions.compositor_tree(scene).nodes) == nodes
    node = second.group.nodes["depth"]
    assert (node.frame_start, node.frame_duration, node.frame_offset) == (5, 4, 4)
    assert bpy.path.abspath(node.image.filepath) == str(other.depth(5))


def test_a_compositor_of_the_artists_own_is_left_alone(folder: FrameFolder) -> None:
    scene = make_scene()
    tree = versions.compositor_tree(scene, make=True)
    tree.nodes.clear()
    layers, blur = tree.nodes.new("CompositorNodeRLayers"), tree.nodes.new("CompositorNodeBlur")
    output = versions.ensure_output_node(tree)
    tree.links.new(layers.outputs[0], blur.inputs[0])
    tree.links.new(blur.outputs[0], output.inputs[0])
    setup = compositor.setup_compositor(scene, bpy.context.view_layer, folder)
    assert not setup.connected and "Connect" in setup.todo
    assert output.inputs[0].links[0].from_node == blur and blur.inputs[0].links[0].from_node == layers
    node = next(each for each in tree.nodes if getattr(each, "node_tree", None) == setup.group)
    tree.links.new(layers.outputs["Image"], node.inputs["Image"])
    tree.links.new(layers.outputs["Depth"], node.inputs["Depth"])
    tree.links.new(node.outputs["Image"], blur.inputs[0])
    assert compositor.setup_compositor(scene, bpy.context.view_layer, folder).connected


def test_nodes_that_were_switched_off_are_not_switched_on(folder: FrameFolder) -> None:
    scene = make_scene()
    if hasattr(scene, "compositing_node_group"):
        pytest.skip("from 5.0 on a tree is in use or it is not the scene's")
    scene.use_nodes = True
    scene.node_tree.nodes.new("CompositorNodeBlur")
    scene.use_nodes = False
    setup = compositor.setup_compositor(scene, bpy.context.view_layer, folder)
    assert not scene.use_nodes and "Use Nodes" in setup.todo


def test_splats_are_not_rendered_twice(folder: FrameFolder) -> None:
    scene = make_scene()
    splats = add_splats(random_splats(5))
    compositor.setup_compositor(scene, bpy.context.view_layer, folder)
    assert splats.hide_render and not bpy.data.objects["bar"].hide_render


def test_depth_frames_hold_metres_and_a_large_number_where_nothing_is(folder: FrameFolder) -> None:
    depth = read_exr(folder.depth(2))["Y"]
    assert depth.dtype == np.float32 and depth[0, 0] == 6.0 and depth[0, -1] == np.float32(1e10)


def wall_of_splats(count: int = 70, distance: float = 5.0) -> SplatArrays:
    """A checkered wall of opaque discs across the picture."""
    steps = np.linspace(-2.6, 2.6, count)
    x, y = (each.ravel() for each in np.meshgrid(steps, steps))
    means = np.stack([x, y, np.full_like(x, distance)], axis=1)
    sigma = 0.9 * (steps[1] - steps[0])
    bright = (np.floor(x) + np.floor(y)) % 2
    colours = np.stack([0.1 + 0 * bright, 0.3 + 0.4 * bright, 0.8 - 0.5 * bright], axis=1)
    n = len(means)
    fields = (
        means,
        np.tile(np.log([sigma, sigma, 0.01]), (n, 1)),
        np.tile([1.0, 0, 0, 0], (n, 1)),
        np.full(n, 4.0),
        ((colours - 0.5) / 0.28209479177387814)[:, None],
    )
    return SplatArrays(*(np.ascontiguousarray(each, np.float32) for each in fields))


def red_cube() -> bpy.types.Object:
    """A cube that the wall at 5 cuts in half along the view: its front at 4.3, its back at 5.7."""
    bpy.ops.mesh.primitive_cube_add(size=1.0, location=(0.4, 5.0, 0.2), rotation=(0.5, 0.3, 0.8))
    cube = bpy.context.object
    cube.data.materials.append(red_material())
    return cube


@pytest.mark.slow
def test_a_cube_stands_halfway_in_a_wall_of_splats(tmp_path: Path) -> None:
    scene = make_scene()
    scene.render.resolution_x = scene.render.resolution_y = 2 * SIZE
    bpy.data.objects.remove(bpy.data.objects["bar"])
    bpy.context.view_layer.update()
    add_splats(wall_of_splats(), placement(np.array(scene.camera.matrix_world)))
    folder = render_frames(scene, "FRAME", "OWN", folder=tmp_path / "frames")
    cube = red_cube()
    compositor.setup_compositor(scene, bpy.context.view_layer, folder)
    both = rendered(tmp_path / "both.png")
    wall = rendered_file(folder.rgb(1))

    expected = cube_is_nearer(scene, cube, 5.0)
    assert 0.03 < expected.mean() < 0.5
    assert (expected & ~both_red(both)).sum() < 0.02 * expected.sum(), "what is before the wall is seen"
    assert not (both_red(both) & ~grown(expected, 2)).any(), "what is behind it is not"
    away = ~grown(expected, 3)
    assert np.abs(both[away] - wall[away]).max() < 0.02, "everywhere else is the wall"


def both_red(rgb: np.ndarray) -> np.ndarray:
    """Mostly red: also where an edge is mixed with the wall."""
    return rgb[..., 0] > 0.6


def cube_is_nearer(scene: bpy.types.Scene, cube: bpy.types.Object, depth: float) -> np.ndarray:
    """(H, W) where the first of the cube's surface is nearer to the camera than `depth`, ray by ray."""
    width, height = scene.render.resolution_x, scene.render.resolution_y
    frame = scene.camera.data.view_frame(scene=scene)
    right, top, away = frame[0].x, frame[0].y, -frame[0].z
    result = np.zeros((height, width), bool)
    into = cube.matrix_world.inverted() @ scene.camera.matrix_world
    origin = into.translation
    for row in range(height):
        for column in range(width):
            x, y = (2 * (column + 0.5) / width - 1) * right, (1 - 2 * (row + 0.5) / height) * top
            hit, place, _, _ = cube.ray_cast(origin, into.to_3x3() @ Vector((x, y, -away)))
            result[row, column] = hit and -(into.inverted() @ place).z < depth
    return result


def rendered_file(path: Path) -> np.ndarray:
    image = bpy.data.images.load(str(path))
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(image.size[1], image.size[0], 4)[::-1, :, :3]
    bpy.data.images.remove(image)
    return pixels


def grown(mask: np.ndarray, steps: int) -> np.ndarray:
    for _ in range(steps):
        padded = np.pad(mask, 1)
        mask = mask | padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2]
    return mask
