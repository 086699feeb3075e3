"""One event, many listeners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def to_all(listeners: Sequence[Callable[[T], None]]) -> Callable[[T], None]:
    """A listener that passes what it hears to each of `listeners`, in order."""

    def tell(item: T) -> None:
        for listen in listeners:
            listen(item)

    return tell
