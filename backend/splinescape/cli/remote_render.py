"""`render --remote`: a service renders the scene of one of its jobs, view by view."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from splinescape.camera.view import View
from splinescape.cli.remote_option import SHORT, jobs_command
from splinescape.client import Service
from splinescape.client.client import RenderBuffer
from splinescape.errors import CancelledError, InputError
from splinescape.render import RenderedFrame


def input_camera(service: Service, job: str, remote: str) -> View:
    """The camera of a job's input picture; raises InputError when the job has no frame yet."""
    for event in service.watch(job, thumbnails=False):
        if event.kind == "frame":
            data = event.data
            K, pose = np.array(data["K_33"], np.float64), np.array(data["cam_T_world"], np.float64)
            return View(int(data["width"]), int(data["height"]), K, pose)
        if event.final:
            break
    raise InputError(
        f"job {job[:SHORT]} has nothing to render; see why with: {jobs_command('log', job, remote)}"
    )


def render_path_remotely(
    service: Service,
    job: str,
    views: Sequence[View],
    depth: bool,
    on_frame: Callable[[RenderedFrame], None],
    cancel: threading.Event,
) -> None:
    """Let the service render all views and hand every picture to `on_frame`, in order.

    Args:
        depth: whether depth is wanted too; it is +inf everywhere otherwise.

    Raises:
        CancelledError: `cancel` was set. ServiceError: the service cannot render it.
    """
    buffers: tuple[RenderBuffer, ...] = ("rgb", "depth") if depth else ("rgb",)
    for index, view in enumerate(views):
        if cancel.is_set():
            raise CancelledError(f"{index} of {len(views)} pictures of the final render are finished")
        assert view.K_33 is not None
        rendering = service.render(job, view.cam_T_world, view.K_33, view.width, view.height, buffers)
        assert rendering.rgb is not None
        nowhere = np.full(rendering.rgb.shape[1:3], np.inf, np.float32)
        shown = nowhere if rendering.depth is None else rendering.depth[0]
        on_frame(RenderedFrame(index, len(views), view, rendering.rgb[0], shown))
