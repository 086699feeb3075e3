"""What the manual says about talking to a service from Python, run as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from service_support import RunningService

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="puts the folder for application data elsewhere")
def test_the_examples_for_a_service_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
    section = page.split("## Use a service")[1].split("\n## ")[0]
    examples = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(examples) == 2
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "share").mkdir()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    service = RunningService(tmp_path / "share" / "splinescape", "--device", "cpu")
    try:
        ran = subprocess.run(
            [sys.executable, "-c", "\n".join(examples)],
            cwd=tmp_path,
            env=dict(os.environ),
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        assert service.stop() == 0
    finally:
        service.close()
    assert {path.name for path in (tmp_path / "out" / "fetched").iterdir()} >= {
        "gf.ply",
        "gf.spz",
        "summary.json",
    }
    lines = ran.stdout.splitlines()
    assert lines[-1] == str(Path("out") / "small.ply") or lines[-1] == str(tmp_path / "out" / "small.ply")
    assert "done" in lines
    for kind in ("stage", "progress", "frame", "scene", "summary", "results"):
        assert re.search(rf"^[0-9]+ {kind} ", ran.stdout, re.MULTILINE), kind
    assert re.search(r"^connected frame ", ran.stdout, re.MULTILINE)
