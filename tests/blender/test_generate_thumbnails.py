"""The pictures of a running job: icons that follow it and leave nothing in the .blend."""

from __future__ import annotations

import bpy
import numpy as np
from bl_ext.user_default.splinescape.generate import places, thumbnails
from bl_ext.user_default.splinescape.generate.job_view import JobView
from bl_ext.user_default.splinescape.image.png import png_bytes


def _picture(level: int) -> bytes:
    return png_bytes(np.full((12, 20, 3), level, np.uint8))


def _files() -> list[str]:
    return [each.name for each in places.preview_folder().glob("thumbnail_*")]


def test_the_newest_picture_is_shown_and_the_last_one_is_tidied_up() -> None:
    view = JobView("x", "0" * 32, "running")
    assert thumbnails.preview_of(view, "rgb") is None, "nothing yet"
    assert thumbnails.icon_of(view, "rgb") == 0
    images = len(bpy.data.images)
    for number, level in enumerate((60, 200), 1):
        view.thumbnails = {"rgb": _picture(level), "depth": _picture(level // 2)}
        view.pictures = number
        for which, shade in (("rgb", level), ("depth", level // 2)):
            shown = thumbnails.preview_of(view, which)
            assert shown is not None
            assert thumbnails.preview_of(view, which) == shown, "the same while nothing is new"
            width, height = shown.image_size
            assert abs(width / height - 20 / 12) < 0.1
            pixels = np.array(shown.image_pixels_float[:]).reshape(-1, 4)
            assert abs(np.median(pixels[:, :3]) * 255 - shade) < 12
        assert len(_files()) == 2
    assert len(bpy.data.images) == images


def test_a_picture_that_cannot_be_kept_does_not_stop_the_drawing() -> None:
    view = JobView("x", "1" * 32, "running", thumbnails={"rgb": _picture(9)}, pictures=1)
    shown = thumbnails.preview_of(view, "rgb")
    assert shown is not None
    (places.preview_folder() / f"thumbnail_{view.job}_2_rgb.jpg").mkdir()
    view.pictures = 2
    assert thumbnails.preview_of(view, "rgb") == shown
    (places.preview_folder() / f"thumbnail_{view.job}_2_rgb.jpg").rmdir()
    assert thumbnails.preview_of(view, "rgb") is not None
    assert f"thumbnail_{view.job}_2_rgb.jpg" in _files()
    assert f"thumbnail_{view.job}_1_rgb.jpg" not in _files()
