"""The client that never waits: for Blender's main thread, and the core of the blocking one."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import zmq
from numpy.typing import ArrayLike, NDArray

from splinescape.client.calls import Call
from splinescape.client.clock import Budget, Clock
from splinescape.client.fetch import Fetch, Window
from splinescape.client.infos import (
    Capabilities,
    Event,
    FileInfo,
    JobInfo,
    LogPart,
    Preview,
    Rendering,
    read,
    read_all,
    read_capabilities,
    read_models,
    read_preview,
    read_pushed_event,
    read_rendering,
)
from splinescape.client.leftovers import Leftovers
from splinescape.client.link import CHANNELS, Channel
from splinescape.client.parts import PartInMemory, PartOnDisk
from splinescape.client.requests import Requests, error_of, frames_of
from splinescape.client.session import Session, State
from splinescape.client.upload import Source, Submission
from splinescape.client.watching import Watches
from splinescape.errors import InputError, SplinescapeError
from splinescape.protocol.arrays import to_buffer
from splinescape.protocol.connection import Connection
from splinescape.protocol.errors import ErrorCode, ServiceError
from splinescape.protocol.wire import Buffer, Message, decode

log = logging.getLogger(__name__)

T = TypeVar("T")
PathLike = str | os.PathLike[str]
RenderBuffer = Literal["rgb", "depth", "alpha"]

_JOB = re.compile(r"[0-9a-f]{32}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_WAIT_CONNECTED_S, _WAIT_LOST_S = 0.25, 0.05


class _Work(Protocol):
    """Something that goes on over many polls; `step` does a piece of it and says whether there was any."""

    def step(self) -> bool: ...


class Client:
    """A connection to a service that only does something while `poll` runs, for a few milliseconds at most.

    Every method that asks for something returns a `Call` at once; poll until it is done. Whatever is wrong with what
    was given, with the connection or at the service becomes the call's error, none of these methods raises. The
    client connects by itself, also after the service was restarted, asks again with the same id for what was not
    answered, and gives a call up when nothing has come of it for `deadline_s`.

    It has no threads and is to be used by one thread. `Service` is the same for scripts, which may wait.
    """

    def __init__(
        self, connection: Connection | PathLike, name: str = "python", deadline_s: float = 60.0
    ) -> None:
        """Prepare; connecting begins with the first `poll`.

        Args:
            connection: a connection or the path of its file. The file is read before every attempt to connect, so it
                may appear later, and the service may come back at another address.
            name: what this program is, for the service's log.
            deadline_s: seconds of polling without an answer after which a call, or a part of a transfer, is given up.
        """
        where = connection if isinstance(connection, Connection) else Path(connection)
        self._clock = Clock()
        self._budget = Budget()
        self._requests = Requests(self._clock, deadline_s)
        self._watches = Watches(self._requests, self._clock)
        self._session = Session(
            where, name, self._clock, self._on_connected, self._watches.lost, self._on_pong
        )
        self._asked: Call[Capabilities] | None = None
        self._window = Window(self._clock)
        self._leftovers = Leftovers(self._clock)
        self._work: list[_Work] = [self._leftovers]
        self._open: set[Call[Any]] = set()
        self._polling = False
        self._closed = False
        self._more = True  # there may be something to do without anything arriving
        self.damaged = 0
        """Messages that could not be understood and were dropped; the log says why."""

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection; calls that are not done fail. Never waits; may be called twice."""
        if self._closed:
            return
        self._closed = True
        self._session.refuse(ServiceError("lost", "the client was closed"))
        for call in list(self._open):
            call._fail(ServiceError("lost", f"the client was closed before '{call.name}' was done"))
        self._leftovers.close()

    # The connection.

    @property
    def state(self) -> State:
        """ "connecting" at first, then "connected", or "lost" while attempts fail; those go on for ever."""
        return self._session.state

    @property
    def reason(self) -> str:
        """Why there is no connection, for people; "" while there is one or nothing is known yet."""
        return self._session.trouble.text if self._session.trouble is not None else ""

    @property
    def reason_code(self) -> ErrorCode | None:
        """The same for programs: "lost" (nobody there, or it broke), "not_allowed" (wrong key), "version", ..."""
        return self._session.trouble.code if self._session.trouble is not None else None

    @property
    def capabilities(self) -> Capabilities | None:
        """What the service says about itself: its engines, models and devices as they were a moment ago.

        How much memory is free is what it was when this last changed, or when `hello` asked.
        """
        return self._session.capabilities

    def poll(self, max_ms: float = 2.0) -> list[Event]:
        """Do what is due: connect, receive, write what is fetched, send; to be called often, such as 20 times a second.

        Args:
            max_ms: begin nothing more that would end later than this; a single piece of work takes under 1 ms on
                an ordinary disk.

        Returns:
            Events of what is watched, each once, in their order for each job.
        """
        if self._polling or self._closed:
            return []
        self._polling = True
        try:
            self._budget.begin(max_ms / 1000)
            self._clock.tick()
            self._tend()
            self._more = True
            while self._more and self._budget.allows():
                self._more = self._piece()
            self._requests.expire()
            events, self._watches.events = self._watches.events, []
            return events
        finally:
            self._polling = False

    def _tend(self) -> None:
        self._session.tick(self._requests.waiting_on("bulk"))
        self._requests.trouble = self.reason
        self._watches.tick()

    def _piece(self) -> bool:
        """One piece of each kind of work, short ones; returns whether there was any."""
        worked = False
        for channel in CHANNELS:
            worked |= self._receive(channel)
        worked |= self._work_a_little()
        link = self._session.link
        if link is not None and self._session.state == "connected":
            worked |= self._requests.send_one(link)
        return worked

    def _work_a_little(self) -> bool:
        """A step of the first that has something to do; each has its turn."""
        for _ in range(len(self._work)):
            work = self._work.pop(0)
            self._work.append(work)
            if work.step():
                return True
        return False

    def _receive(self, channel: Channel) -> bool:
        link = self._session.link
        frames = link.receive(channel) if link is not None else None
        if frames is None:
            return False
        self._session.heard(channel)
        try:
            message = decode(frames)
            self._take(channel, message)
        except (ServiceError, ValueError, TypeError, KeyError) as error:
            self.damaged += 1
            log.warning("dropped a message: %s", error)
            if isinstance(error, ServiceError) and error.code == "version":
                self._session.refuse(error)
        return True

    def _take(self, channel: Channel, message: Message) -> None:
        if self._session.take(message):
            return
        if message.type == "event":
            self._watches.take(read_pushed_event(message))
        elif message.type in ("reply", "error") and message.parent is not None:
            self._requests.answered(message)
        elif message.type == "error":
            self._take_complaint(channel, error_of(message))

    def _take_complaint(self, channel: Channel, error: ServiceError) -> None:
        """An error that is not about a certain request."""
        if error.code == "rate":
            self._requests.slow_down(channel)
        elif error.code in ("not_allowed", "version"):
            self._session.refuse(error)
            self._requests.fail_all(error)  # to wait for another answer would be of no use
        else:
            log.warning("the service complains: %s", error)

    def _on_connected(self) -> None:
        capabilities = self._session.capabilities
        assert capabilities is not None
        self._requests.max_frame = capabilities.limits.frame
        self._requests.restart()
        self._watches.connected(capabilities.last_seq)

    def _on_pong(self, message: Message) -> None:
        """A ping's answer tells whether there is more to hear: events, or another greeting."""
        self._watches.on_pong(message)
        capabilities, revision = self._session.capabilities, message.content.get("revision")
        if capabilities is None or not isinstance(revision, int) or revision == capabilities.revision:
            return
        if self._asked is None or self._asked.done:
            self._asked = self.hello()

    def wait(self, timeout_s: float) -> None:
        """Sleep until there may be something for `poll` to do; for programs that have nothing else to do.

        Args:
            timeout_s: seconds at most; it returns earlier now and then, and at once when work is left over.
        """
        if self._closed or self._more:
            return
        connected = self._session.state == "connected"
        timeout_s = min(timeout_s, _WAIT_CONNECTED_S if connected else _WAIT_LOST_S)
        if self._session.link is None:
            time.sleep(max(0.0, timeout_s))  # a poller without sockets would not wait
            return
        poller = zmq.Poller()
        for socket in self._session.link.waitable:
            poller.register(socket, zmq.POLLIN)
        poller.poll(max(0, round(1000 * timeout_s)))

    # Asking for things.

    def _begin(self, name: str, start: Callable[[Call[T]], None]) -> Call[T]:
        """Make a call and let `start` set it going; what is wrong already becomes its error."""
        call: Call[T] = Call(name)
        if self._closed:
            call._fail(ServiceError("lost", "the client is closed: make a new one"))
            return call
        self._open.add(call)
        self._more = True
        call.on_done(self._open.discard)
        try:
            start(call)
        except SplinescapeError as error:
            call._fail(error)
        return call

    def _ask(
        self,
        name: str,
        result: Callable[[Message], T],
        content: Mapping[str, Any] | None = None,
        job: str | None = None,
        buffers: Iterable[Buffer] = (),
        channel: Channel = "control",
    ) -> Call[T]:
        """A call that is one request; `result` reads the reply and may raise ValueError."""

        def start(call: Call[T]) -> None:
            message = Message(name, dict(content or {}), job=job, buffers=tuple(buffers), id=call.id)
            call._while_open(lambda: self._requests.drop(call.id))
            self._requests.ask(message, channel, lambda reply: call._succeed(result(reply)), call._fail)

        return self._begin(name, start)

    def _ask_job(
        self,
        name: str,
        job: str,
        result: Callable[[Message], T],
        content: Mapping[str, Any] | None = None,
        channel: Channel = "control",
    ) -> Call[T]:
        if not _is_job(job):
            return self._begin(name, lambda call: call._fail(_no_job(job)))
        return self._ask(name, result, content, job, channel=channel)

    def _chunk(self) -> int | None:
        capabilities = self._session.capabilities
        return max(1, capabilities.limits.chunk) if capabilities is not None else None

    def _work_on(self, work: _Work, call: Call[Any]) -> None:
        self._work.append(work)
        call.on_done(lambda _call: self._work.remove(work))

    def hello(self) -> Call[Capabilities]:
        """Ask anew what the service is and can do, such as how much memory its devices have now."""

        def result(message: Message) -> Capabilities:
            self._session.capabilities = read_capabilities(message.content)
            return self._session.capabilities

        return self._ask("hello", result, self._session.hello_content)

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
    ) -> Call[str]:
        """Send a picture and start a job on it; its progress is that of the upload.

        Args:
            picture: an encoded picture (PNG, JPEG, ...) or the path of one, which is read over many polls.
            path_json: the camera path as `CameraPath.to_json` writes it; None for the spiral of the settings.
            settings: fields of `SceneConfig`; the rest keep their defaults.
            engines: role ("inpaint", "depth", "raster") -> engine name or "auto".
            formats: further formats of the scene beside `.ply`: "compressed.ply", "spz", "splat".
            film: make a film along the path too. name: what people call the job.
            focal_px: focal length of the picture in its pixels, if known.
            pinned: never delete the job to save space.

        Returns:
            A call whose result is the job's id (32 hexadecimal digits). Errors: InputError when the picture cannot be
            read; ServiceError "bad_input" or "too_large" when the service cannot use what was sent.
        """
        content = {
            "name": name or _name_of(picture),
            "focal_px": focal_px,
            "settings": dict(settings or {}),
            "engines": {"inpaint": "auto", "depth": "auto", "raster": "auto", **(engines or {})},
            "formats": list(formats),
            "film": film,
            "pinned": pinned,
            "session": self._session.id,
        }

        def start(call: Call[str]) -> None:
            path = None if path_json is None else path_json.encode()
            frames_of(Message("submit", content))  # whatever is wrong with it is said before anything is sent
            submission = Submission(call, Source(picture), content, path, self._requests, self._chunk)
            self._work_on(submission, call)

        return self._begin("submit", start)

    def jobs(
        self, states: Iterable[str] | None = None, limit: int = 100, before: str | None = None
    ) -> Call[tuple[JobInfo, ...]]:
        """List jobs, newest first.

        Args:
            states: only those in one of these states. limit: how many at most, up to 100.
            before: only those that are older than this job, to go on with the list.
        """
        content = {"states": None if states is None else list(states), "limit": limit, "before": before}
        return self._ask("list", lambda reply: read_all(JobInfo, reply.content.get("jobs")), content)

    def status(self, job: str) -> Call[JobInfo]:
        """Ask where a job stands."""
        return self._ask_job("status", job, lambda reply: read(JobInfo, reply.content))

    def watch(self, job: str | None = None, since: int | None = 0, thumbnails: bool = True) -> Call[None]:
        """Have `poll` return the events of a job from now on, also after the connection was lost.

        Args:
            job: its id, or None for everything that is not watched by itself, the service's own events included.
            since: tell the past too, from the event after this number; 0 for all of it, None for nothing.
            thumbnails: whether events shall carry pictures.

        Returns:
            A call that is done when the past was told; error "not_found" when there is no such job. Watching the same
            job again starts anew from `since`.
        """

        def start(call: Call[None]) -> None:
            if job is not None and not _is_job(job):
                raise _no_job(job)
            self._watches.add(job, since, thumbnails, call)

        return self._begin("watch", start)

    def unwatch(self, job: str | None = None) -> None:
        """Stop what `watch` began; nothing happens when that is over already."""
        self._watches.remove(job)

    def cancel(self, job: str) -> Call[str]:
        """Cancel a job; the result is its state then."""
        return self._change("cancel", job)

    def pause(self, job: str) -> Call[str]:
        """Stop a job after its present step, to be continued by `resume`; the result is its state then."""
        return self._change("pause", job)

    def resume(self, job: str) -> Call[str]:
        """Let a job that was paused, cancelled or failed go on where it was; the result is its state then."""
        return self._change("resume", job)

    def delete(self, job: str) -> Call[str]:
        """Delete a job with everything that belongs to it; the result is its last state."""
        return self._change("delete", job)

    def _change(self, name: str, job: str) -> Call[str]:
        return self._ask_job(name, job, lambda reply: str(reply.content.get("state") or ""))

    def pin(self, job: str, pinned: bool = True) -> Call[bool]:
        """Keep a job from being deleted to save space, or no longer; the result is whether it is pinned."""
        return self._ask_job("pin", job, lambda reply: bool(reply.content.get("pinned")), {"pinned": pinned})

    def results(self, job: str) -> Call[tuple[FileInfo, ...]]:
        """List the files that a job has made; none while it is not done."""
        return self._ask_job("results", job, lambda reply: read_all(FileInfo, reply.content.get("files")))

    def fetch(self, job: str, file: FileInfo | str, dest: PathLike | None = None) -> Call[Path | memoryview]:
        """Fetch a file of a job.

        Args:
            file: one of `results`, the splats of an event or a preview, or the name of a result.
            dest: where it shall lie; folders are made, an older file is replaced when the new one is complete. It
                grows as `DEST.part`, with which a fetch that was interrupted, even by the end of the program, goes on.

        Returns:
            A call with progress in bytes; its result is the path, or the bytes (a read-only memoryview) without
            `dest`. Errors: "not_found"; "superseded" when a newer file has taken its place; InputError when it cannot
            be written.
        """

        def start(call: Call[Path | memoryview]) -> None:
            if not _is_job(job):
                raise _no_job(job)
            if isinstance(file, FileInfo):
                self._fetch_file(call, job, file, dest)
                return
            listing = self.results(job)
            call._while_open(listing.cancel)
            listing.on_done(lambda listing: self._fetch_named(call, job, file, dest, listing))

        return self._begin("fetch", start)

    def _fetch_named(
        self,
        call: Call[Path | memoryview],
        job: str,
        name: str,
        dest: PathLike | None,
        listing: Call[tuple[FileInfo, ...]],
    ) -> None:
        if call.done:
            return
        try:
            files = listing.get()
            found = next((file for file in files if file.name == name), None)
            if found is None:
                there = ", ".join(file.name for file in files) or "none"
                raise ServiceError("not_found", f"the job has no result '{name}'; it has: {there}")
            self._fetch_file(call, job, found, dest)
        except SplinescapeError as error:
            call._fail(error)

    def _fetch_file(
        self, call: Call[Path | memoryview], job: str, file: FileInfo, dest: PathLike | None
    ) -> None:
        if not 0 <= file.size < 2**40 or not _SHA256.match(file.sha256):
            raise InputError(f"{file} cannot be fetched: give one of the job's results")
        try:
            part = PartInMemory(file) if dest is None else PartOnDisk(Path(dest), file, self._leftovers.add)
        except MemoryError:
            raise InputError(
                f"{file.name} with {file.size:,} bytes does not fit in memory: give a path"
            ) from None
        call.progress = (0, file.size)
        self._work_on(Fetch(call, job, file, part, self._requests, self._window, self._chunk), call)

    def render(
        self,
        job: str,
        cam_T_world: ArrayLike,
        K_33: ArrayLike,
        width: int,
        height: int,
        buffers: Iterable[RenderBuffer] = ("rgb",),
    ) -> Call[Rendering]:
        """Render views of a job's scene as it is now.

        Args:
            cam_T_world: (n, 4, 4) or (4, 4), OpenCV cameras (x right, y down, z forward) from world; metres.
            K_33: (n, 3, 3), or (3, 3) for all views, in pixels; pixel centres at +0.5.
            width, height: of the views in pixels. buffers: what is wanted of "rgb", "depth" and "alpha".

        Returns:
            A call whose result has the arrays. Errors: InputError when the cameras make no sense; "conflict" or
            "not_found" when there is no scene yet; "superseded" when a newer request took its place.
        """
        wanted = frozenset(buffers)

        def result(reply: Message) -> Rendering:
            return read_rendering(reply, (len(cameras[0]), height, width), wanted)

        try:
            if not _is_job(job):
                raise _no_job(job)
            cameras = _cameras(cam_T_world, K_33)
        except InputError as error:
            failure = error
            return self._begin("render", lambda call: call._fail(failure))
        content = {"width": width, "height": height, "buffers": sorted(wanted)}
        arrays = [to_buffer("cam_T_world", cameras[0]), to_buffer("K_33", cameras[1])]
        return self._ask("render", result, content, job, arrays, "bulk")

    def preview(self, job: str) -> Call[Preview]:
        """Get the latest picture and depth of a job and its camera; error "not_found" when there is none yet."""
        return self._ask_job("preview", job, read_preview, channel="bulk")

    def log(self, job: str, offset: int = 0) -> Call[LogPart]:
        """Read a job's log from `offset` (bytes) on; the result says where to go on."""
        return self._ask_job(
            "log", job, lambda reply: read(LogPart, reply.content), {"offset": offset}, channel="bulk"
        )

    def models(self) -> Call[tuple[dict[str, Any], ...]]:
        """List the models that engines can use, as plain data, see `docs/protocol.md`."""
        return self._ask("models", lambda reply: read_models(reply.content))

    def download_model(self, model: str, accept_licence: bool = False) -> Call[None]:
        """Have the service fetch a model; its progress comes as events of kind "model", see `watch`.

        Args:
            accept_licence: whether the user has agreed to the licence, where the model asks for that.
        """
        return self._ask("models.download", _nothing, {"id": model, "accept_licence": accept_licence})

    def remove_model(self, model: str) -> Call[None]:
        """Have the service delete a model's files."""
        return self._ask("models.remove", _nothing, {"id": model})

    def shutdown(self, when: Literal["now", "drained"] = "now") -> Call[None]:
        """End the service: "now" stops running jobs after their present step, "drained" lets them end first.

        Jobs that are not done go on when the service starts again.
        """
        return self._ask("shutdown", _nothing, {"when": when})


