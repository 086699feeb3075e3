"""What a request can be answered with instead of a result."""

from __future__ import annotations

from typing import Literal

from splinescape.errors import SplinescapeError

ErrorCode = Literal[
    "bad_message",  # not a message of this protocol
    "bad_input",  # understood, but the picture, path or a setting cannot be used
    "version",  # the two sides speak different major versions
    "not_allowed",  # the key is unknown or was revoked
    "rate",  # too many messages
    "too_large",  # over a limit of the service's settings
    "not_found",  # no such job, file or model
    "conflict",  # not possible in the job's state
    "superseded",  # a newer request or file took its place
    "disk_full",
    "unavailable",  # no worker can do it now
    "lost",  # no answer in time; only the client itself says this
    "internal",
]


class ServiceError(SplinescapeError):
    """The service refused or could not answer.

    Attributes:
        code: one of `ErrorCode`, for programs. The text is for people and says what to do.
    """

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code: ErrorCode = code
