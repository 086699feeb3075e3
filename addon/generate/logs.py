"""The log of a job as a text of the .blend."""

from __future__ import annotations

import time
from collections.abc import Iterator

import bpy

from splinescape.errors import SplinescapeError

from ..backend import connect
from ..backend.shared import SharedClient
from .request import GenerateError

_WITHIN_S = 5.0
_CONNECT_WITHIN_S = 1.0
_LONGEST = 2**20


def read_log(job: str) -> str:
    """The log of a job, at most its last MiB; waits for a few seconds at most.

    Raises:
        GenerateError: it cannot be had, a sentence with the next step.
    """
    backend = connect.current_backend()
    client = backend.client() if backend is not None else None
    if client is None:
        raise GenerateError("There is no backend to read the log from: see the preferences")
    _check_connection(client)
    deadline = time.monotonic() + _WITHIN_S
    parts: list[str] = []
    offset = 0
    while True:
        call = client.log(job, offset)
        while not call.done and time.monotonic() < deadline:
            client.pump(5.0)
            client.wait(0.02)
        if not call.done:
            call.cancel()
            raise GenerateError("The backend does not answer: click Reconnect and try again")
        try:
            part = call.get()
        except SplinescapeError as error:
            raise GenerateError(f"The log cannot be read: {error}") from None
        parts.append(part.text)
        if part.offset >= part.size or part.offset <= offset:
            return "".join(parts)[-_LONGEST:]
        offset = part.offset


def _check_connection(client: SharedClient) -> None:
    """Give a new connection a moment; raises GenerateError when there is none, so that Blender does not stand still."""
    deadline = time.monotonic() + _CONNECT_WITHIN_S
    while client.state == "connecting" and time.monotonic() < deadline:
        client.pump(5.0)
        client.wait(0.02)
    if client.state != "connected":
        raise GenerateError("The backend does not answer: click Reconnect and try again")


def show_text(name: str, content: str) -> bpy.types.Text:
    """Put a text into the .blend, in place of the one of that name; an open text editor shows it."""
    text = bpy.data.texts.get(name) or bpy.data.texts.new(name)
    text.clear()
    text.write(content)
    text.cursor_set(0)
    for area in _text_editors():
        area.spaces.active.text = text
        break
    return text


def is_shown(text: bpy.types.Text) -> bool:
    """Whether a text editor shows it."""
    return any(area.spaces.active.text == text for area in _text_editors())


def open_window(text: bpy.types.Text) -> None:
    """Show a text in a window of its own."""
    bpy.ops.wm.window_new()
    area = bpy.context.window_manager.windows[-1].screen.areas[0]
    area.type = "TEXT_EDITOR"
    area.spaces.active.text = text


def _text_editors() -> Iterator[bpy.types.Area]:
    for window in bpy.context.window_manager.windows:
        yield from (area for area in window.screen.areas if area.type == "TEXT_EDITOR")