def _nothing(_reply: Message) -> None:
    return None


def _is_job(job: object) -> bool:
    return isinstance(job, str) and _JOB.match(job) is not None


def _no_job(job: object) -> InputError:
    return InputError(
        f"{json.dumps(job, default=str)} is not the id of a job: those have 32 hexadecimal digits"
    )


def _name_of(picture: object) -> str:
    return Path(picture).stem if isinstance(picture, str | os.PathLike) else "picture"


def _cameras(cam_T_world: ArrayLike, K_33: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Views and intrinsics as (n, 4, 4) and (n, 3, 3); raises InputError."""
    try:
        views = np.asarray(cam_T_world, np.float64)
        intrinsics = np.asarray(K_33, np.float64)
        views = views[None] if views.ndim == 2 else views
        intrinsics = np.broadcast_to(intrinsics, (len(views), 3, 3))
    except (TypeError, ValueError) as error:
        raise InputError(f"the cameras must be arrays of numbers: {error}") from None
    if views.ndim != 3 or views.shape[1:] != (4, 4) or len(views) == 0:
        raise InputError(f"cam_T_world must have the shape (n, 4, 4), not {views.shape}")
    if not (np.isfinite(views).all() and np.isfinite(intrinsics).all()):
        raise InputError("the cameras must hold finite numbers only")
    return views, intrinsics
