"""What a finished scene leaves behind: scene files in every wanted format, and a film along its path."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from splinescape.events import OnEvent, Progress, StageStarted
from splinescape.io.formats import save_scene
from splinescape.render import RenderedFrame, final_frame_count, render_path, views_along

if TYPE_CHECKING:
    from splinescape.pipeline import SceneResult

OnFrame = Callable[[RenderedFrame], None]


def save_scene_files(result: SceneResult, ply: Path, others: Iterable[Path] = ()) -> None:
    """Write gf.ply, and the scene once more in the format of each other path's suffix.

    Raises:
        InputError: a suffix is not known, or a file cannot be written.
    """
    result.save_ply(ply)
    for path in others:
        save_scene(path, result.scene.splats, result.scene.meta)


def final_render(
    result: SceneResult,
    emit: OnEvent,
    *,
    film: Path | None = None,
    listeners: Sequence[OnFrame] = (),
    cancel: threading.Event | None = None,
) -> None:
    """Render the scene along its path, at the size of the picture.

    Args:
        emit: told the progress. film: where to write an mp4, None for none.
        listeners: get every picture. cancel: once set, no further picture is rendered.

    Raises:
        CancelledError: `cancel` was set; there is no film then. InputError: the film cannot be written.
    """
    picture = result.frames[0]
    count = final_frame_count(len(result.frames))
    views = views_along(result.path, count, picture.K_33, picture.width, picture.height)
    with ExitStack() as stack:
        told: list[OnFrame] = [RenderProgress(emit), *listeners]
        if film is not None:
            from splinescape.io.film import film_writer

            writer = stack.enter_context(film_writer(film))
            told.append(lambda frame: writer.add(frame.rgb))

        def on_frame(frame: RenderedFrame) -> None:
            for tell in told:
                tell(frame)

        render_path(result.scene, views, on_frame, cancel)


class RenderProgress:
    """Tells of the final render's pictures as events, with the time left at the pace so far."""

    def __init__(self, emit: OnEvent) -> None:
        self._emit = emit
        self._began = time.monotonic()

    def __call__(self, frame: RenderedFrame) -> None:
        """Count one finished picture."""
        if frame.index == 0:
            self._emit(StageStarted("render", f"{frame.total} views along the path"))
        done = frame.index + 1
        eta_s = (time.monotonic() - self._began) / done * (frame.total - done)
        self._emit(Progress("render", done, frame.total, eta_s))
