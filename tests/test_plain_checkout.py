"""A checkout works as it is, without being installed: the package, the command line, the benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HIDDEN = """
import sys
from importlib import metadata
sys.path.insert(0, {backend!r})
real = metadata.version
def version(name):
    if name == "splinescape":
        raise metadata.PackageNotFoundError(name)
    return real(name)
metadata.version = version
"""
"""As where splinescape was never installed."""


def run(code: str, *, seconds: float = 120) -> str:
    hidden = HIDDEN.format(backend=str(ROOT / "backend"))
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", hidden + code], capture_output=True, text=True, timeout=seconds, env=env
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_checkout_that_is_not_installed_says_so_in_its_version() -> None:
    code = "import splinescape, splinescape.pipeline, splinescape.jit; print(splinescape.__version__)"
    assert run(code).split() == ["0.0.0+source"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["gpu_scaling --help", "gpu_pipeline --help", "flux_memory --help", "flux_memory --tiny"]
)
def test_benchmarks_of_the_gpu_need_no_installation(command: str, tmp_path: Path) -> None:
    """They run on machines where nothing of this is installed."""
    name, *arguments = command.split()
    if "--tiny" in arguments:
        pytest.importorskip("diffusers")
    script = str(ROOT / "benchmarks" / f"{name}.py")
    run(
        f"import os, runpy; os.chdir({str(tmp_path)!r}); sys.argv[:] = {[script, *arguments]!r}\n"
        "try:\n    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end:\n    raise SystemExit(end.code)\n"
    )
