"""`splinescape keys`: who may use the service on this machine."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from splinescape.errors import InputError

if TYPE_CHECKING:
    from splinescape.service.settings import ServiceSettings

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")


@click.group()
def keys() -> None:
    """Keys of the clients that may use the service on this machine."""


def _data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--data",
        "data_dir",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The service's folder.  [default: the system's folder for application data]",
    )(command)


@keys.command()
@click.argument("name")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="[default: splinescape-NAME.json, here]"
)
@click.option(
    "--host",
    metavar="HOST[:PORT]",
    help="How the client reaches this machine: its name or address.  "
    "[default: 127.0.0.1, for this machine or the end of an SSH tunnel]",
)
@_data_option
def new(name: str, out: Path | None, host: str | None, data_dir: Path | None) -> None:
    """Make a key called NAME, and the connection file for its owner."""
    from splinescape.io.atomic import write_error
    from splinescape.protocol.connection import Connection, write_connection
    from splinescape.service.keys import LOCAL_KEY, Keyring

    settings = _settings(data_dir)
    if name == LOCAL_KEY:
        raise InputError(f"the service makes the key '{LOCAL_KEY}' itself: take another name")
    endpoint = _endpoint(host, settings)
    keyring = Keyring.open(settings.keys_dir)
    path = out or Path(f"splinescape-{name}.json")
    pair = keyring.new(name)
    try:
        if path.exists():
            raise InputError(f"{path} is there already: choose another --out")
        write_connection(
            path, Connection(endpoint, keyring.server_public_text, pair.public, pair.secret, name)
        )
    except (OSError, InputError) as error:
        keyring.revoke(name)
        raise (write_error(path, error) if isinstance(error, OSError) else error) from None
    click.echo(f"{path} opens the service at {endpoint} for whoever has it.")
    _tell_what_to_do(path, endpoint)


@keys.command("list")
@_data_option
def list_keys(data_dir: Path | None) -> None:
    """Show all keys and when they were used last."""
    from splinescape.service.keys import Keyring

    folder = _settings(data_dir).keys_dir
    known = Keyring.open(folder).list() if folder.exists() else []
    if not known:
        click.echo("there are no keys; the service makes its own when it starts")
        return
    width = max(len("NAME"), *(len(key.name) for key in known))
    click.echo(f"{'NAME':{width}}  {'MADE':16}  {'USED LAST':16}  PUBLIC KEY")
    for key in known:
        used = "never" if key.seen is None else _date(key.seen)
        click.echo(f"{key.name:{width}}  {_date(key.created):16}  {used:16}  {key.public}")


@keys.command()
@click.argument("name")
@_data_option
def revoke(name: str, data_dir: Path | None) -> None:
    """Let the key called NAME in no longer."""
    from splinescape.service.keys import LOCAL_KEY, Keyring

    Keyring.open(_settings(data_dir).keys_dir).revoke(name)
    click.echo(f"{name} is let in no longer, nor is what is connected with it right now.")
    if name == LOCAL_KEY:
        click.echo("The service makes itself a new local key when it starts again.")


def _settings(data_dir: Path | None) -> ServiceSettings:
    from splinescape.service.settings import load_settings

    return load_settings(**({} if data_dir is None else {"data_dir": data_dir}))


def _endpoint(host: str | None, settings: ServiceSettings) -> str:
    """What a client dials: the port is the running service's unless it is given."""
    from splinescape.protocol.connection import read_connection
    from splinescape.service.settings import split_address

    try:
        name, port = split_address("127.0.0.1" if host is None else host)
    except ValueError as error:
        raise InputError(f"--host: {error}") from None
    if not _HOST.fullmatch(name):
        raise InputError(f"--host: {name[:40]!a} is not the name or IPv4 address of a machine")
    if port is None:
        with contextlib.suppress(InputError):
            port = urlsplit(read_connection(settings.connection_file).endpoint).port
    if port is None:
        raise InputError(
            "the service has not run yet, so its port is not known: give it with --host HOST:PORT, "
            "or start the service first: splinescape serve"
        )
    return f"tcp://{name}:{port}"


def _tell_what_to_do(path: Path, endpoint: str) -> None:
    where = urlsplit(endpoint)
    if where.hostname == "127.0.0.1":
        click.echo(
            f"From another machine, first make a tunnel: ssh -N -L {where.port}:127.0.0.1:{where.port} THIS-MACHINE"
        )
    else:
        click.echo(f"The service must listen there: splinescape serve --listen 0.0.0.0:{where.port}")
    click.echo(
        f"Bring the file over safely (scp, not mail), delete it here, and use it: "
        f"splinescape generate PICTURE --remote {path.name}"
    )


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
