"""The connection to the backend: one shared client, made when needed and anew when another is chosen.

Nothing here waits, and nothing needs `bpy`: the preferences hand in a function that tells the present choice.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .choice import Choice
from .environment import NOT_INSTALLED
from .errors import BackendError
from .install import Installer
from .models import Models
from .probe import Probe
from .service import LocalBackend

if TYPE_CHECKING:
    from splinescape.client import Capabilities, Client, Engine

    from .shared import SharedClient

_ASK_AGAIN_S = 1.0

NO_FILE = "No connection file chosen: choose one in the preferences, or set Backend to This Machine"


class Backend:
    """The backend of the present choice: the shared client, and the local service if it is to run here.

    Attributes:
        installer: makes the environment of the local service. models: those that the backend knows.
    """

    def __init__(self, read_choice: Callable[[], Choice | None]) -> None:
        """Prepare; nothing is read, connected or started before it is asked for.

        Args:
            read_choice: tells which backend is wanted now; None while the extension is being switched off.
        """
        self.installer = Installer()
        self.models = Models()
        self._read_choice = read_choice
        self._probe: Probe | None = None
        self._start_when_checked = False
        self._stopped = False
        self._asked_at = 0.0
        self._client: SharedClient | None = None
        self._connection: Path | None = None
        self._local: LocalBackend | None = None
        self._was_connected = False

    def choice(self) -> Choice | None:
        """What is wanted now."""
        return self._read_choice()

    def client(self) -> SharedClient | None:
        """The client of the present choice; None when there is nothing that it could connect to."""
        choice = self._read_choice()
        connection = choice.connection if choice is not None else None
        if choice is not None and choice.kind == "LOCAL" and choice.python is None and connection is not None:
            connection = connection if connection.exists() else None
        if choice is not None and _kept_back(choice):
            connection = None
        if connection != self._connection:
            self._drop_client()
            self._connection = connection
        if self._client is None and connection is not None:
            from .shared import SharedClient

            self._client = SharedClient(connection, name="blender")
        return self._client

    def local(self) -> LocalBackend | None:
        """The service of this machine, running or not; None when another one is chosen."""
        choice = self._read_choice()
        if choice is None or choice.kind != "LOCAL":
            return None
        if self._local is None or self._local.data_dir != choice.data_dir:
            if self._local is not None:
                self._local.forget()
            self._local = LocalBackend(choice.data_dir)
        return self._local

    def connected(self) -> bool:
        """Whether requests are answered now."""
        client = self.client()
        return client is not None and client.state == "connected"

    @property
    def uses_models(self) -> bool:
        """Whether the connected backend has an engine that needs model files."""
        client = self.client()
        capabilities = client.capabilities if client is not None else None
        return capabilities is not None and bool(_engines_with_models(capabilities))

    def refused(self) -> bool:
        """Whether the latest attempt to connect has failed."""
        client = self.client()
        return client is None or client.state == "lost"

    def runs(self) -> bool:
        """Whether the backend is there, as far as is known here: connected, or a process that was started here."""
        local = self.local()
        return self.connected() or (local is not None and local.pid is not None)

    def start(self) -> None:
        """See that the local service runs; nothing happens when it does, or when another backend is chosen.

        Raises:
            BackendError: it cannot be started.
        """
        local, choice = self.local(), self._read_choice()
        if local is None or choice is None or self.connected():
            return
        if choice.python is None:
            raise BackendError(choice.trouble or NOT_INSTALLED)
        self._stopped = False
        if choice.own and self.trouble_with_own(choice) != "":
            self._start_when_checked = True
            self.check_own()
        else:
            local.start(choice.python, choice.device)

    def check_own(self) -> None:
        """Begin to look whether the user's own environment has the backend."""
        choice, local = self._read_choice(), self.local()
        if local is not None:
            local.forget_failure()
        if choice is None or choice.python is None or not choice.own:
            return
        if self._probe is None:
            from splinescape import __version__

            self._probe = Probe(__version__)
        if not (self._probe.running and self._probe.python == choice.python):
            self._probe.begin(choice.python)

    def trouble_with_own(self, choice: Choice) -> str | None:
        """What is wrong with the user's own environment; "" if nothing is, None while that is not known."""
        if self._probe is None or self._probe.python != choice.python:
            return None
        return self._probe.trouble

    @property
    def busy(self) -> bool:
        """Whether something is under way that `tick` has to look after soon."""
        probing = self._probe is not None and self._probe.running
        local = self._local is not None and (self._local.busy or self._local.pid is not None)
        return self.installer.running or probing or local or self.models.fetching

    def stop(self) -> None:
        """End the local service; running jobs stop after their present step and go on with its next start."""
        local = self.local()
        if local is None:
            return
        self._stopped = True
        client = self.client()
        if client is not None and client.state == "connected":
            client.shutdown("now")
        local.stop()

    def reconnect(self) -> None:
        """Begin to connect anew, at once."""
        self._drop_client()
        self.client()

    def tick(self, models_wanted: bool = False) -> None:
        """Look after everything that was begun here; to be called a few times a second.

        Args:
            models_wanted: somebody looks at the list of models.
        """
        self.installer.tick()
        local, client = self.local(), self.client()
        if self._probe is not None:
            self._probe.tick()
        if self._start_when_checked and not (self._probe is not None and self._probe.running):
            self._start_when_checked = False
            self._start_checked(local)
        self.models.use(client)
        self.models.tick(models_wanted)
        if local is not None:
            local.tick(connected=client is not None and client.state == "connected")
        if client is not None and client.state == "connected":
            self._was_connected = True
            self._ask_for_devices(client)

    def _start_checked(self, local: LocalBackend | None) -> None:
        """Start in the user's own environment, which has just been looked at."""
        choice = self._read_choice()
        if choice is None or local is None:
            return
        trouble = self.trouble_with_own(choice)
        if trouble:
            local.fail(trouble)
        else:
            with contextlib.suppress(BackendError):  # its status says so
                self.start()

    def _ask_for_devices(self, client: Client) -> None:
        """A service that has just been started does not know yet what it works on: ask again until it does."""
        devices = client.capabilities.devices if client.capabilities is not None else ()
        now = time.monotonic()
        if any(device.state == "starting" for device in devices) and now - self._asked_at > _ASK_AGAIN_S:
            self._asked_at = now
            client.hello()

    def why_unavailable(self) -> str:
        """Why no job can be given to the backend, in one sentence; "" when one can, after `start`."""
        choice, client, local = self._read_choice(), self.client(), self.local()
        if choice is None or self.connected():
            return ""
        if choice.kind == "FILE":
            return _no_client(choice) if client is None else client.reason or "Connecting to the backend"
        if choice.python is None and not (local is not None and local.busy):
            return self.installer.status or choice.trouble or NOT_INSTALLED
        if client is not None and client.reason_code in ("version", "not_allowed"):
            return f"Not usable: {client.reason}"
        return (self.trouble_with_own(choice) or "") if choice.own else ""

    def status(self) -> str:
        """One sentence for the panel."""
        choice, client = self._read_choice(), self.client()
        if choice is None:
            return ""
        if client is not None and client.state == "connected" and client.capabilities is not None:
            return f"Connected to {_place(choice)}: {describe(client.capabilities)}"
        if choice.kind == "FILE":
            return _no_client(choice) if client is None else self._unconnected(client)
        return self._local_status(choice, client)

    def _unconnected(self, client: Client) -> str:
        if client.state != "lost":
            return "Connecting..."
        return f"{'Lost' if self._was_connected else 'Not connected'}: {client.reason}"

    def _local_status(self, choice: Choice, client: Client | None) -> str:
        local = self.local()
        if self.installer.running:
            return self.installer.status
        if choice.own and self.trouble_with_own(choice):
            return self.trouble_with_own(choice) or ""
        if self._probe is not None and self._probe.running:
            return "Looking at the environment..."
        if client is not None and client.reason_code in ("version", "not_allowed"):
            return f"Not usable: {client.reason}"
        if local is not None and local.status:
            return local.status
        if choice.python is None:
            return choice.trouble or NOT_INSTALLED
        if self._was_connected and not self._stopped and client is not None and client.state == "lost":
            return "Lost: the backend has ended or does not answer; click Start Backend"
        return "Not running: it starts with the first scene, or click Start Backend"

    def close(self) -> None:
        """Drop the connection, end an installation; a service goes on until it has been idle for a while."""
        self.installer.close()
        if self._probe is not None:
            self._probe.close()
        self.models.use(None)
        self._drop_client()
        if self._local is not None:
            self._local.forget()
        self._local = None
        self._connection = None

    def _drop_client(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self._was_connected = False


def _kept_back(choice: Choice) -> bool:
    """Whether the connection file leads to another machine though Blender is to stay offline."""
    if choice.kind != "FILE" or not choice.offline or choice.connection_file is None:
        return False
    from splinescape.client import read_connection
    from splinescape.errors import InputError

    try:
        host = urlsplit(read_connection(choice.connection_file).endpoint).hostname or ""
    except (InputError, ValueError):
        return False  # the client says what is wrong with the file
    return host != "localhost" and not host.startswith("127.")


def _no_client(choice: Choice) -> str:
    return choice.offline if choice.connection_file is not None and choice.offline else NO_FILE


def _place(choice: Choice) -> str:
    return "this machine" if choice.kind == "LOCAL" else str(getattr(choice.connection_file, "name", ""))


def describe(capabilities: Capabilities) -> str:
    """What a service works with, such as "AMD EPYC, built-in engines"."""
    devices = [_device(device.kind, device.name or device.device) for device in capabilities.devices]
    better = [engine.name for engine in _engines_with_models(capabilities) if engine.available]
    return f"{', '.join(devices) or 'no device yet'}, {', '.join(better) or 'built-in engines'}"


def _engines_with_models(capabilities: Capabilities) -> list[Engine]:
    engines = capabilities.engines
    return [each for each in engines if each.role in ("inpaint", "depth") and each.name != "builtin"]


def _device(kind: str | None, name: str) -> str:
    if name.lower() == "cpu":
        return "CPU"
    return f"CPU ({name})" if kind == "cpu" else name


_backend: Backend | None = None


def open_backend(read_choice: Callable[[], Choice | None]) -> Backend:
    """Begin to use the backend that `read_choice` tells; called when the extension is switched on."""
    global _backend
    close_backend()
    _backend = Backend(read_choice)
    return _backend


def close_backend() -> None:
    """Let go of it; called when the extension is switched off."""
    global _backend
    if _backend is not None:
        _backend.close()
    _backend = None


def current_backend() -> Backend | None:
    """The backend in use; None while the extension is off."""
    return _backend


def current_client() -> Client | None:
    """The client that everybody shares, never to be closed by them; None when there is no backend to connect to.

    It is another object after the preferences have changed, so keep it for one turn only. `poll` it often.
    """
    return _backend.client() if _backend is not None else None


def start() -> None:
    """See that the backend runs, before something is asked of it; never waits.

    Requests may be made at once: they are sent when the connection is there.

    Raises:
        BackendError: it cannot be started; the text says why and what to do.
    """
    if _backend is not None:
        _backend.start()


def why_unavailable() -> str:
    """Why no job can be submitted now, in one sentence for `poll_message_set`; "" when one can."""
    return _backend.why_unavailable() if _backend is not None else ""


def status_text() -> str:
    """One sentence for the panel: where the backend is and what it works with, or what to do about it."""
    return _backend.status() if _backend is not None else ""
