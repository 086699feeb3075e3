"""The extension inside a real Blender without a window: the bpy wheels, each in an environment of its own.

The working tree is switched on as an extension: a folder of links stands where Blender looks for installed ones.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = "bl_ext.user_default.splinescape"


def _link_extension(resources: Path) -> None:
    folder = resources / "extensions" / "user_default" / "splinescape"
    folder.mkdir(parents=True)
    for part in (*(ROOT / "addon").iterdir(), ROOT / "blender_manifest.toml"):
        if part.name != "__pycache__":
            (folder / part.name).symlink_to(part)


_resources = tempfile.TemporaryDirectory(prefix="splinescape-blender-", ignore_cleanup_errors=True)
# Blender reads this once, when bpy is imported: the tests never see the user's own configuration.
os.environ["BLENDER_USER_RESOURCES"] = _resources.name
_link_extension(Path(_resources.name))

import bpy  # noqa: E402

_sessions: list[pytest.Session] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    _sessions.append(session)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave before Blender 4.2 frees itself.

    After an extension with property callbacks was switched off it crashes there, and the run counts as failed
    although every test has passed. Blender 4.5 and later do not.
    """
    if bpy.app.version >= (4, 5) or not _sessions:
        return
    _resources.cleanup()
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.flush()
    for stream in {sys.stdout, sys.__stdout__, sys.stderr, sys.__stderr__} - {None}:
        stream.flush()
    os._exit(int(_sessions[-1].exitstatus))


@pytest.fixture(scope="session", autouse=True)
def extension() -> Iterator[None]:
    """The extension, switched on once for all tests."""
    assert bpy.ops.preferences.addon_enable(module=MODULE) == {"FINISHED"}
    yield
    bpy.ops.preferences.addon_disable(module=MODULE)


@pytest.fixture(autouse=True)
def empty_file(extension: None) -> None:  # noqa: ARG001
    """Every test begins in an empty .blend."""
    bpy.ops.wm.read_homefile(use_empty=True)
