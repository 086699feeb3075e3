"""Text for clients, which may be anywhere: where things lie on the service's machine is not their business."""

from __future__ import annotations

import os
import re
from pathlib import Path

from splinescape.models.folders import default_root

_NAME = r"[\w.+@%~-]+"
_PATH = re.compile(
    # Not after a word, a dot or a slash: relative paths and addresses of the web stay.
    r"(?<![\w./\\~-])(?:~|[A-Za-z]:|\\\\" + _NAME + r")?[/\\](?![/\\])"
    # A folder's name may have a few spaces, where a separator follows.
    rf"(?:{_NAME}(?: {_NAME}){{0,3}}[/\\])*"
    rf"({_NAME})[/\\]?"
)


def discreet(text: str) -> str:
    """A reason or error without absolute paths: of a model's file its place among the models stays, else its name."""
    root = str(default_root())
    text = text.replace(root + os.sep, "").replace(root, "the models' folder")
    text = text.replace(str(Path.home()) + os.sep, f"~{os.sep}")  # a user's name may have anything in it
    return _PATH.sub(lambda found: str(found[1]), text)
