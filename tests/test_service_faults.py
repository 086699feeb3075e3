"""Nothing is lost, whatever dies: every fault 20 times at random moments (`benchmarks/soak.py`: 200 times)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from service_faults import FAULTS, ground

ROUNDS = 20


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the faults are made with Linux' means")
@pytest.mark.parametrize("name", FAULTS)
def test_no_job_is_lost_and_no_result_damaged(name: str, tmp_path: Path) -> None:
    if name == "full disk" and not _can_mount(tmp_path):
        pytest.skip("a small disk cannot be mounted here")
    with ground(tmp_path, seed=len(name)) as here:
        FAULTS[name](here, ROUNDS)


def _can_mount(folder: Path) -> bool:
    """Root may, unless a container forbids it."""
    place = folder / "probe"
    place.mkdir()
    try:
        mounted = subprocess.run(("mount", "-t", "tmpfs", "tmpfs", str(place)), capture_output=True)
    except FileNotFoundError:
        return False
    if mounted.returncode == 0:
        subprocess.run(("umount", str(place)), check=True)
    return mounted.returncode == 0
