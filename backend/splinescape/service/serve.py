"""Puts the service together: store, keys, logs, signals, the ready line."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import zmq

from splinescape.errors import InputError
from splinescape.protocol.connection import Connection, read_connection, write_connection
from splinescape.service.broker import Broker
from splinescape.service.keys import LOCAL_KEY, Keyring, check_listen
from splinescape.service.logs import service_log
from splinescape.service.settings import ServiceSettings
from splinescape.service.store.store import Store
from splinescape.service.store.uploads import UploadLimits

log = logging.getLogger(__name__)

_ANY_PORT = "127.0.0.1:*"


def serve(settings: ServiceSettings, out: TextIO = sys.stdout) -> None:
    """Run the service until it is told to stop.

    One line of JSON on `out` says when it is ready and where its connection file lies; logs go to stderr and to
    `<data_dir>/logs/service.log`.

    Raises:
        InputError: another service uses the same folder, the folder cannot be used, the address is taken, or it
            may not be listened on.
    """
    folder = settings.data_dir
    limits = settings.limits
    store = Store.open(folder, UploadLimits(limits.picture_bytes, limits.uploads_bytes))
    with contextlib.closing(store), service_log(settings):
        keyring = Keyring.open(settings.keys_dir)
        if settings.listen is not None:
            check_listen(settings.listen, keyring)
        broker = _bind(settings, store, keyring)
        with contextlib.closing(broker), _stop_signals() as stop:
            connection_file = _write_local_connection(settings.connection_file, keyring, broker.endpoint)
            ready = {
                "event": "ready",
                "connection": str(connection_file),
                "endpoint": broker.endpoint,
                "pid": os.getpid(),
            }
            _say(json.dumps(ready), out)
            log.info("ready at %s, jobs in %s", broker.endpoint, folder)
            broker.run(stop.is_set)
            log.info("shut down")


def _say(line: str, out: TextIO) -> None:
    """Print a line; the service is of use to others also when whoever started it does not listen any more."""
    try:
        print(line, file=out, flush=True)
    except OSError as error:
        log.warning("nobody reads the ready line: %s", error)
        # Or the line, which is still in its buffer, would fail again when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def _bind(settings: ServiceSettings, store: Store, keyring: Keyring) -> Broker:
    """Listen where told; otherwise on the port of last time, so that clients find the service again."""
    if settings.listen is not None:
        try:
            return Broker(settings, store, keyring, f"tcp://{settings.listen}")
        except zmq.ZMQError as error:
            raise InputError(
                f"cannot listen on {settings.listen}: {zmq.strerror(error.errno or 0)}; choose another --listen"
            ) from None
    with contextlib.suppress(InputError, zmq.ZMQError):
        before = read_connection(settings.connection_file).endpoint
        if urlsplit(before).hostname == "127.0.0.1":
            return Broker(settings, store, keyring, before)
    return Broker(settings, store, keyring, f"tcp://{_ANY_PORT}")


def _write_local_connection(path: Path, keyring: Keyring, endpoint: str) -> Path:
    """The connection file for programs on this machine; the key in it is made once."""
    where = urlsplit(endpoint)
    host = "127.0.0.1" if where.hostname in ("0.0.0.0", "::") else where.hostname
    endpoint = f"tcp://{host}:{where.port}"
    with contextlib.suppress(InputError):
        old = read_connection(path)
        if keyring.knows(LOCAL_KEY) and keyring.public_key(LOCAL_KEY) == old.public_key:
            keys = (old.public_key, old.secret_key)
            present = Connection(endpoint, keyring.server_public_text, *keys, LOCAL_KEY)
            try:
                write_connection(path, present)  # though it be the same: clients look out for a newer file
            except OSError:
                if old != present:
                    raise
            return path
    with contextlib.suppress(InputError):  # there is none yet; one that is damaged is there but not known
        keyring.revoke(LOCAL_KEY)
    new = keyring.new(LOCAL_KEY)
    write_connection(
        path, Connection(endpoint, keyring.server_public_text, new.public, new.secret, LOCAL_KEY)
    )
    return path


@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set; a second one ends the process the hard way."""
    stop = threading.Event()

    def on_signal(number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        log.info("received %s, stopping after the present step", signal.Signals(number).name)
        stop.set()

    names = ["SIGTERM", "SIGINT", "SIGBREAK"]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        names.append("SIGHUP")  # unless nohup shall have the service outlive its terminal
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
