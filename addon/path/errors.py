"""What can be wrong with a camera path."""

from __future__ import annotations


class PathError(ValueError):
    """The camera path cannot be used; the message is one sentence that says what to do."""


class SlowPathError(PathError):
    """Reading the path takes longer than may be waited for."""
