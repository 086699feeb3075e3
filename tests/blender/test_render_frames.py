"""Frames of the extension's own engine: written, cancelled, gone on with, shown, and made a movie of."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.render import engine, frames, movie, operators, outputs, own_frames
from bl_ext.user_default.splinescape.render.background import setup_background
from bl_ext.user_default.splinescape.render.exr import read_exr
from bl_ext.user_default.splinescape.render.files import FrameFolder
from bl_ext.user_default.splinescape.render.plan import RenderError, plan_render
from gpu_support import add_camera, add_splats, random_splats

WIDTH, HEIGHT = 96, 64
K_33 = np.array([[90.0, 0, 50.0], [0, 90.0, 30.0], [0, 0, 1]])


@pytest.fixture
def scene() -> bpy.types.Scene:
    """Splats, a camera that moves sideways, three frames."""
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 4, 6
    scene.frame_set(5)
    add_splats(random_splats(800), name="my/splats")
    camera = add_camera(K_33, WIDTH, HEIGHT, np.eye(4))
    for frame, x in ((4, -0.5), (6, 0.5)):
        camera.location.x = x
        camera.keyframe_insert("location", frame=frame)
    scene.splinescape.path.object = camera
    return scene


def picture(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 of a file, first row on top."""
    image = bpy.data.images.load(str(path))
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(image.size[1], image.size[0], 4)[::-1, :, :3]
    bpy.data.images.remove(image)
    return np.round(pixels * 255).astype(np.uint8)


