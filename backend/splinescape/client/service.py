"""The client that waits: for scripts and the command line."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from numpy.typing import ArrayLike

from splinescape.client.calls import Call
from splinescape.client.client import Client, PathLike, RenderBuffer
from splinescape.client.infos import Capabilities, Event, FileInfo, JobInfo, LogPart, Preview, Rendering
from splinescape.client.places import default_connection
from splinescape.client.session import State
from splinescape.protocol.connection import Connection
from splinescape.protocol.errors import ServiceError

T = TypeVar("T")
OnProgress = Callable[[int, int], object]
OnState = Callable[[State, str], object]

_TURN_MS = 50.0
_CHECK_EVERY_S = 5.0
_SLEEP_S = 0.25  # Windows notices Ctrl-C only in between


def connect(
    connection: Connection | PathLike | None = None,
    name: str = "python",
    wait_s: float = 5.0,
    on_state: OnState | None = None,
) -> Service:
    """Connect to a service; to be used as `with connect() as service:`.

    Args:
        connection: a connection, the path of a connection file, or None for this machine's own service.
        name: what this program is, for the service's log.
        wait_s: how long to try again when it does not answer; the first attempt may take 10 s.
        on_state: called with "lost" and the reason when the connection breaks later, and with "connected" and ""
            when it is back; from within whatever waits at that moment.

    Raises:
        ServiceError: there is none ("lost"), it does not accept the key ("not_allowed"), or it speaks another version
            of the protocol ("version"). The text says what to do.
    """
    service = Service(Client(default_connection() if connection is None else connection, name))
    try:
        service._wait_connected(wait_s)
        service._on_state = on_state
    except BaseException:
        service.close()
        raise
    return service


class Service:
    """A service; every method waits for the answer, and Ctrl-C interrupts it at any moment.

    When the connection is lost meanwhile, it is made again and the request is sent again with the same id, so that
    nothing happens twice.

    All methods raise ServiceError when the service refuses, or with the code "lost" when it does not answer for a
    minute, and InputError when what was given cannot be used. See `Client` for the arguments and results.

    Attributes:
        client: the one underneath, for whoever wants its state or to ask without waiting.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._watched: dict[str | None, deque[Event]] = {}
        self._on_state: OnState | None = None
        self._told: State = "connected"

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection; jobs go on."""
        self.client.close()

    # Waiting.

    def _turn(self) -> None:
        """Do what is due, then sleep until there is more; keep the events for whoever watches."""
        for event in self.client.poll(_TURN_MS):
            queue = self._watched.get(event.job)
            if queue is None:
                queue = self._watched.get(None)
            if queue is not None:
                queue.append(event)
        if self._on_state is not None and self.client.state != self._told:
            self._told = self.client.state
            self._on_state(self._told, self.client.reason)

    def _wait(self, call: Call[T], on_progress: OnProgress | None = None) -> T:
        told = (0, 0)
        try:
            self._turn()
            while not call.done:
                self.client.wait(_SLEEP_S)
                self._turn()
                if on_progress is not None and call.progress != told:
                    told = call.progress
                    on_progress(*told)
        finally:
            call.cancel()  # changes nothing when it is done
        return call.get()

    def _wait_connected(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        self._turn()
        while self.client.state != "connected":
            code, reason = self.client.reason_code, self.client.reason
            if code is not None and (code != "lost" or time.monotonic() > ends):
                raise ServiceError(code, reason)
            self.client.wait(_SLEEP_S)
            self._turn()

    # The service.

    @property
    def capabilities(self) -> Capabilities:
        """What the service is and can do, as it said when it was last heard; see `Client.capabilities`."""
        capabilities = self.client.capabilities
        assert capabilities is not None  # `connect` has waited for them
        return capabilities

    def hello(self) -> Capabilities:
        """Ask anew what the service is and can do, such as how much memory its devices have now."""
        return self._wait(self.client.hello())

    def shutdown(self, when: Literal["now", "drained"] = "now") -> None:
        """End the service: "now" stops running jobs after their present step, "drained" lets them end first."""
        self._wait(self.client.shutdown(when))

    # Jobs.

    def submit(
        self,
        picture: bytes | PathLike,
        path_json: str | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        engines: Mapping[str, str] | None = None,
        formats: Iterable[str] = (),
        film: bool = False,
        name: str = "",
        focal_px: float | None = None,
        pinned: bool = False,
        on_progress: OnProgress | None = None,
    ) -> str:
        """Send a picture, start a job on it and return its id (32 hexadecimal digits).

        Args:
            picture: an encoded picture (PNG, JPEG, ...) or the path of one.
            path_json: the camera path as `CameraPath.to_json` writes it; None for the spiral of the settings.
            settings: fields of `SceneConfig`; the rest keep their defaults.
            engines: role ("inpaint", "depth", "raster") -> engine name or "auto".
            formats: further formats of the scene beside `.ply`: "compressed.ply", "spz", "splat".
            film: make a film along the path too. name: what people call the job.
            focal_px: focal length of the picture in its pixels, if known.
            pinned: never delete the job to save space.
            on_progress: called with the bytes that were sent and their number.

        Raises:
            InputError: the picture cannot be read. ServiceError: the service cannot use what was sent.
        """
        call = self.client.submit(
            picture,
            path_json,
            settings,
            engines=engines,
            formats=formats,
            film=film,
            name=name,
            focal_px=focal_px,
            pinned=pinned,
        )
        return self._wait(call, on_progress)

    def jobs(
        self, states: Iterable[str] | None = None, limit: int = 100, before: str | None = None
    ) -> tuple[JobInfo, ...]:
        """List jobs, newest first: `limit` of them at most (up to 100), only those in `states`, older than `before`."""
        return self._wait(self.client.jobs(states, limit, before))

    def status(self, job: str) -> JobInfo:
        """Where a job stands; ServiceError "not_found" when there is none of this id."""
        return self._wait(self.client.status(job))

    def cancel(self, job: str) -> str:
        """Cancel a job; returns its state then."""
        return self._wait(self.client.cancel(job))

    def pause(self, job: str) -> str:
        """Stop a job after its present step, to be continued by `resume`; returns its state then."""
        return self._wait(self.client.pause(job))

    def resume(self, job: str) -> str:
        """Let a job that was paused, cancelled or failed go on where it was; returns its state then."""
        return self._wait(self.client.resume(job))

    def delete(self, job: str) -> str:
        """Delete a job with everything that belongs to it; returns its last state."""
        return self._wait(self.client.delete(job))

    def pin(self, job: str, pinned: bool = True) -> bool:
        """Keep a job from being deleted to save space, or no longer; returns whether it is pinned."""
        return self._wait(self.client.pin(job, pinned))

    def watch(
        self, job: str | None = None, since: int | None = 0, thumbnails: bool = True
    ) -> Iterator[Event]:
        """Yield the events of a job as they come, in order, each once, until the job is over.

        Args:
            job: its id; None for everything, which never ends.
            since: tell the past too, from the event after this number; 0 for all of it, None for nothing. Pass the
                `seq` of the last event to go on after an interruption.
            thumbnails: whether events shall carry pictures.

        Raises:
            ServiceError: there is no such job ("not_found"), or the connection could not be made again in a minute.
        """
        queue: deque[Event] = deque()
        self._watched[job] = queue
        try:
            call = self.client.watch(job, since, thumbnails)
            last, told, check_at = since, False, 0.0
            while True:
                self._turn()
                while queue:
                    event = queue.popleft()
                    last = event.seq
                    if event.final:
                        check_at = 0.0
                    yield event
                if call.done and not told:
                    call.get()
                    told, check_at = True, 0.0
                if job is not None and time.monotonic() >= check_at:
                    check_at = time.monotonic() + _CHECK_EVERY_S
                    if self._is_over(job, last) and told and not queue:
                        return
                if not queue:
                    self.client.wait(_SLEEP_S)
        finally:
            if self._watched.get(job) is queue:
                del self._watched[job]
                self.client.unwatch(job)

    def _is_over(self, job: str, last: int | None) -> bool:
        """Whether a job is over and no event came after number `last`; it may have been resumed since."""
        info = self.status(job)
        return info.final and (last is None or info.last_seq <= last)

    # Results.

    def results(self, job: str) -> tuple[FileInfo, ...]:
        """The files that a job has made; none while it is not done."""
        return self._wait(self.client.results(job))

    @overload
    def fetch(
        self, job: str, file: FileInfo | str, dest: None = None, on_progress: OnProgress | None = None
    ) -> memoryview: ...

    @overload
    def fetch(
        self, job: str, file: FileInfo | str, dest: PathLike, on_progress: OnProgress | None = None
    ) -> Path: ...

    def fetch(
        self,
        job: str,
        file: FileInfo | str,
        dest: PathLike | None = None,
        on_progress: OnProgress | None = None,
    ) -> Path | memoryview:
        """Fetch a file of a job and check it; returns its path, or its bytes (read-only) without `dest`.

        Args:
            file: one of `results`, the splats of an event or a preview, or the name of a result.
            dest: where it shall lie; folders are made, an older file is replaced when the new one is complete. It
                grows as `DEST.part`, with which a fetch that was interrupted, even by the end of the program, goes on.
            on_progress: called with the bytes that are there and their number.

        Raises:
            ServiceError: "not_found", or "superseded" when a newer file has taken its place.
            InputError: it cannot be written.
        """
        return self._wait(self.client.fetch(job, file, dest), on_progress)

    def render(
        self,
        job: str,
        cam_T_world: ArrayLike,
        K_33: ArrayLike,
        width: int,
        height: int,
        buffers: Iterable[RenderBuffer] = ("rgb",),
    ) -> Rendering:
        """Render views of a job's scene as it is now.

        Args:
            cam_T_world: (n, 4, 4) or (4, 4), OpenCV cameras (x right, y down, z forward) from world; metres.
            K_33: (n, 3, 3), or (3, 3) for all views, in pixels; pixel centres at +0.5.
            width, height: of the views in pixels. buffers: what is wanted of "rgb", "depth" and "alpha".

        Raises:
            InputError: the cameras make no sense. ServiceError: there is no scene yet, or a limit is exceeded.
        """
        return self._wait(self.client.render(job, cam_T_world, K_33, width, height, buffers))

    def preview(self, job: str) -> Preview:
        """The latest picture and depth of a job and its camera; ServiceError "not_found" when there is none yet."""
        return self._wait(self.client.preview(job))

    def log(self, job: str, offset: int = 0) -> LogPart:
        """A part of a job's log from `offset` (bytes) on; it says where to go on."""
        return self._wait(self.client.log(job, offset))

    # Models.

    def models(self) -> tuple[dict[str, Any], ...]:
        """The models that engines can use, as plain data, see `docs/protocol.md`."""
        return self._wait(self.client.models())

    def download_model(self, model: str, accept_licence: bool = False) -> None:
        """Have the service begin to fetch a model; its progress comes as events of kind "model" of `watch(None)`.

        Args:
            accept_licence: whether the user has agreed to the licence, where the model asks for that.
        """
        self._wait(self.client.download_model(model, accept_licence))

    def remove_model(self, model: str) -> None:
        """Have the service delete a model's files."""
        self._wait(self.client.remove_model(model))
