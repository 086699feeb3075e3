"""Which real Blenders with a window can run here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TREES = ROOT / ".cache" / "blender-gui"
SUITES = ("trixie", "sid")
MOVING = "sid"
"""Debian's unstable suite: for days, Blender may not be installable there."""


def why_not() -> str:
    """Why no tree can be made on this machine; empty when it can."""
    if not sys.platform.startswith("linux") or not Path("/etc/debian_version").exists():
        return "a Blender with a window is made from Debian's packages, on Debian only"
    if os.geteuid() != 0:
        return "making a Debian tree and entering it needs root"
    return ""


def make_tree(suite: str) -> Path:
    """The wrapper that runs a command in the suite's tree, which is made now unless it exists; OSError if it fails."""
    script = Path(__file__).with_name("make_tree.sh")
    ran = subprocess.run(
        ["bash", str(script), str(TREES / suite), suite],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if ran.returncode:
        raise OSError(f"no tree of Debian {suite}: {ran.stdout[-1500:]}")
    return TREES / f"{suite}.run"
