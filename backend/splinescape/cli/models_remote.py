"""`splinescape models` at a service: it fetches and deletes, this machine watches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from splinescape.cli.model_progress import ModelProgress
from splinescape.cli.models import ask_for_licence
from splinescape.cli.remote_option import open_service
from splinescape.errors import CancelledError, InputError
from splinescape.protocol.errors import ServiceError

if TYPE_CHECKING:
    from splinescape.client import Service

_NAME = "splinescape models"


def download_remotely(remote: str, ids: Sequence[str], accept_licence: bool) -> None:
    """Have a service fetch models and show how it goes.

    Raises:
        InputError: no such model, or its licence is not accepted. ServiceError: it could not be fetched.
        CancelledError: Ctrl-C; the service goes on.
    """
    with open_service(remote, _NAME) as service:
        known = {str(model["id"]): model for model in service.models()}
        for id in ids:
            _check(id, known)
        for id in ids:
            model = known[id]
            if model["state"] == "complete":
                click.echo(f"{id} is complete there")
                continue
            if not model["accepted"]:
                ask_for_licence(id, model, accept_licence)
            try:
                _download(service, id)
            except KeyboardInterrupt:
                raise CancelledError(
                    f"the service goes on fetching {id}; to stop it and delete what has arrived: "
                    f"splinescape models remove {id} --remote {remote}"
                ) from None
            click.echo(f"{id} is complete there")


def _check(id: str, known: dict[str, dict[str, object]]) -> None:
    if id not in known:
        raise InputError(f"the service has no model '{id}'; choose one of: {', '.join(known)}")


def _download(service: Service, id: str) -> None:
    since = service.hello().last_seq
    service.download_model(id, accept_licence=True)
    with ModelProgress(f"fetching {id}") as show:
        for event in service.watch(None, since=since, thumbnails=False):
            if event.kind != "model" or event.data.get("id") != id:
                continue
            state = event.data.get("state")
            if state == "downloading":
                show(int(event.data.get("done", 0)), int(event.data.get("total", 0)))
            elif state == "complete":
                return
            else:
                why = event.data.get("error") or "somebody has stopped the download"
                raise ServiceError("unavailable", f"{id}: {why}")


def remove_remotely(remote: str, ids: Sequence[str]) -> None:
    """Have a service delete models. Raises as `download_remotely`."""
    with open_service(remote, _NAME) as service:
        known = {str(model["id"]): model for model in service.models()}
        for id in ids:
            _check(id, known)
        for id in ids:
            since = service.hello().last_seq
            service.remove_model(id)
            for event in service.watch(None, since=since, thumbnails=False):
                if event.kind == "model" and event.data.get("id") == id:
                    if event.data.get("state") == "failed":
                        raise ServiceError("conflict", f"{id}: {event.data.get('error')}")
                    if event.data.get("state") == "absent":
                        break
            click.echo(f"{id}: removed")
