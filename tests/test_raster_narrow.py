"""The CPU rasteriser as compiled for a processor without AVX-512, wherever the tests run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """
import llvmlite.binding
full = llvmlite.binding.get_host_cpu_features
def narrow():
    features = full()
    for name in features:
        if name.startswith(("avx512", "avx10")):
            features[name] = False
    return features
llvmlite.binding.get_host_cpu_features = narrow
from test_raster_cpu import DEGENERATE, assert_agrees, random_case
from splinescape.raster.cpu.vec import LANES
assert LANES == 8
for case in (random_case(n=150), DEGENERATE["needles"], DEGENERATE["no splats"], DEGENERATE["one row"]):
    assert_agrees(case)
"""


@pytest.mark.slow
def test_eight_lanes_match_the_reference_too(tmp_path: Path) -> None:
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent)}
    result = subprocess.run(
        [sys.executable, "-c", _SCRIPT], env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
