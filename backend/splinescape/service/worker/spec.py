"""What a job is made from, read from its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from splinescape.camera.path import CameraPath
from splinescape.config import SceneConfig
from splinescape.errors import InputError
from splinescape.picture.load import Picture, load_picture


@dataclass(frozen=True, eq=False)
class Spec:
    """A job, loaded and checked.

    Attributes:
        picture: what the scene is made from. config: settings. path: camera path, None for the spiral.
        focal_px: focal length of the picture in its pixels, if known.
        engines: role ("inpaint", "depth", "raster") -> engine name, "auto" for the best available.
        formats: suffixes, without the dot, of further scene files. film: whether to film the scene.
    """

    picture: Picture
    config: SceneConfig
    path: CameraPath | None
    focal_px: float | None
    engines: dict[str, str]
    formats: tuple[str, ...]
    film: bool


def read_spec(folder: Path) -> Spec:
    """Read the job in `folder`.

    Raises:
        InputError: the picture, the path or a setting cannot be used.
    """
    data: dict[str, Any] = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    path = folder / "path.json"
    picture = load_picture(folder / "picture")
    return Spec(
        picture=picture,
        config=_config(data["settings"]),
        path=CameraPath.from_json(path) if path.exists() else None,
        focal_px=picture.focal_px if data["focal_px"] is None else data["focal_px"],
        engines={role: data["engines"].get(role, "auto") for role in ("inpaint", "depth", "raster")},
        formats=tuple(dict.fromkeys(data["formats"])),
        film=data["film"],
    )


def _config(settings: dict[str, Any]) -> SceneConfig:
    try:
        return SceneConfig(**settings)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise InputError(f"{where}: {problem['msg']}".removeprefix(": ")) from error
