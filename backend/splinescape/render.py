"""The final render: a finished scene seen along a camera path."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from splinescape.camera.path import CameraPath
from splinescape.camera.view import View
from splinescape.errors import CancelledError
from splinescape.raster import is_batched
from splinescape.scene.arriving import Arriving
from splinescape.scene.render import render_together
from splinescape.scene.resident import resident
from splinescape.scene.scene import Scene, check_view

MAX_FRAMES = 150
_BATCH_PIXELS = 2**21

_Picture = tuple[NDArray[np.uint8], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class RenderedFrame:
    """One finished picture of the final render.

    Attributes:
        index: position on the path from 0. total: how many there will be.
        view: the camera it was rendered with.
        rgb: (H, W, 3) uint8 over black.
        depth: (H, W) float32 camera z in scene units, +inf where nothing was hit.
    """

    index: int
    total: int
    view: View
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]


def final_frame_count(scene_frames: int) -> int:
    """Pictures of the final render: 25 a frame of the scene, at most 150; 150 where nothing was expanded."""
    return MAX_FRAMES if scene_frames <= 2 else min(25 * scene_frames, MAX_FRAMES)


def views_along(
    path: CameraPath, count: int, K_33: NDArray[np.floating], width: int, height: int
) -> list[View]:
    """Cameras at equal steps along `path`, with the path's own fields of view where it has any.

    Args:
        path: poses in the scene's world. count: how many cameras, at least 1.
        K_33: (3, 3) intrinsics in pixels of a width x height picture.

    Raises:
        InputError: `count` is less than 1.
    """
    fovs = path.fovs(count)
    views = []
    for i, cam_T_world in enumerate(path.sample(count)):
        K = np.array(K_33, np.float64)
        if fovs is not None:
            focal = height / 2 / np.tan(np.radians(fovs[i]) / 2)
            K[0, 0], K[1, 1] = K[0, 0] * focal / K[1, 1], focal
        views.append(View(width, height, K, cam_T_world))
    return views


def render_path(
    scene: Scene,
    views: Sequence[View],
    on_frame: Callable[[RenderedFrame], None],
    cancel: threading.Event | None = None,
) -> None:
    """Render `scene` from each of `views` and hand every picture to `on_frame`; only a few are held at a time.

    Args:
        scene: what to render.
        views: cameras with known intrinsics, all of them in the scene's world.
        on_frame: takes the pictures in order.
        cancel: once set, no further picture is handed on.

    Raises:
        CancelledError: `cancel` was set.
        InputError: a camera is not finite.
    """
    pictures = _drawn_ahead(scene, views) if is_batched(scene.rasterizer) else _drawn_in_turn(scene, views)
    for index, view in enumerate(views):
        if cancel is not None and cancel.is_set():
            raise CancelledError(f"{index} of {len(views)} pictures of the final render are finished")
        rgb, depth = next(pictures)
        on_frame(RenderedFrame(index, len(views), view, rgb, depth))


def _drawn_in_turn(scene: Scene, views: Sequence[View]) -> Iterator[_Picture]:
    for view in views:
        assert view.K_33 is not None
        out = scene.render(view.cam_T_world, view.K_33, view.width, view.height)
        rgb = (out.rgb.clamp(0, 1) * 255).round().byte().numpy()
        yield rgb, np.where(out.alpha.numpy() > 0, out.depth.numpy(), np.float32(np.inf))


def _drawn_ahead(scene: Scene, views: Sequence[View]) -> Iterator[_Picture]:
    """Several views in a call, and the next call begun before the pictures of the last are waited for."""
    ready = resident(scene.splats, scene.rasterizer.device)
    waiting: list[Arriving] = []
    for batch in _batches(views):
        for view in batch:
            assert view.K_33 is not None
            check_view(view.cam_T_world, view.K_33, view.width, view.height)
        out = render_together(ready, batch, scene.rasterizer)
        rgb = (out.rgb.clamp(0, 1) * 255).round().byte()
        depth = torch.where(out.alpha > 0, out.depth, torch.inf)
        waiting.append(Arriving(rgb, depth))
        if len(waiting) > 1:
            yield from waiting.pop(0).pictures()
    for last in waiting:
        yield from last.pictures()


def _batches(views: Sequence[View]) -> Iterator[list[View]]:
    """Neighbours of one size, as many as make up `_BATCH_PIXELS`."""
    for (width, height), group in groupby(views, lambda view: (view.width, view.height)):
        same = list(group)
        count = max(1, _BATCH_PIXELS // (width * height))
        yield from (same[i : i + count] for i in range(0, len(same), count))
