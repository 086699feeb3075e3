"""What the viewport's draw handler does, in a framebuffer like the viewport's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import bpy
import gpu
import numpy as np
import pytest
from bl_ext.user_default.splinescape.display import viewport
from bl_ext.user_default.splinescape.display.gpu import viewport_drawing
from bl_ext.user_default.splinescape.display.gpu.color import linear
from bl_ext.user_default.splinescape.display.gpu.packing import pack
from bl_ext.user_default.splinescape.display.gpu.view import View
from bl_ext.user_default.splinescape.display.gpu.viewport_drawing import ViewportSplats
from bl_ext.user_default.splinescape.display.gpu.visible import visible_splats
from gpu_support import add_camera, add_splats, in_gpu_context, psnr, random_splats

WIDTH, HEIGHT = 160, 120
FLIP = np.diag([1.0, -1, -1, 1])


def view(offset: float = 0.0) -> View:
    """The scene's camera, a little to the side."""
    projection = np.zeros((4, 4))
    projection[0, 0], projection[1, 1] = 1.5, 2.0
    projection[2, 2], projection[2, 3], projection[3, 2] = -1.0002, -0.02, -1
    pose = FLIP.copy()
    pose[0, 3] = offset
    return View.of(pose, projection, WIDTH, HEIGHT)


@contextmanager
def region(hidden_columns: int = 0) -> Iterator[Callable[[], np.ndarray]]:
    """A grey viewport with depth; something near stands in its left columns. Yields what reads its colours."""
    color = gpu.types.GPUTexture((WIDTH, HEIGHT), format="RGBA32F")
    depth = gpu.types.GPUTexture((WIDTH, HEIGHT), format="DEPTH_COMPONENT32F")
    whole = gpu.types.GPUFrameBuffer(color_slots=(color,), depth_slot=depth)

    def read() -> np.ndarray:
        buffer = whole.read_color(0, 0, WIDTH, HEIGHT, 4, 0, "FLOAT")
        return np.array(buffer.to_list(), np.float32)

    with whole.bind():
        whole.clear(color=(0.0, 0.0, 0.0, 0.0), depth=1.0)
        if hidden_columns:
            gpu.state.scissor_test_set(True)
            gpu.state.scissor_set(0, 0, hidden_columns, HEIGHT)
            gpu.state.depth_mask_set(True)
            whole.clear(depth=0.0)
            gpu.state.scissor_test_set(False)
        yield read


def test_splats_are_hidden_by_what_stands_in_front() -> None:
    def work() -> tuple[np.ndarray, np.ndarray]:
        splats, clouds = ViewportSplats(), [pack(random_splats(800))]
        with region() as read:
            splats.draw(1, clouds, [np.eye(4)], view(), behind_scene=True)
            free = read()
        with region(hidden_columns=60) as read:
            splats.draw(1, clouds, [np.eye(4)], view(), behind_scene=True)
            return free, read()

    free, half = in_gpu_context(work)
    assert free[:, :60, 3].mean() > 0.3
    assert np.abs(half[:, :60]).max() < 1e-4
    assert np.abs(half[:, 60:] - free[:, 60:]).max() < 1e-4


def test_the_viewport_gets_linear_light() -> None:
    """Blender's viewport turns linear light into what the screen shows."""

    def work() -> np.ndarray:
        flat = random_splats(1)
        flat.means[:], flat.log_scales[:], flat.opacity_logits[:] = (0, 0, 3), 0, 12
        flat.sh[:] = (np.array([0.8, 0.4, 0.2]) - 0.5) / 0.28209479177387814
        with region() as read:
            ViewportSplats().draw(1, [pack(flat)], [np.eye(4)], view(), behind_scene=True)
            return read()[HEIGHT // 2, WIDTH // 2]

    expected = linear(np.array([0.8, 0.4, 0.2], np.float32))
    assert np.allclose(in_gpu_context(work)[:3], expected, atol=2e-3)


def test_a_moving_view_is_drawn_with_less_and_then_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewport_drawing, "FIRST_GUESS_S", 3 * viewport_drawing.MOVING_FRAME_S / 100_000)
    now = [100.0]

    def work() -> tuple[Any, ...]:
        splats, clouds = ViewportSplats(), [pack(random_splats(100_000, sigma=0.015))]
        monkeypatch.setattr(viewport_drawing, "perf_counter", lambda: now[0])
        seen = []
        for seconds, offset in ((0, 0.0), (0.05, 0.1), (0.5, 0.1)):
            now[0] += seconds
            with region() as read:
                reduced = splats.draw(1, clouds, [np.eye(4)], view(offset), behind_scene=True)
                seen.append((reduced, read()))
        return tuple(seen)

    first, moving, steady = in_gpu_context(work)
    assert [each[0] for each in (first, moving, steady)] == [False, True, False]
    assert not np.array_equal(moving[1], steady[1])
    assert psnr(moving[1], steady[1]) > 20
    assert moving[1][..., 3].mean() == pytest.approx(steady[1][..., 3].mean(), rel=0.1)


def test_a_picture_that_nothing_changed_is_not_drawn_again() -> None:
    def work() -> list[tuple[bool, np.ndarray]]:
        splats, clouds = ViewportSplats(), [pack(random_splats(800))]
        seen = []
        for columns, offset in ((0, 0.0), (0, 0.0), (60, 0.0), (60, 0.1)):
            with region(columns) as read:
                splats.draw(1, clouds, [np.eye(4) + offset * np.eye(4, k=3)], view(), behind_scene=True)
                seen.append(("draw" in splats.seconds, read()))
        return seen

    seen = in_gpu_context(work)
    assert [drawn for drawn, _ in seen] == [True, False, True, True]
    assert np.array_equal(seen[0][1], seen[1][1])


