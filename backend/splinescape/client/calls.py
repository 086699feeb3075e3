"""What a request has come to: every method of the client returns a `Call` at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from splinescape.errors import CancelledError, SplinescapeError
from splinescape.protocol.wire import new_id

log = logging.getLogger(__name__)

T = TypeVar("T")


class Call(Generic[T]):
    """One thing that the service was asked for.

    Attributes:
        id: of the request; it stays the same however often the request is sent.
        name: the call, such as "submit".
        done: whether there is a result or an error.
        result: what came of it, None until then and when it failed.
        error: why it failed: ServiceError for what the service or the connection is to blame for, InputError for
            what was given, CancelledError after `cancel`.
        progress: how much of it is done and how much there is, in bytes for transfers; (0, 0) while unknown.
    """

    def __init__(self, name: str) -> None:
        self.id = new_id()
        self.name = name
        self.done = False
        self.result: T | None = None
        self.error: SplinescapeError | None = None
        self.progress = (0, 0)
        self._listeners: list[Callable[[Call[T]], object]] = []
        self._abandon: Callable[[], None] | None = None

    def __repr__(self) -> str:
        state = (
            "done"
            if self.done and self.error is None
            else f"failed: {self.error}"
            if self.done
            else "waiting"
        )
        return f"<Call {self.name} {state}>"

    def get(self) -> T:
        """The result of a call that is done.

        Raises:
            SplinescapeError: the call's error.
            RuntimeError: it is not done yet.
        """
        if self.error is not None:
            raise self.error
        if not self.done:
            raise RuntimeError(f"the call '{self.name}' is not done: poll the client until it is")
        return self.result  # type: ignore[return-value]  # a call may well result in None

    def on_done(self, listener: Callable[[Call[T]], object]) -> None:
        """Have `listener(call)` called when the call is done, from within `poll` as a rule; at once if it is."""
        if self.done:
            self._tell(listener)
        else:
            self._listeners.append(listener)

    def cancel(self) -> None:
        """Wait for it no longer; its error becomes CancelledError.

        What the service was asked for already may happen nevertheless; a job is cancelled with `Client.cancel`.
        """
        self._finish(None, CancelledError(f"the call '{self.name}' was given up"))

    # For the client only.

    def _while_open(self, abandon: Callable[[], None]) -> None:
        """Have `abandon()` called when the call is done for whatever reason, to let go of what works for it."""
        self._abandon = abandon

    def _succeed(self, result: T) -> None:
        self._finish(result, None)

    def _fail(self, error: SplinescapeError) -> None:
        self._finish(None, error)

    def _finish(self, result: T | None, error: SplinescapeError | None) -> None:
        if self.done:
            return
        self.done, self.result, self.error = True, result, error
        abandon, self._abandon = self._abandon, None
        if abandon is not None:
            abandon()
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            self._tell(listener)

    def _tell(self, listener: Callable[[Call[T]], object]) -> None:
        try:
            listener(self)
        except Exception:  # a listener's mistake must not end whoever polls
            log.exception("a listener of the call '%s' failed", self.name)
