"""The jobs that this Blender follows, one for each scene, and what comes of them in the .blend.

What must survive is saved in `scene.splinescape.generate`; here is what does not: connections, files on their way.
References to Blender's data are looked up anew for each turn, since undo and loading make them invalid.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any, Literal

import bpy
import numpy as np
from numpy.typing import NDArray

from splinescape.client import Event
from splinescape.errors import SplinescapeError

from ..backend import connect
from ..image.camera import ensure_input_camera, scene_placement, set_intrinsics
from . import offers, places
from .follower import Follower
from .job_view import Arrived, JobView
from .request import GenerateError, Request, job_name
from .scene_splats import set_aside, show_splats, splats_object

log = logging.getLogger(__name__)

_LEAST_PAUSE_S = 2.0
_PAUSE_FACTOR = 8.0
"""Blender stands still while splats are imported: at most for a ninth of the time."""
_REFUSED_PAUSE_S = 1.0
_REFUSED_FOR_S = 10.0
"""So long a refusal is waited for where nobody is there to leave the mode that causes it."""
_HANDLED_FOR_S = 20.0
"""No stroke lasts longer; some operators of other extensions never end."""
_MOMENT_S = 2.0
"""Connections that are back by then are not worth a message."""


class Running:
    """A followed job.

    Attributes:
        follower: talks to the service. sent: what the job was given, "" when that is not known.
        problem: why its splats are not in the scene, a sentence.
        undone: the .blend has gone back or forth in its undo steps since the last import.
        previews: whether to show splats before the job is done.
    """

    def __init__(self, follower: Follower, sent: str) -> None:
        """Begin.

        Args:
            sent: what the job was given, as `Request.facts` writes it; "" when that is not known.
        """
        self.follower = follower
        self.sent = sent
        self.problem = ""
        self.undone = False
        self.previews = True
        self._connected_at = time.monotonic()
        self._shown = self._deleted = False
        self._lens_set = False
        self._summary: dict[str, Any] | None = None
        self._import_at = self._busy_until = 0.0
        self._refused_at: float | None = None
        self._handled_at: float | None = None

    @property
    def view(self) -> JobView:
        """Where it stands."""
        return self.follower.view

    @property
    def is_away(self) -> bool:
        """Whether the connection is lost, and not for a moment only."""
        return self.view.connection == "lost" and time.monotonic() - self._connected_at > _MOMENT_S

    @property
    def says(self) -> str:
        """What is wrong, a sentence with the next step; "" when nothing is."""
        if self.view.connection == "lost" and not self.view.ended and not self.is_away:
            return self.problem
        return self.view.problem() or self.problem

    def update(self, scene: bpy.types.Scene) -> None:
        """Write what is new into the .blend."""
        if self.view.connection != "lost" or _is_starting():
            self._connected_at = time.monotonic()
        if _is_busy() or not self._remember(scene):
            return
        if not self._lens_set and self.view.input_frame is not None:
            self._set_lens(scene)
        self._note_dismissal(scene)
        if self.view.summary is not None and self.view.summary is not self._summary:
            self._summary = self.view.summary
            scene.splinescape.generate.summary = json.dumps(self._summary)
        arrived = self.view.arrived
        if arrived is None or time.monotonic() < self._busy_until:
            return
        if not arrived.final and (not self.previews or self.view.state == "done"):
            self.follower.imported()
        elif not arrived.final:
            if time.monotonic() >= self._import_at:
                self._take_over(scene, arrived)
        elif not self._waits_for_the_artist():
            self._take_over(scene, arrived)

    def _waits_for_the_artist(self) -> bool:
        """Whether the undo step that comes with the result would fall into a stroke or drag."""
        if not _is_handled():
            self._handled_at = None
            return False
        now = time.monotonic()
        self._handled_at = now if self._handled_at is None else self._handled_at
        return now - self._handled_at < _HANDLED_FOR_S

    def _remember(self, scene: bpy.types.Scene) -> bool:
        """See that the .blend has the job's name; undo may have taken it back.

        Returns:
            False when the .blend has gone back to another job after this one was over: that was meant.
        """
        own = scene.splinescape.generate
        if not self.view.job or own.job == self.view.job:
            return True
        if self.follower.finished:
            return False
        made = splats_object(scene)
        if made is not None and made.get("splinescape_job") != self.view.job:
            set_aside(scene)
        own.result = own.summary = ""
        own.job, own.job_name, own.sent, own.delivered = self.view.job, self.view.name, self.sent, False
        self._summary = None
        return True

    def brought(self) -> None:
        """The artist has had the result imported."""
        self.problem = ""
        self._deleted = False

    def _set_lens(self, scene: bpy.types.Scene) -> None:
        self._lens_set = True
        own = scene.splinescape.generate
        if own.lens_job == self.view.job:
            return  # the artist may have changed it since
        own.lens_job = self.view.job
        frame = self.view.input_frame
        assert frame is not None
        set_intrinsics(
            scene,
            ensure_input_camera(scene),
            np.array(frame.K_33),
            frame.width,
            frame.height,
            resolution=own.match_resolution,
        )

    def _note_dismissal(self, scene: bpy.types.Scene) -> None:
        """What was stopped or deleted does not come back by itself when the .blend is opened again."""
        own = scene.splinescape.generate
        dismissed = self._deleted or self.view.state in ("cancelled", "failed")
        if own.dismissed != dismissed:
            own.dismissed = dismissed

    def _take_over(self, scene: bpy.types.Scene, arrived: Arrived) -> None:
        begin = time.monotonic()
        undone, self.undone = self.undone, False
        try:
            self._deleted = self._was_deleted(scene, undone)
            if self._deleted:
                self.problem = (
                    ""
                    if not arrived.final
                    else "The splats were deleted: click Import Scene to have them back"
                )
            else:
                self._show(scene, arrived)
        except RuntimeError as error:  # a mode in which operators refuse to work
            if self._waits_for_another_mode():
                log.info("splats wait: %s", error)
                self.undone = undone
                return
            self.problem = f"The splats cannot be imported ({error}): leave the mode and click Import Scene"
        except (SplinescapeError, OSError, ValueError) as error:
            self.problem = f"The splats cannot be imported ({error}): open the log"
        except Exception as error:  # a mistake of ours must not be repeated with every turn of the timer
            log.exception("splats cannot be imported")
            self.problem = (
                f"The splats cannot be imported ({error}): please report what the system console says"
            )
        self._refused_at = None
        self._note_dismissal(scene)
        try:
            if arrived.final:
                self._keep_result(scene, arrived)
        finally:
            self.follower.imported()
            now = time.monotonic()
            self._import_at = now + max(_LEAST_PAUSE_S, _PAUSE_FACTOR * (now - begin))

    def _waits_for_another_mode(self) -> bool:
        """After Blender has refused: whether to try again soon."""
        now = time.monotonic()
        self._refused_at = now if self._refused_at is None else self._refused_at
        self._busy_until = now + _REFUSED_PAUSE_S
        return not bpy.app.background or now - self._refused_at < _REFUSED_FOR_S

    def _was_deleted(self, scene: bpy.types.Scene, undone: bool) -> bool:
        """Whether the artist has deleted the growing splats; undo may take them away too, but means no such thing."""
        if not self._shown or undone or splats_object(scene) is not None:
            return False
        scene.splinescape.generate.scene_object = None  # not to be saved any more
        return True

    def _show(self, scene: bpy.types.Scene, arrived: Arrived) -> None:
        own = scene.splinescape.generate
        placement = _placement(self.sent)
        made = show_splats(
            scene, arrived.path, scene_placement(scene) if placement is None else placement, self.view.job
        )
        _describe(made, self.view.job, self.sent)
        if arrived.final:
            made["splinescape_source"] = places.for_blend(arrived.path)
            own.delivered = True
        self._shown = True
        self.problem = ""

    def _keep_result(self, scene: bpy.types.Scene, arrived: Arrived) -> None:
        scene.splinescape.generate.result = places.for_blend(arrived.path)
        _push_undo("Generate Scene")


def _is_busy() -> bool:
    """Whether Blender renders: its data must not change then."""
    return any(bpy.app.is_job_running(kind) for kind in ("RENDER", "OBJECT_BAKE"))


def _is_handled() -> bool:
    """Whether the artist is in the middle of a stroke or drag."""
    windows = bpy.context.window_manager.windows
    return any(len(getattr(window, "modal_operators", ())) > 0 for window in windows)


def _push_undo(message: str) -> None:
    """An undo step of its own, so that the next one does not take the scene away too."""
    windows = bpy.context.window_manager.windows
    if bpy.app.background or not windows:
        return
    with bpy.context.temp_override(window=windows[0]):
        if bpy.ops.ed.undo_push.poll():
            bpy.ops.ed.undo_push(message=message)


def _facts(sent: str) -> dict[str, Any]:
    """What a job was given; nothing where that is not known."""
    try:
        facts = json.loads(sent or "{}")
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _placement(sent: str) -> NDArray[np.float64] | None:
    """(4, 4) where the job's scene belongs, as it was when it was submitted; None where that is not known."""
    try:
        placement = np.array(_facts(sent).get("placement"), np.float64)
    except (TypeError, ValueError):
        return None
    return placement if placement.shape == (4, 4) and np.isfinite(placement).all() else None


