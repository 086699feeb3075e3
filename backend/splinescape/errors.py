"""Errors that a user can act on.

Every message says what was wrong and what to do about it, in one line; the command line prints it as it is.
"""


class SplinescapeError(Exception):
    """Base of all errors that Splinescape raises on purpose."""


class InputError(SplinescapeError, ValueError):
    """A picture, path, file or setting that cannot be used."""


class EngineUnavailableError(SplinescapeError):
    """An engine was asked for by name but cannot run on this machine."""


class CancelledError(SplinescapeError):
    """The caller's cancel event was set; finished frames stay on disk."""
