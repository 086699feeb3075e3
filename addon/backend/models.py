"""The models that the backend knows: what is there, and fetching and deleting on request."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .errors import BackendError

if TYPE_CHECKING:
    from splinescape.client import Call, Event

    from .shared import SharedClient

_FRESH_S, _FRESH_WHILE_FETCHING_S = 10.0, 1.0
_GATED = "ask for access on its page at huggingface.co, then store a token with 'hf auth login' or HF_TOKEN"


@dataclass(frozen=True)
class Model:
    """A model as it stands where the backend runs.

    Attributes:
        role: "inpaint" or "depth". state: "absent", "partial", "complete" or "damaged".
        size: bytes of the whole, None while nobody knows. on_disk: bytes that are there.
        accepted: its licence was accepted or need not be. gated: its publisher hands it out to accounts only.
        fetching: a download is under way, with `done` of `total` bytes. error: why the latest one failed.
    """

    id: str
    role: str = ""
    summary: str = ""
    licence: str = ""
    licence_url: str = ""
    repo: str = ""
    non_commercial: bool = False
    gated: bool = False
    accepted: bool = True
    state: str = "absent"
    size: int | None = None
    on_disk: int = 0
    problem: str = ""
    local: bool = False
    fetching: bool = False
    done: int = 0
    total: int = 0
    error: str = ""

    @property
    def fraction(self) -> float:
        """How much of it is there, from 0 to 1."""
        total = self.total or self.size or 0
        return min(1.0, max(self.done, self.on_disk) / total) if total else 0.0

    @property
    def hint(self) -> str:
        """What to know before it is fetched."""
        return f"Gated: {_GATED}" if self.gated else ""


def read_model(data: Mapping[str, Any]) -> Model | None:
    """Read a model of the service's list; None when it has no id. What this version does not know is ignored."""
    if not isinstance(data.get("id"), str):
        return None
    known = {name: data[name] for name in Model.__dataclass_fields__ if data.get(name) is not None}
    return replace(Model(**known), fetching=bool(data.get("downloading")))


class Models:
    """The list of models, kept up to date through the shared client. Never waits."""

    def __init__(self) -> None:
        self.all: tuple[Model, ...] = ()
        self.error = ""
        self._list: Call[Any] | None = None
        self._client: SharedClient | None = None
        self._asked_at = float("-inf")
        self._said: dict[str, dict[str, Any]] = {}
        self._watching = False

    def get(self, id: str) -> Model | None:
        """A model by its id."""
        return next((model for model in self.all if model.id == id), None)

    @property
    def fetching(self) -> bool:
        """Whether a download is under way."""
        return any(model.fetching for model in self.all)

    def use(self, client: SharedClient | None) -> None:
        """Ask another service from now on."""
        if client is self._client:
            return
        self._client, self._list, self.all = client, None, ()
        self._asked_at, self._watching = float("-inf"), False
        self._said.clear()
        if client is not None:
            client.listener = self.hear

    def tick(self, wanted: bool) -> None:
        """Do what is due.

        Args:
            wanted: somebody looks at the list; without that, only downloads are followed.
        """
        client = self._client
        if client is None or client.state != "connected":
            return
        if self._list is not None and self._list.done:
            self._take(self._list)
        fresh = _FRESH_WHILE_FETCHING_S if self.fetching else _FRESH_S
        due = time.monotonic() - self._asked_at >= fresh
        if self._list is None and due and (wanted or self.fetching):
            self._asked_at = time.monotonic()
            self._list = client.models()
        self._watch(client)

    def _watch(self, client: SharedClient) -> None:
        """Events tell how far downloads are and why they fail; they are wanted while there are any."""
        if self.fetching and not self._watching:
            client.watch(None, since=None, thumbnails=False)
        elif self._watching and not self.fetching:
            client.unwatch(None)
        self._watching = self.fetching

    def _take(self, call: Call[Any]) -> None:
        self._list = None
        if call.error is not None:
            self.error = str(call.error)
            return
        self.error = ""
        listed = (read_model(data) for data in call.result or ())
        self.all = tuple(self._with_said(model) for model in listed if model is not None)

    def _with_said(self, model: Model) -> Model:
        said = self._said.get(model.id, {})
        error = str(said.get("error") or "") if said.get("state") == "failed" and not model.fetching else ""
        return replace(model, done=int(said.get("done") or 0), total=int(said.get("total") or 0), error=error)

    def hear(self, event: Event) -> None:
        """Take an event of the service."""
        id = event.data.get("id")
        if event.kind != "model" or not isinstance(id, str):
            return
        self._said[id] = dict(event.data)
        over = event.data.get("state") in ("complete", "failed", "cancelled", "absent")
        self.all = tuple(
            self._with_said(replace(model, fetching=not over)) if model.id == id else model
            for model in self.all
        )
        if over:
            self.refresh()

    def refresh(self) -> None:
        """Ask for the list again at the next turn."""
        self._asked_at = float("-inf")

    def download(self, id: str, accept_licence: bool = False) -> Call[None]:
        """Have the service fetch a model.

        Raises:
            BackendError: there is no connection, or the licence has to be accepted first.
        """
        client, model = self._connected(), self.get(id)
        if model is not None and not model.accepted and not accept_licence:
            raise BackendError(
                f"The licence of {id} ({model.licence}) forbids commercial use: read {model.licence_url} and accept it"
            )
        self._said.pop(id, None)
        self.all = tuple(replace(each, fetching=each.fetching or each.id == id) for each in self.all)
        self._watch(client)
        call = client.download_model(id, accept_licence)
        call.on_done(self._began)
        return call

    def _began(self, call: Call[None]) -> None:
        if call.error is not None:
            self.error = str(call.error)
        self.refresh()

    def remove(self, id: str) -> Call[None]:
        """Have the service delete a model's files, or stop fetching it; raises BackendError without a connection."""
        call = self._connected().remove_model(id)
        self._said.pop(id, None)
        call.on_done(lambda _call: self.refresh())
        return call

    def _connected(self) -> SharedClient:
        if self._client is None or self._client.state != "connected":
            raise BackendError("The backend does not run: start it first")
        return self._client