def test_every_frame_of_the_path_is_written(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = frames.render_frames(scene, folder=tmp_path / "frames")
    assert folder.numbers() == [4, 5, 6]
    assert sorted(each.name for each in folder.path.iterdir()) == [
        *(f"depth_000{i}.exr" for i in (4, 5, 6)),
        *(f"rgb_000{i}.png" for i in (4, 5, 6)),
    ]
    pictures = [picture(folder.rgb(i)) for i in (4, 5, 6)]
    assert pictures[0].shape == (HEIGHT, WIDTH, 3)
    assert all(np.ptp(each) > 200 for each in pictures)
    assert np.abs(pictures[0].astype(int) - pictures[2]).mean() > 10, "the camera moves"
    depth = read_exr(folder.depth(5))["Y"]
    seen = depth[depth < 1e9]
    assert seen.size > depth.size / 4
    assert seen.min() > 1.5
    assert seen.max() < 7
    assert scene.frame_current == 5


def test_scenes_settings_are_as_before(scene: bpy.types.Scene, tmp_path: Path) -> None:
    render, settings = scene.render, scene.render.image_settings
    render.engine, render.filepath, render.use_border = "CYCLES", "//mine", True
    render.resolution_percentage, render.film_transparent = 50, True
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGBA", "16"
    other = bpy.data.objects.new("other", bpy.data.cameras.new("other"))
    scene.collection.objects.link(other)
    scene.camera = other

    def now() -> list[object]:
        return [
            *(getattr(render, each) for each in ("engine", "filepath", "use_border", "film_transparent")),
            *(getattr(settings, each) for each in ("file_format", "color_mode", "color_depth")),
            *(getattr(render, each) for each in ("resolution_x", "resolution_y", "resolution_percentage")),
            scene.camera,
            scene.view_layers[0].use_pass_z,
        ]

    before = now()
    frames.render_frames(scene, folder=tmp_path / "frames")
    assert now() == before


def test_one_frame_through_the_scenes_camera_in_another_size(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = frames.render_frames(scene, "FRAME", percentage=50, folder=tmp_path / "one")
    assert folder.numbers() == [5]
    assert picture(folder.rgb(5)).shape == (HEIGHT // 2, WIDTH // 2, 3)


def test_the_frame_range_goes_in_the_scenes_steps(scene: bpy.types.Scene, tmp_path: Path) -> None:
    scene.frame_step = 2
    assert frames.render_frames(scene, "RANGE", folder=tmp_path / "range").numbers() == [4, 6]


def test_another_scene_than_the_shown_one_is_rendered_in_its_own_frame(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    bpy.context.view_layer.name = "Z"
    other = scene.view_layers.new("A")  # the first in the order of their names, and empty
    for each in scene.collection.objects:
        each.hide_set(True, view_layer=other)
    shown = frames.render_frames(scene, "FRAME", folder=tmp_path / "shown")
    scene.frame_set(1)
    bpy.context.window.scene = bpy.data.scenes.new("Other")
    bpy.context.scene.frame_set(2)
    scene.frame_current = 5
    folder = frames.render_frames(scene, "FRAME", folder=tmp_path / "hidden")
    assert np.ptp(picture(shown.rgb(5))) > 200
    assert np.array_equal(picture(folder.rgb(5)), picture(shown.rgb(5)))
    assert not np.array_equal(
        picture(folder.rgb(5)), picture(frames.render_frames(scene, "PATH", folder=tmp_path / "all").rgb(4))
    )
    assert (bpy.context.scene.name, bpy.context.scene.frame_current) == ("Other", 2)


def test_markers_switch_the_scenes_cameras_and_not_the_paths(scene: bpy.types.Scene, tmp_path: Path) -> None:
    mine = scene.camera
    path = frames.render_frames(scene, "PATH", folder=tmp_path / "path")
    aside = bpy.data.objects.new("aside", mine.data)
    aside.matrix_world = mine.matrix_world
    aside.location.x = 2.0
    scene.collection.objects.link(aside)
    for frame, camera in ((5, aside), (6, mine)):
        scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    scene.frame_set(5)
    again = frames.render_frames(scene, "PATH", folder=tmp_path / "again")
    ranged = frames.render_frames(scene, "RANGE", folder=tmp_path / "range")
    assert np.array_equal(picture(path.rgb(5)), picture(again.rgb(5)))
    assert not np.array_equal(picture(path.rgb(5)), picture(ranged.rgb(5)))
    assert np.array_equal(picture(path.rgb(6)), picture(ranged.rgb(6)))
    assert [each.camera for each in scene.timeline_markers] == [aside, mine]
    assert scene.camera == aside


def test_it_waits_while_blender_renders(
    scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = frames.start_render(scene, "FRAME", "OWN", folder=tmp_path / "frames")
    monkeypatch.setattr(own_frames, "is_rendering", lambda: True)
    assert all(job.step() for _ in range(5))
    assert not job.plan.folder.numbers()
    monkeypatch.undo()
    while job.step():
        pass
    assert (job.state, job.plan.folder.numbers()) == ("done", [5])


def test_frames_share_their_splats_and_give_them_back(scene: bpy.types.Scene, tmp_path: Path) -> None:
    job = frames.start_render(scene, "PATH", "OWN", folder=tmp_path / "frames")
    while job.done < 2:
        job.step()
    assert engine._packs._kept
    job.cancel()
    assert not engine._packs._kept


def test_a_file_saved_meanwhile_has_the_scenes_own_engine(scene: bpy.types.Scene, tmp_path: Path) -> None:
    scene.render.engine = "CYCLES"
    job = frames.start_render(scene, "PATH", "OWN", folder=tmp_path / "frames")
    while not job.done:
        job.step()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "room.blend"), copy=True)
    assert scene.render.engine == "SPLINESCAPE"
    job.cancel()
    assert scene.render.engine == "CYCLES"
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "room.blend"))
    assert bpy.context.scene.render.engine == "CYCLES"


def test_any_error_ends_it_with_a_sentence(
    scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.render.engine = "CYCLES"
    job = frames.start_render(scene, "PATH", "OWN", folder=tmp_path / "frames")

    def broken(*_: object) -> None:
        raise KeyError("odd")

    monkeypatch.setattr(own_frames, "read_exr", broken)
    while job.step():
        pass
    assert job.state == "failed"
    assert "could not be rendered" in job.error
    assert scene.render.engine == "CYCLES"


def test_cancelled_frames_stay_and_the_rest_is_rendered_later(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = FrameFolder(tmp_path / "frames")
    job = frames.start_render(scene, "PATH", "OWN", folder=folder.path)
    while job.done < 2:
        assert job.step()
    job.cancel()
    assert not job.step()
    assert (job.state, folder.numbers(), scene.frame_current) == ("cancelled", [4, 5], 5)
    stamp = folder.rgb(4).stat().st_mtime_ns
    rest = frames.start_render(scene, "PATH", "OWN", folder=folder.path, keep_existing=True)
    assert rest.total == 1
    while rest.step():
        pass
    assert (rest.state, folder.numbers()) == ("done", [4, 5, 6])
    assert folder.rgb(4).stat().st_mtime_ns == stamp


def test_an_undo_or_a_deleted_camera_ends_it_with_a_sentence(scene: bpy.types.Scene, tmp_path: Path) -> None:
    job = frames.start_render(scene, "RANGE", "OWN", folder=tmp_path / "frames")
    bpy.data.objects.remove(scene.camera)
    while job.step():
        pass
    assert job.state == "failed"
    assert "deleted" in job.error


def test_a_folder_that_cannot_be_made_is_said(scene: bpy.types.Scene, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RenderError, match="file"):
        frames.render_frames(scene, "FRAME", folder=tmp_path / "file" / "frames")


def test_the_button_renders_sets_up_and_survives_saving(scene: bpy.types.Scene, tmp_path: Path) -> None:
    settings = scene.splinescape.render
    settings.make_movie = settings.make_background = settings.make_compositor = True
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "room.blend"))
    assert bpy.ops.splinescape.render_path() == {"FINISHED"}
    folder = FrameFolder(tmp_path / "splinescape" / "room" / "my_splats" / "frames")
    assert folder.numbers() == [4, 5, 6]
    assert folder.movie.stat().st_size > 1000
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "room.blend"))
    scene = bpy.context.scene
    (background,) = scene.camera.data.background_images
    assert background.image.source == "SEQUENCE"
    assert background.image.filepath.startswith("//splinescape"), "the folder can be moved with the .blend"
    user = background.image_user
    assert (user.frame_start, user.frame_duration, user.frame_offset) == (4, 3, 3)
    assert scene.camera.data.show_background_images
    node = scene.splinescape.render.composite.nodes["rgb"]
    assert node.image == background.image
    assert bpy.data.objects["my/splats"].hide_render
    assert bpy.ops.splinescape.render_path() == {"FINISHED"}, (
        "frames show splats that the compositor's render hides"
    )
    assert np.ptp(picture(folder.rgb(5))) > 200
    assert bpy.data.objects["my/splats"].hide_render


