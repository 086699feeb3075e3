"""The preferences and their buttons, with real processes, on the ways that need no download."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from conftest import MODULE, ROOT

MAIN_PYTHON = Path(os.environ.get("SPLINESCAPE_TEST_PYTHON", ROOT / ".venv" / "bin" / "python"))
"""An environment with the whole backend, which Blender's own does not have."""


def module(name: str) -> Any:
    return importlib.import_module(f"{MODULE}.{name}")


def error_of(operator: Any, **arguments: Any) -> str:
    """What an operator reports when it fails, or why its button cannot be clicked."""
    with pytest.raises(RuntimeError) as caught:
        operator(**arguments)
    return str(caught.value)


def backend() -> Any:
    return module("backend.connect").current_backend()


def until(condition: Any, seconds: float = 30.0) -> None:
    assert module("backend.ticking").wait_for(condition, seconds), backend().status()


@pytest.fixture
def preferences(tmp_path: Path) -> Iterator[Any]:
    """The preferences as they are after installing, with folders of this test's own."""
    bpy.ops.preferences.addon_disable(module=MODULE)
    bpy.ops.preferences.addon_enable(module=MODULE)
    chosen = bpy.context.preferences.addons[MODULE].preferences
    for name in [each.identifier for each in chosen.bl_rna.properties]:
        if name not in ("rna_type", "bl_idname"):
            chosen.property_unset(name)
    chosen.data_folder = str(tmp_path / "jobs")
    chosen.environment_folder = str(tmp_path / "backend")
    chosen.device = "cpu"
    before = bpy.context.preferences.system.use_online_access
    yield chosen
    bpy.context.preferences.system.use_online_access = before
    if bpy.ops.splinescape.stop_backend.poll():
        bpy.ops.splinescape.stop_backend()


@pytest.fixture
def with_environment(preferences: Any) -> Any:
    """As after choosing an environment that has the backend."""
    preferences.environment = "OWN"
    preferences.python = str(MAIN_PYTHON)
    return preferences


@pytest.mark.usefixtures("preferences")
def test_without_an_environment_the_status_says_what_to_click() -> None:
    connect = module("backend.connect")
    assert "click Install Backend" in connect.status_text()
    assert "click Install Backend" in connect.why_unavailable()
    assert connect.current_client() is None
    assert "click Install Backend" in error_of(bpy.ops.splinescape.start_backend)


@pytest.mark.usefixtures("preferences")
def test_without_online_access_nothing_is_installed_and_the_button_says_how_to_allow_it(
    tmp_path: Path,
) -> None:
    bpy.context.preferences.system.use_online_access = False
    assert not bpy.app.online_access
    text = error_of(bpy.ops.splinescape.install_backend)
    assert "Allow Online Access" in text and "My Own Environment" in text
    assert not (tmp_path / "backend").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("with_environment")
def test_an_environment_of_ones_own_starts_answers_and_stops(tmp_path: Path) -> None:
    assert bpy.ops.splinescape.start_backend() == {"FINISHED"}
    connect = module("backend.connect")
    assert connect.status_text().startswith("Connected to this machine: ")
    assert "built-in engines" in connect.status_text() or "no device yet" in connect.status_text()
    assert connect.why_unavailable() == ""
    pid = backend().local().pid
    assert bpy.ops.splinescape.open_backend_log(which="SERVICE") == {"FINISHED"}
    assert bpy.ops.splinescape.stop_backend() == {"FINISHED"}
    assert not Path(f"/proc/{pid}").exists()
    assert (tmp_path / "jobs" / "jobs.sqlite").exists()
    assert connect.status_text().startswith("Not running: ")


@pytest.mark.slow
@pytest.mark.usefixtures("with_environment")
def test_a_killed_backend_is_said_and_started_again_by_itself() -> None:
    bpy.ops.splinescape.start_backend()
    os.kill(backend().local().pid, signal.SIGKILL)
    until(lambda: not backend().connected())
    until(lambda: "killed" in backend().status())
    until(backend().connected)
    assert backend().status().startswith("Connected")


@pytest.mark.slow
@pytest.mark.usefixtures("with_environment")
def test_a_backend_that_somebody_else_started_is_found_and_its_end_is_said(tmp_path: Path) -> None:
    command = (str(MAIN_PYTHON), "-m", "splinescape.cli.main", "serve", "--device", "cpu")
    service = subprocess.Popen(
        (*command, "--data", str(tmp_path / "jobs")), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert service.stdout is not None and service.stdout.readline()
        until(backend().connected)
        assert "runs already" in error_of(bpy.ops.splinescape.start_backend)
        service.kill()
        service.wait()
        until(lambda: not backend().connected())
        until(lambda: "click Start Backend" in backend().status())
        assert bpy.ops.splinescape.start_backend() == {"FINISHED"}
        assert backend().connected()
    finally:
        service.kill()
        service.wait()
        assert service.stdout is not None
        service.stdout.close()


@pytest.mark.slow
def test_switching_the_extension_off_leaves_the_service_to_its_jobs_and_on_finds_it_again(
    with_environment: Any,
) -> None:
    bpy.ops.splinescape.start_backend()
    pid = backend().local().pid
    data, python = with_environment.data_folder, with_environment.python
    bpy.ops.preferences.addon_disable(module=MODULE)
    try:
        assert module("backend.connect").current_client() is None
        assert Path(f"/proc/{pid}").exists()
        bpy.ops.preferences.addon_enable(module=MODULE)
        again = bpy.context.preferences.addons[MODULE].preferences
        again.data_folder, again.environment, again.python = data, "OWN", python
        until(backend().connected)
        assert bpy.ops.splinescape.stop_backend() == {"FINISHED"}
        assert not backend().connected()
    finally:
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGKILL)


