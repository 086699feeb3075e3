"""Splinescape: one picture and one camera path become a scene of 3D Gaussian splats.

The names below are the public API; they are imported on first use, so that light parts (the command line's help,
the client) do not load torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from splinescape.camera.path import CameraPath as CameraPath
    from splinescape.camera.view import View as View
    from splinescape.config import SceneConfig as SceneConfig
    from splinescape.depth import DepthPrediction as DepthPrediction
    from splinescape.pipeline import ScenePipeline as ScenePipeline
    from splinescape.pipeline import SceneResult as SceneResult
    from splinescape.scene.scene import load_scene as load_scene

try:
    __version__ = version("splinescape")
except PackageNotFoundError:  # a checkout that is used as it is
    __version__ = "0.0.0+source"

_HOMES = {
    "CameraPath": "splinescape.camera.path",
    "DepthPrediction": "splinescape.depth",
    "SceneConfig": "splinescape.config",
    "ScenePipeline": "splinescape.pipeline",
    "SceneResult": "splinescape.pipeline",
    "View": "splinescape.camera.view",
    "load_scene": "splinescape.scene.scene",
}

__all__ = [
    "CameraPath",
    "DepthPrediction",
    "SceneConfig",
    "ScenePipeline",
    "SceneResult",
    "View",
    "load_scene",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'splinescape' has no attribute '{name}'")