_running: dict[Any, Running] = {}


def _key(scene: bpy.types.Scene) -> Any:
    """What stays the same for a scene over undo and renaming."""
    return getattr(scene, "session_uid", scene.name)


def _scenes() -> dict[Any, bpy.types.Scene]:
    return {_key(scene): scene for scene in _own_scenes()}


def _own_scenes() -> list[bpy.types.Scene]:
    """Those of the .blend itself: linked ones cannot be changed."""
    return [scene for scene in bpy.data.scenes if scene.library is None]


def running(scene: bpy.types.Scene) -> Running | None:
    """What is followed for the scene."""
    return _running.get(_key(scene))


def view_of(scene: bpy.types.Scene) -> JobView | None:
    """Where the scene's job stands; None when none is followed."""
    found = running(scene)
    return found.view if found is not None else None


def _is_starting() -> bool:
    """Whether the backend of this machine is on its way."""
    backend = connect.current_backend()
    local = backend.local() if backend is not None else None
    return local is not None and local.busy


def problem_of(scene: bpy.types.Scene) -> str:
    """What is wrong with the scene's job, a sentence with the next step; "" when nothing is."""
    found = running(scene)
    return "" if found is None else found.says


def is_working(scene: bpy.types.Scene) -> bool:
    """Whether a job of the scene is still to bring something."""
    found = running(scene)
    return found is not None and not found.follower.finished


