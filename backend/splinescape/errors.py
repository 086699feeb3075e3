"""Errors that a user can act on.

Every message says what was wrong and what to do about it, in one line; the command line prints it as it is.
"""


class SplinescapeError(Exception):
    """Base of all errors that Splinescape raises on purpose."""


class InputError(SplinescapeError, ValueError):
    """A picture, path, file or setting that cannot be used."""


class EngineUnavailableError(SplinescapeError):
    """An engine was asked for by name but cannot run on this machine."""


class NotEnoughMemoryError(EngineUnavailableError):
    """An engine that was chosen finds that there is no longer the memory for it."""


class CancelledError(SplinescapeError):
    """The caller's cancel event was set; finished frames stay on disk."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out, on this machine or on its device, in `error` or in what caused it."""
    while error is not None:
        if (
            isinstance(error, (MemoryError, NotEnoughMemoryError))
            or type(error).__name__ == "OutOfMemoryError"
        ):
            return True
        if isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY):
            return True
        error = error.__cause__
    return False


_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What torch says in a plain RuntimeError."""
