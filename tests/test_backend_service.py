"""The local service as the extension runs it: real processes, killed at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from service_support import PATH_JSON, TINY, RunningService, picture_png

from addon.backend.choice import Choice
from addon.backend.connect import Backend
from addon.backend.errors import BackendError
from addon.backend.service import LocalBackend
from splinescape.protocol.connection import Connection, write_connection

PYTHON = Path(sys.executable)
ROOT = Path(__file__).resolve().parent.parent


def wait(tick: Callable[[], object], condition: Callable[[], object], seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "in vain"
        tick()
        time.sleep(0.02)


def alive(pid: int | None) -> bool:
    try:
        return pid is not None and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_all(folder: Path) -> None:
    """Kill what works on a folder."""
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in part for part in process.info["cmdline"] or ()):
            process.kill()


class Blender:
    """What an extension does with its backend, without Blender."""

    def __init__(self, folder: Path, python: Path | None = PYTHON, own: bool = False) -> None:
        self.wanted = Choice("LOCAL", folder, python=python, own=own, device="cpu")
        self.backend = Backend(lambda: self.wanted)

    def tick(self) -> None:
        self.backend.tick()
        client = self.backend.client()
        if client is not None:
            client.pump()

    def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        wait(self.tick, condition, seconds)

    def start(self) -> None:
        self.backend.start()
        self.until(self.backend.connected)


@pytest.fixture
def blender(tmp_path: Path) -> Iterator[Blender]:
    blender = Blender(tmp_path / "jobs")
    yield blender
    blender.backend.close()
    end_all(tmp_path)


@pytest.mark.slow
def test_it_starts_without_waiting_and_says_what_it_is(blender: Blender) -> None:
    began = time.perf_counter()
    blender.backend.start()
    assert time.perf_counter() - began < 0.5
    assert blender.backend.status() == "Starting..."
    assert blender.backend.why_unavailable() == ""  # requests wait for the connection
    blender.until(lambda: "CPU" in blender.backend.status() and "cpu" not in blender.backend.status())
    assert blender.backend.status().startswith("Connected to this machine: CPU")
    assert blender.backend.status().endswith("built-in engines")
    local = blender.backend.local()
    assert local is not None
    pid = local.pid
    blender.backend.start()
    assert local.pid == pid


@pytest.mark.slow
def test_killed_at_any_moment_it_says_so_and_starts_again(blender: Blender) -> None:
    local = blender.backend.local()
    assert local is not None
    for after in (0.0, 0.3, 0.8, 1.5):
        blender.backend.start()
        ends = time.monotonic() + after
        while time.monotonic() < ends:
            blender.tick()
        assert local.pid is not None
        os.kill(local.pid, signal.SIGKILL)
        blender.until(lambda: local.state == "waiting", 5)
        assert "killed (signal 9)" in blender.backend.status()
        blender.until(blender.backend.connected)
        blender.backend.stop()
        blender.until(lambda: local.state == "stopped" and not blender.backend.connected())


@pytest.mark.slow
def test_one_that_dies_again_and_again_is_given_up_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("addon.backend.service._FIRST_WAIT_S", 0.05)
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho oops >&2\nkill -9 $$\n")
    fake.chmod(0o755)
    local = LocalBackend(tmp_path / "jobs")
    local.start(fake)
    wait(local.tick, lambda: local.state == "failed", 20)
    assert "tried 4 times" in local.status and "signal 9" in local.status and "\n" not in local.status
    assert not local.busy


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo 'No module named splinescape' >&2; exit 1", "No module named splinescape"),
        ("echo 'error: --device: there is no such GPU' >&2; exit 2", "there is no such GPU"),
        ("exit 3", "open its log"),
    ],
)
def test_a_mistake_is_said_at_once(tmp_path: Path, script: str, expected: str) -> None:
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    local = LocalBackend(tmp_path / "jobs")
    local.start(fake)
    wait(local.tick, lambda: local.state == "failed", 10)
    assert expected in local.status


def test_two_blenders_on_one_folder_leave_each_others_files_and_a_connected_one_is_not_killed(
    tmp_path: Path,
) -> None:
    logs = tmp_path / "jobs" / "logs"
    logs.mkdir(parents=True)
    others, outdated = logs / "start-1.json", logs / "start-2.json"
    for file in (others, outdated):
        file.write_text('{"event": "ready"}\n')
    os.utime(outdated, (0, 0))
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    local = LocalBackend(tmp_path / "jobs")
    local.start(fake)
    try:
        assert others.exists() and not outdated.exists()
        assert (logs / f"start-{os.getpid()}.json").exists()
        local.tick()
        assert local.state == "starting"
        local.tick(connected=True)
        assert local.state == "running"
    finally:
        local.stop()
        wait(local.tick, lambda: local.state == "stopped", 10)


def test_a_python_that_is_gone_and_a_folder_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="could not be started"):
        LocalBackend(tmp_path / "jobs").start(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match="could not be started"):
        LocalBackend(tmp_path / "file" / "jobs").start(PYTHON)


@pytest.mark.slow
def test_a_service_that_runs_already_is_used(blender: Blender, tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    service = RunningService(folder, "--device", "cpu")
    local = blender.backend.local()
    assert local is not None
    local.start(PYTHON, "cpu")  # as from a second Blender, before its client has found the service
    blender.until(lambda: local.pid is None and local.state == "running")
    assert blender.backend.connected()
    assert service.process.poll() is None
    blender.backend.stop()
    blender.until(lambda: not blender.backend.connected())
    assert service.process.wait(20) == 0
    service.close()


BLENDER_THAT_DIES = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from addon.backend.choice import Choice
from addon.backend.connect import Backend
wanted = Choice("LOCAL", Path(sys.argv[2]), python=Path(sys.executable), device="cpu")
backend = Backend(lambda: wanted)
backend.start()
while not backend.connected():
    backend.tick(); backend.client().pump(); time.sleep(0.02)
call = backend.client().submit(sys.argv[3], Path(sys.argv[4]).read_text(), %r)
while not call.done:
    backend.client().pump(); time.sleep(0.02)
print(backend.local().pid, call.get(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_job_outlives_the_blender_that_has_started_it(blender: Blender, tmp_path: Path) -> None:
    (tmp_path / "room.png").write_bytes(picture_png())
    (tmp_path / "path.json").write_text(PATH_JSON)
    code = BLENDER_THAT_DIES % ({**TINY, "n_frames": 8, "max_resolution": 128},)
    command = (
        sys.executable,
        "-c",
        code,
        ROOT,
        tmp_path / "jobs",
        tmp_path / "room.png",
        tmp_path / "path.json",
    )
    died = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert died.returncode == -signal.SIGKILL, died.stderr
    pid, job = died.stdout.split()
    assert alive(int(pid))
    blender.until(blender.backend.connected)
    client = blender.backend.client()
    assert client is not None
    while True:
        asked = client.status(job)
        blender.until(lambda asked=asked: asked.done)
        if asked.get().final:
            break
    assert asked.get().state == "done"
    assert alive(int(pid))  # the same service all the time


@pytest.mark.slow
def test_an_environment_of_ones_own_is_looked_at_before_it_is_started(
    blender: Blender, tmp_path: Path
) -> None:
    blender.wanted = Choice("LOCAL", tmp_path / "jobs", python=PYTHON, own=True, device="cpu")
    blender.backend.start()
    assert blender.backend.status() == "Looking at the environment..."
    blender.until(blender.backend.connected)
    blender.backend.stop()
    blender.until(lambda: not blender.backend.connected())
    blender.wanted = Choice("LOCAL", tmp_path / "jobs", python=Path("/bin/false"), own=True)
    blender.backend.start()
    blender.until(lambda: "is not a Python" in blender.backend.status())
    assert "is not a Python" in blender.backend.why_unavailable()
    blender.until(lambda: not blender.backend.busy)


@pytest.mark.slow
def test_another_choice_is_another_client_and_the_old_one_is_closed(blender: Blender, tmp_path: Path) -> None:
    blender.start()
    before = blender.backend.client()
    assert before is not None and blender.backend.client() is before
    blender.wanted = Choice("FILE", tmp_path / "jobs")
    assert blender.backend.client() is None
    assert "No connection file chosen" in blender.backend.status()
    late = before.models()
    assert late.done and late.error is not None  # it is closed
    blender.wanted = Choice("FILE", tmp_path / "jobs", connection_file=tmp_path / "jobs" / "connection.json")
    blender.until(blender.backend.connected)
    assert blender.backend.status().startswith("Connected to connection.json")
    blender.wanted = Choice("FILE", tmp_path / "jobs", connection_file=tmp_path / "gone.json")
    blender.until(lambda: blender.backend.status().startswith("Not connected: "))
    assert "gone.json" in blender.backend.why_unavailable()


@pytest.mark.slow
def test_events_are_told_once_whoever_polls(blender: Blender) -> None:
    blender.start()
    client = blender.backend.client()
    assert client is not None
    client.watch(None, since=0)
    submitted = client.submit(picture_png(), None, {"stage": "no-outpaint", "max_resolution": 32})
    blender.until(lambda: submitted.done)
    seen: list[int] = []
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        client.pump()  # the preferences
        events = client.poll()  # the panel
        seen += [event.seq for event in events]
        if any(event.final for event in events):
            break
        time.sleep(0.01)
    assert len(seen) > 3 and seen == sorted(set(seen))


def test_while_blender_is_to_stay_offline_no_other_machine_is_talked_to(tmp_path: Path) -> None:
    key = "0" * 40
    files = {}
    for host in ("192.168.1.20", "127.0.0.1"):
        files[host] = tmp_path / f"{host}.json"
        write_connection(files[host], Connection(f"tcp://{host}:5750", key, key, key))
    offline = "Online access is off: switch it on"
    blender = Blender(tmp_path)
    blender.wanted = Choice("FILE", tmp_path, files["192.168.1.20"], offline=offline)
    assert blender.backend.client() is None
    assert blender.backend.status() == blender.backend.why_unavailable() == offline
    blender.wanted = Choice("FILE", tmp_path, files["127.0.0.1"], offline=offline)  # such as an SSH tunnel
    assert blender.backend.client() is not None
    blender.wanted = Choice("FILE", tmp_path, files["192.168.1.20"])
    assert blender.backend.client() is not None
    blender.backend.close()


def test_nothing_is_begun_by_asking(tmp_path: Path) -> None:
    blender = Blender(tmp_path / "jobs", python=None)
    backend = blender.backend
    assert "click Install Backend" in backend.status()
    assert "click Install Backend" in backend.why_unavailable()
    assert backend.client() is None and not backend.busy
    with pytest.raises(BackendError, match="Install Backend"):
        backend.start()
    assert not (tmp_path / "jobs").exists()
    blender.wanted = Choice("LOCAL", tmp_path / "jobs", python=PYTHON)
    assert backend.why_unavailable() == "" and "Start Backend" in backend.status()
    assert not (tmp_path / "jobs").exists()
    backend.close()
