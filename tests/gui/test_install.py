"""A person gets the extension into Blender with mouse and keys, and finds its tab."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from window import BlenderWindow, wait

pytestmark = pytest.mark.slow

MODULE = "bl_ext.user_default.splinescape"
ARROW = {"trixie": 64, "sid": 113}
"""Pixels from the middle of "Repositories" to the middle of the arrow at the right of it, in Get Extensions."""


def test_the_zip_is_installed_from_disk(
    window: BlenderWindow, suite: str, archive: Path, picture: Callable[[str], Path]
) -> None:
    shutil.copy(archive, window.home)
    window.prepare(None)
    window.open()
    middle = window.region("WINDOW")
    window.mouse(middle.left + middle.width // 2, middle.top + middle.height // 2)
    window.key("ctrl+comma")
    window.until("len(bpy.context.window_manager.windows) == 2")
    window.click_label("Get Extensions")
    x, y = window.find("Repositories")
    window.click(x + ARROW[suite], y)
    window.click_label("Install from Disk...")
    window.find("Enable on Install")
    picture("01_install_from_disk")
    window.choose_file(archive.name, "Install from Disk")
    window.until(f"{MODULE!r} in bpy.context.preferences.addons", seconds=60)
    picture("02_installed")
    window.key("alt+F4")
    window.until("len(bpy.context.window_manager.windows) == 1")
    _check_the_tab(window, picture, "03_tab")


def test_it_is_there_after_the_command_line_installed_it(
    window: BlenderWindow, archive: Path, picture: Callable[[str], Path]
) -> None:
    said = window.prepare(archive)
    assert "incompatible" not in said.lower(), said
    window.open()
    _check_the_tab(window, picture, "01_tab")
    imported = window.ask(
        "import zmq, splinescape.client, sys\nresult = zmq.__file__, 'torch' in sys.modules"
    )
    assert imported[0].startswith(str(window.home)) and imported[1] is False
    window.ask(f"bpy.ops.preferences.addon_disable(module={MODULE!r})")
    time.sleep(1)
    assert "Generate" not in window.text(window.region("UI"))
    window.ask(f"bpy.ops.preferences.addon_enable(module={MODULE!r})")
    wait(lambda: "Generate" in window.text(window.region("UI")), 15, "the panels are back")
    assert "Traceback" not in window.log()


def _check_the_tab(window: BlenderWindow, picture: Callable[[str], Path], name: str) -> None:
    window.open_sidebar("Splinescape")
    wait(lambda: "Image" in window.text(window.region("UI")), 15, "the panels")
    picture(name)
    lines = window.text(window.region("UI")).splitlines()
    headings = ["Image", "Camera Path", "Generate", "Scene", "Render"]
    seen = [each for line in lines for each in headings if line.strip(" >vyY~").endswith(each)]
    assert [each for each in headings if each in seen] == seen, f"the order of work: {json.dumps(lines)}"
    assert {"Image", "Generate"} <= set(seen)
