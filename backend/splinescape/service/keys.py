"""Who may use the service: its own key pair and the public keys of its clients, as files of one folder.

`server.json` is the service's pair. `clients/NAME.json` holds a client's public key and when it was made; the file's
time of modification is when the key was used last. Nobody but the owner may read the folder. A client's secret key is
never here: it goes into the connection file, which whoever holds it can use.

On Windows access is left to the folder's own rules, which keep a user's data from other users.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from splinescape.errors import InputError
from splinescape.protocol.connection import private_file
from splinescape.service.settings import split_address

LOCAL_KEY = "local"
"""The key in the connection file for programs on this machine, which the service makes by itself."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_DEVICES_OF_WINDOWS = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_LONGEST_FILE = 4096
_STALE_S = 3600.0
_SAME_S = 1e-6


@dataclass(frozen=True)
class KeyPair:
    """A CURVE key pair in Z85."""

    public: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class ClientKey:
    """A client's key.

    Attributes:
        public: in Z85. created, seen: unix seconds; `seen` is None until it was used.
    """

    name: str
    public: str
    created: float
    seen: float | None


class Keyring:
    """The keys of a service; several processes may change the same folder."""

    def __init__(self, folder: Path, server: KeyPair) -> None:
        self.folder = folder
        self._server = server
        self._clients: dict[str, ClientKey] = {}
        self._names: dict[str, str] = {}
        self._files: frozenset[tuple[str, int, int, int]] | None = None
        self.refresh()

    @classmethod
    def open(cls, folder: Path) -> Keyring:
        """Open the folder of keys; made, with a key pair for the service, when there is none.

        Raises:
            InputError: it cannot be used, others may read it, or the service's pair is damaged.
        """
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            for each in (folder, folder / "clients"):
                with contextlib.suppress(FileExistsError):
                    each.mkdir(mode=0o700)
                _check_private(each, 0o077)
            _sweep(folder)
            server = folder / "server.json"
            if not server.exists():
                pair = _new_pair()
                _create(server, json.dumps({"public_key": pair.public, "secret_key": pair.secret}))
            _check_private(server, 0o077)
            for client in (folder / "clients").glob("*.json"):
                _check_private(client, 0o022)
            return cls(folder, _read_pair(server))
        except OSError as error:
            raise InputError(f"the keys in {folder} cannot be used: {error.strerror}") from None

    @property
    def server_secret(self) -> bytes:
        """The service's secret key (Z85)."""
        return self._server.secret.encode()

    @property
    def server_public_text(self) -> str:
        """The service's public key (Z85), which connection files carry."""
        return self._server.public

    def new(self, name: str) -> KeyPair:
        """Make a key for a client; only its public half is kept.

        Raises:
            InputError: the name cannot be used, is taken, or the key cannot be written.
        """
        path = self._file(name)
        pair, now = _new_pair(), time.time_ns()
        text = json.dumps({"public_key": pair.public, "created": now / 1e9})
        try:
            made = _create(path, text, now)
        except OSError as error:
            raise InputError(f"the key {name} cannot be written to {path.parent}: {error.strerror}") from None
        if not made:
            raise InputError(f"there is a key {name} already: take another name, or revoke it first")
        self.refresh()
        return pair

    def revoke(self, name: str) -> None:
        """Let this key in no longer.

        Raises:
            InputError: there is no such key, or it cannot be removed.
        """
        path = self._file(name)
        try:
            path.unlink()
        except FileNotFoundError:
            there = ", ".join(key.name for key in self.list()) or "none"
            raise InputError(f"there is no key {name}; there are: {there}") from None
        except OSError as error:
            raise InputError(f"the key {name} cannot be removed: {error.strerror}") from None
        self.refresh()

    def list(self) -> list[ClientKey]:
        """All clients' keys by name."""
        self.refresh()
        return sorted(self._clients.values(), key=lambda key: key.name)

    def knows(self, name: str) -> bool:
        """Whether there is a key of this name."""
        return name in self._clients

    def public_key(self, name: str) -> str:
        """The public key of that name (Z85); raises KeyError."""
        return self._clients[name].public

    def name_of(self, public_key: str) -> str | None:
        """The name of a public key (Z85); None for one that is not, or no longer, let in."""
        return self._names.get(public_key)

    def refresh(self) -> None:
        """Take notice of what other processes changed; costs next to nothing when they did not.

        A file that is damaged or that others may write to lets nobody in.
        """
        files = _listing(self.folder / "clients")
        if files == self._files:
            return
        keys = (_read_client(self.folder / "clients" / name) for name, *_ in files)
        self._clients = {key.name: key for key in keys if key is not None}
        self._names = {key.public: key.name for key in self._clients.values()}
        self._files = files

    def mark_seen(self, name: str) -> None:
        """Note that the key was used just now."""
        with contextlib.suppress(OSError, InputError):
            now = time.time_ns()
            os.utime(self._file(name), ns=(now, now))

    def _file(self, name: str) -> Path:
        if not _NAME.fullmatch(name) or _DEVICES_OF_WINDOWS.fullmatch(name):
            raise InputError(
                f"{name[:64]!a} cannot be the name of a key: take up to 63 letters, digits, dots, - and _, "
                "beginning with a letter or digit"
            )
        return self.folder / "clients" / f"{name}.json"


