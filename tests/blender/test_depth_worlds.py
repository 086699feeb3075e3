"""The judge's pictures and depth are of one world: a box whose corners are known, seen through a known camera."""

import math
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bpy.app.version >= (5, 0), reason="the scenes are rendered by Blender 4.5"),
]

SIZE, AT = np.array([1.0, 0.6, 0.8]), np.array([0.2, 1.0, 0.1])  # of the box; the middle of its foot


def _camera(at, to, roll):
    """(3, 3) rows right, down, forward, by a way of its own: z up, then turned clockwise by `roll` degrees."""
    forward = np.subtract(to, at) / np.linalg.norm(np.subtract(to, at))
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    c, s = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    return np.stack([c * right + s * up, -(c * up - s * right), forward])


RENDER = """
import sys
from pathlib import Path
out, benchmarks, width, height, roll, fov = sys.argv[1:]
sys.path.insert(0, benchmarks)
sys.argv = ["render.py"]
import bpy
import numpy as np
from blender_worlds import build, catalogue, light, materials, render
size = (int(width), int(height))
scene = catalogue.Scene("box", "none", (-0.9, -1.6, 1.3), (0.2, 1.0, 0.5), float(fov), roll=float(roll), size=size)
bpy.ops.wm.read_factory_settings(use_empty=True)
build.box((1.0, 0.6, 0.8), (0.2, 1.0, 0.1), materials.glow("#ffffff", 1.0), edge=0)
light.dim("#808080", 0.3)
light.camera(bpy.context.scene, scene.at, scene.to, scene.fov, scene.roll, scene.focus)
render.settings(scene, 1)
rgb = render.picture(scene, Path(out).with_suffix(".png"))
np.savez(out, rgb=rgb, depth=render.depth(), K=scene.intrinsics(), at=scene.at, to=scene.to)
"""
"""In a process of its own: an empty Blender has no extension, and the other tests need theirs."""


@pytest.mark.parametrize(
    ("size", "roll", "fov"), [((96, 64), 0, 70), ((64, 96), 0, 60), ((96, 72), 12, 45)], ids=str
)
def test_a_box_is_where_the_camera_matrix_and_its_corners_say(tmp_path, size, roll, fov):
    arguments = [tmp_path / "box.npz", ROOT / "benchmarks", *size, roll, fov]
    subprocess.run([sys.executable, "-c", RENDER, *map(str, arguments)], check=True)
    with np.load(tmp_path / "box.npz") as file:
        rgb, depth, K, at, to = (file[name] for name in ("rgb", "depth", "K", "at", "to"))
    K = K.astype(np.float64)
    assert rgb.shape == (*depth.shape, 3) == (size[1], size[0], 3)
    hit = np.isfinite(depth)
    rows = _camera(at, to, roll)

    y, x = np.nonzero(hit)
    rays = np.stack([x + 0.5, y + 0.5, np.ones(len(x))]) * depth[hit]
    points = (rows.T @ np.linalg.solve(K, rays)).T + at
    inside = np.abs(points - AT - (0, 0, SIZE[2] / 2)) - SIZE / 2
    assert np.abs(inside.max(1)).max() < 2e-4, "every pixel lies on the box"

    corners = [AT + SIZE * (i - 0.5, j - 0.5, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    seen = K @ rows @ (np.array(corners) - at).T
    u, v = seen[:2] / seen[2]
    found = (x.min(), x.max() + 1, y.min(), y.max() + 1)
    assert found == pytest.approx((u.min(), u.max(), v.min(), v.max()), abs=1.0)

    bright = rgb.mean(2) > (float(rgb.mean(2).min()) + float(rgb.mean(2).max())) / 2
    grown = [np.roll(hit, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    assert not (bright & ~np.any(grown, 0)).any() and not (np.all(grown, 0) & ~bright).any()
    middles = [np.argwhere(mask).mean(0) for mask in (bright, hit)]
    assert middles[0] == pytest.approx(middles[1], abs=0.25), "picture and depth have one outline"