def start(scene: bpy.types.Scene, request: Request) -> JobView:
    """Have a scene made; what is left of the last job is hidden, not deleted.

    Raises:
        GenerateError: there is no place for its files.
    """
    previews = _previews()
    stop_following(scene)
    set_aside(scene)
    own = scene.splinescape.generate
    own.job, own.job_name, own.sent = "", request.order.name, request.facts()
    own.result, own.summary, own.delivered, own.backend = "", "", False, _place()
    own.dismissed = False
    return _follow(scene, Follower.submitted(request.order, previews, places.result_file))


def _previews() -> Path:
    try:
        return places.preview_folder()
    except OSError as error:
        raise GenerateError(f"Nothing can be written to the temporary folder ({error}): make room") from None


def _place() -> str:
    """What people call the backend in use."""
    backend = connect.current_backend()
    choice = backend.choice() if backend is not None else None
    if choice is None or choice.connection is None:
        return ""
    return "this machine" if choice.kind == "LOCAL" else choice.connection.name


def attach(scene: bpy.types.Scene, job: str, name: str = "") -> JobView:
    """Follow a job that the service has already; its splats go into the scene.

    Raises:
        GenerateError: there is no place for its files.
    """
    previews = _previews()
    stop_following(scene)
    own = scene.splinescape.generate
    if own.job != job:
        set_aside(scene)
        own.job, own.sent, own.result, own.summary = job, "", "", ""
    own.job_name = name or own.job_name or job_name(scene)
    own.delivered = own.dismissed = False
    return _follow(scene, Follower.attached(job, own.job_name, previews, places.result_file))


def _follow(scene: bpy.types.Scene, follower: Follower) -> JobView:
    _running[_key(scene)] = Running(follower, scene.splinescape.generate.sent)
    return follower.view


def tell(scene: bpy.types.Scene, what: Literal["cancel", "pause", "resume"]) -> None:
    """Change what the scene's job does; nothing happens when none is followed."""
    found = running(scene)
    if found is not None:
        getattr(found.follower, what)()


