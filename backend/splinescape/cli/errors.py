"""Everything that goes wrong for a reason a user can change becomes one line on stderr and exit code 2."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from splinescape.cli.options import allowed, flag_of
from splinescape.config import SceneConfig
from splinescape.errors import SplinescapeError, is_out_of_memory
from splinescape.io.atomic import write_error


def explain(error: BaseException) -> str | None:
    """Say what was wrong and what to do, in one line; None for errors that are our own fault."""
    if isinstance(error, ValidationError):
        return "; ".join(_explain_setting(detail) for detail in error.errors())
    if isinstance(error, SplinescapeError):
        return " ".join(str(error).split())
    if is_out_of_memory(error):
        return f"not enough memory: lower --max-resolution{_model_memory()} or close other programs"
    if isinstance(error, OSError):
        return _explain_os_error(error)
    return None


def _model_memory() -> str:
    """A further cure where this process has made a diffusion model; nothing else imports that module."""
    made = "splinescape.inpaint.diffusion.engine" in sys.modules
    return ", hold the diffusion model in less with --model-memory stream" if made else ""


def _explain_setting(detail: Any) -> str:
    """One line for one entry of `ValidationError.errors()`."""
    field = detail["loc"][0] if detail["loc"] else None
    if field not in SceneConfig.model_fields:
        text = detail["msg"].removeprefix("Value error, ")
        for name in sorted(SceneConfig.model_fields, key=len, reverse=True):
            text = text.replace(name, flag_of(name))
        return text
    flag, accepts = flag_of(str(field)), allowed(str(field))
    return f"{flag} must be {accepts}, not {detail['input']}" if accepts else f"{flag}: {detail['msg']}"


def _explain_os_error(error: OSError) -> str:
    if error.errno is None and "requested and" in str(error):  # how numpy reports a short write
        error = OSError(errno.ENOSPC, "No space left on device", error.filename)
    return str(write_error(Path(error.filename or "the output"), error))