def test_the_background_shows_the_frame_of_the_scene(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = frames.render_frames(scene, folder=tmp_path / "frames")
    image = setup_background(scene, scene.camera, folder)
    user = scene.camera.data.background_images[0].image_user
    for frame in (4, 6):
        scene.frame_set(frame)
        assert image.filepath_from_user(image_user=user) == str(folder.rgb(frame))
    again = setup_background(scene, scene.camera, folder)
    assert again == image
    assert len(scene.camera.data.background_images) == 1


def test_a_movie_can_be_the_background(scene: bpy.types.Scene, tmp_path: Path) -> None:
    plan = plan_render(scene, "PATH", folder=tmp_path / "frames")
    frames.render_frames(scene, folder=tmp_path / "frames")
    scene.splinescape.render.make_movie = True
    count = len(bpy.data.scenes)
    assert outputs.make_outputs(scene, bpy.context.view_layer, plan) == []
    assert len(bpy.data.scenes) == count
    image = setup_background(scene, scene.camera, plan.folder, movie=True)
    assert (image.source, image.frame_duration, tuple(image.size)) == ("MOVIE", 3, (WIDTH, HEIGHT))
    assert len(scene.camera.data.background_images) == 1


def test_a_movie_that_cannot_be_written_leaves_the_rest_made(scene: bpy.types.Scene, tmp_path: Path) -> None:
    plan = plan_render(scene, "PATH", folder=tmp_path / "frames")
    frames.render_frames(scene, folder=tmp_path / "frames")
    plan.folder.movie.mkdir()
    scene.splinescape.render.make_movie = scene.splinescape.render.make_background = True
    with pytest.raises(RenderError, match="movie"):
        outputs.make_outputs(scene, bpy.context.view_layer, plan)
    assert len(scene.camera.data.background_images) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the process's open files")
def test_an_older_movie_is_closed_before_it_is_replaced(scene: bpy.types.Scene, tmp_path: Path) -> None:
    plan = plan_render(scene, "PATH", folder=tmp_path / "frames")
    folder = frames.render_frames(scene, folder=tmp_path / "frames")
    movie.write_movie(scene, folder, WIDTH, HEIGHT)
    image = setup_background(scene, scene.camera, plan.folder, movie=True)
    assert tuple(image.size) == (WIDTH, HEIGHT)

    def is_open() -> bool:
        links = Path("/proc/self/fd").iterdir()
        return any(os.path.realpath(each) == str(folder.movie) for each in links)

    assert is_open()
    movie._let_go(folder.movie)
    assert not is_open()
    assert movie.write_movie(scene, folder, WIDTH, HEIGHT) == folder.movie


def test_what_is_missing_is_said(scene: bpy.types.Scene) -> None:
    with pytest.raises(RuntimeError, match="Save the"):
        bpy.ops.splinescape.render_path()
    with pytest.raises(RuntimeError, match="only imported"):
        scene.splinescape.render.folder = "/tmp/nowhere"
        bpy.ops.splinescape.render_path(scope="RANGE", engine="BACKEND")
    assert not bpy.ops.splinescape.setup_compositor.poll()
    assert not bpy.ops.splinescape.cancel_render.poll()
    for each in [each for each in scene.objects if each.type == "POINTCLOUD"]:
        bpy.data.objects.remove(each)
    assert not bpy.ops.splinescape.render_path.poll()
    assert operators.current_job() is None