def test_an_orthographic_view_shows_what_is_behind_it_too() -> None:
    def work() -> np.ndarray:
        projection = np.diag([0.5, 0.6, -0.01, 1.0])
        top = replace(
            view(), projection=projection, near=float("-inf"), cam_T_world=FLIP @ np.diag([1, 1, -1, 1])
        )
        with region() as read:
            ViewportSplats().draw(1, [pack(random_splats(800))], [np.eye(4)], top, behind_scene=True)
            return read()

    assert in_gpu_context(work)[..., 3].mean() > 0.2


def test_only_visible_objects_in_splat_mode_are_drawn() -> None:
    shown, points, hidden = (
        add_splats(random_splats(5), name=name) for name in ("Shown", "Points", "Hidden")
    )
    shown.splinescape.display.mode = "SPLATS"
    hidden.splinescape.display.mode = "SPLATS"
    hidden.hide_set(True)
    points.splinescape.display.mode = "POINTS"
    depsgraph = bpy.context.evaluated_depsgraph_get()
    found = visible_splats(
        depsgraph, lambda splats, shown: viewport.is_drawn_as_splats(splats) and shown.visible_get()
    )
    assert [each.name for each in found] == ["Shown"]
    assert len(found[0].read()) == 5


def test_instances_are_read_after_the_walk_and_go_by_their_own_mode() -> None:
    made = add_splats(random_splats(3), name="Room")
    library = bpy.data.collections.new("Library")
    library.objects.link(made)
    bpy.context.scene.collection.objects.unlink(made)
    shown = []
    for x in (1, 2):
        shown.append(bpy.data.objects.new("Instance", None))
        shown[-1].instance_type, shown[-1].instance_collection = "COLLECTION", library
        shown[-1].location.x = x
        bpy.context.scene.collection.objects.link(shown[-1])
    asked = []

    def wanted(splats: Any, by: Any) -> bool:
        asked.append((splats, by))
        return True

    handlers = bpy.app.handlers.depsgraph_update_post
    kept = list(handlers)
    handlers.clear()  # what they look up may keep objects alive that others do not
    try:
        found = visible_splats(bpy.context.evaluated_depsgraph_get(), wanted)
    finally:
        handlers.extend(kept)
    assert [(each.name, len(each.read()), each.world_T_object[0, 3]) for each in found] == [
        ("Room", 3, 1),
        ("Room", 3, 2),
    ]
    assert asked == [(made, each) for each in shown]


def test_changed_splats_are_read_again() -> None:
    from bl_ext.user_default.splinescape.splats import pointcloud

    made = add_splats(random_splats(5), name="Room")

    def packed() -> int:
        return len(viewport._watch.pack(visible_splats(bpy.context.evaluated_depsgraph_get())[0]))

    bpy.context.view_layer.update()
    before = packed()
    pointcloud.replace_splats(made, random_splats(9, seed=3))
    bpy.context.view_layer.update()
    assert before < packed() <= 9


def test_nothing_is_kept_of_objects_that_are_gone() -> None:
    made = add_splats(random_splats(5), name="Room")
    viewport._watch.pack(visible_splats(bpy.context.evaluated_depsgraph_get())[0])
    assert "Room" in viewport._watch.current
    bpy.data.objects.remove(made)
    bpy.context.view_layer.update()
    assert not viewport._watch.current


def test_a_new_file_begins_with_nothing() -> None:
    add_splats(random_splats(5), name="Room")
    viewport._watch.pack(visible_splats(bpy.context.evaluated_depsgraph_get())[0])
    bpy.ops.wm.read_homefile(use_empty=True)
    assert not viewport._watch.current


def test_the_artists_modifiers_count_and_those_of_the_display_do_not() -> None:
    bpy.context.scene.render.engine = "CYCLES"
    made = add_splats(random_splats(50, harmonics=4), name="Room")
    made.splinescape.display.mode = "MATERIAL"

    def read() -> Any:
        return visible_splats(bpy.context.evaluated_depsgraph_get())[0].read()

    stored = read()
    assert np.allclose(stored.sh, random_splats(50, harmonics=4).sh, atol=1e-5)
    nodes = bpy.data.node_groups.new("Move", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        nodes.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    first, last = nodes.nodes.new("NodeGroupInput"), nodes.nodes.new("NodeGroupOutput")
    move = nodes.nodes.new("GeometryNodeSetPosition")
    move.inputs["Offset"].default_value = 1, 0, 0
    nodes.links.new(first.outputs[0], move.inputs["Geometry"])
    nodes.links.new(move.outputs["Geometry"], last.inputs[0])
    add_camera(np.array([[16, 0, 8], [0, 16, 8], [0, 0, 1.0]]), 16, 16, np.eye(4))
    made.modifiers.new("Move", "NODES").node_group = nodes
    assert "Splinescape Colour" in made.modifiers
    assert np.allclose(read().sh, stored.sh, atol=1e-5), "the colour as seen is not read as the splats' own"
    assert np.allclose(read().means - stored.means, (1, 0, 0), atol=1e-5)
