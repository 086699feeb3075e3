"""What the service prints may be read by anybody or nobody; it goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from service_support import until

_LOGS = """
import logging, sys
from pathlib import Path
from splinescape.service.logs import service_log
from splinescape.service.settings import ServiceSettings

with service_log(ServiceSettings(data_dir=Path(sys.argv[1]))):
    for number in range(int(sys.argv[2])):
        logging.getLogger("splinescape").info("line %d %s", number, "x" * 100)
print("went on")
"""


def log_lines(folder: Path, count: int) -> list[str]:
    return [sys.executable, "-c", _LOGS, str(folder), str(count)]


def test_a_stderr_that_nobody_reads_holds_nothing_up(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        process = subprocess.run(
            log_lines(tmp_path, 3000), stdout=subprocess.PIPE, stderr=writing, timeout=60
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert process.stdout == b"went on\n" and process.returncode == 0
    assert "line 2999" in (tmp_path / "logs" / "service.log").read_text()


def test_all_lines_are_on_stderr_when_the_service_ends(tmp_path: Path) -> None:
    process = subprocess.run(log_lines(tmp_path, 50), capture_output=True, text=True, timeout=60)
    assert process.stdout == "went on\n"
    lines = process.stderr.splitlines()
    assert len(lines) == 50 and "INFO splinescape: line 49" in lines[-1]


def test_a_service_whose_ready_line_nobody_reads_serves_all_the_same(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    options = ("--data", str(tmp_path), "--device", "cpu")
    process = subprocess.Popen(
        [*(sys.executable, "-m", "splinescape.cli.main", "serve"), *options],
        stdout=writing,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    log = tmp_path / "logs" / "service.log"
    until(lambda: log.exists() and "ready at" in log.read_text(), what="the service")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
