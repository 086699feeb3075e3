"""The render engine draws what the backend draws."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest
from gpu_support import (
    MAIN_PYTHON,
    ROOT,
    add_camera,
    add_splats,
    backend_render,
    psnr,
    random_splats,
    render,
    render_png,
    save_png,
    shrunk_picture,
    srgb,
)

from splinescape.camera.blender import placement
from splinescape.io.formats import load_arrays

PICTURE = ROOT / "examples" / "room.png"
WIDTH, HEIGHT = 256, 192
K = np.array([[230, 0, 120.0], [0, 230, 100], [0, 0, 1]])
INPUT_CAMERA = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 1.6], [0, 0, 0, 1.0]])

needs_backend = pytest.mark.skipif(not MAIN_PYTHON.exists(), reason="needs the backend's environment")


def turned(angle: float, offset: tuple[float, float, float]) -> np.ndarray:
    """A view matrix: turned about the vertical axis, then moved."""
    c, s = np.cos(angle), np.sin(angle)
    view = np.eye(4)
    view[0, :3], view[2, :3], view[:3, 3] = (c, 0, s), (-s, 0, c), offset
    return view


@needs_backend
@pytest.mark.slow
@pytest.mark.parametrize("harmonics", [1, 16])
@pytest.mark.parametrize("view", [np.eye(4), turned(0.3, (0.4, -0.1, -0.5))], ids=["input", "turned"])
def test_random_splats_look_as_in_the_backend(harmonics: int, view: np.ndarray, tmp_path: Path) -> None:
    place = placement(INPUT_CAMERA)
    splats = random_splats(5000, harmonics=harmonics)
    add_splats(splats, place)
    add_camera(K, WIDTH, HEIGHT, view, place)
    combined, depth = render(tmp_path)
    reference = backend_render(tmp_path, splats, view, K, WIDTH, HEIGHT)
    bpy.context.scene.render.film_transparent = True
    alpha = render(tmp_path)[0][..., 3]
    save_png(tmp_path / "engine.png", srgb(combined[..., :3]))
    save_png(tmp_path / "backend.png", reference["rgb"])
    assert psnr(srgb(combined[..., :3]), reference["rgb"]) >= 60
    assert psnr(alpha, reference["alpha"]) >= 60
    seen = reference["alpha"] > 0.5
    assert seen.mean() > 0.5
    error = np.abs(depth[seen] / reference["depth"][seen] - 1)
    assert np.median(error) < 1e-4
    assert np.percentile(error, 99) < 0.02


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of the bundled picture, as the command makes it."""
    out = tmp_path_factory.mktemp("room")
    code = "from splinescape.cli.main import main; main()"
    arguments = ("--max-resolution", "256", "--stage", "coarse", "--n-frames", "3")
    env = {**os.environ, "SPLINESCAPE_THREADS": "1", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    command = (MAIN_PYTHON, "-c", code, "generate", PICTURE, "--out", out, *arguments)
    subprocess.run(command, check=True, env=env, cwd=out, capture_output=True)
    return out / "gf.ply"


@needs_backend
@pytest.mark.slow
def test_a_generated_scene_reproduces_its_picture(room: Path, tmp_path: Path) -> None:
    splats, meta = load_arrays(room)
    width, height = meta.width, meta.height
    place = placement(INPUT_CAMERA)
    add_splats(splats, place)
    add_camera(meta.K_33, width, height, np.eye(4), place)
    combined, depth = render(tmp_path)
    shown = srgb(combined[..., :3])
    reference = backend_render(tmp_path, splats, np.eye(4), meta.K_33, width, height)
    save_png(tmp_path / "engine.png", shown)
    assert psnr(shown, reference["rgb"]) >= 45
    assert psnr(shown, shrunk_picture(PICTURE, width, height, tmp_path)) >= 32
    seen = reference["alpha"] > 0.5
    assert np.median(np.abs(depth[seen] / reference["depth"][seen] - 1)) < 1e-3


@needs_backend
@pytest.mark.slow
def test_the_saved_picture_is_what_the_backend_shows(tmp_path: Path) -> None:
    splats = random_splats(3000)
    add_splats(splats)
    add_camera(K, WIDTH, HEIGHT, np.eye(4))
    saved = render_png(tmp_path)
    reference = backend_render(tmp_path, splats, np.eye(4), K, WIDTH, HEIGHT)["rgb"]
    assert np.abs(saved - np.clip(reference, 0, 1)).max() < 2.5 / 255
