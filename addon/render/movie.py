"""The rendered frames as a movie."""

from __future__ import annotations

from pathlib import Path

import bpy

from . import versions
from .files import FrameFolder
from .plan import RenderError
from .sequence import shown_frames


def write_movie(scene: bpy.types.Scene, folder: FrameFolder, width: int, height: int) -> Path:
    """Write the frames of `folder` that the scene's range shows as MP4 (H.264), at the scene's frame rate.

    An older movie is replaced at the end.

    Args:
        width, height: size of the frames; an odd one loses a pixel, which H.264 cannot have.

    Raises:
        NoFramesError: there are no frames. RenderError: Blender could not write it.
    """
    numbers = shown_frames(scene, folder)
    part = folder.movie.with_name(f"{folder.movie.stem}.part{folder.movie.suffix}")
    editing = bpy.data.scenes.new("Splinescape Movie")
    try:
        render = editing.render
        render.resolution_x, render.resolution_y = max(2, width // 2 * 2), max(2, height // 2 * 2)
        render.resolution_percentage = 100
        _cut(editing, folder, numbers)  # the strip is fitted to the size that is set by then
        render.fps, render.fps_base = scene.render.fps, scene.render.fps_base
        render.filepath = str(part)
        versions.set_movie_output(render)
        editing.view_settings.view_transform = "Standard"
        bpy.ops.render.render(animation=True, scene=editing.name)
        _let_go(folder.movie)
        part.replace(folder.movie)
    except (RuntimeError, OSError) as error:
        part.unlink(missing_ok=True)
        raise RenderError(f"The movie could not be written: {error}") from None
    finally:
        bpy.data.scenes.remove(editing)
    return folder.movie


def _let_go(movie: Path) -> None:
    """Have images of the .blend close the older movie: Windows does not replace a file that is open."""
    for image in bpy.data.images:
        if image.source == "MOVIE" and Path(bpy.path.abspath(image.filepath, library=image.library)) == movie:
            image.buffers_free()


def _cut(editing: bpy.types.Scene, folder: FrameFolder, numbers: list[int]) -> None:
    """One strip with all frames, one after the other."""
    editing.frame_start, editing.frame_end = 1, len(numbers)
    editor = editing.sequence_editor_create()
    strip = versions.strips_of(editor).new_image(
        "frames", str(folder.rgb(numbers[0])), channel=1, frame_start=1, fit_method="STRETCH"
    )
    for number in numbers[1:]:
        strip.elements.append(folder.rgb(number).name)
    strip.frame_final_end = 1 + len(numbers)