def stop_following(scene: bpy.types.Scene) -> None:
    """Let go of the scene's job, which goes on at the service."""
    if _key(scene) in _running:
        _let_go(_key(scene))


def _let_go(key: Any) -> None:
    follower = _running.pop(key).follower
    follower.close(unwatch=follower.view.job not in followed())


def forget_all() -> None:
    """Let go of all jobs, which go on at the service."""
    for key in list(_running):
        _let_go(key)
    offers.forget()


def reattach_saved() -> None:
    """Follow the jobs of the .blend that have not brought their scene yet."""
    for scene in _own_scenes():
        own = scene.splinescape.generate
        if own.job and not own.delivered and not own.dismissed:
            _attach_again(scene)
    offers.refresh()


def reattach_lost() -> None:
    """Look again for the jobs that the service did not have, or that nobody follows though they brought no scene."""
    for scene in _own_scenes():
        own = scene.splinescape.generate
        view = view_of(scene)
        wanted = own.job and not own.delivered and not own.dismissed
        if wanted and (view is None or view.state == "gone"):
            _attach_again(scene)


def _attach_again(scene: bpy.types.Scene) -> None:
    try:
        attach(scene, scene.splinescape.generate.job)
    except GenerateError as error:
        log.warning("%s", error)


def followed() -> set[str]:
    """Ids of the jobs that are followed."""
    return {each.view.job for each in _running.values()}


def import_saved(scene: bpy.types.Scene, path: Path) -> None:
    """Import the result of the scene's job from where it was kept.

    Raises:
        InputError: the file cannot be read.
    """
    own = scene.splinescape.generate
    placement = _placement(own.sent)
    made = show_splats(scene, path, scene_placement(scene) if placement is None else placement, own.job)
    _describe(made, own.job, own.sent)
    made["splinescape_source"] = places.for_blend(path)
    own.delivered, own.dismissed = True, False
    found = running(scene)
    if found is not None:
        found.brought()


def _describe(made: bpy.types.Object, job: str, sent: str) -> None:
    """Custom properties of splats: what they were made from."""
    made["splinescape_job"] = job
    made["splinescape_settings"] = sent
    made["splinescape_seed"] = int(_facts(sent).get("settings", {}).get("seed", 0))


def after_undo() -> None:
    """The .blend is as it was before: see that running jobs are not lost with that."""
    for each in _running.values():
        each.undone = True


def any_working() -> bool:
    """Whether any followed job is still to bring something."""
    return any(not each.follower.finished for each in _running.values())


_STATUS_EVERY_S = 0.25
_status: tuple[float, str] = (float("-inf"), "")


def _backend_status() -> str:
    """What the panel says of the backend, as it was a moment ago: finding out takes longer than all else here."""
    global _status
    now = time.monotonic()
    if now - _status[0] >= _STATUS_EVERY_S:
        _status = (now, connect.status_text())
    return _status[1]


def _engines() -> object:
    """What the menus of engines show."""
    client = connect.current_client()
    capabilities = client.capabilities if client is not None else None
    return capabilities.engines if capabilities is not None else None


def changes() -> tuple[Any, ...]:
    """Something that differs when there is something new to show."""
    return (
        *((key, each.view.changes, each.says) for key, each in _running.items()),
        _backend_status(),
        _engines(),
        offers.changes(),
    )


def tick(max_ms: float = 2.0) -> None:
    """Do what is due: look after the local service, hear from the service, write what is new into the .blend.

    Takes no longer than a few milliseconds, but for the import of splats, which `Running.update` paces.
    """
    backend, client = connect.current_backend(), connect.current_client()
    if backend is not None:
        backend.tick()
    if client is None:
        return
    for event in client.poll(max_ms):
        _hand_on(event)
    offers.step(client)
    scenes = _scenes()
    for key, each in list(_running.items()):
        each.follower.step(client)
        if key in scenes:
            each.update(scenes[key])
        else:
            _let_go(key)


def _hand_on(event: Event) -> None:
    """Whoever began to follow a job later has its past told again, which those before know."""
    followers = [each.follower for each in _running.values() if each.view.job == event.job]
    for follower in followers:
        if len(followers) == 1 or event.seq > follower.last_seq:
            follower.take(event)
