"""Install Backend, for real: into a fresh folder, with Blender's own Python and this machine's package index."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from conftest import MODULE
from test_preferences import backend, error_of, module, preferences, until  # noqa: F401 - a fixture

pytestmark = pytest.mark.skipif(
    bpy.app.version >= (4, 3),
    reason="takes minutes, and all supported Blenders install the same way: once is enough",
)


@pytest.fixture
def online(preferences: Any) -> Any:  # noqa: F811
    """As after allowing online access."""
    bpy.context.preferences.system.use_online_access = True
    assert bpy.app.online_access
    return preferences


def below(home: Path) -> list[int]:
    """Processes that have something to do with a folder."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            if each.name.isdecimal() and str(home).encode() in (each / "cmdline").read_bytes():
                found.append(int(each.name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the tests install, one after the other."""
    folder = tmp_path_factory.mktemp("a folder with spaces") / "backend"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_a_cancelled_installation_leaves_nothing_that_runs_or_counts(online: Any, folder: Path) -> None:
    online.environment_folder = str(folder)
    install = backend().installer
    install.begin(*module("preferences").installation())
    until(lambda: install.text.startswith("Installing PyTorch"), 120)
    assert below(folder)
    assert "%" in backend().status()
    assert "is being installed" in error_of(bpy.ops.splinescape.install_backend)
    assert bpy.ops.splinescape.cancel_install() == {"FINISHED"}
    until(lambda: not below(folder), 10)
    assert install.state == "cancelled"
    assert "click Install Backend" in backend().status()
    assert not (folder / "environment.json").exists()
    assert list(folder.glob("env-*"))  # half made: the next one begins by deleting it


@pytest.mark.slow
def test_an_installation_whose_blender_dies_ends_too(online: Any, folder: Path) -> None:
    online.environment_folder = str(folder)
    install = backend().installer
    install.begin(*module("preferences").installation())
    until(lambda: install.text.startswith("Making the environment"), 60)
    install._process.stdin.close()  # which the system does when a process dies
    until(lambda: not install.running and not below(folder), 10)
    assert install.state == "failed" and "Install Backend again" in install.text


@pytest.mark.slow
def test_the_button_installs_a_backend_that_starts_and_answers(online: Any, folder: Path) -> None:
    online.environment_folder = str(folder)
    assert bpy.ops.splinescape.install_backend() == {"FINISHED"}
    assert [each.name for each in folder.glob("env-*")] == [
        json.loads((folder / "environment.json").read_text())["folder"]
    ]
    assert not (folder / "cache").exists()
    assert "it starts with the first scene" in backend().status()
    assert bpy.ops.splinescape.start_backend() == {"FINISHED"}
    until(lambda: "CPU" in backend().status())
    assert backend().status().startswith("Connected to this machine: CPU")
    assert "stop it first" in error_of(bpy.ops.splinescape.remove_backend)
    os.kill(backend().local().pid, signal.SIGKILL)
    until(lambda: not backend().connected())
    until(backend().connected)
    bpy.ops.splinescape.stop_backend()

    stamp = folder / "environment.json"
    stamp.write_text(stamp.read_text().replace('"splinescape": "', '"splinescape": "0.0.'))
    assert "Out of date" in backend().status() and "click Install Again" in backend().status()
    assert "Out of date" in error_of(bpy.ops.splinescape.start_backend)

    assert bpy.ops.splinescape.remove_backend() == {"FINISHED"}
    assert "click Install Backend" in backend().status()
    assert not list(folder.glob("env-*")) and not list(folder.glob("removed-*"))
    assert MODULE in bpy.context.preferences.addons
