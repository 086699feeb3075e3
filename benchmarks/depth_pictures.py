"""The pictures of docs/builtin-depth.md: a picture, the depth that `builtin` sees in it, two views of the scene.

    .venv/bin/python benchmarks/depth_pictures.py examples/room.png        # OUT/room.jpg
    .venv/bin/python benchmarks/depth_pictures.py --panoramas PANORAMAS    # OUT/hotel_room.jpg and nine more

PANORAMAS is the folder `datafiles/studiolights/world` of Blender or of the package bpy.
It lights Blender's viewport: photographs by Greg Zaal (Poly Haven), CC0. Views of known field of view are cut from
them and shown to the engine without it; what it finds is printed beside the truth. Scenes are those of `splinescape
generate --stage coarse --max-resolution 384`, along its spiral, whose outermost views to the left and right are shown.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import OpenEXR
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from splinescape import SceneConfig, ScenePipeline, View  # noqa: E402
from splinescape.camera.intrinsics import pixel_rays  # noqa: E402
from splinescape.engines import depth_estimator  # noqa: E402
from splinescape.picture import load_picture  # noqa: E402
from splinescape.picture.focal import centred_intrinsics  # noqa: E402
from training.depth.pictures import depth_picture  # noqa: E402

Picture = NDArray[np.uint8]
WIDTH, HEIGHT, CELL, GAP = 512, 384, (272, 204), 4
_GREY, _WHITE = 0.2, 4.0  # linear: where the mean brightness goes, and what becomes white
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True)
class Cut:
    """A view of a panorama: degrees to the right of its middle, up, and over the longer side."""

    name: str
    panorama: str
    right: float
    up: float
    fov: float


CUTS = (
    Cut("hotel_room", "interior", -45, -12, 95),
    Cut("hotel_bed", "interior", 95, -8, 85),
    Cut("yard", "courtyard", 70, -4, 80),
    Cut("dog", "courtyard", -128, -10, 85),
    Cut("fences", "forest", 100, -10, 90),
    Cut("path", "forest", -25, -6, 75),
    Cut("square", "sunset", 150, -4, 80),
    Cut("quay", "sunset", -60, -6, 80),
    Cut("meadow", "sunrise", -75, -6, 75),
    Cut("car_park", "city", -110, -2, 80),
)


def cut(panorama: NDArray[np.float32], view: Cut) -> Picture:
    """(HEIGHT, WIDTH, 3): what a camera sees in the middle of an equirectangular picture of linear light."""
    small = _looked_up(panorama, view, WIDTH // 8, HEIGHT // 8)
    light = panorama * (_GREY / np.exp(np.log(small @ _LUMA + 1e-4).mean()))
    bright = light @ _LUMA
    light = np.clip(
        light * ((1 + bright / _WHITE**2) / (1 + bright))[..., None], 0, 1
    )  # Reinhard's tone curve
    encoded = np.where(light < 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-8) ** (1 / 2.4) - 0.055)
    large = _looked_up(encoded.astype(np.float32), view, 2 * WIDTH, 2 * HEIGHT)
    return np.round(255 * cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)).astype(np.uint8)


def _looked_up(panorama: NDArray[np.float32], view: Cut, width: int, height: int) -> NDArray[np.float32]:
    rays = pixel_rays(width, height, _intrinsics(view.fov, width, height))
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    up = math.radians(view.up)
    y = rays[..., 1] * math.cos(up) - rays[..., 2] * math.sin(up)
    z = rays[..., 1] * math.sin(up) + rays[..., 2] * math.cos(up)
    rows, columns = panorama.shape[:2]
    u = (np.arctan2(rays[..., 0], z) / (2 * np.pi) + view.right / 360 + 0.5) % 1 * columns - 0.5
    v = (np.arcsin(np.clip(y, -1, 1)) / np.pi + 0.5) * rows - 0.5
    around = np.concatenate([panorama[:, -4:], panorama, panorama[:, :4]], 1)
    seen = cv2.remap(around, (u + 4).astype(np.float32), v.astype(np.float32), cv2.INTER_CUBIC)
    return np.asarray(np.clip(seen, 0, panorama.max()), np.float32)


def _intrinsics(fov: float, width: int, height: int) -> NDArray[np.float32]:
    return centred_intrinsics(width / 2 / math.tan(math.radians(fov) / 2), width, height)


def strip(rgb: Picture, focal_px: float | None) -> tuple[Picture, float]:
    """Picture, depth and two views of its scene side by side; and the field of view that was found, in degrees."""
    height, width = rgb.shape[:2]
    K_33 = None if focal_px is None else centred_intrinsics(focal_px, width, height)
    seen = depth_estimator("builtin").predict(rgb, K_33=K_33, view=View(width, height, K_33, np.eye(4)))
    config = SceneConfig(stage="coarse", max_resolution=384, coarse_print_summary=False)
    made = ScenePipeline(config, inpainter="builtin", depth="builtin", rasterizer="cpu").run(
        rgb, focal_px=focal_px
    )
    camera, poses = made.frames[0], made.path.sample(100)
    aside = [-float((pose[:3, :3].T @ pose[:3, 3])[0]) for pose in poses]
    cells = [rgb, depth_picture(seen.depth)]
    for pose in (poses[int(np.argmin(aside))], poses[int(np.argmax(aside))]):
        shown = made.scene.render(pose, camera.K_33, camera.width, camera.height).rgb
        cells.append((shown.clamp(0, 1).numpy() * 255).round().astype(np.uint8))
    gap = np.full((CELL[1], GAP, 3), 255, np.uint8)
    row = [part for cell in cells for part in (cv2.resize(cell, CELL, interpolation=cv2.INTER_AREA), gap)][
        :-1
    ]
    return np.hstack(row), 2 * math.degrees(math.atan(max(width, height) / 2 / float(seen.K_33[0, 0])))


@click.command()
@click.argument("pictures", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--panoramas", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--only", multiple=True, help="Names of views; all by default.")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "out" / "depth-pictures")
def main(pictures: tuple[Path, ...], panoramas: Path | None, only: tuple[str, ...], out: Path) -> None:
    """Write OUT/NAME.jpg for each picture and each view of the panoramas."""
    out.mkdir(parents=True, exist_ok=True)
    jobs: list[tuple[str, Picture, float | None, str]] = []
    for file in pictures:
        loaded = load_picture(file)
        jobs.append((file.stem, loaded.rgb, loaded.focal_px, ""))
    for view in CUTS if panoramas else ():
        if not only or view.name in only:
            linear = OpenEXR.File(str(panoramas / f"{view.panorama}.exr")).channels()["RGB"].pixels
            light = np.nan_to_num(np.asarray(linear, np.float32), posinf=1e4).clip(0, 1e4)
            jobs.append((view.name, cut(light, view), None, f", true {view.fov:.0f}"))
    for name, rgb, focal_px, truth in jobs:
        row, fov = strip(rgb, focal_px)
        Image.fromarray(row).save(out / f"{name}.jpg", quality=76, optimize=True)
        print(f"{name}: field of view {fov:.0f} degrees{truth}", flush=True)


if __name__ == "__main__":
    main()
