"""Run in a Python of its own, with bpy but without this project: install the extension, use it, remove it.

    python -I -S extension_journey.py PACKAGES zip ARCHIVE
    python -I -S extension_journey.py PACKAGES repository URL

Prints one JSON line. PACKAGES is where bpy and NumPy are.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

packages, kind, source = sys.argv[1:]
sys.path.insert(0, packages)

import bpy  # noqa: E402

RESOURCES = Path(os.environ["BLENDER_USER_RESOURCES"])


def install_zip() -> str:
    """Install from a file, as dropping it on Blender does; returns the repository's module."""
    bpy.ops.extensions.package_install_files(filepath=source, repo="user_default", enable_on_install=True)
    return "user_default"


def install_from_repository() -> str:
    """Subscribe to a repository, refresh its list, install from it."""
    repositories = bpy.context.preferences.extensions.repos
    bpy.context.preferences.system.use_online_access = True
    repository = repositories.new(name="Ours", module="ours", remote_url=source)
    index = list(repositories).index(repository)
    bpy.ops.extensions.repo_sync(repo_index=index)
    bpy.ops.extensions.package_install(repo_index=index, pkg_id="splinescape", enable_on_install=True)
    return "ours"


def state(module: str) -> dict[str, Any]:
    return {
        "enabled": module in bpy.context.preferences.addons,
        "properties": hasattr(bpy.types.Scene, "splinescape"),
        "operators": [name for name in dir(bpy.types) if name.startswith("SPLINESCAPE_OT_")],
    }


repository = {"zip": install_zip, "repository": install_from_repository}[kind]()
module = f"bl_ext.{repository}.splinescape"
result: dict[str, Any] = {"installed": state(module)}

import zmq  # noqa: E402

import splinescape.client  # noqa: E402
import splinescape.protocol  # noqa: E402

result["from_wheels"] = [
    Path(each.__file__).is_relative_to(RESOURCES) for each in (zmq, splinescape, splinescape.client)
]
result["version"] = splinescape.__version__
result["curve"] = zmq.has("curve")
result["torch"] = "torch" in sys.modules

bpy.ops.preferences.addon_disable(module=module)
result["disabled"] = state(module)
bpy.ops.preferences.addon_enable(module=module)
result["enabled_again"] = state(module)

repositories = bpy.context.preferences.extensions.repos
index = next(i for i, each in enumerate(repositories) if each.module == repository)
bpy.ops.extensions.package_uninstall(repo_index=index, pkg_id="splinescape")
result["uninstalled"] = state(module)
result["folder_left"] = (Path(repositories[index].directory) / "splinescape").exists()
print("\n" + json.dumps(result), flush=True)
# bpy 4.2 crashes while the process ends once an extension whose properties have callbacks was removed, whichever it is.
os._exit(0)
