"""`splinescape render`: a finished scene along a camera path as numbered pictures and a film."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from splinescape.cli.interrupt import cancel_on_interrupt
from splinescape.cli.listeners import to_all
from splinescape.cli.outputs import check_writable
from splinescape.cli.remote_option import open_service, remote_option
from splinescape.errors import InputError

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from splinescape.camera.view import View
    from splinescape.render import RenderedFrame

    OnFrame = Callable[[RenderedFrame], None]
    RenderViews = Callable[[Sequence[View], OnFrame, threading.Event], None]

DEFAULT_SIZE = (768, 512)
DEFAULT_FOV_Y_DEG = 50.0


@click.command()
@click.argument("scene", type=click.Path(path_type=Path))
@click.option(
    "--path",
    "path_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    required=True,
    help="Camera path (JSON).",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    default=Path("frames"),
    show_default=True,
    help="Folder for frame_0001.png and so on.",
)
@click.option(
    "--depth",
    is_flag=True,
    help="Also write each frame's colour and depth as EXR, and depth_0001.png to look at.",
)
@click.option("--video", type=click.Path(path_type=Path), metavar="FILE", help="Also write this film (.mp4).")
@click.option(
    "--frames",
    "count",
    type=click.IntRange(1, 100_000),
    default=150,
    show_default=True,
    help="How many frames.",
)
@click.option(
    "--width", type=click.IntRange(16, 16384), help="Width in pixels.  [default: the input picture's]"
)
@click.option(
    "--height", type=click.IntRange(16, 16384), help="Height in pixels.  [default: the input picture's]"
)
@click.option(
    "--rasterizer", default="auto", show_default=True, metavar="ENGINE", help="Engine that renders splats."
)
@remote_option(
    "Let a service render one of its jobs, given by the beginning of its id as SCENE; FILE is the service's "
    "connection file, or local for the service of this machine."
)
@click.option("-q", "--quiet", is_flag=True, help="Print warnings and errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Print a traceback with errors.")
def render(
    scene: Path,
    path_file: Path,
    out: Path,
    depth: bool,
    video: Path | None,
    count: int,
    width: int | None,
    height: int | None,
    rasterizer: str,
    remote: str | None,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 - read where errors are caught
) -> None:
    """Render SCENE along a camera path.

    SCENE is a .ply, .compressed.ply, .spz or .splat file, or with --remote the beginning of a job's id.
    """
    from splinescape.camera.path import CameraPath
    from splinescape.render import views_along

    if video is not None and video.suffix.lower() != ".mp4":
        raise InputError(f"--video {video}: films are written as .mp4")
    path = CameraPath.from_json(path_file)
    if remote is not None and rasterizer != "auto":
        raise InputError("the service chooses the engine itself: leave out --rasterizer or --remote")
    with ExitStack() as stack:
        if remote is None:
            full, render_views = _open_file(scene, rasterizer)
        else:
            full, render_views = _open_job(remote, str(scene), depth, stack)
        camera = _resized(full, width, height)
        check_writable(out)
        if video is not None:
            check_writable(video.parent)
        assert camera.K_33 is not None
        views = views_along(path, count, camera.K_33, camera.width, camera.height)
        cancel = stack.enter_context(cancel_on_interrupt())
        render_views(views, to_all(_listeners(stack, out, depth, video, quiet)), cancel)
    if not quiet:
        click.echo(f"frames: {out} ({count} of {camera.width}x{camera.height} px)")
        if video is not None:
            click.echo(f"film: {video}")


def _open_file(scene: Path, rasterizer: str) -> tuple[View, RenderViews]:
    """The camera of a scene's picture, or an ordinary one, and what renders the scene."""
    import numpy as np

    from splinescape.camera.intrinsics import intrinsics_from_fov_y
    from splinescape.camera.view import View
    from splinescape.render import render_path
    from splinescape.scene.scene import load_scene

    loaded = load_scene(scene, None if rasterizer == "auto" else rasterizer)
    meta = loaded.meta
    if meta.K_33 is None or meta.width is None or meta.height is None:
        camera = View(*DEFAULT_SIZE, intrinsics_from_fov_y(DEFAULT_FOV_Y_DEG, *DEFAULT_SIZE), np.eye(4))
    else:
        camera = View(meta.width, meta.height, np.array(meta.K_33), np.eye(4))
    return camera, partial(render_path, loaded)


def _open_job(remote: str, start: str, depth: bool, stack: ExitStack) -> tuple[View, RenderViews]:
    """The camera of a job's picture, and what has its service render it."""
    from splinescape.cli.jobs import find_job
    from splinescape.cli.remote_render import input_camera, render_path_remotely

    service = stack.enter_context(open_service(remote, "splinescape render"))
    job = find_job(service, start, remote).id

    def render_views(views: Sequence[View], on_frame: OnFrame, cancel: threading.Event) -> None:
        render_path_remotely(service, job, views, depth, on_frame, cancel)

    return input_camera(service, job, remote), render_views


def _resized(full: View, width: int | None, height: int | None) -> View:
    """The camera scaled to the wanted size; one given side keeps the shape of the picture.

    With both sides given, the vertical field of view stays and the sides are cropped or extended.
    """
    import numpy as np

    from splinescape.camera.view import View

    if width is None:
        width = full.width if height is None else max(1, round(full.width * height / full.height))
    if height is None:
        height = max(1, round(full.height * width / full.width))
    scale = height / full.height
    assert full.K_33 is not None
    K = np.array(full.K_33, np.float64)
    K[:2] *= scale
    K[0, 2] += (width - full.width * scale) / 2
    return View(width, height, K, np.eye(4))


def _listeners(
    stack: ExitStack, out: Path, depth: bool, video: Path | None, quiet: bool
) -> list[Callable[[RenderedFrame], None]]:
    from splinescape.cli.progress import ProgressDisplay
    from splinescape.deliver import RenderProgress
    from splinescape.io.film import film_writer
    from splinescape.io.frames import frame_path, write_exr, write_png

    def write(frame: RenderedFrame) -> None:
        write_png(frame_path(out, frame.index + 1, ".png"), frame.rgb)
        if depth:
            write_exr(frame_path(out, frame.index + 1, ".exr"), rgb=frame.rgb / 255.0, depth=frame.depth)

    listeners: list[Callable[[RenderedFrame], None]] = [write]
    if depth:
        listeners.append(_DepthPreview(out))
    if video is not None:
        film = stack.enter_context(film_writer(video))
        listeners.append(lambda frame: film.add(frame.rgb))
    listeners.append(RenderProgress(stack.enter_context(ProgressDisplay(quiet))))
    return listeners


class _DepthPreview:
    """Writes depth as grey pictures; the range of the first one serves for all, so that nothing flickers."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._range: tuple[float, float] | None = None

    def __call__(self, frame: RenderedFrame) -> None:
        import numpy as np

        from splinescape.io.frames import depth_preview, frame_path, write_png

        if self._range is None:
            hit = frame.depth[np.isfinite(frame.depth)]
            near, far = np.percentile(hit, [1, 99]) if hit.size else (1.0, 2.0)
            self._range = (float(near), float(max(far, near * 1.01)))
        write_png(
            frame_path(self._out, frame.index + 1, ".png", "depth"), depth_preview(frame.depth, *self._range)
        )
