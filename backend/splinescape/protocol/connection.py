"""The connection file: where a service listens and the keys that open it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from splinescape.errors import InputError

_LONGEST_FILE = 2**16
_ENDPOINT = re.compile(r"tcp://[^\s/]{1,255}:[0-9]{1,5}\Z")
_KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}\Z")  # Z85


@dataclass(frozen=True)
class Connection:
    """How to reach a service; whoever can read this can use the service.

    Attributes:
        endpoint: a ZeroMQ address such as "tcp://127.0.0.1:5750".
        server_key: the service's public CURVE key (Z85), which proves that it is the right one.
        public_key, secret_key: the client's own CURVE keys (Z85).
        name: what the service calls this key.
    """

    endpoint: str
    server_key: str
    public_key: str
    secret_key: str
    name: str = "local"


def read_connection(path: str | os.PathLike[str]) -> Connection:
    """Read a connection file.

    Raises:
        InputError: it is not there, not readable, or not a connection file.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = json.loads(file.read(_LONGEST_FILE).decode("utf-8"))
        values = {field.name: data[field.name] for field in fields(Connection)}
    except FileNotFoundError:
        raise InputError(f"there is no connection file {path}: is the service running?") from None
    except OSError as error:
        raise InputError(f"cannot read the connection file {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path} is not a connection file of Splinescape: ask for a new one") from None
    connection = Connection(**values)
    if not _plausible(connection):
        raise InputError(f"{path} is not a connection file of Splinescape: ask for a new one")
    return connection


def _plausible(connection: Connection) -> bool:
    if any(not isinstance(value, str) for value in asdict(connection).values()):
        return False
    keys = (connection.server_key, connection.public_key, connection.secret_key)
    return _ENDPOINT.match(connection.endpoint) is not None and all(_KEY.match(key) for key in keys)


def write_connection(path: str | os.PathLike[str], connection: Connection) -> None:
    """Write a connection file that only its owner can read; the old one stays whole until the new one is.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with private_file(path, json.dumps(asdict(connection), indent=1)) as temp:
        temp.replace(path)


@contextlib.contextmanager
def private_file(path: Path, text: str) -> Iterator[Path]:
    """A new file beside `path` that holds `text` and that only its owner could ever read, to be moved to `path`.

    It is on disk (fsync), and gone after the block unless it was moved.

    Raises:
        OSError: the file cannot be written.
    """
    temp = path.with_name(f".{path.name}-{secrets.token_hex(4)}.tmp")
    handle = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield temp
    finally:
        with contextlib.suppress(OSError):
            temp.unlink(missing_ok=True)
