"""`splinescape models`: the weights that engines use, here or at a service."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splinescape.cli.interrupt import cancel_on_interrupt
from splinescape.cli.remote_option import open_service, remote_option
from splinescape.errors import CancelledError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from splinescape.models.manager import ModelStore

_remote = remote_option(
    "Connection file of a service that shall do it, or local for the one of this machine."
)
_IDS = "ID is a model's name in: splinescape models list"


@click.group(epilog=_IDS)
def models() -> None:
    """List, download, check and remove the models that engines use.

    They lie in "models" in the user's data folder, or where SPLINESCAPE_MODELS says.
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@_remote
def list_models(as_json: bool, remote: str | None) -> None:
    """Show every model: its size, whether it is here, and its licence."""
    from splinescape.cli.model_table import print_models

    if remote is None:
        known: list[dict[str, Any]] = [asdict(status) for status in _store().list()]
    else:
        with open_service(remote, "splinescape models") as service:
            known = list(service.models())
    if as_json:
        for model in known:
            click.echo(json.dumps(model))
    else:
        print_models(known)


@models.command(epilog=_IDS)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--accept-licence", is_flag=True, help="Accept the models' licences without being asked.")
@click.option("--offline", is_flag=True, help="Fetch nothing: only see whether the models are here.")
@_remote
def download(ids: tuple[str, ...], accept_licence: bool, offline: bool, remote: str | None) -> None:
    """Fetch models, or what is missing of them.

    Ctrl-C keeps what has arrived; the same command goes on there. A licence that forbids commercial use has to be
    accepted once. A gated model (see the list) needs an account at huggingface.co that was given access on the model's
    page, and its token in HF_TOKEN or stored with: hf auth login
    """
    if remote is not None:
        if offline:
            raise InputError("--offline is about this machine: leave it or --remote out")
        from splinescape.cli.models_remote import download_remotely

        download_remotely(remote, ids, accept_licence)
        return
    store = _store()
    for id in ids:
        store.status(id)  # a wrong name is said before anything is fetched
    for id in ids:
        if offline:
            click.echo(store.path(id))
        else:
            _download(store, id, accept_licence)


def _download(store: ModelStore, id: str, accept_licence: bool) -> None:
    from splinescape.cli.model_progress import ModelProgress

    status = store.status(id)
    if status.state == "complete":
        click.echo(f"{id} is complete: {store.path(id)}")
        return
    if not status.accepted:
        ask_for_licence(id, asdict(status), accept_licence)
        store.accept(id)
    with cancel_on_interrupt() as cancel, ModelProgress(f"fetching {id}") as show:
        try:
            place = store.download(id, show, cancel)
        except (CancelledError, KeyboardInterrupt):
            raise CancelledError(
                f"what has arrived of {id} is kept; go on with: splinescape models download {id}"
            ) from None
    click.echo(f"{id} is complete: {place}")


def ask_for_licence(id: str, model: dict[str, Any], accepted: bool) -> None:
    """Show a licence that forbids commercial use and have it accepted.

    Args:
        model: the fields of a `ModelStatus`. accepted: it was accepted on the command line already.

    Raises:
        InputError: there is nobody to ask, or the answer is no.
    """
    terms = f"{id} is under the {model['licence']}, which forbids commercial use: {model['licence_url']}"
    click.echo(terms, err=True)
    if accepted:
        return
    if not sys.stdin.isatty():
        raise InputError(f"the licence of {id} has to be accepted: read it and add --accept-licence")
    if not click.confirm("Do you accept it?", err=True):
        raise InputError(f"{id} was not fetched: its licence was not accepted")


@models.command(epilog=_IDS)
@click.argument("ids", nargs=-1, metavar="[ID]...")
def verify(ids: tuple[str, ...]) -> None:
    """Read the files of models again to find damage.

    Without ID, those of all models that are here.
    """
    from splinescape.cli.model_progress import ModelProgress

    store = _store()
    here = ids or tuple(model.id for model in store.list() if model.state in ("complete", "damaged"))
    damaged = []
    for id in here:
        with cancel_on_interrupt() as cancel, ModelProgress(f"reading {id}") as show:
            bad = store.verify(id, show, cancel)
        click.echo(f"{id}: {_verdict(store, id, bad)}")
        damaged += [id] if bad else []
    if not here:
        click.echo("there are no models on this disk")
    if damaged:
        raise InputError(f"damaged: {', '.join(damaged)}; repair with: splinescape models download ID")


def _verdict(store: ModelStore, id: str, bad: Iterable[str]) -> str:
    if bad:
        return f"damaged: {', '.join(bad)}"
    return "your own files, which have no known hash" if store.status(id).local else "whole"


@models.command(epilog=_IDS)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@_remote
def remove(ids: tuple[str, ...], remote: str | None) -> None:
    """Delete models and what has arrived of them.

    Files that were given to `use` stay.
    """
    if remote is not None:
        from splinescape.cli.models_remote import remove_remotely

        remove_remotely(remote, ids)
        return
    from splinescape.availability import amount

    store = _store()
    for id in ids:
        local = store.status(id).local
        freed = store.remove(id)
        click.echo(
            f"{id}: {'no longer used, your files stay' if local else f'removed, {amount(freed)} freed'}"
        )


@models.command(epilog=_IDS)
@click.argument("id")
def path(id: str) -> None:
    """Print where a model lies."""
    click.echo(_store().path(id))


@models.command(epilog=_IDS)
@click.argument("id")
@click.argument("place", metavar="PATH", type=click.Path(path_type=Path))
def use(id: str, place: Path) -> None:
    """Use a folder or file that is here already.

    Nothing is copied, changed or deleted there.
    """
    store = _store()
    store.use(id, place)
    click.echo(f"{id}: {store.path(id)}")


@models.command(epilog=_IDS)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def accept(ids: tuple[str, ...]) -> None:
    """Accept the licences of models, once for all downloads to come."""
    store = _store()
    for id in ids:
        status = store.status(id)
        store.accept(id)
        click.echo(f"{id}: {status.licence} accepted ({status.licence_url})")


def _store() -> ModelStore:
    from splinescape.models.manager import ModelStore

    return ModelStore()