def check_listen(listen: str, keyring: Keyring) -> None:
    """See to it that other machines are let in on purpose only.

    Args:
        listen: "HOST:PORT" as in the settings.

    Raises:
        InputError: other machines can reach that address, but no key was made for any of them.
    """
    host, port = split_address(listen)
    if host.startswith("127."):
        return
    if all(key.name == LOCAL_KEY for key in keyring.list()):
        raise InputError(
            f"listening on {listen} lets other machines in, and none has a key yet; make one for each of them: "
            f"splinescape keys new NAME --host ADDRESS-OF-THIS-MACHINE:{port} --data {keyring.folder.parent}"
        )


def _new_pair() -> KeyPair:
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode(), secret.decode())


def _check_private(path: Path, forbidden: int) -> None:
    """Refuse what somebody else may read or change, as ssh does."""
    if os.name != "posix":
        return
    status = path.stat()
    if status.st_uid not in (os.geteuid(), 0):
        raise InputError(
            f"{path} belongs to another user: it would not be safe to use it; choose another --data"
        )
    if stat.S_IMODE(status.st_mode) & forbidden:
        right = "700" if path.is_dir() else "600"
        raise InputError(
            f"other users can get at {path}: it is not safe to use it before: chmod {right} {path}"
        )


def _sweep(folder: Path) -> None:
    """Remove what a process that died while it wrote left behind."""
    for temp in [*folder.glob(".*.tmp"), *folder.glob("clients/.*.tmp")]:
        with contextlib.suppress(OSError):
            if time.time() - temp.stat().st_mtime > _STALE_S:
                temp.unlink()


def _create(path: Path, text: str, modified_ns: int | None = None) -> bool:
    """Write a private file that is whole from the moment it is there; False when there is one already."""
    with private_file(path, text) as temp:
        if modified_ns is not None:
            os.utime(temp, ns=(modified_ns, modified_ns))
        try:
            os.link(temp, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links, where two processes might come in each other's way
            if path.exists():
                return False
            temp.replace(path)
    return True


def _listing(folder: Path) -> frozenset[tuple[str, int, int, int]]:
    """Name, number and times of every file of a key, which tell whether any of them has changed.

    A key that replaces another of its name at once may get the same number, but it was made at another nanosecond.
    """
    found = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        found.add((entry.name, status.st_ino, status.st_mtime_ns, status.st_ctime_ns))
    except OSError:
        return frozenset()  # without its folder nobody is let in
    return frozenset(found)


def _read_pair(path: Path) -> KeyPair:
    try:
        data = json.loads(path.read_bytes()[:_LONGEST_FILE])
        pair = KeyPair(data["public_key"], data["secret_key"])
        fits = zmq.curve_public(pair.secret.encode()).decode() == pair.public
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, zmq.ZMQError):
        fits = False
    if not fits:
        raise InputError(
            f"{path} is damaged: bring it back, or delete the folder {path.parent} and make new keys for all clients"
        )
    return pair


def _read_client(path: Path) -> ClientKey | None:
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or (os.name == "posix" and status.st_mode & 0o022):
            return None
        data = json.loads(path.read_bytes()[:_LONGEST_FILE])
        name, public, created = path.stem, data["public_key"], float(data["created"])
        if not _NAME.fullmatch(name) or not isinstance(public, str) or len(public) != 40:
            return None
        seen = status.st_mtime if status.st_mtime > created + _SAME_S else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return ClientKey(name, public, created, seen)
