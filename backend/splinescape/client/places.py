"""Where the connection file of this machine's own service lies."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def default_connection() -> Path:
    """The connection file that `splinescape serve` writes when it is not told another folder.

    It lies in the system's folder for application data, where platformdirs, which is not at hand in Blender, says too.
    """
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        given = os.environ.get("XDG_DATA_HOME", "").strip()
        base = Path(given) if given else Path.home() / ".local" / "share"
    return base / "splinescape" / "connection.json"
