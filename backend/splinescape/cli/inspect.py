"""`splinescape inspect`: what a scene file holds, in numbers and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from splinescape.camera.view import View
    from splinescape.io.stats import SceneStatistics
    from splinescape.scene.meta import SceneMeta

PREVIEW_SIZE = (768, 512)
PREVIEW_FOV_Y_DEG = 50.0


@click.command()
@click.argument("scene", type=click.Path(path_type=Path))
@click.option(
    "--preview",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the picture goes.  [default: beside the scene, <scene>.preview.png]",
)
@click.option("--no-preview", is_flag=True, help="Print the numbers only.")
@click.option(
    "--rasterizer", default="auto", show_default=True, metavar="ENGINE", help="Engine that renders splats."
)
@click.option("-v", "--verbose", is_flag=True, help="Print a traceback with errors.")
def inspect(
    scene: Path,
    preview: Path | None,
    no_preview: bool,
    rasterizer: str,
    verbose: bool,  # noqa: ARG001 - read where errors are caught
) -> None:
    """Describe SCENE in numbers, and make a preview picture.

    SCENE is a .ply, .compressed.ply, .spz or .splat file.
    """
    from splinescape.io.frames import write_png
    from splinescape.io.stats import scene_statistics
    from splinescape.scene.scene import load_scene

    loaded = load_scene(scene, None if rasterizer == "auto" else rasterizer)
    statistics = scene_statistics(loaded.splats.to_arrays(), loaded.meta)
    click.echo("\n".join(_lines(scene, statistics, loaded.meta)))
    if no_preview:
        return
    target = preview or scene.with_name(f"{scene.name}.preview.png")
    camera = _preview_camera(statistics, loaded.meta)
    assert camera.K_33 is not None
    picture = loaded.render(camera.cam_T_world, camera.K_33, camera.width, camera.height)
    write_png(target, picture.rgb)
    click.echo(f"preview       {target}")


def _lines(scene: Path, statistics: SceneStatistics, meta: SceneMeta) -> list[str]:
    s = statistics
    lines = [
        f"scene         {scene}",
        f"made by       {f'Splinescape {meta.version}' if meta.version else 'another tool'}",
        f"splats        {s.count:,}, spherical harmonics of degree {s.sh_degree}",
        f"non-finite    {s.nonfinite:,}" + (" left out: the file is damaged" if s.nonfinite else ""),
        f"units         {meta.units}, up is {meta.up}",
        f"bounds        {_box(s.bounds)}",
        f"core bounds   {_box(s.core_bounds)} (98 % of each axis)",
        f"distance      {_range(s.distances)} from the origin",
        f"scale         {_range(s.scales)}, median {s.median_scale:.4g}, flatness {s.flatness:.3g}",
        f"opacity       {_range(s.opacities)}, median {s.median_opacity:.3g}",
        f"colour        {_range(s.colors)}",
    ]
    if meta.K_33 is not None and meta.width is not None and meta.height is not None:
        from splinescape.camera.intrinsics import fov_y_deg

        fov = fov_y_deg(meta.K_33, meta.height)
        lines.append(
            f"input camera  {meta.width}x{meta.height} px, focal {meta.K_33[0, 0]:.1f} px, {fov:.1f} deg tall"
        )
    if meta.engines:
        lines.append(
            "engines       " + ", ".join(f"{role} {name}" for role, name in sorted(meta.engines.items()))
        )
    return lines


def _range(values: tuple[float, float]) -> str:
    return f"{values[0]:.4g} to {values[1]:.4g}"


def _box(corners: tuple[tuple[float, float, float], tuple[float, float, float]]) -> str:
    return ", ".join(
        f"{axis} {_range(pair)}" for axis, pair in zip("xyz", zip(*corners, strict=True), strict=True)
    )


def _preview_camera(statistics: SceneStatistics, meta: SceneMeta) -> View:
    """The input picture's camera where the file knows it, else one that stands back to see it all."""
    import numpy as np

    from splinescape.camera.intrinsics import intrinsics_from_fov_y
    from splinescape.camera.pose import look_at
    from splinescape.camera.view import View

    if meta.K_33 is not None and meta.width is not None and meta.height is not None:
        return View(meta.width, meta.height, meta.K_33, np.eye(4))
    low, high = np.array(statistics.core_bounds)
    centre, radius = (low + high) / 2, max(float(np.linalg.norm(high - low)) / 2, 1e-3)
    width, height = PREVIEW_SIZE
    distance = 0.7 * radius / np.tan(np.radians(PREVIEW_FOV_Y_DEG) / 2)  # the core is rarely a full sphere
    eye = centre + distance * np.array([0.3, -0.25, -0.92])
    return View(width, height, intrinsics_from_fov_y(PREVIEW_FOV_Y_DEG, width, height), look_at(eye, centre))
