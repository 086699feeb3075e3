"""The real zip, in a Blender that knows nothing of this project: installed, used, switched off and on, removed."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow

JOURNEY = Path(__file__).with_name("extension_journey.py")
OURS = ("zmq", "pyzmq", "splinescape", "_editable", "__editable")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the zips of all platforms, made as a developer makes it."""
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run([sys.executable, str(ROOT / "build.py"), "repository", str(folder)], check=True)
    return folder


@pytest.fixture
def address(repository: Path) -> Iterator[str]:
    """The repository at an address, served by the simplest of servers."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(repository))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.json"
    server.shutdown()
    server.server_close()


def _packages_without_us(folder: Path) -> Path:
    """Links to everything that is installed here, but not to what the extension must bring itself."""
    folder.mkdir()
    for each in Path(numpy.__file__).parents[1].iterdir():
        if each.suffix != ".pth" and not each.name.startswith(OURS):
            (folder / each.name).symlink_to(each)
    return folder


def _journey(tmp_path: Path, kind: str, source: str) -> dict[str, Any]:
    packages = _packages_without_us(tmp_path / "packages")
    ran = subprocess.run(
        [sys.executable, "-I", "-S", str(JOURNEY), str(packages), kind, source],
        env={**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "resources")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    line = next(line for line in ran.stdout.splitlines() if line.startswith('{"installed"'))
    return {**json.loads(line), "output": ran.stdout + ran.stderr}


def _check(seen: dict[str, Any]) -> None:
    output = seen["output"]
    for when in ("installed", "enabled_again"):
        assert seen[when]["enabled"] and seen[when]["properties"], output
        assert "SPLINESCAPE_OT_generate" in seen[when]["operators"]
    assert seen["from_wheels"] == [True, True, True], output
    assert seen["curve"], "the connection is encrypted by what pyzmq brings"
    assert not seen["torch"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert seen["version"] == project["version"]
    for when in ("disabled", "uninstalled"):
        assert not seen[when]["enabled"] and not seen[when]["properties"], output
        assert not seen[when]["operators"]
    assert not seen["folder_left"]
    assert "Traceback" not in output


def test_the_zip_is_installed_used_and_removed(repository: Path, tmp_path: Path) -> None:
    (archive,) = repository.glob("*linux_x64.zip")
    _check(_journey(tmp_path, "zip", str(archive)))


def test_a_repository_in_a_folder_is_subscribed_to(repository: Path, tmp_path: Path) -> None:
    _check(_journey(tmp_path, "repository", (repository / "index.json").as_uri()))


def test_a_repository_at_an_address_is_subscribed_to(address: str, tmp_path: Path) -> None:
    _check(_journey(tmp_path, "repository", address))
