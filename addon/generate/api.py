"""Generate Scene for scripts."""

from __future__ import annotations

import time

import bpy

from ..backend import connect
from ..backend.errors import BackendError
from . import jobs, timer
from .job_view import JobView
from .request import GenerateError, request_of

_CONNECT_WITHIN_S = 180.0
_PAUSE_S = 0.02


def generate(scene: bpy.types.Scene | None = None, wait: bool = False) -> JobView:
    """Make a scene of splats from the scene's picture and camera path.

    Args:
        scene: the current one if None.
        wait: return only when the splats are in the scene. Without it Blender's timer brings them, which does not run
            in background mode.

    Returns:
        Where the job stands; it changes while the job goes on.

    Raises:
        ValueError: something is missing or cannot be used, or (with `wait`) no scene came of it. The message is a
            sentence with the next step.
    """
    scene = scene or bpy.context.scene
    if jobs.is_working(scene):
        raise GenerateError("A scene is being generated already: cancel that first")
    request = request_of(scene, bpy.context.evaluated_depsgraph_get())
    start_backend()
    view = jobs.start(scene, request)
    timer.hurry()
    if wait:
        wait_for(scene)
    return view


def start_backend() -> None:
    """See that the backend runs if it is this machine's.

    Raises:
        GenerateError: it cannot be started.
    """
    try:
        connect.start()
    except BackendError as error:
        raise GenerateError(str(error)) from None


def wait_for(scene: bpy.types.Scene) -> None:
    """Wait until the scene's job is over and its splats are in the scene.

    Raises:
        GenerateError: no job is followed, there is no connection, or no scene came of the job.
    """
    followed = jobs.running(scene)
    if followed is None:
        raise GenerateError("No scene is being generated: click Generate Scene first")
    followed.previews = False
    connected_at = time.monotonic()
    while not followed.follower.finished:
        jobs.tick()
        connected_at = time.monotonic() if followed.view.connection == "connected" else connected_at
        _check_connection(connected_at)
        client = connect.current_client()
        if client is None:
            time.sleep(_PAUSE_S)
        else:
            client.wait(_PAUSE_S)
    problem = followed.view.problem() or followed.problem
    if problem:
        raise GenerateError(problem)


def _check_connection(connected_at: float) -> None:
    """See that waiting is not in vain; raises GenerateError."""
    client, backend = connect.current_client(), connect.current_backend()
    if client is not None and client.reason_code in ("not_allowed", "version"):
        raise GenerateError(f"The backend cannot be used: {client.reason}")
    local = backend.local() if backend is not None else None
    if client is None or (local is not None and local.state == "failed"):
        raise GenerateError(connect.status_text() or "There is no backend: see the preferences")
    if time.monotonic() - connected_at > _CONNECT_WITHIN_S:
        raise GenerateError(f"There is no connection to the backend ({client.reason}): see the preferences")