@pytest.mark.usefixtures("preferences")
def test_no_timer_and_no_child_is_left_when_the_extension_is_switched_off() -> None:
    ticking = module("backend.ticking")
    bpy.ops.preferences.addon_disable(module=MODULE)
    assert not bpy.app.timers.is_registered(ticking._on_timer)
    assert module("backend.connect").current_backend() is None
    bpy.ops.preferences.addon_enable(module=MODULE)


def test_a_mistake_in_one_turn_of_the_timer_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ticking = module("backend.ticking")
    ticking.wake(looking=True)

    def fails(models_wanted: bool) -> None:  # noqa: ARG001
        raise OSError("the disk is gone")

    monkeypatch.setattr(ticking, "tick", fails)
    assert ticking._on_timer() > 0
    assert "the disk is gone" in caplog.text


def test_a_file_that_is_no_python_is_refused_with_a_sentence(preferences: Any, tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("this is text\n")
    preferences.environment = "OWN"
    preferences.python = str(script)
    until(lambda: "is not a Python" in backend().status(), 10)
    assert "is not a Python" in error_of(bpy.ops.splinescape.start_backend)


def test_an_environment_without_the_backend_is_refused_with_a_sentence(
    preferences: Any, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    preferences.environment = "OWN"
    preferences.python = str(tmp_path / "bare" / "bin" / "python")
    until(lambda: "not installed in the environment" in backend().status(), 20)
    assert "not installed in the environment" in error_of(bpy.ops.splinescape.start_backend)


def test_without_a_connection_file_the_status_asks_for_one(preferences: Any) -> None:
    preferences.backend = "FILE"
    assert "No connection file chosen" in backend().status()
    assert "No connection file chosen" in error_of(bpy.ops.splinescape.test_connection)


@pytest.mark.slow
def test_a_connection_file_with_a_wrong_key_is_said(with_environment: Any, tmp_path: Path) -> None:
    import zmq

    from splinescape.protocol.connection import Connection, read_connection, write_connection

    bpy.ops.splinescape.start_backend()
    real = read_connection(tmp_path / "jobs" / "connection.json")
    public, secret = (key.decode() for key in zmq.curve_keypair())
    strange = Connection(real.endpoint, real.server_key, public, secret, "stranger")
    write_connection(tmp_path / "stranger.json", strange)
    write_connection(tmp_path / "good.json", real)
    with_environment.backend = "FILE"
    with_environment.connection_file = str(tmp_path / "stranger.json")
    assert "does not accept this key" in error_of(bpy.ops.splinescape.test_connection)
    with_environment.connection_file = str(tmp_path / "good.json")
    assert bpy.ops.splinescape.test_connection() == {"FINISHED"}
    assert backend().status().startswith("Connected to good.json")
    assert "is started where it runs" in error_of(bpy.ops.splinescape.start_backend)
    with_environment.backend = "LOCAL"
    until(backend().connected)


@pytest.mark.slow
@pytest.mark.usefixtures("with_environment")
def test_a_model_with_a_licence_against_commercial_use_needs_it_accepted_and_nothing_is_fetched_offline() -> (
    None
):
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        bpy.ops.splinescape.start_backend()
        ticking = module("backend.ticking")
        ends = time.monotonic() + 10
        while not backend().models.all and time.monotonic() < ends:
            ticking.tick(models_wanted=True)
        flux = backend().models.get("flux-fill")
        assert flux.non_commercial and flux.gated and flux.state == "absent"
        bpy.context.preferences.system.use_online_access = False
        assert "Online access is off" in error_of(bpy.ops.splinescape.download_model, model="depth-pro")
        bpy.context.preferences.system.use_online_access = True
        assert "forbids commercial use" in error_of(bpy.ops.splinescape.download_model, model="flux-fill")
        text = error_of(bpy.ops.splinescape.download_model, model="moge-2-vits-normal")
        assert "HF_HUB_OFFLINE" in text or "network" in text or "hub" in text
    finally:
        del os.environ["HF_HUB_OFFLINE"]


@pytest.mark.usefixtures("with_environment")
def test_asking_for_the_state_takes_no_time() -> None:
    connect = module("backend.connect")
    connect.status_text()
    began = time.thread_time()
    for _ in range(100):
        connect.current_client()
        connect.status_text()
        connect.why_unavailable()
    assert (time.thread_time() - began) / 100 < 0.003
