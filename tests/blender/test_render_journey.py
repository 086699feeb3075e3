"""From a picture to rendered frames of the path with a real service, in one Blender and in a batch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.generate import api
from bl_ext.user_default.splinescape.render import frames
from bl_ext.user_default.splinescape.render.exr import read_exr
from bl_ext.user_default.splinescape.render.files import FrameFolder
from bl_ext.user_default.splinescape.render.plan import RenderError
from conftest import ROOT
from generate_support import set_up
from service import RunningService, use
from test_render_frames import picture

pytestmark = pytest.mark.slow

BATCH = """
import bpy
bpy.ops.splinescape.generate()
bpy.ops.splinescape.render_path(scope="PATH", engine="OWN")
bpy.ops.wm.save_mainfile()
"""
"""As in docs/render-back.md."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("service") / "data")
    yield running
    running.kill()


@pytest.fixture
def scene(service: RunningService, tmp_path: Path) -> bpy.types.Scene:
    use(service.connection)
    scene = set_up(
        tmp_path, {"stage": "coarse", "n_frames": 4, "max_resolution": 128, "coarse_dense_multiplier": 4}
    )
    scene.frame_start, scene.frame_end = 1, 5
    return scene


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def assert_same(own: FrameFolder, backend: FrameFolder, numbers: range) -> None:
    assert own.numbers() == backend.numbers() == list(numbers)
    for number in numbers:
        ours, theirs = picture(own.rgb(number)), picture(backend.rgb(number))
        assert np.ptp(ours) > 100
        assert psnr(ours, theirs) >= 40
        depths = [read_exr(each.depth(number))["Y"] for each in (own, backend)]
        both = (depths[0] < 1e9) & (depths[1] < 1e9)
        assert both.mean() > 0.9
        assert np.median(np.abs(depths[0][both] / depths[1][both] - 1)) < 0.01


def test_the_backend_and_the_own_engine_render_the_same_frames(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    api.generate(scene, wait=True)
    own = frames.render_frames(scene, "PATH", "OWN", folder=tmp_path / "own")
    backend = frames.render_frames(scene, "PATH", "BACKEND", folder=tmp_path / "backend")
    assert_same(own, backend, range(1, 6))
    first, last = picture(own.rgb(1)), picture(own.rgb(5))
    assert psnr(first, last) < 30, "the camera moves along the path"

    made = scene.splinescape.generate.scene_object
    made.scale *= 2.0
    made.location.x += 1.0
    made.rotation_euler[1] += 0.1
    scene.frame_end = 2
    bpy.context.view_layer.update()
    assert_same(
        frames.render_frames(scene, "RANGE", "OWN", folder=tmp_path / "own2", percentage=50),
        frames.render_frames(scene, "RANGE", "BACKEND", folder=tmp_path / "backend2", percentage=50),
        range(1, 3),
    )
    made.scale.x *= 1.5
    bpy.context.view_layer.update()
    with pytest.raises(RenderError, match="stretched"):
        frames.render_frames(scene, "FRAME", "BACKEND", folder=tmp_path / "no")


def test_a_backend_that_lost_the_scene_is_said(scene: bpy.types.Scene, tmp_path: Path) -> None:
    api.generate(scene, wait=True)
    scene.splinescape.generate.scene_object["splinescape_job"] = "0" * 32
    with pytest.raises(RenderError, match="does not have this scene any more"):
        frames.render_frames(scene, "FRAME", "BACKEND", folder=tmp_path / "no")


def test_it_is_cancelled_between_two_answers(scene: bpy.types.Scene, tmp_path: Path) -> None:
    api.generate(scene, wait=True)
    job = frames.start_render(scene, "PATH", "BACKEND", folder=tmp_path / "some")
    while job.done < 2:
        assert job.step()
    job.step()
    job.cancel()
    assert FrameFolder(tmp_path / "some").numbers() == [1, 2]


def test_a_batch_generates_and_renders_a_saved_blend(scene: bpy.types.Scene, tmp_path: Path) -> None:
    blend = tmp_path / "room.blend"
    assert bpy.ops.splinescape.make_path_camera() == {"FINISHED"}
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    start = "\n".join(
        (
            "import conftest, bpy, sys",
            "bpy.ops.preferences.addon_enable(module=conftest.MODULE)",
            "import service, pathlib",
            "service.use(pathlib.Path(sys.argv[1]))",
            "bpy.ops.wm.open_mainfile(filepath=sys.argv[2])",
            BATCH,
        )
    )
    connection = str(
        bpy.context.preferences.addons["bl_ext.user_default.splinescape"].preferences.connection_file
    )
    done = subprocess.run(
        [sys.executable, "-c", start, connection, str(blend)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests" / "blender"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (folder,) = (tmp_path / "splinescape").glob("*/*/frames")
    assert FrameFolder(folder).numbers() == [1, 2, 3, 4, 5]
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    scene = bpy.context.scene
    assert scene.splinescape.generate.scene_object is not None
    (background,) = scene.splinescape.render.camera.data.background_images
    assert Path(bpy.path.abspath(background.image.filepath)) == folder / "rgb_0001.png"
