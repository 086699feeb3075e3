"""Nothing is lost, whatever dies: every fault 20 times at random moments (`benchmarks/soak.py`: 200 times)."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from service_faults import FAULTS, ground

ROUNDS = 20


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the faults are made with Linux' means")
@pytest.mark.parametrize("name", FAULTS)
def test_no_job_is_lost_and_no_result_damaged(name: str, tmp_path: Path) -> None:
    if name == "full disk" and (os.geteuid() != 0 or shutil.which("mount") is None):
        pytest.skip("a small disk can be mounted by root only")
    with ground(tmp_path, seed=len(name)) as here:
        FAULTS[name](here, ROUNDS)
