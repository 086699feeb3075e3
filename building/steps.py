"""Running commands, and ending with a sentence when one fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run a command; a failure ends this program with the same exit code. `env` is added to the environment."""
    code = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **(env or {})}
    ).returncode
    if code:
        sys.exit(code)


def fail(sentence: str) -> NoReturn:
    """End the program with an error that says what to do."""
    sys.exit(f"error: {sentence}")


def may_install_packages() -> bool:
    """Whether Debian's packages can be installed without asking anybody."""
    return shutil.which("apt-get") is not None and hasattr(os, "geteuid") and os.geteuid() == 0


def apt_install(*packages: str) -> None:
    """Install Debian's packages; `may_install_packages` says whether this can work."""
    run("apt-get", "update", "-qq")
    run(
        *("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages),
        env={"DEBIAN_FRONTEND": "noninteractive"},
    )
