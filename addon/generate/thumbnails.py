"""Small pictures of a running job as icons; nothing of them is saved in the .blend."""

from __future__ import annotations

import logging
from pathlib import Path

import bpy
import bpy.utils.previews

from .job_view import JobView
from .places import preview_folder

log = logging.getLogger(__name__)

_icons: bpy.utils.previews.ImagePreviewCollection | None = None
_shown: dict[str, tuple[tuple[str, int], str]] = {}


def icon_of(view: JobView, which: str) -> int:
    """The icon with the newest picture ("rgb") or depth ("depth") of a job; 0 when there is none.

    Blender decodes it when it is drawn, beside everything else; in background mode it has no icons.
    """
    preview = preview_of(view, which)
    return 0 if preview is None else int(preview.icon_id)


def preview_of(view: JobView, which: str) -> bpy.types.ImagePreview | None:
    """The same as a picture; None when there is none."""
    data = view.thumbnails.get(which)
    if data is None or _icons is None:
        return None
    state = (view.job, view.pictures)
    if _shown.get(which, (None, ""))[0] != state:
        try:
            _replace(which, state, data)
        except OSError as error:  # panels are drawn all the same
            log.debug("no thumbnail: %s", error)
    return _icons[_shown[which][1]] if which in _shown else None


def _replace(which: str, state: tuple[str, int], data: bytes) -> None:
    assert _icons is not None
    key = f"{state[0]}_{state[1]}_{which}"
    path = _file(key)
    path.write_bytes(data)
    old = _shown.pop(which, None)
    if old is not None:
        del _icons[old[1]]  # unlike `pop` this sets the picture free
    _icons.load(key, str(path), "IMAGE")
    _shown[which] = (state, key)
    if old is not None:
        _file(old[1]).unlink(missing_ok=True)


def _file(key: str) -> Path:
    return preview_folder() / f"thumbnail_{key}.jpg"


def register() -> None:
    global _icons
    _icons = bpy.utils.previews.new()


def unregister() -> None:
    global _icons
    if _icons is not None:
        bpy.utils.previews.remove(_icons)
    _icons = None
    _shown.clear()
