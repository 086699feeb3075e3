"""Where a Rerun recording goes: a file, a web viewer served here, a viewer started here, or one elsewhere."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from splinescape.errors import EngineUnavailableError, InputError
from splinescape.io.atomic import atomic_file

if TYPE_CHECKING:
    import rerun as rr

RerunMode = Literal["off", "save", "serve", "spawn", "connect"]

_log = logging.getLogger(__name__)

GRPC_PORT = 9876
WEB_PORT = 9090
DEFAULT_URL = f"rerun+http://127.0.0.1:{GRPC_PORT}/proxy"
APPLICATION = "splinescape"
SERVER_START_S = 20.0
FLUSH_S = 60.0


@dataclass(frozen=True)
class Recording:
    """An open recording and the place where it can be seen."""

    stream: rr.RecordingStream
    place: str


def check_rerun(mode: RerunMode, url: str = DEFAULT_URL) -> None:
    """Find out before any long work whether a recording could be opened.

    Raises:
        EngineUnavailableError: rerun-sdk is not installed.
        InputError: there is no display to spawn a viewer on, nobody listens at `url`, or a port is taken.
    """
    if mode == "off":
        return
    try:
        import rerun  # noqa: F401
    except ImportError:
        raise EngineUnavailableError(
            "--rerun needs the Rerun SDK; install it with: pip install 'splinescape[rerun]'"
        ) from None
    if mode == "spawn" and sys.platform.startswith("linux"):
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise InputError("--rerun spawn needs a display; use --rerun save or --rerun serve here")
    if mode == "serve":
        for port in (GRPC_PORT, WEB_PORT):
            if _listens("127.0.0.1", port):
                raise InputError(
                    f"port {port} is taken, so nothing can be served; stop what uses it, or use --rerun save"
                )
    if mode == "connect":
        address = urlsplit(url)
        if address.scheme not in ("rerun", "rerun+http", "rerun+https") or not address.hostname:
            raise InputError(f"'{url}' is not a Rerun address; it looks like {DEFAULT_URL}")
        if not _listens(address.hostname, address.port or GRPC_PORT):
            raise InputError(f"no Rerun viewer listens at {url}; start one there with: rerun")


@contextmanager
def open_recording(mode: RerunMode, file: Path, url: str = DEFAULT_URL) -> Iterator[Recording]:
    """Yield a recording that goes where `mode` says; `check_rerun` has looked whether it can.

    With "save" the data are kept in memory, and `file` is written when the block ends without an error: the
    SDK's own file sink neither tells of a full disk nor leaves an older file alone.

    Raises:
        InputError: `file` cannot be written. EngineUnavailableError: the web viewer did not start.
    """
    import rerun as rr

    stream = rr.RecordingStream(APPLICATION)
    if mode == "save":
        memory = rr.binary_stream(recording=stream)
        try:
            yield Recording(stream, str(file))
        finally:
            data = memory.read()  # the SDK complains on stderr when it has to throw data away itself
        with atomic_file(file) as out:
            out.write(data or b"")
        return
    if mode == "serve":
        with _web_server() as address:
            stream.connect_grpc(DEFAULT_URL)
            yield Recording(stream, address)
            _send_rest_and_part(stream)
        return
    if mode == "spawn":
        stream.spawn(port=GRPC_PORT)
    else:
        stream.connect_grpc(url)
    yield Recording(stream, url if mode == "connect" else "the viewer")
    _send_rest_and_part(stream)


def _send_rest_and_part(stream: rr.RecordingStream) -> None:
    try:
        stream.flush(timeout_sec=FLUSH_S)
    except RuntimeError as error:
        _log.warning("the Rerun viewer went away before it had everything: %s", error)
    stream.disconnect()


@contextmanager
def _web_server() -> Iterator[str]:
    """Run Rerun's web viewer for this machine only, and yield the address to open in a browser.

    It is a process of its own because the SDK's in-process server listens on every network interface.

    Raises:
        EngineUnavailableError: it did not start.
    """
    command = [_rerun_program(), "--serve-web", "--bind", "127.0.0.1"]
    command += ["--port", str(GRPC_PORT), "--web-viewer-port", str(WEB_PORT)]
    # A session of its own: Ctrl-C is for the job, which ends the server when it is done with it.
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + SERVER_START_S
        while not (_listens("127.0.0.1", GRPC_PORT) and _listens("127.0.0.1", WEB_PORT)):
            if server.poll() is not None or time.monotonic() > deadline:
                raise EngineUnavailableError("Rerun's web viewer did not start; use --rerun save")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{WEB_PORT}/?url=rerun%2Bhttp%3A%2F%2F127.0.0.1%3A{GRPC_PORT}%2Fproxy"
    finally:
        server.terminate()
        server.wait()


def _rerun_program() -> str:
    """The SDK's viewer itself; `python -m rerun` would put a process between that outlives its own end."""
    package = find_spec("rerun_cli")
    folder = Path(package.origin).parent if package and package.origin else Path()
    for name in ("Rerun.app/Contents/MacOS/Rerun", "rerun.exe", "rerun"):
        if (folder / name).is_file():
            return str(folder / name)
    raise EngineUnavailableError("the Rerun viewer is not installed; run: pip install 'splinescape[rerun]'")


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True
