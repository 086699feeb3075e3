"""What a scene of the .blend is to be made from, read once when Generate Scene is clicked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..image.camera import camera_focal_px, ensure_input_camera, scene_placement
from ..image.picture import picture_file
from .follower import Order
from .properties import ENGINES, SETTINGS, chosen_engine


class GenerateError(ValueError):
    """A scene cannot be generated; the message is a sentence for people with the next step."""


@dataclass(frozen=True, eq=False)
class Request:
    """An order and what Blender must remember of it.

    Attributes:
        order: for the service. placement: (4, 4) Blender's world from the scene's world at this moment.
    """

    order: Order
    placement: NDArray[np.float64]

    def facts(self) -> str:
        """What is saved in the .blend, as JSON."""
        return json.dumps(
            {
                "settings": dict(self.order.settings),
                "engines": dict(self.order.engines),
                "placement": self.placement.tolist(),
                "path": self.order.path_json is not None,
            }
        )


def job_name(scene: bpy.types.Scene) -> str:
    """What a job of this scene is called at the service: by that it is found again, and no other file's scene is.

    An unsaved .blend is given an id for that, which its automatic copies have too.
    """
    own = scene.splinescape.generate
    if bpy.data.filepath:
        return _name_while_saved(scene)
    own.scene_id = own.scene_id or secrets.token_hex(4)
    return _name_while_unsaved(scene)


def job_names(scene: bpy.types.Scene) -> set[str]:
    """What jobs of this scene may be called, those included that were sent before the .blend was saved."""
    names = {_name_while_saved(scene)} if bpy.data.filepath else set()
    return names | ({_name_while_unsaved(scene)} if scene.splinescape.generate.scene_id else set())


def shown_name(name: str) -> str:
    """A job's name for people."""
    return re.sub(r" \[[0-9a-f]{8}\]\Z", "", name)


def _name_while_saved(scene: bpy.types.Scene) -> str:
    path = os.path.normcase(Path(bpy.data.filepath).absolute())
    digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{Path(bpy.data.filepath).stem} / {scene.name} [{digest[:8]}]"


def _name_while_unsaved(scene: bpy.types.Scene) -> str:
    return f"unsaved / {scene.name} [{scene.splinescape.generate.scene_id}]"


def why_not(scene: bpy.types.Scene) -> str:
    """Why no scene can be generated now, as far as the .blend is concerned; "" when it can."""
    if scene.splinescape.image.image is None:
        return "Choose an image first, in the Image panel"
    return ""


def request_of(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> Request:
    """Read everything that the service needs; makes the input camera if there is none.

    Raises:
        GenerateError, PictureError, PathError: what is missing or cannot be used, all of them ValueErrors with a
            sentence.
    """
    missing = why_not(scene)
    if missing:
        raise GenerateError(missing)
    picture, _, focal_px = picture_file(scene.splinescape.image.image)
    camera = ensure_input_camera(scene)
    if scene.splinescape.image.use_camera_lens:
        focal_px = camera_focal_px(camera, scene.splinescape.image.image)
    own = scene.splinescape.generate
    settings = {name: _plain(getattr(own, name)) for name in SETTINGS}
    _check(settings)
    path_json = _path(scene, depsgraph) if own.stage in ("coarse", "fine") else None
    order = Order(
        name=job_name(scene),
        picture=picture,
        focal_px=focal_px,
        path_json=path_json,
        settings={**settings, "traj_type": "spiral" if path_json is None else "json"},
        engines={role: chosen_engine(own, role) for role in ENGINES},
    )
    return Request(order, scene_placement(scene))


def _plain(value: Any) -> Any:
    """Blender's floats are single precision: 0.3 shall arrive as 0.3."""
    return (
        float(np.format_float_positional(np.float32(value), unique=True))
        if isinstance(value, float)
        else value
    )


def _check(settings: dict[str, Any]) -> None:
    """What no single property can rule out."""
    if settings["coarse_min_inpaint_ratio"] > settings["coarse_max_inpaint_ratio"]:
        raise GenerateError("Least Uncovered is above Most Uncovered: lower it")
    if settings["traj_min_percentage"] >= settings["traj_max_percentage"]:
        raise GenerateError("The spiral's Lower Percentile is not below the upper one: lower it")


def _path(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> str | None:
    """The camera path's file; None without a path, which means the service's spiral."""
    from ..path import sampling

    if sampling.path_object(scene) is None:
        return None
    return sampling.path_json(scene, depsgraph)
