"""What can go wrong with model files."""

from __future__ import annotations

from splinescape.errors import SplinescapeError
from splinescape.protocol.errors import ErrorCode


class ModelError(SplinescapeError):
    """A model cannot be fetched, found or changed; the text says why and what to do, in one line.

    Attributes:
        code: one of the protocol's `ErrorCode`, for programs.
    """

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code: ErrorCode = code
