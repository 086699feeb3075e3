"""Small pictures of a running job as icons; nothing of them is saved in the .blend."""

from __future__ import annotations

from pathlib import Path

import bpy
import bpy.utils.previews

from .job_view import JobView
from .places import preview_folder

_icons: bpy.utils.previews.ImagePreviewCollection | None = None
_shown: dict[str, tuple[tuple[str, int], str]] = {}


def icon_of(view: JobView, which: str) -> int:
    """The icon with the newest picture ("rgb") or depth ("depth") of a job; 0 when there is none.

    Blender decodes it when it is drawn, beside everything else.
    """
    data = view.thumbnails.get(which)
    if data is None or _icons is None:
        return 0
    state = (view.job, view.pictures)
    if _shown.get(which, (None, ""))[0] != state:
        _replace(which, state, data)
    return _icons[_shown[which][1]].icon_id


def _replace(which: str, state: tuple[str, int], data: bytes) -> None:
    assert _icons is not None
    old = _shown.pop(which, None)
    if old is not None:
        _icons.pop(old[1])
    key = f"{state[0]}_{state[1]}_{which}"
    path: Path = preview_folder() / f"thumbnail_{key}.jpg"
    path.write_bytes(data)
    _icons.load(key, str(path), "IMAGE")
    _shown[which] = (state, key)


def register() -> None:
    global _icons
    _icons = bpy.utils.previews.new()


def unregister() -> None:
    global _icons
    if _icons is not None:
        bpy.utils.previews.remove(_icons)
    _icons = None
    _shown.clear()
